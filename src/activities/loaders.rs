//! Activities and what belongs to them, loadable in batches.

use std::collections::HashMap;
use std::sync::Arc;

use crate::activities::engine::day_of;
use crate::activities::model::{
    Activity, ActivityId, Airdrop, AirdropId, Claim, ClaimId, Draw, DrawCodeBatch, DrawId, ParticipationRule, Prize,
    PrizeId, PrizeLot, PrizePlan, PrizePlanId, Task, TaskId,
};
use crate::activities::store;
use crate::activities::terms::Terms;
use crate::platform::fault::Fault;
use crate::tenancy::loaders::Batch;
use crate::tenancy::scope::{ActorKind, TenantTx};
use crate::wallets::model::HolderId;

/// The plans of an activity's latest version, at most twenty-one: first the one for everybody.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlansOf(pub ActivityId);

/// A plan's prizes, at most fifty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrizesOf(pub PrizePlanId);

/// The lots of a prize, at most twenty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LotsOf(pub PrizeId);

/// How many claim codes a prize has. Nothing where it has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodesOf(pub PrizeId);

/// The tags of whom a plan is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlanTagsOf(pub PrizePlanId);

/// A version of an activity's terms, once it has come into force.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TermsOf {
    pub activity: ActivityId,
    pub version: i32,
}

/// How often the asking holder may still draw in an activity. Nothing for whoever is no holder.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChancesOf(pub ActivityId);

/// An activity's tasks, at most twenty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TasksOf(pub ActivityId);

/// A task's batches of draw codes, at most a hundred.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodeBatchesOf(pub TaskId);

/// What an activity asks of who wants to draw.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuleOf(pub ActivityId);

/// The tags of that, and whether each keeps people out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuleTagsOf(pub ActivityId);

/// How often the asking holder has done a task, today and in all. Nothing for who never did, and for whoever is no holder.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DoneOf(pub TaskId);

macro_rules! by_id {
    ($($key:ty => $value:ty, $fetch:path;)+) => {
        $(impl Batch for $key {
            type Value = $value;

            async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, $value>, Fault> {
                $fetch(tx, keys).await
            }
        })+
    };
}

by_id! {
    ActivityId => Activity, store::activities_by_id;
    PrizePlanId => PrizePlan, store::plans::plans_by_id;
    PrizeId => Prize, store::plans::prizes_by_id;
    DrawId => Draw, store::draws::draws_by_id;
    TaskId => Task, store::tasks::tasks_by_id;
    ClaimId => Claim, store::claims::claims_by_id;
    AirdropId => Airdrop, store::airdrops_by_id;
}

macro_rules! of_owner {
    ($($key:ident => $value:ty, $fetch:path;)+) => {
        $(impl Batch for $key {
            type Value = Vec<$value>;

            async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Vec<$value>>, Fault> {
                let owners: Vec<_> = keys.iter().map(|key| key.0).collect();
                Ok($fetch(tx, &owners).await?.into_iter().map(|(owner, values)| ($key(owner), values)).collect())
            }
        })+
    };
}

of_owner! {
    PlansOf => PrizePlan, store::plans::plans_of_activities;
    PrizesOf => Prize, store::plans::prizes_of_plans;
    LotsOf => PrizeLot, store::plans::lots_of_prizes;
    PlanTagsOf => String, store::plans::tags_of_plans;
    TasksOf => Task, store::tasks::tasks_of_activities;
    CodeBatchesOf => DrawCodeBatch, store::tasks::batches_of_tasks;
    RuleTagsOf => (String, bool), store::participation::tags_of_activities;
}

impl Batch for CodesOf {
    type Value = i64;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, i64>, Fault> {
        let ids: Vec<PrizeId> = keys.iter().map(|key| key.0).collect();
        let counts = store::codes::counts(tx, &ids).await?;
        Ok(counts.into_iter().map(|(id, count)| (CodesOf(id), count)).collect())
    }
}

impl Batch for TermsOf {
    type Value = Arc<Terms>;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Arc<Terms>>, Fault> {
        let activities: Vec<ActivityId> = keys.iter().map(|key| key.activity).collect();
        let mut found = HashMap::new();
        for (activity, version, document) in store::plans::terms_of_activities(tx, &activities).await? {
            let key = Self { activity, version };
            if keys.contains(&key) {
                found.insert(key, Arc::new(serde_json::from_str(&document).map_err(Fault::internal)?));
            }
        }
        Ok(found)
    }
}

impl Batch for RuleOf {
    type Value = ParticipationRule;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, ParticipationRule>, Fault> {
        let ids: Vec<ActivityId> = keys.iter().map(|key| key.0).collect();
        let rules = store::participation::rules_of_activities(tx, &ids).await?;
        Ok(rules.into_iter().map(|(id, rule)| (RuleOf(id), rule)).collect())
    }
}

impl Batch for DoneOf {
    type Value = (i64, i64);

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, (i64, i64)>, Fault> {
        let actor = tx.actor();
        if actor.kind != ActorKind::Holder {
            return Ok(HashMap::new());
        }
        let (ids, holder): (Vec<TaskId>, _) = (keys.iter().map(|key| key.0).collect(), HolderId::from_uuid(actor.id));
        let day = day_of(tx.now().await?);
        let counts = store::tasks::counts(tx, &ids, &[holder], day).await?;
        Ok(counts.into_iter().map(|((task, _), done)| (DoneOf(task), done)).collect())
    }
}

impl Batch for ChancesOf {
    type Value = i32;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, i32>, Fault> {
        let actor = tx.actor();
        if actor.kind != ActorKind::Holder {
            return Ok(HashMap::new());
        }
        let ids: Vec<ActivityId> = keys.iter().map(|key| key.0).collect();
        let left = store::chances_of_holder(tx, HolderId::from_uuid(actor.id), &ids).await?;
        Ok(left.into_iter().map(|(id, left)| (ChancesOf(id), left)).collect())
    }
}
