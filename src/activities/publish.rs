//! An approved activity goes public: its stock is set aside and, where people draw, its seed committed to.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::activities::fairness::{self, Seed};
use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityKind, ActivityState, Prize, PrizeId};
use crate::activities::{change, store};
use crate::catalog::model::AllotmentId;
use crate::catalog::stock;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::sales::offers;
use crate::tenancy::enterprise;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::sealed::{Purpose, SealedColumn};

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
        open_lane_in(platform, &tx, id).await?;
    }
    let after =
        change::move_in(&tx, &before, ActivityState::Published, before.review_remark.clone(), OPERATION).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { activity: id }).await?;
    tx.commit().await?;
    Ok(Published { activity: after, replayed: false })
}

/// Sets each prize's stock aside, in the order of their collectibles: two publications never wait for each other in a
/// ring.
async fn allot_prizes_in(tx: &TenantTx, id: ActivityId) -> Result<(), Refusal<ActivityErrorCode>> {
    let mut prizes: Vec<Prize> = store::prizes_of_activities(tx, &[id]).await?.remove(&id).unwrap_or_default();
    prizes.sort_by_key(|prize| (prize.collectible_id, prize.position));
    let mut allotted: Vec<(PrizeId, AllotmentId)> = Vec::with_capacity(prizes.len());
    for prize in &prizes {
        match stock::allot_in(tx, prize.collectible_id, id.uuid(), prize.quantity).await? {
            Some(allotment) => allotted.push((prize.id, allotment)),
            None => {
                let field = format!("prizes.{}.quantity", prize.position);
                return Err(Refusal::at(field, ActivityErrorCode::NotEnoughStock));
            }
        }
    }
    store::set_allotments_in(tx, &allotted).await?;
    Ok(())
}

/// What is sealed here.
pub const SEALED: &[SealedColumn] =
    &[SealedColumn::by_id("activities", "sealed_seed", Purpose::OfRow(|id| purpose(ActivityId::from_uuid(id))))];

/// Chooses the seed, commits to it, and begins the chain of draws with the commitment.
async fn open_lane_in(platform: &Platform, tx: &TenantTx, id: ActivityId) -> Result<(), Fault> {
    let seed: Seed = platform.randomness.bytes();
    let commitment = fairness::commitment(&seed);
    let sealed = enterprise::data_key(platform, tx).await?.seal(&*platform.randomness, &purpose(id), &seed);
    store::set_seed_in(tx, id, commitment.to_vec(), sealed).await?;
    store::draws::insert_lane_in(tx, id, &fairness::first_head(id, &commitment)).await
}

/// The seed of a published activity of kind DRAW. It leaves the server at settlement, never before.
pub async fn seed(platform: &Platform, tx: &TenantTx, id: ActivityId) -> Result<Seed, Fault> {
    let sealed = store::draws::sealed_seed(tx, id)
        .await?
        .ok_or_else(|| Fault::internal(anyhow::anyhow!("{id} has a lane and no seed")))?;
    let seed = enterprise::data_key(platform, tx).await?.open(&purpose(id), &sealed).map_err(Fault::internal)?;
    seed.try_into().map_err(|_| Fault::internal(anyhow::anyhow!("the seed of {id} has a wrong length")))
}

// The activity is bound in: one activity's sealed seed is of no use in another's row.
fn purpose(id: ActivityId) -> String {
    format!("draw seed of {id}")
}
