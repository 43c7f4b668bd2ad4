//! SQL over activities and airdrops. Plans, draws, claims, codes and reports have files of their own.

pub mod anchors;
pub mod claims;
pub mod codes;
pub mod custom_rules;
pub mod draws;
pub mod participation;
pub mod plans;
pub mod reports;
pub mod tasks;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::sql_types::{Array, Bool, Integer, Timestamptz, Uuid as SqlUuid};
use diesel::{ExpressionMethods, IntoSql, QueryDsl, QueryableByName, SelectableHelper, insert_into, update};

use crate::activities::engine::day_of;
use crate::activities::fairness::Seed;
use crate::activities::model::{
    Activity, ActivityId, ActivityKind, ActivityState, Airdrop, AirdropId, AirdropState, PrizeId,
};
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{activities, airdrops};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantTx};
use crate::wallets::model::HolderId;

pub struct NewActivity<'a> {
    pub id: ActivityId,
    pub kind: ActivityKind,
    pub name: (&'a str, &'a str),
    pub rules: (&'a str, &'a str),
    pub opens_at: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
    pub chances_per_holder: i32,
    pub daily_chances: i32,
    pub draws_at_once: i32,
    pub draws_per_day: Option<i32>,
    pub wins_per_holder: Option<i32>,
    pub wins_per_day: Option<i32>,
    pub claim_days: i32,
}

pub async fn insert_activity_in(tx: &TenantTx, new: &NewActivity<'_>) -> Result<Activity, Fault> {
    let row = (
        activities::tenant_id.eq(tx.tenant()),
        activities::id.eq(new.id),
        activities::kind.eq(new.kind),
        activities::name_chinese.eq(new.name.0.to_owned()),
        activities::name_english.eq(new.name.1.to_owned()),
        activities::rules_chinese.eq(new.rules.0.to_owned()),
        activities::rules_english.eq(new.rules.1.to_owned()),
        activities::opens_at.eq(new.opens_at),
        activities::closes_at.eq(new.closes_at),
        activities::chances_per_holder.eq(new.chances_per_holder),
        activities::daily_chances.eq(new.daily_chances),
        activities::draws_at_once.eq(new.draws_at_once),
        activities::draws_per_day.eq(new.draws_per_day),
        activities::wins_per_holder.eq(new.wins_per_holder),
        activities::wins_per_day.eq(new.wins_per_day),
        activities::claim_days.eq(new.claim_days),
    );
    tx.one(insert_into(activities::table).values(row).returning(Activity::as_returning())).await
}

pub async fn activities_by_id(tx: &TenantTx, ids: &[ActivityId]) -> Result<HashMap<ActivityId, Activity>, Fault> {
    let query =
        activities::table.filter(activities::tenant_id.eq(tx.tenant())).filter(activities::id.eq_any(ids.to_vec()));
    let rows: Vec<Activity> = tx.load(query.select(Activity::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// One activity, locked until the transaction ends.
pub async fn lock_activity_in(tx: &TenantTx, id: ActivityId) -> Result<Option<Activity>, Fault> {
    tx.optional(
        activities::table
            .filter(activities::tenant_id.eq(tx.tenant()))
            .filter(activities::id.eq(id))
            .select(Activity::as_select())
            .for_no_key_update(),
    )
    .await
}

#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    pub kind: Option<ActivityKind>,
    pub states: Option<Vec<ActivityState>>,
}

pub async fn list_activities(
    tx: &TenantTx,
    filter: &ActivityFilter,
    page: &Page<ActivityId>,
) -> Result<Vec<Activity>, Fault> {
    let query = activities::table.filter(activities::tenant_id.eq(tx.tenant())).select(Activity::as_select());
    let mut query = paged!(query, activities::id, page);
    if let Some(kind) = filter.kind {
        query = query.filter(activities::kind.eq(kind));
    }
    if let Some(states) = &filter.states {
        query = query.filter(activities::state.eq_any(states.clone()));
    }
    tx.load(query).await
}

pub async fn count_activities(tx: &TenantTx, filter: &ActivityFilter) -> Result<i64, Fault> {
    let mut query = activities::table.filter(activities::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(kind) = filter.kind {
        query = query.filter(activities::kind.eq(kind));
    }
    if let Some(states) = &filter.states {
        query = query.filter(activities::state.eq_any(states.clone()));
    }
    tx.one(query).await
}

/// Writes a new state under the row's lock and counts the version up.
pub async fn set_state_in(
    tx: &TenantTx,
    id: ActivityId,
    state: ActivityState,
    review_remark: Option<String>,
) -> Result<Activity, Fault> {
    tx.one(
        update(activities::table)
            .filter(activities::tenant_id.eq(tx.tenant()))
            .filter(activities::id.eq(id))
            .set((
                activities::state.eq(state),
                activities::review_remark.eq(review_remark),
                activities::version.eq(activities::version + 1),
                activities::updated_at.eq(diesel::dsl::now.into_sql::<Timestamptz>()),
            ))
            .returning(Activity::as_returning()),
    )
    .await
}

/// Commits an activity to its seed, once.
pub async fn set_seed_in(
    tx: &TenantTx,
    id: ActivityId,
    commitment: Vec<u8>,
    sealed_seed: Vec<u8>,
) -> Result<(), Fault> {
    let statement = update(activities::table)
        .filter(activities::tenant_id.eq(tx.tenant()))
        .filter(activities::id.eq(id))
        .filter(activities::sealed_seed.is_null())
        .set((activities::seed_commitment.eq(Some(commitment)), activities::sealed_seed.eq(Some(sealed_seed))));
    tx.execute_exactly(1, statement).await
}

pub async fn insert_airdrop_in(
    tx: &TenantTx,
    id: AirdropId,
    activity: ActivityId,
    prize: PrizeId,
    row_count: i32,
    state: AirdropState,
) -> Result<Airdrop, Fault> {
    let row = (
        airdrops::tenant_id.eq(tx.tenant()),
        airdrops::id.eq(id),
        airdrops::activity_id.eq(activity),
        airdrops::prize_id.eq(prize),
        airdrops::row_count.eq(row_count),
        airdrops::state.eq(state),
    );
    tx.one(insert_into(airdrops::table).values(row).returning(Airdrop::as_returning())).await
}

pub async fn airdrops_by_id(tx: &TenantTx, ids: &[AirdropId]) -> Result<HashMap<AirdropId, Airdrop>, Fault> {
    let query = airdrops::table.filter(airdrops::tenant_id.eq(tx.tenant())).filter(airdrops::id.eq_any(ids.to_vec()));
    let rows: Vec<Airdrop> = tx.load(query.select(Airdrop::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Shows a seed that was sealed until now. Whoever calls has moved the activity on to where it may be seen.
pub async fn reveal_seed_in(tx: &TenantTx, id: ActivityId, seed: &Seed) -> Result<Activity, Fault> {
    tx.one(
        update(activities::table)
            .filter(activities::tenant_id.eq(tx.tenant()))
            .filter(activities::id.eq(id))
            .set(activities::revealed_seed.eq(Some(seed.to_vec())))
            .returning(Activity::as_returning()),
    )
    .await
}

/// Draws that were over for an hour, and that nobody has settled.
const OVERDUE: &str = "kind = 'DRAW' AND ((state IN ('PUBLISHED', 'PAUSED') AND closes_at <= now() - interval '1 hour')
    OR (state = 'ENDED' AND updated_at <= now() - interval '1 hour'))";

/// The tenants with draws to settle.
pub async fn tenants_settling(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    tx.load(activities::table.filter(sql::<Bool>(OVERDUE)).select(activities::tenant_id).distinct()).await
}

/// Draws to settle, first the one that is over for longest.
pub async fn due_for_settlement(tx: &TenantTx, limit: i64) -> Result<Vec<ActivityId>, Fault> {
    tx.load(
        activities::table
            .filter(activities::tenant_id.eq(tx.tenant()))
            .filter(sql::<Bool>(OVERDUE))
            .order((activities::closes_at, activities::id))
            .select(activities::id)
            .limit(limit),
    )
    .await
}

#[derive(QueryableByName)]
struct ChancesRow {
    #[diesel(sql_type = SqlUuid)]
    id: ActivityId,
    #[diesel(sql_type = Integer)]
    left: i32,
}

/// How often this holder may still draw in each of these activities, today's free draws among them.
pub async fn chances_of_holder(
    tx: &TenantTx,
    holder: HolderId,
    ids: &[ActivityId],
) -> Result<HashMap<ActivityId, i32>, Fault> {
    let day = day_of(tx.now().await?);
    let rows: Vec<ChancesRow> = tx
        .load(
            statement(
                "SELECT activity.id,
                        coalesce(known.granted - known.used, activity.chances_per_holder)
                        + greatest(activity.daily_chances - CASE WHEN known.day = $4 THEN known.day_free ELSE 0 END, 0) AS left
                   FROM activities AS activity
                   LEFT JOIN participants AS known
                     ON known.tenant_id = activity.tenant_id AND known.activity_id = activity.id AND known.holder_id = $2
                  WHERE activity.tenant_id = $1 AND activity.id = ANY($3)",
            )
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<SqlUuid, _>(holder)
            .bind::<Array<SqlUuid>, _>(ids.to_vec())
            .bind::<Integer, _>(day),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.left)).collect())
}
