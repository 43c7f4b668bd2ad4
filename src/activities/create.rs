//! An activity is drafted, with the first version of what may be won in it.

mod check;

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use crate::activities::change;
use crate::activities::custom_rule::{self, UseRequest};
use crate::activities::model::{
    Activity, ActivityErrorCode, ActivityId, ActivityKind, Prize, PrizeId, PrizeKind, PrizeLot, PrizePlan, PrizePlanId,
};
use crate::activities::participation::Rule;
use crate::activities::store::plans::WholePlan;
use crate::activities::store::{self, NewActivity};
use crate::activities::task::{self, TaskRequest};
use crate::activities::terms::Exhaustion;
use crate::catalog::model::CollectibleId;
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::loaders::Batch;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;

const DEFAULT_CLAIM_DAYS: i32 = 30;

#[derive(Clone, Debug)]
pub struct ActivityRequest {
    pub kind: ActivityKind,
    pub name: (String, String),
    pub rules: (String, String),
    pub opens_at: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
    pub chances_per_holder: Option<i32>,
    /// Free draws a day.
    pub daily_chances: Option<i32>,
    pub participation: Rule,
    pub tasks: Vec<TaskRequest>,
    pub custom_rules: Vec<UseRequest>,
    pub limits: Limits,
    pub claim_days: Option<i32>,
    /// Of the plan for everybody, as are the prizes.
    pub exhaustion: Exhaustion,
    pub prizes: Vec<PrizeRequest>,
    pub personal_plans: Vec<PlanRequest>,
}

/// How often somebody may draw and win.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    pub draws_at_once: Option<i32>,
    pub draws_per_day: Option<i32>,
    pub wins_per_holder: Option<i32>,
    pub wins_per_day: Option<i32>,
}

/// A plan for some time, or for people with one of some tags.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    pub tags: Vec<String>,
    pub starts_at: Option<DateTime<Utc>>,
    pub ends_at: Option<DateTime<Utc>>,
    pub priority: i32,
    pub overlays: bool,
    pub falls_through: bool,
    pub exhaustion: Exhaustion,
    pub prizes: Vec<PrizeRequest>,
}

#[derive(Clone, Debug)]
pub struct PrizeRequest {
    pub award: AwardRequest,
    /// Pieces of one collectible, or of several; pieces of what the prize is itself; none of nothing.
    pub lots: Vec<LotRequest>,
    pub level: i32,
    pub name: (String, String),
    pub odds_per_million: Option<i32>,
    pub wins_per_holder: Option<i32>,
    pub wins_per_day: Option<i32>,
    pub paced: bool,
    pub fallback: bool,
}

/// What whoever wins a prize gets, and whether at once. Collectibles, at once, where nothing is said.
#[derive(Clone, Debug, Default)]
pub struct AwardRequest {
    pub kind: PrizeKind,
    /// For each win.
    pub points: Option<i64>,
    /// The enterprise's own name for it.
    pub reference: Option<String>,
    pub instructions: (String, String),
    /// Whether a win waits for the enterprise's word.
    pub reviewed: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct LotRequest {
    pub collectible: Option<CollectibleId>,
    pub quantity: i32,
}

pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &ActivityRequest,
) -> Result<Activity, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    check::check(request)?;
    let id = ActivityId::generate();
    let plans = plans(id, request);
    check::check_ties(&plans)?;
    let new = NewActivity {
        id,
        kind: request.kind,
        name: (&request.name.0, &request.name.1),
        rules: (&request.rules.0, &request.rules.1),
        opens_at: request.opens_at,
        closes_at: request.closes_at,
        chances_per_holder: request.chances_per_holder.unwrap_or(i32::from(request.kind == ActivityKind::Draw)),
        daily_chances: request.daily_chances.unwrap_or(0),
        draws_at_once: request.limits.draws_at_once.unwrap_or(1),
        draws_per_day: request.limits.draws_per_day,
        wins_per_holder: request.limits.wins_per_holder,
        wins_per_day: request.limits.wins_per_day,
        claim_days: request.claim_days.unwrap_or(DEFAULT_CLAIM_DAYS),
    };
    let tags: Vec<(PrizePlanId, String)> = plans
        .iter()
        .skip(1)
        .zip(&request.personal_plans)
        .flat_map(|(whole, personal)| personal.tags.iter().map(|tag| (whole.plan.id, tag.clone())))
        .collect();

    let tx = scope.write(&platform.database).await?;
    let named: HashSet<CollectibleId> =
        all_prizes(&plans).flat_map(|(_, lots)| lots).filter_map(|lot| lot.collectible_id).collect();
    let known = CollectibleId::fetch(&tx, &Vec::from_iter(named)).await?;
    for WholePlan { plan, prizes } in &plans {
        let strange = |lot: &PrizeLot| lot.collectible_id.is_some_and(|id| !known.contains_key(&id));
        if let Some((prize, _)) = prizes.iter().find(|(_, lots)| lots.iter().any(strange)) {
            let field = field_of(plan.position, prize.position, "collectibleId");
            return Err(Refusal::at(field, ActivityErrorCode::CollectibleNotFound));
        }
    }
    let activity = store::insert_activity_in(&tx, &new).await?;
    store::plans::insert_plans_in(&tx, &plans, &tags).await?;
    let tasks = task::tasks(id, &request.tasks);
    store::tasks::insert_tasks_in(&tx, &tasks).await?;
    custom_rule::tie_in(&tx, id, request.kind, &request.custom_rules).await?;
    let Rule { rule, tags: invited, excluded_tags: excluded } = &request.participation;
    if request.participation != Rule::default() {
        store::participation::insert_rule_in(&tx, id, &request.participation).await?;
    }
    let described: Vec<_> = plans.iter().map(|whole| (&whole.plan, &whole.prizes)).collect();
    audit::record_in(
        &tx,
        "activityCreate",
        activity.id.uuid(),
        None,
        &(&activity, described, &tags, &tasks, (rule, invited, excluded)),
    )
    .await?;
    change::announce_in(&tx, &activity).await?;
    tx.commit().await?;
    Ok(activity)
}

fn all_prizes(plans: &[WholePlan]) -> impl Iterator<Item = &(Prize, Vec<PrizeLot>)> {
    plans.iter().flat_map(|whole| &whole.prizes)
}

/// The plan for everybody first. Nothing where nothing is won.
fn plans(activity: ActivityId, request: &ActivityRequest) -> Vec<WholePlan> {
    if request.prizes.is_empty() {
        return Vec::new();
    }
    let for_everybody = PlanRequest {
        tags: Vec::new(),
        starts_at: None,
        ends_at: None,
        priority: 0,
        overlays: false,
        falls_through: false,
        exhaustion: request.exhaustion,
        prizes: request.prizes.clone(),
    };
    let all = std::iter::once(&for_everybody).chain(&request.personal_plans);
    (0..).zip(all).map(|(position, request)| plan(activity, position, request)).collect()
}

fn plan(activity_id: ActivityId, position: i32, request: &PlanRequest) -> WholePlan {
    let plan = PrizePlan {
        id: PrizePlanId::generate(),
        activity_id,
        version: 1,
        position,
        for_chosen: !request.tags.is_empty(),
        starts_at: request.starts_at,
        ends_at: request.ends_at,
        priority: request.priority,
        overlays: request.overlays,
        falls_through: request.falls_through,
        exhaustion: request.exhaustion,
    };
    let prizes = (0..).zip(&request.prizes).map(|(position, request)| prize(plan.id, position, request)).collect();
    WholePlan { plan, prizes }
}

fn prize(plan_id: PrizePlanId, position: i32, request: &PrizeRequest) -> (Prize, Vec<PrizeLot>) {
    let prize = Prize {
        id: PrizeId::generate(),
        plan_id,
        position,
        level: request.level,
        name_chinese: request.name.0.clone(),
        name_english: request.name.1.clone(),
        odds_per_million: request.odds_per_million.unwrap_or(0),
        wins_per_holder: request.wins_per_holder,
        wins_per_day: request.wins_per_day,
        paced: request.paced,
        fallback: request.fallback,
        kind: request.award.kind,
        points: request.award.points,
        reference: request.award.reference.clone(),
        instructions_chinese: request.award.instructions.0.clone(),
        instructions_english: request.award.instructions.1.clone(),
        reviewed: request.award.reviewed,
    };
    let lot = |(position, lot): (i32, &LotRequest)| PrizeLot {
        prize_id: prize.id,
        position,
        collectible_id: lot.collectible,
        quantity: lot.quantity,
        allotment_id: None,
    };
    let lots = (0..).zip(&request.lots).map(lot).collect();
    (prize, lots)
}

/// Where a prize's field stands in the input: the plan for everybody has the first position.
pub fn field_of(plan: i32, prize: i32, field: &str) -> String {
    match plan {
        0 => format!("prizes.{prize}.{field}"),
        plan => format!("personalPlans.{}.prizes.{prize}.{field}", plan - 1),
    }
}
