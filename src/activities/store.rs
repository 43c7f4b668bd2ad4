//! SQL over activities, their plans and prizes. Draws and claims have files of their own.

pub mod claims;
pub mod draws;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, Integer, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, JoinOnDsl, QueryDsl, SelectableHelper, insert_into, update,
};

use crate::activities::model::{
    Activity, ActivityId, ActivityKind, ActivityState, Airdrop, AirdropId, AirdropState, Prize, PrizeId, PrizePlan,
    PrizePlanId,
};
use crate::catalog::model::AllotmentId;
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{activities, airdrops, participants, prize_plans, prizes};
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::HolderId;

diesel::allow_tables_to_appear_in_same_query!(prize_plans, prizes);

pub struct NewActivity<'a> {
    pub id: ActivityId,
    pub kind: ActivityKind,
    pub name: (&'a str, &'a str),
    pub rules: (&'a str, &'a str),
    pub opens_at: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
    pub chances_per_holder: i32,
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
        activities::claim_days.eq(new.claim_days),
    );
    tx.one(insert_into(activities::table).values(row).returning(Activity::as_returning())).await
}

/// Adds a version of the plan with its prizes, in the order of their positions.
pub async fn insert_plan_in(
    tx: &TenantTx,
    activity: ActivityId,
    version: i32,
    planned: &[Prize],
    plan: PrizePlanId,
) -> Result<(), Fault> {
    let row = (
        prize_plans::tenant_id.eq(tx.tenant()),
        prize_plans::id.eq(plan),
        prize_plans::activity_id.eq(activity),
        prize_plans::version.eq(version),
    );
    tx.execute_exactly(1, insert_into(prize_plans::table).values(row)).await?;
    let column = |pick: fn(&Prize) -> i32| planned.iter().map(pick).collect::<Vec<i32>>();
    let statement = statement(
        "INSERT INTO prizes (tenant_id, plan_id, id, collectible_id, position, level, name_chinese, name_english, odds_per_million, quantity)
         SELECT $1, $2, prize.* FROM unnest($3, $4, $5, $6, $7, $8, $9, $10) AS prize
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(plan)
    .bind::<Array<SqlUuid>, _>(planned.iter().map(|prize| prize.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(planned.iter().map(|prize| prize.collectible_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(column(|prize| prize.position))
    .bind::<Array<Integer>, _>(column(|prize| prize.level))
    .bind::<Array<Text>, _>(planned.iter().map(|prize| prize.name_chinese.clone()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(planned.iter().map(|prize| prize.name_english.clone()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(column(|prize| prize.odds_per_million))
    .bind::<Array<Integer>, _>(column(|prize| prize.quantity));
    tx.execute_exactly(planned.len(), statement).await
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

pub async fn plans_by_id(tx: &TenantTx, ids: &[PrizePlanId]) -> Result<HashMap<PrizePlanId, PrizePlan>, Fault> {
    let query =
        prize_plans::table.filter(prize_plans::tenant_id.eq(tx.tenant())).filter(prize_plans::id.eq_any(ids.to_vec()));
    let rows: Vec<PrizePlan> = tx.load(query.select(PrizePlan::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub async fn prizes_by_id(tx: &TenantTx, ids: &[PrizeId]) -> Result<HashMap<PrizeId, Prize>, Fault> {
    let query = prizes::table.filter(prizes::tenant_id.eq(tx.tenant())).filter(prizes::id.eq_any(ids.to_vec()));
    let rows: Vec<Prize> = tx.load(query.select(Prize::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The prizes of each activity's latest plan, by position. What has no prizes is left out.
pub async fn prizes_of_activities(tx: &TenantTx, ids: &[ActivityId]) -> Result<HashMap<ActivityId, Vec<Prize>>, Fault> {
    let rows: Vec<(ActivityId, i32, Prize)> = tx
        .load(
            prizes::table
                .inner_join(
                    prize_plans::table
                        .on(prize_plans::tenant_id.eq(prizes::tenant_id).and(prize_plans::id.eq(prizes::plan_id))),
                )
                .filter(prizes::tenant_id.eq(tx.tenant()))
                .filter(prize_plans::tenant_id.eq(tx.tenant()))
                .filter(prize_plans::activity_id.eq_any(ids.to_vec()))
                .order((prize_plans::activity_id, prize_plans::version, prizes::position))
                .select((prize_plans::activity_id, prize_plans::version, Prize::as_select())),
        )
        .await?;
    let mut latest: HashMap<ActivityId, (i32, Vec<Prize>)> = HashMap::new();
    for (activity, version, prize) in rows {
        let entry = latest.entry(activity).or_insert((version, Vec::new()));
        if entry.0 != version {
            *entry = (version, Vec::new());
        }
        entry.1.push(prize);
    }
    Ok(latest.into_iter().map(|(activity, (_, prizes))| (activity, prizes)).collect())
}

/// Ties each prize to the stock that was set aside for it.
pub async fn set_allotments_in(tx: &TenantTx, allotted: &[(PrizeId, AllotmentId)]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE prizes AS prize SET allotment_id = change.allotment_id
           FROM unnest($2, $3) AS change (id, allotment_id)
          WHERE prize.tenant_id = $1 AND prize.id = change.id AND prize.allotment_id IS NULL",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(allotted.iter().map(|pair| pair.0).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(allotted.iter().map(|pair| pair.1).collect::<Vec<_>>());
    tx.execute_exactly(allotted.len(), statement).await
}

pub struct FoundPrize {
    pub prize: Prize,
    pub allotment: AllotmentId,
}

/// A prize of this activity whose stock is set aside.
pub async fn published_prize(tx: &TenantTx, activity: ActivityId, prize: PrizeId) -> Result<Option<FoundPrize>, Fault> {
    let mut prizes = prizes_of_activities(tx, &[activity]).await?.remove(&activity).unwrap_or_default();
    prizes.retain(|row| row.id == prize);
    Ok(prizes.pop().and_then(|prize| prize.allotment_id.map(|allotment| FoundPrize { allotment, prize })))
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

/// How many chances this holder has left in each activity that they have drawn in.
pub async fn chances_of_holder(
    tx: &TenantTx,
    holder: HolderId,
    ids: &[ActivityId],
) -> Result<HashMap<ActivityId, i32>, Fault> {
    let rows: Vec<(ActivityId, i32)> = tx
        .load(
            participants::table
                .filter(participants::tenant_id.eq(tx.tenant()))
                .filter(participants::holder_id.eq(holder))
                .filter(participants::activity_id.eq_any(ids.to_vec()))
                .select((participants::activity_id, participants::granted - participants::used)),
        )
        .await?;
    Ok(rows.into_iter().collect())
}
