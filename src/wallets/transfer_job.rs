//! Transfers are carried out: locked, handed to the ledger, confirmed, and the item given to its new holder.
//!
//! Each step is a transaction of its own and leaves a state that the next turn can go on from; the ledger is asked
//! between transactions, never inside one. A transfer's ID is its operation ID on the ledger, so a step that was
//! interrupted is simply taken again.

use std::sync::Arc;

use async_trait::async_trait;

use crate::ledger::Ledger;
use crate::ledger::model::{Content, Operation, Receipt};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::worker::Job;
use crate::wallets::model::{Item, ItemId, Transfer, TransferId, TransferState};
use crate::wallets::store;
use crate::wallets::transfer::advance_in;

/// How many transfers one step takes on.
const STEP: i64 = 500;

/// Whoever caused a transfer hears that it has arrived, in the transaction that makes it so.
#[async_trait]
pub trait Arrivals: Send + Sync + 'static {
    async fn arrived_in(&self, tx: &TenantTx, arrived: &[(Transfer, Item)]) -> Result<(), Fault>;
}

pub struct TransferJob {
    pub platform: Arc<Platform>,
    pub ledger: Arc<dyn Ledger>,
    pub arrivals: Arc<dyn Arrivals>,
}

#[async_trait]
impl Job for TransferJob {
    fn name(&self) -> &'static str {
        "transfers"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        store::tenants_transferring(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let scope = TenantScope::of_system(tenant);
        self.finish(&scope).await?;
        self.follow(&scope).await?;
        self.lock(&scope).await?;
        self.submit(&scope).await?;
        Ok(())
    }
}

impl TransferJob {
    /// REQUESTED → LOCKED, where the giver still holds the item; else FAILED.
    async fn lock(&self, scope: &TenantScope) -> Result<(), Fault> {
        let tx = scope.write(&self.platform.database).await?;
        let requested = store::lock_due_transfers_in(&tx, TransferState::Requested, STEP).await?;
        if requested.is_empty() {
            return tx.commit().await;
        }
        let ids: Vec<ItemId> = requested.iter().map(|transfer| transfer.item_id).collect();
        let items = store::items_by_id(&tx, &ids).await?;
        let steps: Vec<_> = requested
            .into_iter()
            .map(|transfer| {
                let held = items.get(&transfer.item_id).is_some_and(|item| item.holder_id == transfer.from_holder_id);
                (transfer, if held { TransferState::Locked } else { TransferState::Failed })
            })
            .collect();
        advance_in(&tx, &steps).await?;
        tx.commit().await
    }

    /// LOCKED → SUBMITTED, once the ledger has taken them.
    async fn submit(&self, scope: &TenantScope) -> Result<(), Fault> {
        let (locked, items) = self.due(scope, TransferState::Locked).await?;
        if locked.is_empty() {
            return Ok(());
        }
        let mut operations = Vec::with_capacity(locked.len());
        for transfer in &locked {
            let item = items.get(&transfer.item_id).ok_or(Fault::NotFound)?;
            let content = Content::Transfer {
                collectible_id: item.collectible_id,
                serial: item.serial,
                from: transfer.from_holder_id,
                to: transfer.to_holder_id,
            };
            operations.push(Operation { id: transfer.id.uuid(), content });
        }
        self.ledger.submit(scope.tenant(), &operations).await?;
        let moves: Vec<_> = locked.iter().map(|transfer| (transfer.id, TransferState::Submitted)).collect();
        self.advance_from(scope, TransferState::Locked, &moves).await
    }

    /// SUBMITTED → CONFIRMED, or UNKNOWN where the ledger never heard of it; UNKNOWN → LOCKED to be handed over again.
    async fn follow(&self, scope: &TenantScope) -> Result<(), Fault> {
        for state in [TransferState::Submitted, TransferState::Unknown] {
            let (open, _) = self.due(scope, state).await?;
            if open.is_empty() {
                continue;
            }
            let ids: Vec<_> = open.iter().map(|transfer| transfer.id.uuid()).collect();
            let receipts = self.ledger.receipts(scope.tenant(), &ids).await?;
            let moves: Vec<(TransferId, TransferState)> = open
                .iter()
                .filter_map(|transfer| match receipts.get(&transfer.id.uuid()) {
                    Some(Receipt::Confirmed(_)) => Some((transfer.id, TransferState::Confirmed)),
                    Some(Receipt::Pending) => None,
                    Some(Receipt::Refused { .. }) => Some((transfer.id, TransferState::Failed)),
                    Some(Receipt::Unknown) | None if state == TransferState::Submitted => {
                        Some((transfer.id, TransferState::Unknown))
                    }
                    Some(Receipt::Unknown) | None => Some((transfer.id, TransferState::Locked)),
                })
                .collect();
            self.advance_from(scope, state, &moves).await?;
        }
        Ok(())
    }

    /// CONFIRMED → SUCCEEDED: the item changes hands and its cause hears of it.
    async fn finish(&self, scope: &TenantScope) -> Result<(), Fault> {
        let tx = scope.write(&self.platform.database).await?;
        let confirmed = store::lock_due_transfers_in(&tx, TransferState::Confirmed, STEP).await?;
        if confirmed.is_empty() {
            return tx.commit().await;
        }
        let moves: Vec<_> = confirmed.iter().map(|transfer| (transfer.item_id, transfer.to_holder_id)).collect();
        store::set_item_holders_in(&tx, &moves).await?;
        let steps: Vec<_> = confirmed.into_iter().map(|transfer| (transfer, TransferState::Succeeded)).collect();
        let succeeded = advance_in(&tx, &steps).await?;

        let ids: Vec<ItemId> = succeeded.iter().map(|transfer| transfer.item_id).collect();
        let items = store::items_by_id(&tx, &ids).await?;
        let arrived: Vec<(Transfer, Item)> = succeeded
            .into_iter()
            .filter_map(|transfer| items.get(&transfer.item_id).cloned().map(|item| (transfer, item)))
            .collect();
        self.arrivals.arrived_in(&tx, &arrived).await?;
        tx.commit().await
    }

    async fn due(
        &self,
        scope: &TenantScope,
        state: TransferState,
    ) -> Result<(Vec<Transfer>, std::collections::HashMap<ItemId, Item>), Fault> {
        let tx = scope.read(&self.platform.database).await?;
        let due = store::due_transfers(&tx, state, STEP).await?;
        let ids: Vec<ItemId> = due.iter().map(|transfer| transfer.item_id).collect();
        let items = if ids.is_empty() { Default::default() } else { store::items_by_id(&tx, &ids).await? };
        Ok((due, items))
    }

    /// Moves on those that are still where they were when the ledger was asked.
    async fn advance_from(
        &self,
        scope: &TenantScope,
        from: TransferState,
        moves: &[(TransferId, TransferState)],
    ) -> Result<(), Fault> {
        if moves.is_empty() {
            return Ok(());
        }
        let tx = scope.write(&self.platform.database).await?;
        let ids: Vec<TransferId> = moves.iter().map(|(id, _)| *id).collect();
        let next: std::collections::HashMap<_, _> = moves.iter().copied().collect();
        let steps: Vec<_> = store::lock_transfers_in(&tx, &ids)
            .await?
            .into_iter()
            .filter(|transfer| transfer.state == from)
            .map(|transfer| {
                let state = next[&transfer.id];
                (transfer, state)
            })
            .collect();
        if !steps.is_empty() {
            advance_in(&tx, &steps).await?;
        }
        tx.commit().await
    }
}
