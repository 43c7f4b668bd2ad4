//! The embedded ledger: a chain of blocks in PostgreSQL, one chain an enterprise, sealed by a worker of its own.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::ledger::Ledger;
use crate::ledger::model::{Account, Block, GENESIS, LedgerKind, Operation, OperationId, Owner, Piece, Receipt};
use crate::ledger::store;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::worker::Job;

/// How many operations a block holds at most.
const BLOCK_SIZE: i64 = 1000;

pub struct EmbeddedLedger {
    platform: Arc<Platform>,
}

impl EmbeddedLedger {
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform }
    }
}

#[async_trait]
impl Ledger for EmbeddedLedger {
    fn kind(&self) -> LedgerKind {
        LedgerKind::Embedded
    }

    async fn submit(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault> {
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        store::insert_operations_in(&tx, operations).await?;
        tx.commit().await
    }

    async fn receipts(
        &self,
        tenant: EnterpriseId,
        ids: &[OperationId],
    ) -> Result<HashMap<OperationId, Receipt>, Fault> {
        let tx = TenantScope::of_system(tenant).read(&self.platform.database).await?;
        let mut receipts = store::receipts(&tx, ids).await?;
        for id in ids {
            receipts.entry(*id).or_insert(Receipt::Unknown);
        }
        Ok(receipts)
    }

    fn account(&self, _: EnterpriseId, owner: Owner) -> Account {
        account(owner)
    }

    async fn owners(&self, tenant: EnterpriseId, pieces: &[Piece]) -> Result<HashMap<Piece, Account>, Fault> {
        let tx = TenantScope::of_system(tenant).read(&self.platform.database).await?;
        let owners = store::owners(&tx, pieces).await?;
        Ok(owners.into_iter().map(|(piece, owner)| (piece, account(owner))).collect())
    }
}

fn account(owner: Owner) -> Account {
    match owner {
        Owner::Treasury => Account("treasury".to_owned()),
        Owner::Holder(holder) => Account(holder.uuid().to_string()),
    }
}

/// Binds what waits into blocks.
#[async_trait]
impl Job for EmbeddedLedger {
    fn name(&self) -> &'static str {
        "ledger sealer"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        store::tenants_pending(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        let operations = store::lock_pending_in(&tx, BLOCK_SIZE).await?;
        if operations.is_empty() {
            return Ok(());
        }
        let last = store::last_block(&tx).await?;
        let block = Block::seal(last.as_ref(), &operations, self.platform.clock.now());
        if !store::insert_block_in(&tx, &block).await? {
            return Ok(()); // another server's sealer was first; the next turn builds on its block
        }
        let ids: Vec<OperationId> = operations.iter().map(|(id, _)| *id).collect();
        store::confirm_in(&tx, block.number, &ids).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What an audit of one enterprise's chain found.
#[derive(Debug, PartialEq, Eq)]
pub enum Audit {
    /// Every block hangs on the one before, and every operation is in its block.
    Whole { blocks: i64, operations: i64 },
    /// This block is not what it was when it was sealed.
    Broken { block: i64, why: &'static str },
}

/// Walks the chain from its beginning.
pub async fn audit(platform: &Platform, tenant: EnterpriseId) -> Result<Audit, Fault> {
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let (mut last, mut hash, mut operations) = (0, GENESIS.to_vec(), 0);
    loop {
        let blocks = store::blocks_after(&tx, last, 500).await?;
        if blocks.is_empty() {
            return Ok(Audit::Whole { blocks: last, operations });
        }
        for block in blocks {
            let broken = |why| Ok(Audit::Broken { block: block.number, why });
            if block.number != last + 1 {
                return broken("a block before it is missing");
            }
            if block.previous_hash != hash || block.computed_hash() != block.hash {
                return broken("its hash does not follow from the block before it and its own head");
            }
            let content = store::operations_of_block(&tx, block.number).await?;
            let previous = Block { number: block.number - 1, hash, ..block.clone() };
            let again = Block::seal(Some(&previous), &content, block.sealed_at);
            if again.operations_hash != block.operations_hash {
                return broken("its operations are not those it was sealed over");
            }
            operations += content.len() as i64;
            (last, hash) = (block.number, block.hash);
        }
    }
}
