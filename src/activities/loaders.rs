//! Activities and what belongs to them, loadable in batches.

use std::collections::HashMap;

use crate::activities::model::{
    Activity, ActivityId, Airdrop, AirdropId, Claim, ClaimId, Draw, DrawId, Prize, PrizeId, PrizePlan, PrizePlanId,
};
use crate::activities::store;
use crate::platform::fault::Fault;
use crate::tenancy::loaders::Batch;
use crate::tenancy::scope::{ActorKind, TenantTx};
use crate::wallets::model::HolderId;

/// The prizes of an activity's latest plan, at most fifty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrizesOf(pub ActivityId);

/// What is left of the asking holder's chances in an activity. Nothing for who has not drawn there yet, and for
/// whoever is no holder.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChancesOf(pub ActivityId);

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
    PrizePlanId => PrizePlan, store::plans_by_id;
    PrizeId => Prize, store::prizes_by_id;
    DrawId => Draw, store::draws::draws_by_id;
    ClaimId => Claim, store::claims::claims_by_id;
    AirdropId => Airdrop, store::airdrops_by_id;
}

impl Batch for PrizesOf {
    type Value = Vec<Prize>;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Vec<Prize>>, Fault> {
        let ids: Vec<ActivityId> = keys.iter().map(|key| key.0).collect();
        let prizes = store::prizes_of_activities(tx, &ids).await?;
        Ok(prizes.into_iter().map(|(id, prizes)| (PrizesOf(id), prizes)).collect())
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
