//! SQL over the endpoints that enterprises decide by, and over what they were asked.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, delete, insert_into, update};
use serde_json::Value;

use crate::activities::model::{ActivityId, CustomRule, CustomRuleId, CustomRuleKind, CustomRuleState};
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{activity_custom_rules, consultations, custom_rules};
use crate::tenancy::idempotency::IdempotencyKey;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::HolderId;

pub async fn insert_in(tx: &TenantTx, rule: &CustomRule, sealed_secrets: Vec<u8>) -> Result<(), Fault> {
    let row = (
        custom_rules::tenant_id.eq(tx.tenant()),
        custom_rules::id.eq(rule.id),
        custom_rules::kind.eq(rule.kind),
        custom_rules::name.eq(rule.name.clone()),
        custom_rules::url.eq(rule.url.clone()),
        custom_rules::digest.eq(rule.digest),
        custom_rules::trailing_id.eq(rule.trailing_id.clone()),
        custom_rules::sealed_secrets.eq(sealed_secrets),
        custom_rules::parameters.eq(rule.parameters.clone()),
        custom_rules::state.eq(rule.state),
        custom_rules::created_at.eq(rule.created_at),
    );
    tx.execute_exactly(1, insert_into(custom_rules::table).values(row)).await
}

pub async fn rules_by_id(tx: &TenantTx, ids: &[CustomRuleId]) -> Result<HashMap<CustomRuleId, CustomRule>, Fault> {
    let query = custom_rules::table
        .filter(custom_rules::tenant_id.eq(tx.tenant()))
        .filter(custom_rules::id.eq_any(ids.to_vec()));
    let rows: Vec<CustomRule> = tx.load(query.select(CustomRule::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// One rule, locked until the transaction ends.
pub async fn lock_in(tx: &TenantTx, id: CustomRuleId) -> Result<Option<CustomRule>, Fault> {
    tx.optional(
        custom_rules::table
            .filter(custom_rules::tenant_id.eq(tx.tenant()))
            .filter(custom_rules::id.eq(id))
            .select(CustomRule::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn sealed_secrets(tx: &TenantTx, id: CustomRuleId) -> Result<Option<Vec<u8>>, Fault> {
    tx.optional(
        custom_rules::table
            .filter(custom_rules::tenant_id.eq(tx.tenant()))
            .filter(custom_rules::id.eq(id))
            .select(custom_rules::sealed_secrets),
    )
    .await
}

/// Writes a new state under the row's lock and counts the version up.
pub async fn set_state_in(tx: &TenantTx, id: CustomRuleId, state: CustomRuleState) -> Result<CustomRule, Fault> {
    tx.one(
        update(custom_rules::table)
            .filter(custom_rules::tenant_id.eq(tx.tenant()))
            .filter(custom_rules::id.eq(id))
            .set((custom_rules::state.eq(state), custom_rules::version.eq(custom_rules::version + 1)))
            .returning(CustomRule::as_returning()),
    )
    .await
}

pub async fn list(tx: &TenantTx, page: &Page<CustomRuleId>) -> Result<Vec<CustomRule>, Fault> {
    let query = custom_rules::table.filter(custom_rules::tenant_id.eq(tx.tenant())).select(CustomRule::as_select());
    tx.load(paged!(query, custom_rules::id, page)).await
}

pub async fn count(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(custom_rules::table.filter(custom_rules::tenant_id.eq(tx.tenant())).count()).await
}

/// An endpoint that an activity asks.
#[derive(Clone, Debug)]
pub struct ActivityRule {
    pub kind: CustomRuleKind,
    pub rule: CustomRuleId,
    /// Names and texts.
    pub parameters: Value,
    pub decides: bool,
}

pub async fn insert_of_activity_in(tx: &TenantTx, activity: ActivityId, rules: &[ActivityRule]) -> Result<(), Fault> {
    let rows: Vec<_> = rules
        .iter()
        .map(|asked| {
            (
                activity_custom_rules::tenant_id.eq(tx.tenant()),
                activity_custom_rules::activity_id.eq(activity),
                activity_custom_rules::kind.eq(asked.kind),
                activity_custom_rules::custom_rule_id.eq(asked.rule),
                activity_custom_rules::parameters.eq(asked.parameters.clone()),
                activity_custom_rules::decides.eq(asked.decides),
            )
        })
        .collect();
    tx.execute_exactly(rules.len(), insert_into(activity_custom_rules::table).values(rows)).await
}

/// In the order of their kinds.
pub async fn of_activity(tx: &TenantTx, activity: ActivityId) -> Result<Vec<ActivityRule>, Fault> {
    let rows: Vec<(CustomRuleKind, CustomRuleId, Value, bool)> = tx
        .load(
            activity_custom_rules::table
                .filter(activity_custom_rules::tenant_id.eq(tx.tenant()))
                .filter(activity_custom_rules::activity_id.eq(activity))
                .order(activity_custom_rules::kind)
                .select((
                    activity_custom_rules::kind,
                    activity_custom_rules::custom_rule_id,
                    activity_custom_rules::parameters,
                    activity_custom_rules::decides,
                )),
        )
        .await?;
    let rule = |(kind, rule, parameters, decides)| ActivityRule { kind, rule, parameters, decides };
    Ok(rows.into_iter().map(rule).collect())
}

/// What is known of a wish that an endpoint is asked about.
#[derive(Clone, Debug)]
pub struct Consultation {
    pub input_hash: Vec<u8>,
    pub answer: Option<Value>,
    pub asked_at: DateTime<Utc>,
    /// Whether a draw has used the answer up.
    pub drawn: bool,
}

/// Writes the intent to ask, unless there is one. Whether it is new, and what there is, under lock.
pub async fn intend_in(
    tx: &TenantTx,
    activity: ActivityId,
    (holder, key): (HolderId, &IdempotencyKey),
    input_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<(bool, Consultation), Fault> {
    let row = (
        consultations::tenant_id.eq(tx.tenant()),
        consultations::activity_id.eq(activity),
        consultations::holder_id.eq(holder),
        consultations::key.eq(key.as_str().to_owned()),
        consultations::input_hash.eq(input_hash.to_vec()),
        consultations::asked_at.eq(now),
    );
    let new = tx.execute(insert_into(consultations::table).values(row).on_conflict_do_nothing()).await? == 1;
    let (input_hash, answer, asked_at, drawn_at): (_, _, _, Option<DateTime<Utc>>) = tx
        .one(
            consultations::table
                .filter(consultations::tenant_id.eq(tx.tenant()))
                .filter(consultations::activity_id.eq(activity))
                .filter(consultations::holder_id.eq(holder))
                .filter(consultations::key.eq(key.as_str().to_owned()))
                .select((
                    consultations::input_hash,
                    consultations::answer,
                    consultations::asked_at,
                    consultations::drawn_at,
                ))
                .for_no_key_update(),
        )
        .await?;
    Ok((new, Consultation { input_hash, answer, asked_at, drawn: drawn_at.is_some() }))
}

/// Whether another wish of the holder's in the activity has been asked about since a moment, and is not answered.
pub async fn is_another_asked(
    tx: &TenantTx,
    activity: ActivityId,
    (holder, key): (HolderId, &IdempotencyKey),
    since: DateTime<Utc>,
) -> Result<bool, Fault> {
    let others: i64 = tx
        .one(
            consultations::table
                .filter(consultations::tenant_id.eq(tx.tenant()))
                .filter(consultations::activity_id.eq(activity))
                .filter(consultations::holder_id.eq(holder))
                .filter(consultations::key.ne(key.as_str().to_owned()))
                .filter(consultations::answer.is_null())
                .filter(consultations::asked_at.gt(since))
                .count(),
        )
        .await?;
    Ok(others > 0)
}

/// Answers that a batch has drawn by: each serves once.
pub async fn set_drawn_in(tx: &TenantTx, activity: ActivityId, of: &[(HolderId, IdempotencyKey)]) -> Result<(), Fault> {
    if of.is_empty() {
        return Ok(());
    }
    let statement = statement(
        "UPDATE consultations AS asked SET drawn_at = now() FROM unnest($3, $4) AS drawn (holder_id, key)
          WHERE asked.tenant_id = $1 AND asked.activity_id = $2 AND asked.holder_id = drawn.holder_id AND asked.key = drawn.key
            AND asked.answer IS NOT NULL AND asked.drawn_at IS NULL",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Array<SqlUuid>, _>(of.iter().map(|(holder, _)| *holder).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(of.iter().map(|(_, key)| key.as_str().to_owned()).collect::<Vec<_>>());
    tx.execute_exactly(of.len(), statement).await
}

/// Nobody draws in the activity any more.
pub async fn delete_consultations_in(tx: &TenantTx, activity: ActivityId) -> Result<(), Fault> {
    let statement = delete(consultations::table)
        .filter(consultations::tenant_id.eq(tx.tenant()))
        .filter(consultations::activity_id.eq(activity));
    tx.execute(statement).await.map(drop)
}

/// Says since when it is being asked, where it still is as the caller has left it.
pub async fn ask_in(
    tx: &TenantTx,
    activity: ActivityId,
    (holder, key): (HolderId, &IdempotencyKey),
    before: DateTime<Utc>,
    since: DateTime<Utc>,
) -> Result<(), Fault> {
    let statement = update(consultations::table)
        .filter(consultations::tenant_id.eq(tx.tenant()))
        .filter(consultations::activity_id.eq(activity))
        .filter(consultations::holder_id.eq(holder))
        .filter(consultations::key.eq(key.as_str().to_owned()))
        .filter(consultations::answer.is_null())
        .filter(consultations::asked_at.eq(before))
        .set(consultations::asked_at.eq(since));
    tx.execute(statement).await.map(drop)
}

/// Keeps an answer, unless somebody else has asked since. Whether this one is kept.
pub async fn answer_in(
    tx: &TenantTx,
    activity: ActivityId,
    (holder, key): (HolderId, &IdempotencyKey),
    answer: Value,
    (asked_at, now): (DateTime<Utc>, DateTime<Utc>),
) -> Result<bool, Fault> {
    let statement = update(consultations::table)
        .filter(consultations::tenant_id.eq(tx.tenant()))
        .filter(consultations::activity_id.eq(activity))
        .filter(consultations::holder_id.eq(holder))
        .filter(consultations::key.eq(key.as_str().to_owned()))
        .filter(consultations::answer.is_null())
        .filter(consultations::asked_at.eq(asked_at))
        .set((consultations::answer.eq(Some(answer)), consultations::answered_at.eq(Some(now))));
    Ok(tx.execute(statement).await? == 1)
}
