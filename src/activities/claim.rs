//! What somebody is owed becomes theirs: taken up in time, and delivered as its kind is ([`deliver`]).

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::activities::model::{ActivityErrorCode, ActivityId, Claim, ClaimId, ClaimSource, ClaimState, Prize};
use crate::activities::store::claims as store;
use crate::activities::{deliver, prize_code, report};
use crate::catalog::model::{AllotmentId, CollectibleId, StockMove};
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::scope::{HolderScope, TenantTx};
use crate::wallets::model::HolderId;

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
    pub collectible: Option<CollectibleId>,
    pub allotment: AllotmentId,
    pub serial: i32,
}

impl Terms {
    /// A claim that begins: `source_id` names the draw or the airdrop. While its win is reviewed it has no deadline.
    pub fn owe(&self, holder: HolderId, source_id: Uuid, prize: &Prize, piece: Piece) -> Claim {
        let deadline = self.at + TimeDelta::days(self.claim_days.into());
        Claim {
            id: ClaimId::generate(),
            activity_id: self.activity,
            holder_id: holder,
            source: self.source,
            source_id,
            prize_id: prize.id,
            collectible_id: piece.collectible,
            allotment_id: piece.allotment,
            serial: piece.serial,
            state: if prize.reviewed { ClaimState::InReview } else { ClaimState::Pending },
            deadline: (!prize.reviewed).then_some(deadline),
            transfer_id: None,
            version: 1,
            created_at: self.at,
            kind: prize.kind,
            reference: prize.reference.clone(),
            delivery_reference: None,
            remark: None,
            taken_at: None,
        }
    }
}

pub struct Taken {
    pub claim: Claim,
    /// The claim code, where the prize is one.
    pub code: Option<String>,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    claim: ClaimId,
}

/// The holder takes a claim of theirs up.
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
            let code = prize_code::read(platform, &tx, &claim).await?;
            if code.is_some() {
                // A look at a code like any other.
                audit::record_in(&tx, prize_code::REVEAL, claim.id.uuid(), None, &claim).await?;
                tx.commit().await?;
            }
            return Ok(Taken { claim, code, replayed: true });
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
    let after = deliver::take_up_in(&tx, &before).await?;
    let code = prize_code::read(platform, &tx, &after).await?;
    audit::record_in(&tx, OPERATION, id.uuid(), Some(&before), &after).await?;
    announce_in(&tx, std::slice::from_ref(&after)).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { claim: id }).await?;
    report::count_claim_in(&tx, &after, now).await?;
    tx.commit().await?;
    Ok(Taken { claim: after, code, replayed: false })
}

/// Whether a holder has a claim that can still be taken up or is on its way.
pub async fn has_open(tx: &TenantTx, holder: HolderId) -> Result<bool, Fault> {
    store::has_open(tx, holder).await
}

/// The half-open rule: the deadline itself is too late.
fn may_be_taken(claim: &Claim, now: DateTime<Utc>) -> Result<(), ActivityErrorCode> {
    match claim.state {
        ClaimState::InReview => Err(ActivityErrorCode::ClaimInReview),
        ClaimState::Pending if claim.deadline.is_some_and(|deadline| now < deadline) => Ok(()),
        ClaimState::Pending | ClaimState::Expired => Err(ActivityErrorCode::ClaimExpired),
        ClaimState::Revoked => Err(ActivityErrorCode::ClaimRevoked),
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
    deliver::move_stock_in(tx, &delivered, StockMove::deliver).await?;
    announce_in(tx, &delivered).await
}

/// Tells the world where claims stand.
pub async fn announce_in(tx: &TenantTx, claims: &[Claim]) -> Result<(), Fault> {
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
        "prizeKind": claim.kind,
        "reference": claim.reference,
        "collectibleId": claim.collectible_id,
        "serial": claim.serial,
        "state": claim.state,
        "deadline": claim.deadline,
        "transferId": claim.transfer_id,
        "deliveryReference": claim.delivery_reference,
        "remark": claim.remark,
    });
    NewEvent::new(EventType::ClaimChanged, claim.id.uuid(), claim.version, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activities::model::{PrizeId, PrizeKind, PrizePlanId};

    fn owed(reviewed: bool) -> Claim {
        let terms = Terms {
            activity: ActivityId::generate(),
            source: ClaimSource::Draw,
            claim_days: 2,
            at: DateTime::UNIX_EPOCH,
        };
        let prize = Prize {
            id: PrizeId::generate(),
            plan_id: PrizePlanId::generate(),
            position: 0,
            level: 0,
            name_chinese: String::new(),
            name_english: String::new(),
            odds_per_million: 1,
            wins_per_holder: None,
            wins_per_day: None,
            paced: false,
            fallback: false,
            kind: PrizeKind::OwnGift,
            points: None,
            reference: Some("sku".into()),
            instructions_chinese: String::new(),
            instructions_english: String::new(),
            reviewed,
        };
        let piece = Piece { collectible: None, allotment: AllotmentId::generate(), serial: 1 };
        terms.owe(HolderId::generate(), Uuid::nil(), &prize, piece)
    }

    #[test]
    fn only_a_pending_claim_is_taken_and_only_before_its_deadline() {
        let pending = owed(false);
        let in_state = |state| Claim { state, ..pending.clone() };
        let deadline = DateTime::UNIX_EPOCH + TimeDelta::hours(48);
        let just_before = deadline - TimeDelta::microseconds(1);
        for &state in ClaimState::ALL {
            assert_eq!(may_be_taken(&in_state(state), just_before).is_ok(), state == ClaimState::Pending, "{state:?}");
            assert!(may_be_taken(&in_state(state), deadline).is_err(), "{state:?}");
        }
    }

    #[test]
    fn a_win_under_review_waits_without_a_deadline() {
        let claim = owed(true);
        assert_eq!((claim.state, claim.deadline), (ClaimState::InReview, None));
        assert_eq!((claim.kind, claim.reference.as_deref()), (PrizeKind::OwnGift, Some("sku")));
        assert_eq!(may_be_taken(&claim, DateTime::UNIX_EPOCH), Err(ActivityErrorCode::ClaimInReview));
    }
}
