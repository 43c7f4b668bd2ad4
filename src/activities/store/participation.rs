//! SQL over what activities ask of people, and over what is known of them for that.

use std::collections::HashMap;

use diesel::sql_types::{Array, Binary, Bool, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, delete, insert_into};

use crate::activities::model::{ActivityId, ParticipationRule};
use crate::activities::participation::{Mark, Person, Rule};
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::schema::{blocked_phones, draw_origins, participation_phones, participation_rules, participation_tags};
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::HolderId;

pub async fn insert_rule_in(tx: &TenantTx, activity: ActivityId, rule: &Rule) -> Result<(), Fault> {
    let ParticipationRule { phone_bound, real_named, first_time, listed, .. } = rule.rule;
    let row = (
        participation_rules::tenant_id.eq(tx.tenant()),
        participation_rules::activity_id.eq(activity),
        participation_rules::phone_bound.eq(phone_bound),
        participation_rules::real_named.eq(real_named),
        participation_rules::first_time.eq(first_time),
        participation_rules::listed.eq(listed),
        participation_rules::points_at_least.eq(rule.rule.points_at_least),
        participation_rules::points_cost.eq(rule.rule.points_cost),
        participation_rules::holders_per_device.eq(rule.rule.holders_per_device),
        participation_rules::holders_per_address.eq(rule.rule.holders_per_address),
    );
    tx.execute_exactly(1, insert_into(participation_rules::table).values(row)).await?;
    let tags: Vec<_> = [(&rule.tags, false), (&rule.excluded_tags, true)]
        .into_iter()
        .flat_map(|(tags, excluded)| tags.iter().map(move |tag| (tag, excluded)))
        .map(|(tag, excluded)| {
            (
                participation_tags::tenant_id.eq(tx.tenant()),
                participation_tags::activity_id.eq(activity),
                participation_tags::tag.eq(tag.clone()),
                participation_tags::excluded.eq(excluded),
            )
        })
        .collect();
    tx.execute_exactly(tags.len(), insert_into(participation_tags::table).values(tags)).await
}

/// What an activity asks; nothing where it has no rule.
pub async fn rule(tx: &TenantTx, activity: ActivityId) -> Result<Rule, Fault> {
    let rule = rules_of_activities(tx, &[activity]).await?.remove(&activity).unwrap_or_default();
    let mut tags = tags_of_activities(tx, &[activity]).await?.remove(&activity).unwrap_or_default();
    let excluded = tags.extract_if(.., |(_, excluded)| *excluded).map(|(tag, _)| tag).collect();
    Ok(Rule { rule, tags: tags.into_iter().map(|(tag, _)| tag).collect(), excluded_tags: excluded })
}

pub async fn rules_of_activities(
    tx: &TenantTx,
    ids: &[ActivityId],
) -> Result<HashMap<ActivityId, ParticipationRule>, Fault> {
    let rows: Vec<(ActivityId, ParticipationRule)> = tx
        .load(
            participation_rules::table
                .filter(participation_rules::tenant_id.eq(tx.tenant()))
                .filter(participation_rules::activity_id.eq_any(ids.to_vec()))
                .select((participation_rules::activity_id, ParticipationRule::as_select())),
        )
        .await?;
    Ok(rows.into_iter().collect())
}

/// Each tag in the order of the alphabet, and whether it keeps people out.
pub async fn tags_of_activities(
    tx: &TenantTx,
    ids: &[ActivityId],
) -> Result<HashMap<ActivityId, Vec<(String, bool)>>, Fault> {
    let rows: Vec<(ActivityId, String, bool)> = tx
        .load(
            participation_tags::table
                .filter(participation_tags::tenant_id.eq(tx.tenant()))
                .filter(participation_tags::activity_id.eq_any(ids.to_vec()))
                .order((participation_tags::activity_id, participation_tags::tag))
                .select((participation_tags::activity_id, participation_tags::tag, participation_tags::excluded)),
        )
        .await?;
    let mut tags: HashMap<ActivityId, Vec<(String, bool)>> = HashMap::new();
    for (activity, tag, excluded) in rows {
        tags.entry(activity).or_default().push((tag, excluded));
    }
    Ok(tags)
}

#[derive(QueryableByName)]
struct PersonRow {
    #[diesel(sql_type = SqlUuid)]
    id: HolderId,
    #[diesel(sql_type = Bool)]
    phone_bound: bool,
    #[diesel(sql_type = Bool)]
    real_named: bool,
    #[diesel(sql_type = Bool)]
    drew_elsewhere: bool,
    #[diesel(sql_type = Bool)]
    listed: bool,
    #[diesel(sql_type = Bool)]
    chosen: bool,
    #[diesel(sql_type = Bool)]
    excluded: bool,
    #[diesel(sql_type = Bool)]
    blocked: bool,
}

/// What an activity's rule asks about these people. They are not locked: what changes in the same moment may still count
/// as it was.
pub async fn people(
    tx: &TenantTx,
    activity: ActivityId,
    holders: &[HolderId],
) -> Result<HashMap<HolderId, Person>, Fault> {
    let rows: Vec<PersonRow> = tx
        .load(
            statement(
                "SELECT holder.id, holder.phone_hash IS NOT NULL AS phone_bound, holder.verified_at IS NOT NULL AS real_named,
                        EXISTS (SELECT FROM participants AS played
                                 WHERE played.tenant_id = $1 AND played.holder_id = holder.id AND played.activity_id <> $2
                                   AND played.used > 0) AS drew_elsewhere,
                        EXISTS (SELECT FROM participation_phones AS listed
                                 WHERE listed.tenant_id = $1 AND listed.activity_id = $2 AND listed.phone_hash = holder.phone_hash) AS listed,
                        EXISTS (SELECT FROM participation_tags AS asked
                                  JOIN holder_tags AS tagged ON tagged.tenant_id = asked.tenant_id AND tagged.tag = asked.tag
                                 WHERE asked.tenant_id = $1 AND asked.activity_id = $2 AND NOT asked.excluded
                                   AND tagged.tenant_id = $1 AND tagged.holder_id = holder.id) AS chosen,
                        EXISTS (SELECT FROM participation_tags AS asked
                                  JOIN holder_tags AS tagged ON tagged.tenant_id = asked.tenant_id AND tagged.tag = asked.tag
                                 WHERE asked.tenant_id = $1 AND asked.activity_id = $2 AND asked.excluded
                                   AND tagged.tenant_id = $1 AND tagged.holder_id = holder.id) AS excluded,
                        EXISTS (SELECT FROM blocked_phones AS blocked
                                 WHERE blocked.tenant_id = $1 AND blocked.phone_hash = holder.phone_hash) AS blocked
                   FROM holders AS holder
                  WHERE holder.tenant_id = $1 AND holder.id = ANY($3)",
            )
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<SqlUuid, _>(activity)
            .bind::<Array<SqlUuid>, _>(holders.to_vec()),
        )
        .await?;
    let person = |row: PersonRow| {
        let PersonRow { id, phone_bound, real_named, drew_elsewhere, listed, chosen, excluded, blocked } = row;
        (id, Person { phone_bound, real_named, drew_elsewhere, listed, chosen, excluded, blocked })
    };
    Ok(rows.into_iter().map(person).collect())
}

/// Who has drawn from these devices and addresses. Under the lane's lock.
pub async fn origins(tx: &TenantTx, activity: ActivityId, marks: &[Mark]) -> Result<Vec<(Mark, HolderId)>, Fault> {
    if marks.is_empty() {
        return Ok(Vec::new());
    }
    let marks: Vec<Vec<u8>> = marks.iter().map(|mark| mark.to_vec()).collect();
    let rows: Vec<(Vec<u8>, HolderId)> = tx
        .load(
            draw_origins::table
                .filter(draw_origins::tenant_id.eq(tx.tenant()))
                .filter(draw_origins::activity_id.eq(activity))
                .filter(draw_origins::mark.eq_any(marks))
                .select((draw_origins::mark, draw_origins::holder_id)),
        )
        .await?;
    let read = |(mark, holder): (Vec<u8>, HolderId)| {
        let mark = mark.try_into().map_err(|_| Fault::internal(anyhow::anyhow!("a mark has a wrong length")))?;
        Ok((mark, holder))
    };
    rows.into_iter().map(read).collect()
}

/// Each pair once, and none that is there.
pub async fn insert_origins_in(tx: &TenantTx, activity: ActivityId, marked: &[(Mark, HolderId)]) -> Result<(), Fault> {
    if marked.is_empty() {
        return Ok(());
    }
    let statement = statement(
        "INSERT INTO draw_origins (tenant_id, activity_id, mark, holder_id) SELECT $1, $2, new.* FROM unnest($3, $4) AS new",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Array<Binary>, _>(marked.iter().map(|(mark, _)| mark.to_vec()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(marked.iter().map(|(_, holder)| *holder).collect::<Vec<_>>());
    tx.execute_exactly(marked.len(), statement).await
}

/// Nobody needs to know any more whence people drew.
pub async fn delete_origins_in(tx: &TenantTx, activity: ActivityId) -> Result<(), Fault> {
    let statement = delete(draw_origins::table)
        .filter(draw_origins::tenant_id.eq(tx.tenant()))
        .filter(draw_origins::activity_id.eq(activity));
    tx.execute(statement).await.map(drop)
}

/// Puts phones on an activity's list; those that stand on it stay.
pub async fn add_listed_in(tx: &TenantTx, activity: ActivityId, hashes: Vec<Vec<u8>>) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO participation_phones (tenant_id, activity_id, phone_hash) SELECT $1, $2, hash FROM unnest($3) AS hash
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(activity)
    .bind::<Array<Binary>, _>(hashes);
    tx.execute(statement).await.map(drop)
}

pub async fn remove_listed_in(tx: &TenantTx, activity: ActivityId, hashes: Vec<Vec<u8>>) -> Result<(), Fault> {
    let statement = delete(participation_phones::table)
        .filter(participation_phones::tenant_id.eq(tx.tenant()))
        .filter(participation_phones::activity_id.eq(activity))
        .filter(participation_phones::phone_hash.eq_any(hashes));
    tx.execute(statement).await.map(drop)
}

pub async fn count_listed(tx: &TenantTx, activity: ActivityId) -> Result<i64, Fault> {
    tx.one(
        participation_phones::table
            .filter(participation_phones::tenant_id.eq(tx.tenant()))
            .filter(participation_phones::activity_id.eq(activity))
            .count(),
    )
    .await
}

/// Puts phones on the enterprise's black list; those that stand on it stay.
pub async fn add_blocked_in(tx: &TenantTx, hashes: Vec<Vec<u8>>) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO blocked_phones (tenant_id, phone_hash) SELECT $1, hash FROM unnest($2) AS hash ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<Binary>, _>(hashes);
    tx.execute(statement).await.map(drop)
}

pub async fn remove_blocked_in(tx: &TenantTx, hashes: Vec<Vec<u8>>) -> Result<(), Fault> {
    let statement = delete(blocked_phones::table)
        .filter(blocked_phones::tenant_id.eq(tx.tenant()))
        .filter(blocked_phones::phone_hash.eq_any(hashes));
    tx.execute(statement).await.map(drop)
}

pub async fn count_blocked(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(blocked_phones::table.filter(blocked_phones::tenant_id.eq(tx.tenant())).count()).await
}
