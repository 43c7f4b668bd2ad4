//! An approved activity goes public: its stock is set aside and, where people draw, its seed committed to.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::activities::model::{
    Activity, ActivityErrorCode, ActivityId, ActivityKind, ActivityState, Prize, PrizeKind, PrizeLot, PrizePlan,
    PrizePlanId,
};
use crate::activities::store::plans::WholePlan;
use crate::activities::{change, create, force, prize_code, store};
use crate::catalog::model::AllotmentId;
use crate::catalog::stock;
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::sales::offers;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};

const OPERATION: &str = "activityPublish";

pub struct Published {
    pub activity: Activity,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    activity: ActivityId,
}

pub async fn publish(
    platform: &Platform,
    scope: &TenantScope,
    id: ActivityId,
    key: &IdempotencyKey,
) -> Result<Published, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let tx = scope.write(&platform.database).await?;
    match idempotency::claim_in(&tx, OPERATION, key, &json!({ "id": id })).await? {
        Turn::First => {}
        Turn::Replay(Kept { activity }) => {
            let activity = change::find_locked_in(&tx, activity).await?;
            return Ok(Published { activity, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused)),
    }
    let before = change::lock_for_in(&tx, id, ActivityState::Published).await?;
    if before.state != ActivityState::Approved {
        // A held activity becomes published again by resuming: its stock is set aside already.
        return Err(Refusal::at("id", ActivityErrorCode::WrongState));
    }
    if before.read_at >= before.closes_at {
        return Err(Refusal::at("id", ActivityErrorCode::Closed));
    }

    match before.kind {
        ActivityKind::Sale => {
            if !offers::allot_in(&tx, id).await? {
                return Err(Refusal::at("id", ActivityErrorCode::NotEnoughStock));
            }
        }
        ActivityKind::Draw | ActivityKind::Airdrop => allot_prizes_in(&tx, id).await?,
    }
    if before.kind == ActivityKind::Draw {
        let plans = store::plans::whole_plans(&tx, id).await?;
        force::begin_in(platform, &tx, &before, &plans).await?;
    }
    let after =
        change::move_in(&tx, &before, ActivityState::Published, before.review_remark.clone(), OPERATION).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { activity: id }).await?;
    tx.commit().await?;
    Ok(Published { activity: after, replayed: false })
}

/// Sets each lot's stock aside, in the order of their collectibles: two publications never wait for each other in a
/// ring. What is no collectible is there in the quantity that the prize names; of codes, each piece must have its own.
async fn allot_prizes_in(tx: &TenantTx, id: ActivityId) -> Result<(), Refusal<ActivityErrorCode>> {
    let plans = store::plans::whole_plans(tx, id).await?;
    let mut lots: Vec<(&PrizePlan, &Prize, PrizeLot)> = Vec::new();
    for WholePlan { plan, prizes } in &plans {
        lots.extend(prizes.iter().flat_map(|(prize, lots)| lots.iter().map(move |lot| (plan, prize, *lot))));
    }
    lots.sort_by_key(|(plan, prize, lot)| (lot.collectible_id, plan.position, prize.position, lot.position));
    let ids: Vec<PrizePlanId> = plans.iter().map(|whole| whole.plan.id).collect();
    let mut allotted: Vec<(PrizeLot, AllotmentId)> = Vec::with_capacity(lots.len());
    for (plan, prize, lot) in lots {
        let refused = |code| Refusal::at(create::field_of(plan.position, prize.position, "quantity"), code);
        if prize.kind == PrizeKind::ClaimCode {
            prize_code::publish_in(tx, prize.id, lot.quantity).await?.map_err(refused)?;
        }
        let allotment = match lot.collectible_id {
            Some(collectible) => stock::allot_in(tx, collectible, id.uuid(), lot.quantity).await?,
            None => Some(stock::set_aside_in(tx, id.uuid(), lot.quantity).await?),
        };
        allotted.push((lot, allotment.ok_or_else(|| refused(ActivityErrorCode::NotEnoughStock))?));
    }
    store::plans::set_allotments_in(tx, &allotted).await?;
    store::plans::set_published_in(tx, &ids).await?;
    Ok(())
}
