//! SQL over claims.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{BoolExpressionMethods, ExpressionMethods, IntoSql, QueryDsl, SelectableHelper, update};

use crate::activities::model::{ActivityId, Claim, ClaimId, ClaimState};
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::claims;
use crate::tenancy::model::HolderId;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::TransferId;

/// Writes claims that begin.
pub async fn insert_claims_in(tx: &TenantTx, new: &[Claim]) -> Result<(), Fault> {
    if new.is_empty() {
        return Ok(());
    }
    let statement = statement(
        "INSERT INTO claims (tenant_id, id, activity_id, holder_id, source, source_id, prize_id, collectible_id, allotment_id, serial, state, deadline, created_at, kind, reference)
         SELECT $1, claim.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS claim
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|claim| claim.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|claim| claim.activity_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|claim| claim.holder_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|claim| claim.source).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|claim| claim.source_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|claim| claim.prize_id).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(new.iter().map(|claim| claim.collectible_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|claim| claim.allotment_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(new.iter().map(|claim| claim.serial).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|claim| claim.state).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(new.iter().map(|claim| claim.deadline).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(new.iter().map(|claim| claim.created_at).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|claim| claim.kind).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(new.iter().map(|claim| claim.reference.clone()).collect::<Vec<_>>());
    tx.execute_exactly(new.len(), statement).await
}

pub async fn claims_by_id(tx: &TenantTx, ids: &[ClaimId]) -> Result<HashMap<ClaimId, Claim>, Fault> {
    let query = claims::table.filter(claims::tenant_id.eq(tx.tenant())).filter(claims::id.eq_any(ids.to_vec()));
    let rows: Vec<Claim> = tx.load(query.select(Claim::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// In the order given.
pub async fn claims_in_order(tx: &TenantTx, ids: &[ClaimId]) -> Result<Vec<Claim>, Fault> {
    let mut rows = claims_by_id(tx, ids).await?;
    ids.iter().map(|id| rows.remove(id).ok_or(Fault::NotFound)).collect()
}

/// Whether a holder has a claim that is reviewed, still to be taken up or on its way.
pub async fn has_open(tx: &TenantTx, holder: HolderId) -> Result<bool, Fault> {
    let under_way = claims::state.eq_any([ClaimState::InReview, ClaimState::Claimed, ClaimState::Delivering]);
    let to_be_taken = claims::state
        .eq(ClaimState::Pending)
        .and(claims::deadline.gt(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()));
    tx.one(diesel::select(diesel::dsl::exists(
        claims::table
            .filter(claims::tenant_id.eq(tx.tenant()))
            .filter(claims::holder_id.eq(holder))
            .filter(under_way.or(to_be_taken)),
    )))
    .await
}

/// Locked in the order of their IDs.
pub async fn lock_claims_in(tx: &TenantTx, ids: &[ClaimId]) -> Result<Vec<Claim>, Fault> {
    tx.load(
        claims::table
            .filter(claims::tenant_id.eq(tx.tenant()))
            .filter(claims::id.eq_any(ids.to_vec()))
            .order(claims::id)
            .select(Claim::as_select())
            .for_no_key_update(),
    )
    .await
}

/// A claim that its holder took up, with the transfer that brings the piece.
pub async fn set_delivering_in(tx: &TenantTx, id: ClaimId, transfer: TransferId) -> Result<Claim, Fault> {
    tx.one(
        update(claims::table)
            .filter(claims::tenant_id.eq(tx.tenant()))
            .filter(claims::id.eq(id))
            .set((
                claims::state.eq(ClaimState::Delivering),
                claims::transfer_id.eq(Some(transfer)),
                claims::taken_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()),
                claims::version.eq(claims::version + 1),
                claims::updated_at.eq(diesel::dsl::now.into_sql::<Timestamptz>()),
            ))
            .returning(Claim::as_returning()),
    )
    .await
}

/// What becomes of a claim. What is left out stays as it is.
#[derive(Clone, Debug)]
pub struct ClaimChange {
    pub id: ClaimId,
    pub from: ClaimState,
    pub to: ClaimState,
    /// Whether its holder has taken it up just now.
    pub taken: bool,
    pub deadline: Option<DateTime<Utc>>,
    pub delivery_reference: Option<String>,
    pub remark: Option<String>,
}

impl ClaimChange {
    pub fn of(claim: &Claim, to: ClaimState) -> Self {
        let (id, from) = (claim.id, claim.state);
        Self { id, from, to, taken: false, deadline: None, delivery_reference: None, remark: None }
    }
}

/// Changes claims under their locks; gives them as they are now, in the order of the changes.
pub async fn change_in(tx: &TenantTx, changes: &[ClaimChange]) -> Result<Vec<Claim>, Fault> {
    let statement = statement(
        "UPDATE claims AS claim
            SET state = change.state, deadline = coalesce(change.deadline, claim.deadline),
                delivery_reference = coalesce(change.delivery_reference, claim.delivery_reference),
                remark = coalesce(change.remark, claim.remark),
                taken_at = CASE WHEN change.taken THEN now() ELSE claim.taken_at END,
                version = claim.version + 1, updated_at = now()
           FROM unnest($2, $3, $4, $5, $6, $7, $8) AS change (id, before, state, taken, deadline, delivery_reference, remark)
          WHERE claim.tenant_id = $1 AND claim.id = change.id AND claim.state = change.before",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(changes.iter().map(|change| change.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(changes.iter().map(|change| change.from).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(changes.iter().map(|change| change.to).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(changes.iter().map(|change| change.taken).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(changes.iter().map(|change| change.deadline).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(
        changes.iter().map(|change| change.delivery_reference.clone()).collect::<Vec<_>>(),
    )
    .bind::<Array<Nullable<Text>>, _>(changes.iter().map(|change| change.remark.clone()).collect::<Vec<_>>());
    tx.execute_exactly(changes.len(), statement).await?;
    claims_in_order(tx, &changes.iter().map(|change| change.id).collect::<Vec<_>>()).await
}

/// Claims whose pieces have arrived; those that were on their way, as they are now.
pub async fn set_delivered_in(tx: &TenantTx, ids: &[ClaimId]) -> Result<Vec<Claim>, Fault> {
    tx.load(
        update(claims::table)
            .filter(claims::tenant_id.eq(tx.tenant()))
            .filter(claims::id.eq_any(ids.to_vec()))
            .filter(claims::state.eq(ClaimState::Delivering))
            .set((
                claims::state.eq(ClaimState::Delivered),
                claims::version.eq(claims::version + 1),
                claims::updated_at.eq(diesel::dsl::now.into_sql::<Timestamptz>()),
            ))
            .returning(Claim::as_returning()),
    )
    .await
}

#[derive(Clone, Debug, Default)]
pub struct ClaimFilter {
    pub states: Option<Vec<ClaimState>>,
    pub activity: Option<ActivityId>,
}

pub async fn list_claims(tx: &TenantTx, filter: &ClaimFilter, page: &Page<ClaimId>) -> Result<Vec<Claim>, Fault> {
    let query = claims::table.filter(claims::tenant_id.eq(tx.tenant())).select(Claim::as_select());
    let mut query = paged!(query, claims::id, page);
    if let Some(states) = &filter.states {
        query = query.filter(claims::state.eq_any(states.clone()));
    }
    if let Some(activity) = filter.activity {
        query = query.filter(claims::activity_id.eq(activity));
    }
    tx.load(query).await
}

pub async fn count_claims(tx: &TenantTx, filter: &ClaimFilter) -> Result<i64, Fault> {
    let mut query = claims::table.filter(claims::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(states) = &filter.states {
        query = query.filter(claims::state.eq_any(states.clone()));
    }
    if let Some(activity) = filter.activity {
        query = query.filter(claims::activity_id.eq(activity));
    }
    tx.one(query).await
}
