//! What somebody is owed becomes theirs: taken up in time, moved by the ledger, delivered.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::activities::model::{ActivityErrorCode, ActivityId, Claim, ClaimId, ClaimSource, ClaimState, PrizeId};
use crate::activities::report;
use crate::activities::store::claims as store;
use crate::catalog::model::{AllotmentId, CollectibleId, StockMove};
use crate::catalog::stock;
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::scope::{HolderScope, TenantTx};
use crate::wallets::model::{HolderId, TransferCause};
use crate::wallets::transfer::{self, Delivery};

const OPERATION: &str = "claimTake";

/// What the claims of one source have in common.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub activity: ActivityId,
    pub source: ClaimSource,
    pub claim_days: i32,
    /// The transaction's time, from which the days count.
    pub at: DateTime<Utc>,
}

/// A numbered piece of a prize.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub prize: PrizeId,
    pub collectible: CollectibleId,
    pub allotment: AllotmentId,
    pub serial: i32,
}

impl Terms {
    /// A claim that begins: `source_id` names the draw or the airdrop.
    pub fn owe(&self, holder: HolderId, source_id: Uuid, piece: Piece) -> Claim {
        Claim {
            id: ClaimId::generate(),
            activity_id: self.activity,
            holder_id: holder,
            source: self.source,
            source_id,
            prize_id: piece.prize,
            collectible_id: piece.collectible,
            allotment_id: piece.allotment,
            serial: piece.serial,
            state: ClaimState::Pending,
            deadline: self.at + TimeDelta::days(self.claim_days.into()),
            transfer_id: None,
            version: 1,
            created_at: self.at,
        }
    }
}

pub struct Taken {
    pub claim: Claim,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    claim: ClaimId,
}

/// The holder takes a claim of theirs up; the transfer worker brings the piece.
pub async fn take(
    platform: &Platform,
    scope: &HolderScope,
    id: ClaimId,
    key: &IdempotencyKey,
) -> Result<Taken, Refusal<ActivityErrorCode>> {
    let tx = scope.write(&platform.database).await?;
    match idempotency::claim_in(&tx, OPERATION, key, &json!({ "id": id })).await? {
        Turn::First => {}
        Turn::Replay(Kept { claim }) => {
            let claim = store::claims_by_id(&tx, &[claim]).await?.remove(&claim).ok_or(Fault::NotFound)?;
            return Ok(Taken { claim, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused)),
    }
    let before = store::lock_claims_in(&tx, &[id])
        .await?
        .pop()
        // Somebody else's claim is not to be told from none.
        .filter(|claim| claim.holder_id == scope.holder())
        .ok_or_else(|| Refusal::at("id", ActivityErrorCode::ClaimNotFound))?;
    let now = tx.now().await?;
    may_be_taken(&before, now).map_err(|code| Refusal::at("id", code))?;

    let delivery = Delivery {
        collectible: before.collectible_id,
        serial: before.serial,
        to: before.holder_id,
        cause: TransferCause::Claim,
        cause_id: id.uuid(),
    };
    let transfers = transfer::request_in(&tx, &[delivery]).await?;
    let transfer =
        transfers.first().ok_or_else(|| Fault::internal(anyhow::anyhow!("no transfer was made for {id}")))?;
    let after = store::set_delivering_in(&tx, id, transfer.id).await?;
    audit::record_in(&tx, OPERATION, id.uuid(), Some(&before), &after).await?;
    announce_in(&tx, std::slice::from_ref(&after)).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { claim: id }).await?;
    report::count_claim_in(&tx, &after, now).await?;
    tx.commit().await?;
    Ok(Taken { claim: after, replayed: false })
}

/// Whether a holder has a claim that can still be taken up or is on its way.
pub async fn has_open(tx: &TenantTx, holder: HolderId) -> Result<bool, Fault> {
    store::has_open(tx, holder).await
}

/// The half-open rule: the deadline itself is too late.
fn may_be_taken(claim: &Claim, now: DateTime<Utc>) -> Result<(), ActivityErrorCode> {
    match claim.state {
        ClaimState::Pending if now < claim.deadline => Ok(()),
        ClaimState::Pending | ClaimState::Expired | ClaimState::Revoked => Err(ActivityErrorCode::ClaimExpired),
        ClaimState::Claimed | ClaimState::Delivering | ClaimState::Delivered => Err(ActivityErrorCode::AlreadyClaimed),
    }
}

/// The pieces of these claims are their holders' now; called in the transaction that ends their transfers.
pub async fn delivered_in(tx: &TenantTx, claims: &[ClaimId]) -> Result<(), Fault> {
    if claims.is_empty() {
        return Ok(());
    }
    let locked = store::lock_claims_in(tx, claims).await?;
    let delivered = store::set_delivered_in(tx, claims).await?;
    if delivered.len() != claims.len() {
        return Err(Fault::internal(anyhow::anyhow!(
            "{} claims were delivered, {} were found and {} were on their way",
            claims.len(),
            locked.len(),
            delivered.len()
        )));
    }
    let mut allotments: Vec<AllotmentId> = delivered.iter().map(|claim| claim.allotment_id).collect();
    allotments.sort_unstable();
    allotments.dedup();
    stock::lock_in(tx, &allotments).await?;
    let moves: Vec<StockMove> =
        delivered.iter().map(|claim| StockMove::deliver(claim.allotment_id, claim.id.uuid(), 1)).collect();
    stock::move_in(tx, &moves).await?;
    announce_in(tx, &delivered).await
}

async fn announce_in(tx: &TenantTx, claims: &[Claim]) -> Result<(), Fault> {
    let events = claims.iter().map(event).collect::<Result<Vec<_>, _>>()?;
    outbox::emit_all_in(tx, &events).await
}

/// What the world hears of a claim.
pub fn event(claim: &Claim) -> Result<NewEvent, Fault> {
    let data = json!({
        "claimId": claim.id,
        "activityId": claim.activity_id,
        "holderId": claim.holder_id,
        "source": claim.source,
        "prizeId": claim.prize_id,
        "collectibleId": claim.collectible_id,
        "serial": claim.serial,
        "state": claim.state,
        "deadline": claim.deadline,
        "transferId": claim.transfer_id,
    });
    NewEvent::new(EventType::ClaimChanged, claim.id.uuid(), claim.version, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pending_claim_is_taken_and_only_before_its_deadline() {
        let terms = Terms {
            activity: ActivityId::generate(),
            source: ClaimSource::Draw,
            claim_days: 2,
            at: DateTime::UNIX_EPOCH,
        };
        let piece = Piece {
            prize: PrizeId::generate(),
            collectible: CollectibleId::generate(),
            allotment: AllotmentId::generate(),
            serial: 1,
        };
        let pending = terms.owe(HolderId::generate(), Uuid::nil(), piece);
        let in_state = |state| Claim { state, ..pending.clone() };
        let deadline = DateTime::UNIX_EPOCH + TimeDelta::hours(48);
        let just_before = deadline - TimeDelta::microseconds(1);
        for &state in ClaimState::ALL {
            assert_eq!(may_be_taken(&in_state(state), just_before).is_ok(), state == ClaimState::Pending, "{state:?}");
            assert!(may_be_taken(&in_state(state), deadline).is_err(), "{state:?}");
        }
    }
}
