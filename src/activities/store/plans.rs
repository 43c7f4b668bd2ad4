//! SQL over the plans of an activity, their prizes and the lots that these consist of, and the terms in force.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, QueryDsl, SelectableHelper, insert_into, update};

use crate::activities::fairness::Hash;
use crate::activities::model::{ActivityId, Prize, PrizeId, PrizeLot, PrizePlan, PrizePlanId};
use crate::catalog::model::AllotmentId;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::schema::{draw_terms, prize_lots, prize_plan_tags, prize_plans, prizes};
use crate::tenancy::scope::TenantTx;

diesel::allow_tables_to_appear_in_same_query!(prize_plans, prizes);

/// A plan with all that belongs to it.
#[derive(Clone, Debug)]
pub struct WholePlan {
    pub plan: PrizePlan,
    /// By position, each with its lots by position.
    pub prizes: Vec<(Prize, Vec<PrizeLot>)>,
}

/// Adds plans with their prizes and lots. `tags` name the people whom a plan is for.
pub async fn insert_plans_in(tx: &TenantTx, plans: &[WholePlan], tags: &[(PrizePlanId, String)]) -> Result<(), Fault> {
    for WholePlan { plan, .. } in plans {
        let row = (
            prize_plans::tenant_id.eq(tx.tenant()),
            prize_plans::id.eq(plan.id),
            prize_plans::activity_id.eq(plan.activity_id),
            prize_plans::version.eq(plan.version),
            prize_plans::position.eq(plan.position),
            prize_plans::for_chosen.eq(plan.for_chosen),
            prize_plans::starts_at.eq(plan.starts_at),
            prize_plans::ends_at.eq(plan.ends_at),
            prize_plans::priority.eq(plan.priority),
            prize_plans::overlays.eq(plan.overlays),
            prize_plans::falls_through.eq(plan.falls_through),
            prize_plans::exhaustion.eq(plan.exhaustion),
        );
        tx.execute_exactly(1, insert_into(prize_plans::table).values(row)).await?;
    }
    let rows: Vec<_> = tags
        .iter()
        .map(|(plan, tag)| {
            let tenant = prize_plan_tags::tenant_id.eq(tx.tenant());
            (tenant, prize_plan_tags::plan_id.eq(*plan), prize_plan_tags::tag.eq(tag.clone()))
        })
        .collect();
    tx.execute_exactly(tags.len(), insert_into(prize_plan_tags::table).values(rows)).await?;
    let prizes: Vec<&Prize> = plans.iter().flat_map(|whole| &whole.prizes).map(|(prize, _)| prize).collect();
    insert_prizes_in(tx, &prizes).await?;
    let lots: Vec<&PrizeLot> = plans.iter().flat_map(|whole| &whole.prizes).flat_map(|(_, lots)| lots).collect();
    insert_lots_in(tx, &lots).await
}

async fn insert_prizes_in(tx: &TenantTx, new: &[&Prize]) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO prizes (tenant_id, id, plan_id, position, level, name_chinese, name_english, odds_per_million,
                             wins_per_holder, wins_per_day, paced, fallback, kind, points, reference,
                             instructions_chinese, instructions_english, reviewed)
         SELECT $1, prize.*
           FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) AS prize
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|prize| prize.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|prize| prize.plan_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(new.iter().map(|prize| prize.position).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(new.iter().map(|prize| prize.level).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|prize| prize.name_chinese.clone()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|prize| prize.name_english.clone()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(new.iter().map(|prize| prize.odds_per_million).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(new.iter().map(|prize| prize.wins_per_holder).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(new.iter().map(|prize| prize.wins_per_day).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(new.iter().map(|prize| prize.paced).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(new.iter().map(|prize| prize.fallback).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|prize| prize.kind).collect::<Vec<_>>())
    .bind::<Array<Nullable<BigInt>>, _>(new.iter().map(|prize| prize.points).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(new.iter().map(|prize| prize.reference.clone()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|prize| prize.instructions_chinese.clone()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|prize| prize.instructions_english.clone()).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(new.iter().map(|prize| prize.reviewed).collect::<Vec<_>>());
    tx.execute_exactly(new.len(), statement).await
}

async fn insert_lots_in(tx: &TenantTx, new: &[&PrizeLot]) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO prize_lots (tenant_id, prize_id, position, collectible_id, quantity)
         SELECT $1, lot.* FROM unnest($2, $3, $4, $5) AS lot
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|lot| lot.prize_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(new.iter().map(|lot| lot.position).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(new.iter().map(|lot| lot.collectible_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(new.iter().map(|lot| lot.quantity).collect::<Vec<_>>());
    tx.execute_exactly(new.len(), statement).await
}

/// The plans of an activity's latest version, whole.
pub async fn whole_plans(tx: &TenantTx, activity: ActivityId) -> Result<Vec<WholePlan>, Fault> {
    let plans = plans_of_activities(tx, &[activity]).await?.remove(&activity).unwrap_or_default();
    let ids: Vec<PrizePlanId> = plans.iter().map(|plan| plan.id).collect();
    let mut prizes = prizes_of_plans(tx, &ids).await?;
    let named: Vec<PrizeId> = prizes.values().flatten().map(|prize| prize.id).collect();
    let mut lots = lots_of_prizes(tx, &named).await?;
    let whole = plans.into_iter().map(|plan| {
        let prizes = prizes.remove(&plan.id).unwrap_or_default();
        let prizes = prizes.into_iter().map(|prize| {
            let lots = lots.remove(&prize.id).unwrap_or_default();
            (prize, lots)
        });
        WholePlan { prizes: prizes.collect(), plan }
    });
    Ok(whole.collect())
}

/// The plans of each activity's latest version, by position. What has none is left out.
pub async fn plans_of_activities(
    tx: &TenantTx,
    ids: &[ActivityId],
) -> Result<HashMap<ActivityId, Vec<PrizePlan>>, Fault> {
    let rows: Vec<PrizePlan> = tx
        .load(
            prize_plans::table
                .filter(prize_plans::tenant_id.eq(tx.tenant()))
                .filter(prize_plans::activity_id.eq_any(ids.to_vec()))
                .order((prize_plans::activity_id, prize_plans::version, prize_plans::position))
                .select(PrizePlan::as_select()),
        )
        .await?;
    let mut latest: HashMap<ActivityId, Vec<PrizePlan>> = HashMap::new();
    for plan in rows {
        let plans = latest.entry(plan.activity_id).or_default();
        if plans.last().is_some_and(|last| last.version < plan.version) {
            plans.clear();
        }
        plans.push(plan);
    }
    Ok(latest)
}

/// By position.
pub async fn prizes_of_plans(tx: &TenantTx, ids: &[PrizePlanId]) -> Result<HashMap<PrizePlanId, Vec<Prize>>, Fault> {
    let rows: Vec<Prize> = tx
        .load(
            prizes::table
                .filter(prizes::tenant_id.eq(tx.tenant()))
                .filter(prizes::plan_id.eq_any(ids.to_vec()))
                .order((prizes::plan_id, prizes::position))
                .select(Prize::as_select()),
        )
        .await?;
    let mut prizes: HashMap<PrizePlanId, Vec<Prize>> = HashMap::new();
    for prize in rows {
        prizes.entry(prize.plan_id).or_default().push(prize);
    }
    Ok(prizes)
}

/// By position.
pub async fn lots_of_prizes(tx: &TenantTx, ids: &[PrizeId]) -> Result<HashMap<PrizeId, Vec<PrizeLot>>, Fault> {
    let rows: Vec<PrizeLot> = tx
        .load(
            prize_lots::table
                .filter(prize_lots::tenant_id.eq(tx.tenant()))
                .filter(prize_lots::prize_id.eq_any(ids.to_vec()))
                .order((prize_lots::prize_id, prize_lots::position))
                .select(PrizeLot::as_select()),
        )
        .await?;
    let mut lots: HashMap<PrizeId, Vec<PrizeLot>> = HashMap::new();
    for lot in rows {
        lots.entry(lot.prize_id).or_default().push(lot);
    }
    Ok(lots)
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

/// The tags of each plan that is for chosen people, in order.
pub async fn tags_of_plans(tx: &TenantTx, ids: &[PrizePlanId]) -> Result<HashMap<PrizePlanId, Vec<String>>, Fault> {
    let rows: Vec<(PrizePlanId, String)> = tx
        .load(
            prize_plan_tags::table
                .filter(prize_plan_tags::tenant_id.eq(tx.tenant()))
                .filter(prize_plan_tags::plan_id.eq_any(ids.to_vec()))
                .order((prize_plan_tags::plan_id, prize_plan_tags::tag))
                .select((prize_plan_tags::plan_id, prize_plan_tags::tag)),
        )
        .await?;
    let mut tags: HashMap<PrizePlanId, Vec<String>> = HashMap::new();
    for (plan, tag) in rows {
        tags.entry(plan).or_default().push(tag);
    }
    Ok(tags)
}

/// A prize of an activity that was published, if it is its prize, with the lots that were set aside for it.
pub async fn published_prize(
    tx: &TenantTx,
    activity: ActivityId,
    prize: PrizeId,
) -> Result<Option<(Prize, Vec<PrizeLot>)>, Fault> {
    let row: Option<Prize> = tx
        .optional(
            prizes::table
                .inner_join(
                    prize_plans::table
                        .on(prize_plans::tenant_id.eq(prizes::tenant_id).and(prize_plans::id.eq(prizes::plan_id))),
                )
                .filter(prizes::tenant_id.eq(tx.tenant()))
                .filter(prize_plans::tenant_id.eq(tx.tenant()))
                .filter(prize_plans::activity_id.eq(activity))
                .filter(prizes::id.eq(prize))
                .filter(prizes::published)
                .select(Prize::as_select()),
        )
        .await?;
    let Some(prize) = row else { return Ok(None) };
    let lots = lots_of_prizes(tx, &[prize.id]).await?.remove(&prize.id).unwrap_or_default();
    Ok(Some((prize, lots)))
}

/// Ties each lot to the stock that was set aside for it.
pub async fn set_allotments_in(tx: &TenantTx, allotted: &[(PrizeLot, AllotmentId)]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE prize_lots AS lot SET allotment_id = change.allotment_id
           FROM unnest($2, $3, $4) AS change (prize_id, position, allotment_id)
          WHERE lot.tenant_id = $1 AND lot.prize_id = change.prize_id AND lot.position = change.position
            AND lot.allotment_id IS NULL",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(allotted.iter().map(|(lot, _)| lot.prize_id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(allotted.iter().map(|(lot, _)| lot.position).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(allotted.iter().map(|(_, allotment)| *allotment).collect::<Vec<_>>());
    tx.execute_exactly(allotted.len(), statement).await
}

/// Shows plans and their prizes to everybody.
pub async fn set_published_in(tx: &TenantTx, plans: &[PrizePlanId]) -> Result<(), Fault> {
    let shown = update(prize_plans::table)
        .filter(prize_plans::tenant_id.eq(tx.tenant()))
        .filter(prize_plans::id.eq_any(plans.to_vec()))
        .set(prize_plans::published.eq(true));
    tx.execute_exactly(plans.len(), shown).await?;
    let prizes = update(prizes::table)
        .filter(prizes::tenant_id.eq(tx.tenant()))
        .filter(prizes::plan_id.eq_any(plans.to_vec()))
        .set(prizes::published.eq(true));
    tx.execute(prizes).await.map(drop)
}

/// Terms in force.
#[derive(Clone, Debug)]
pub struct InForce {
    pub document: String,
    pub since: DateTime<Utc>,
}

pub async fn insert_terms_in(
    tx: &TenantTx,
    activity: ActivityId,
    version: i32,
    terms: &InForce,
    record_hash: &Hash,
) -> Result<(), Fault> {
    let row = (
        draw_terms::tenant_id.eq(tx.tenant()),
        draw_terms::activity_id.eq(activity),
        draw_terms::version.eq(version),
        draw_terms::document.eq(terms.document.clone()),
        draw_terms::since.eq(terms.since),
        draw_terms::record_hash.eq(record_hash.to_vec()),
    );
    tx.execute_exactly(1, insert_into(draw_terms::table).values(row)).await
}

pub async fn terms(tx: &TenantTx, activity: ActivityId, version: i32) -> Result<Option<InForce>, Fault> {
    let row: Option<(String, DateTime<Utc>)> = tx
        .optional(
            draw_terms::table
                .filter(draw_terms::tenant_id.eq(tx.tenant()))
                .filter(draw_terms::activity_id.eq(activity))
                .filter(draw_terms::version.eq(version))
                .select((draw_terms::document, draw_terms::since)),
        )
        .await?;
    Ok(row.map(|(document, since)| InForce { document, since }))
}

/// Every version of these activities' terms that has come into force.
pub async fn terms_of_activities(tx: &TenantTx, ids: &[ActivityId]) -> Result<Vec<(ActivityId, i32, String)>, Fault> {
    tx.load(
        draw_terms::table
            .filter(draw_terms::tenant_id.eq(tx.tenant()))
            .filter(draw_terms::activity_id.eq_any(ids.to_vec()))
            .select((draw_terms::activity_id, draw_terms::version, draw_terms::document)),
    )
    .await
}
