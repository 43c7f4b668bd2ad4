//! Transfers are carried out: locked, handed to the ledger, confirmed, and the item given to its new holder.
//!
//! Each step is a transaction of its own and leaves a state that the next turn can go on from; the ledger is asked
//! between transactions, never inside one. A transfer's ID is its operation ID on the ledger, so a step that was
//! interrupted is simply taken again. What brings nothing is tried later and later, and in small groups, so that one
//! transfer that cannot be carried out does not hold up the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::ledger::model::{Content, LedgerKind, Operation, Receipt};
use crate::ledger::{Ledger, in_time};
use crate::platform::Platform;
use crate::platform::backoff::{growing, pause};
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::worker::Job;
use crate::wallets::model::{Item, ItemId, Transfer, TransferId, TransferState};
use crate::wallets::store;
use crate::wallets::store::transfers;
use crate::wallets::transfer::{Step, advance_in};

/// How many transfers one step takes on.
const STEP: i64 = 500;

/// Whoever caused a transfer hears that it has arrived, in the transaction that makes it so.
#[async_trait]
pub trait Arrivals: Send + Sync + 'static {
    async fn arrived_in(&self, tx: &TenantTx, arrived: &[(Transfer, Item)]) -> Result<(), Fault>;
}

/// One ledger's transfers. A server runs one such job for each ledger that it has.
pub struct TransferJob {
    pub platform: Arc<Platform>,
    pub ledger: Arc<dyn Ledger>,
    pub arrivals: Arc<dyn Arrivals>,
}

#[async_trait]
impl Job for TransferJob {
    fn name(&self) -> &'static str {
        match self.ledger.kind() {
            LedgerKind::Embedded => "transfers, embedded ledger",
            LedgerKind::Evm => "transfers, EVM ledger",
        }
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        transfers::tenants_transferring(&HouseTx::read(&self.platform.database).await?, self.ledger.kind()).await
    }

    async fn next_due(&self) -> Result<Option<Duration>, Fault> {
        transfers::next_transfer_due(&HouseTx::read(&self.platform.database).await?, self.ledger.kind()).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        use TransferState::*;
        let scope = TenantScope::of_system(tenant);
        for state in [Confirmed, Submitted, Unknown, Requested, Locked] {
            for group in self.due(&scope, state).await? {
                let outcome = match state {
                    Requested => self.lock(&scope, &group).await,
                    Locked => self.submit(&scope, &group).await,
                    Confirmed => self.finish(&scope, &group).await,
                    _ => self.follow(&scope, state, &group).await,
                };
                if let Err(fault) = outcome {
                    let (job, count) = (self.name(), group.len());
                    tracing::error!(job, %tenant, count, "transfers in {state:?} will be tried again: {}", fault.with_causes());
                    self.put_off(&scope, state, &group).await?;
                    // Where the ledger does not answer, the next group would wait in vain as well.
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Transfers that are tried together, and how often each was tried in vain before.
type Group = HashMap<TransferId, i32>;

impl TransferJob {
    /// What is due in a state: together what comes for the first time, by and by what has failed before.
    async fn due(&self, scope: &TenantScope, state: TransferState) -> Result<Vec<Group>, Fault> {
        let tx = scope.read(&self.platform.database).await?;
        let due = transfers::due_transfers(&tx, self.ledger.kind(), state, STEP).await?;
        let (fresh, tried): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, attempts)| *attempts == 0);
        let groups = std::iter::once(fresh).filter(|group| !group.is_empty()).chain(growing(tried));
        Ok(groups.map(|group| group.into_iter().collect()).collect())
    }

    /// REQUESTED → LOCKED, where the giver still holds the item; else FAILED.
    async fn lock(&self, scope: &TenantScope, group: &Group) -> Result<(), Fault> {
        let tx = scope.write(&self.platform.database).await?;
        let requested = free_in(&tx, TransferState::Requested, group).await?;
        let items = items_of(&tx, &requested).await?;
        let steps: Vec<Step> = requested
            .into_iter()
            .map(|transfer| match items.get(&transfer.item_id) {
                Some(item) if item.holder_id == transfer.from_holder_id => Step::to(TransferState::Locked, transfer),
                _ => Step::failed(transfer, "the giver does not hold the item any more"),
            })
            .collect();
        advance_in(&tx, &steps).await?;
        tx.commit().await
    }

    /// LOCKED → SUBMITTED, once the ledger has taken them.
    async fn submit(&self, scope: &TenantScope, group: &Group) -> Result<(), Fault> {
        let tx = scope.read(&self.platform.database).await?;
        let ids: Vec<TransferId> = group.keys().copied().collect();
        let locked: Vec<Transfer> = transfers::transfers_by_id(&tx, &ids).await?.into_values().collect();
        let items = items_of(&tx, &locked).await?;
        drop(tx);
        let mut operations = Vec::with_capacity(locked.len());
        for transfer in locked.iter().filter(|transfer| transfer.state == TransferState::Locked) {
            let item = items.get(&transfer.item_id).ok_or(Fault::NotFound)?;
            let content = Content::Transfer {
                collectible_id: item.collectible_id,
                serial: item.serial,
                from: transfer.from_holder_id,
                to: transfer.to_holder_id,
            };
            operations.push(Operation { id: transfer.id.uuid(), content });
        }
        operations.sort_unstable_by_key(|operation| operation.id);
        in_time(self.ledger.submit(scope.tenant(), &operations)).await?;

        let tx = scope.write(&self.platform.database).await?;
        let locked = free_in(&tx, TransferState::Locked, group).await?;
        let steps: Vec<Step> =
            locked.into_iter().map(|transfer| Step::to(TransferState::Submitted, transfer)).collect();
        advance_in(&tx, &steps).await?;
        tx.commit().await
    }

    /// SUBMITTED → CONFIRMED, or UNKNOWN where the ledger never heard of it; UNKNOWN → LOCKED to be handed over again.
    async fn follow(&self, scope: &TenantScope, state: TransferState, group: &Group) -> Result<(), Fault> {
        let ids: Vec<_> = group.keys().map(|id| id.uuid()).collect();
        let mut receipts = in_time(self.ledger.receipts(scope.tenant(), &ids)).await?;
        let tx = scope.write(&self.platform.database).await?;
        let (mut steps, mut later) = (Vec::new(), Vec::new());
        for transfer in free_in(&tx, state, group).await? {
            let receipt = receipts.remove(&transfer.id.uuid()).unwrap_or(Receipt::Unknown);
            if matches!(receipt, Receipt::Pending | Receipt::Unknown) {
                later.push(transfer.id);
            }
            steps.push(match receipt {
                Receipt::Confirmed(_) => Step::to(TransferState::Confirmed, transfer),
                Receipt::Refused { reason } => Step::failed(transfer, reason),
                Receipt::Pending if state == TransferState::Unknown => Step::to(TransferState::Submitted, transfer),
                Receipt::Pending => continue,
                Receipt::Unknown if state == TransferState::Submitted => Step::to(TransferState::Unknown, transfer),
                Receipt::Unknown => Step::to(TransferState::Locked, transfer),
            });
        }
        advance_in(&tx, &steps).await?;
        put_off_in(&tx, &later, group).await?;
        tx.commit().await
    }

    /// CONFIRMED → SUCCEEDED: the item changes hands and its cause hears of it.
    async fn finish(&self, scope: &TenantScope, group: &Group) -> Result<(), Fault> {
        let tx = scope.write(&self.platform.database).await?;
        let confirmed = free_in(&tx, TransferState::Confirmed, group).await?;
        if confirmed.is_empty() {
            return Ok(());
        }
        let moves: Vec<_> = confirmed.iter().map(|transfer| (transfer.item_id, transfer.to_holder_id)).collect();
        store::set_item_holders_in(&tx, &moves).await?;
        let steps: Vec<Step> =
            confirmed.into_iter().map(|transfer| Step::to(TransferState::Succeeded, transfer)).collect();
        let succeeded = advance_in(&tx, &steps).await?;
        let items = items_of(&tx, &succeeded).await?;
        let arrived: Vec<(Transfer, Item)> = succeeded
            .into_iter()
            .filter_map(|transfer| items.get(&transfer.item_id).cloned().map(|item| (transfer, item)))
            .collect();
        self.arrivals.arrived_in(&tx, &arrived).await?;
        tx.commit().await
    }

    /// After a step that failed. What was on its way to the ledger may have got there: it is asked about first.
    async fn put_off(&self, scope: &TenantScope, state: TransferState, group: &Group) -> Result<(), Fault> {
        let tx = scope.write(&self.platform.database).await?;
        let held = free_in(&tx, state, group).await?;
        let ids: Vec<TransferId> = held.iter().map(|transfer| transfer.id).collect();
        if state == TransferState::Locked {
            let steps: Vec<Step> =
                held.into_iter().map(|transfer| Step::to(TransferState::Unknown, transfer)).collect();
            advance_in(&tx, &steps).await?;
        }
        put_off_in(&tx, &ids, group).await?;
        tx.commit().await
    }
}

/// Those of a group that are still where they were, locked.
async fn free_in(tx: &TenantTx, state: TransferState, group: &Group) -> Result<Vec<Transfer>, Fault> {
    let ids: Vec<TransferId> = group.keys().copied().collect();
    transfers::lock_free_transfers_in(tx, state, &ids).await
}

async fn items_of(tx: &TenantTx, transfers: &[Transfer]) -> Result<HashMap<ItemId, Item>, Fault> {
    let ids: Vec<ItemId> = transfers.iter().map(|transfer| transfer.item_id).collect();
    if ids.is_empty() { Ok(HashMap::new()) } else { store::items_by_id(tx, &ids).await }
}

async fn put_off_in(tx: &TenantTx, ids: &[TransferId], group: &Group) -> Result<(), Fault> {
    if ids.is_empty() {
        return Ok(());
    }
    let tried = |id: &TransferId| group.get(id).copied().unwrap_or(0).saturating_add(1);
    let later: Vec<_> = ids.iter().map(|id| (*id, tried(id), pause(tried(id)))).collect();
    transfers::put_transfers_off_in(tx, &later).await
}
