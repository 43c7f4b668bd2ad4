//! Transfers are requested, in the transaction of whatever causes them, or by a holder who gives an item away.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::catalog::issue::ledgers_of;
use crate::catalog::model::CollectibleId;
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{HolderScope, TenantScope, TenantTx};
use crate::wallets::model::{HolderId, ItemId, Transfer, TransferCause, TransferId, TransferState, WalletErrorCode};
use crate::wallets::store;
use crate::wallets::store::transfers::{self, NewTransfer, TransferMove};

/// A piece that somebody is owed, still in the treasury.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub collectible: CollectibleId,
    pub serial: i32,
    pub to: HolderId,
    pub cause: TransferCause,
    pub cause_id: Uuid,
}

/// Asks for pieces to be brought from the treasury to their holders; one transfer each, in the order given. The
/// cause hears of the arrival through its own `delivered_in`.
pub async fn request_in(tx: &TenantTx, deliveries: &[Delivery]) -> Result<Vec<Transfer>, Fault> {
    let places: Vec<(CollectibleId, i32)> =
        deliveries.iter().map(|delivery| (delivery.collectible, delivery.serial)).collect();
    let items = store::treasury_items_in(tx, &places).await?;
    let mut collectibles: Vec<CollectibleId> = places.iter().map(|place| place.0).collect();
    collectibles.sort_unstable();
    collectibles.dedup();
    let ledgers = ledgers_of(tx, &collectibles).await?;
    let mut new = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let item = *items.get(&(delivery.collectible, delivery.serial)).ok_or_else(|| {
            Fault::internal(anyhow::anyhow!("{} #{} is not in the treasury", delivery.collectible, delivery.serial))
        })?;
        new.push(NewTransfer {
            id: TransferId::generate(),
            item,
            from: None,
            to: delivery.to,
            cause: delivery.cause,
            cause_id: delivery.cause_id,
            ledger: *ledgers.get(&delivery.collectible).ok_or(Fault::NotFound)?,
        });
    }
    create_in(tx, &new).await
}

#[derive(Clone, Debug)]
pub struct GiftRequest {
    pub item: ItemId,
    pub to: HolderId,
}

pub struct Started {
    pub transfer: Transfer,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    transfer: TransferId,
}

const OPERATION: &str = "transferStart";

/// A holder gives an item of theirs away.
pub async fn give(
    platform: &Platform,
    scope: &HolderScope,
    request: &GiftRequest,
    key: &IdempotencyKey,
) -> Result<Started, Refusal<WalletErrorCode>> {
    let tx = scope.write(&platform.database).await?;
    start_in(tx, request, Some(scope.holder()), key).await
}

/// The enterprise moves an item that one of its holders has, on the holder's behalf.
pub async fn start(
    platform: &Platform,
    scope: &TenantScope,
    request: &GiftRequest,
    key: &IdempotencyKey,
) -> Result<Started, Refusal<WalletErrorCode>> {
    scope.require(Permission::TransferManage)?;
    let tx = scope.write(&platform.database).await?;
    start_in(tx, request, None, key).await
}

async fn start_in(
    tx: TenantTx,
    request: &GiftRequest,
    giver: Option<HolderId>,
    key: &IdempotencyKey,
) -> Result<Started, Refusal<WalletErrorCode>> {
    match idempotency::claim_in(&tx, OPERATION, key, &json!({ "item": request.item, "to": request.to })).await? {
        Turn::First => {}
        Turn::Replay(Kept { transfer }) => {
            let transfer = find(&tx, transfer).await?;
            return Ok(Started { transfer, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", WalletErrorCode::IdempotencyKeyReused)),
    }
    let item = store::lock_item_in(&tx, request.item)
        .await?
        .ok_or_else(|| Refusal::at("itemId", WalletErrorCode::ItemNotFound))?;
    let from = match (giver, item.holder_id) {
        (None, Some(holder)) => holder,
        (Some(giver), Some(holder)) if giver == holder => holder,
        // To a holder, what is not theirs is not to be told from what is not there.
        (Some(_), _) => return Err(Refusal::at("itemId", WalletErrorCode::ItemNotFound)),
        (None, None) => return Err(Refusal::at("itemId", WalletErrorCode::NotYours)),
    };
    if from == request.to {
        return Err(Refusal::at("toHolderId", WalletErrorCode::SameHolder));
    }
    // Nobody could ever give on what goes to somebody who was erased.
    let receiver = store::holders_by_id(&tx, &[request.to]).await?.remove(&request.to);
    if receiver.is_none_or(|receiver| receiver.erased_at.is_some()) {
        return Err(Refusal::at("toHolderId", WalletErrorCode::HolderNotFound));
    }
    if transfers::has_open_transfer(&tx, item.id).await? {
        return Err(Refusal::at("itemId", WalletErrorCode::TransferOpen));
    }
    let ledgers = ledgers_of(&tx, &[item.collectible_id]).await?;
    let ledger = *ledgers.get(&item.collectible_id).ok_or(Fault::NotFound)?;
    let new = NewTransfer {
        id: TransferId::generate(),
        item: item.id,
        from: Some(from),
        to: request.to,
        cause: TransferCause::Gift,
        cause_id: item.id.uuid(),
        ledger,
    };
    let transfer = create_in(&tx, &[new]).await?.remove(0);
    audit::record_in(&tx, OPERATION, transfer.id.uuid(), None, &transfer).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { transfer: transfer.id }).await?;
    tx.commit().await?;
    Ok(Started { transfer, replayed: false })
}

/// Withdraws a transfer that has not reached the ledger.
pub async fn cancel(
    platform: &Platform,
    scope: &TenantScope,
    id: TransferId,
) -> Result<Transfer, Refusal<WalletErrorCode>> {
    scope.require(Permission::TransferManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = transfers::lock_transfers_in(&tx, &[id])
        .await?
        .pop()
        .ok_or_else(|| Refusal::at("id", WalletErrorCode::TransferNotFound))?;
    // What delivers a claim or an order is owed to somebody; only a gift is its giver's to withdraw. And LOCKED may
    // already be on its way to the ledger.
    if before.cause != TransferCause::Gift || before.state != TransferState::Requested {
        return Err(Refusal::at("id", WalletErrorCode::TooLate));
    }
    let after = advance_in(&tx, &[Step::to(TransferState::Cancelled, before.clone())]).await?.remove(0);
    audit::record_in(&tx, "transferCancel", id.uuid(), Some(&before), &after).await?;
    tx.commit().await?;
    Ok(after)
}

/// One transfer's next state.
pub struct Step {
    pub transfer: Transfer,
    pub next: TransferState,
    /// Why it fails.
    pub failure: Option<String>,
}

impl Step {
    pub fn to(next: TransferState, transfer: Transfer) -> Self {
        Self { transfer, next, failure: None }
    }

    pub fn failed(transfer: Transfer, why: impl Into<String>) -> Self {
        Self { transfer, next: TransferState::Failed, failure: Some(why.into()) }
    }
}

/// Moves transfers on, each to a state that it may have, and tells of it.
pub async fn advance_in(tx: &TenantTx, steps: &[Step]) -> Result<Vec<Transfer>, Fault> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let mut moves = Vec::with_capacity(steps.len());
    for Step { transfer, next, failure } in steps {
        let (id, from, next) = (transfer.id, transfer.state, *next);
        if !from.may_become(next) {
            return Err(Fault::internal(anyhow::anyhow!("{id} cannot go from {from:?} to {next:?}")));
        }
        moves.push(TransferMove { id, state: next, failure: failure.clone(), onward: from.leads_on_to(next) });
    }
    let after = transfers::set_transfer_states_in(tx, &moves).await?;
    announce_in(tx, &after).await?;
    Ok(after)
}

async fn create_in(tx: &TenantTx, new: &[NewTransfer]) -> Result<Vec<Transfer>, Fault> {
    let created = transfers::insert_transfers_in(tx, new).await?;
    announce_in(tx, &created).await?;
    Ok(created)
}

async fn announce_in(tx: &TenantTx, transfers: &[Transfer]) -> Result<(), Fault> {
    let mut events = Vec::with_capacity(transfers.len());
    for transfer in transfers {
        let data = json!({
            "transferId": transfer.id,
            "itemId": transfer.item_id,
            "fromHolderId": transfer.from_holder_id,
            "toHolderId": transfer.to_holder_id,
            "cause": transfer.cause,
            "state": transfer.state,
            "failure": transfer.failure,
        });
        events.push(NewEvent::new(EventType::TransferChanged, transfer.id.uuid(), transfer.version, data)?);
    }
    outbox::emit_all_in(tx, &events).await
}

async fn find(tx: &TenantTx, id: TransferId) -> Result<Transfer, Fault> {
    transfers::transfers_by_id(tx, &[id]).await?.remove(&id).ok_or(Fault::NotFound)
}
