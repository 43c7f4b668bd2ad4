//! How what somebody has taken up reaches them, each kind of prize its own way.
//!
//! The ledger moves a collectible, points are credited at once, and a claim code is shown; for all else the enterprise
//! delivers and then says so ([`crate::activities::fulfil`]). To add a kind, add its word to [`PrizeKind`], its rules to
//! [`crate::activities::create`], and its way here.

use anyhow::anyhow;
use uuid::Uuid;

use crate::activities::model::{Claim, ClaimState, PrizeKind};
use crate::activities::store;
use crate::activities::store::claims::ClaimChange;
use crate::catalog::model::{AllotmentId, StockMove};
use crate::catalog::stock;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::TransferCause;
use crate::wallets::points;
use crate::wallets::transfer::{self, Delivery};

/// Takes a pending claim up, under its lock.
pub async fn take_up_in(tx: &TenantTx, claim: &Claim) -> Result<Claim, Fault> {
    match claim.kind {
        PrizeKind::Collectible => send_in(tx, claim).await,
        PrizeKind::Points => {
            let after = hand_over_in(tx, claim).await?;
            // Stock before points, as a batch of draws locks them.
            credit_in(tx, claim).await?;
            Ok(after)
        }
        PrizeKind::ClaimCode => hand_over_in(tx, claim).await,
        PrizeKind::Benefit | PrizeKind::WechatCard | PrizeKind::OwnGift => {
            take_in(tx, claim, ClaimState::Claimed).await
        }
        PrizeKind::Nothing => Err(Fault::internal(anyhow!("{} is a claim of nothing", claim.id))),
    }
}

/// The transfer worker brings the piece.
async fn send_in(tx: &TenantTx, claim: &Claim) -> Result<Claim, Fault> {
    let delivery = Delivery {
        collectible: claim
            .collectible_id
            .ok_or_else(|| Fault::internal(anyhow!("{} is of no collectible", claim.id)))?,
        serial: claim.serial,
        to: claim.holder_id,
        cause: TransferCause::Claim,
        cause_id: claim.id.uuid(),
    };
    let transfers = transfer::request_in(tx, &[delivery]).await?;
    let transfer =
        transfers.first().ok_or_else(|| Fault::internal(anyhow!("no transfer was made for {}", claim.id)))?;
    store::claims::set_delivering_in(tx, claim.id, transfer.id).await
}

/// It is the holder's at once.
async fn hand_over_in(tx: &TenantTx, claim: &Claim) -> Result<Claim, Fault> {
    let after = take_in(tx, claim, ClaimState::Delivered).await?;
    move_stock_in(tx, std::slice::from_ref(&after), StockMove::deliver).await?;
    Ok(after)
}

async fn take_in(tx: &TenantTx, claim: &Claim, to: ClaimState) -> Result<Claim, Fault> {
    let change = ClaimChange { taken: true, ..ClaimChange::of(claim, to) };
    let missing = || Fault::internal(anyhow!("{} was locked and is gone", claim.id));
    store::claims::change_in(tx, &[change]).await?.pop().ok_or_else(missing)
}

async fn credit_in(tx: &TenantTx, claim: &Claim) -> Result<(), Fault> {
    let prize = store::plans::prizes_by_id(tx, &[claim.prize_id]).await?.remove(&claim.prize_id);
    let worth = prize.and_then(|prize| prize.points);
    let worth = worth.ok_or_else(|| Fault::internal(anyhow!("{} is worth no points", claim.prize_id)))?;
    points::credit_in(tx, claim.holder_id, claim.id.uuid(), worth).await
}

/// Moves the one piece of each of these claims, under the locks of their stock.
pub async fn move_stock_in(
    tx: &TenantTx,
    claims: &[Claim],
    change: fn(AllotmentId, Uuid, i32) -> StockMove,
) -> Result<(), Fault> {
    let mut allotments: Vec<AllotmentId> = claims.iter().map(|claim| claim.allotment_id).collect();
    allotments.sort_unstable();
    allotments.dedup();
    stock::lock_in(tx, &allotments).await?;
    let moves: Vec<StockMove> = claims.iter().map(|claim| change(claim.allotment_id, claim.id.uuid(), 1)).collect();
    stock::move_in(tx, &moves).await.map(drop)
}
