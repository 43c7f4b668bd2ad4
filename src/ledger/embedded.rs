//! The embedded ledger: a chain of blocks in PostgreSQL, one chain an enterprise, sealed by a worker of its own.
//!
//! What is handed over waits. The sealer puts it in order, judges what can be true, and binds that into a block whose
//! head holds the root of a Merkle tree over the operations. The blocks are leaves of a tree too, and a signed
//! checkpoint says what it holds. `docs/ledgers.md` tells all of it byte by byte.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::ledger::Ledger;
use crate::ledger::checkpoint::{Checkpoint, LedgerKeys};
use crate::ledger::judge::{Holding, Standing};
use crate::ledger::merkle::{self, Hash, Peaks, Run};
use crate::ledger::model::{
    Account, Block, Content, GENESIS, LedgerKind, Operation, OperationId, Owner, Piece, Receipt,
};
use crate::ledger::record::{self, Record, Salts};
use crate::ledger::store::{self, Sealed, chain};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::store::enterprise_row;
use crate::tenancy::worker::Job;

/// How many operations a block holds at most.
pub const BLOCK_SIZE: usize = 1000;

/// While more waits than a block holds, only each block whose number this divides has a checkpoint. Else each has its own.
pub const CHECKPOINT_EVERY: i64 = 16;

pub struct EmbeddedLedger {
    platform: Arc<Platform>,
    keys: LedgerKeys,
}

impl EmbeddedLedger {
    pub fn new(platform: Arc<Platform>, keys: LedgerKeys) -> Self {
        Self { platform, keys }
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
        let known = store::known(&tx, pieces).await?;
        let owner = |(piece, known): (Piece, store::Known)| Some((piece, account(known.holding(piece)?.owner)));
        Ok(known.into_iter().filter_map(owner).collect())
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
        // The enterprise's row is the turn. What is read from here on no other sealer changes, and a refusal is for good.
        enterprise_row::lock_in(&tx).await?.ok_or(Fault::NotFound)?;
        let mut waiting = store::pending(&tx, BLOCK_SIZE as i64 + 1).await?;
        let more = waiting.len() > BLOCK_SIZE;
        waiting.truncate(BLOCK_SIZE);
        if waiting.is_empty() {
            return Ok(());
        }
        let operations = waiting.iter().map(|row| row.operation()).collect::<Result<Vec<_>, _>>()?;
        let (accepted, refused) = judge(&tx, &operations).await?;
        if !refused.is_empty() {
            store::refuse_in(&tx, &refused).await?;
        }
        if !accepted.is_empty() {
            self.seal_in(&tx, &accepted, more).await?;
        } else if !more {
            self.sign_tip_in(&tx).await?;
        }
        tx.commit().await
    }
}

impl EmbeddedLedger {
    async fn seal_in(
        &self,
        tx: &TenantTx,
        accepted: &[(&Operation, Option<Holding>)],
        more: bool,
    ) -> Result<(), Fault> {
        let tenant = tx.tenant();
        let salts = Salts::new(&self.platform.master_key, tenant);
        let Tip { last, mut peaks, .. } = self.tip(tx).await?;
        let number = last.as_ref().map_or(1, |block| block.number + 1);
        let sealed: Vec<Sealed> = (0..)
            .zip(accepted)
            .map(|(position, (operation, before))| {
                let text = Record::new(&salts, tenant, (number, position), operation, *before).text();
                Sealed { id: operation.id, leaf: record::leaf(&text), text }
            })
            .collect();
        let leaves: Vec<Hash> = sealed.iter().map(|sealed| sealed.leaf).collect();
        let block = seal(tenant, last.as_ref(), &leaves, self.platform.clock.now(), &mut peaks);
        chain::insert_block_in(tx, &block).await?;
        store::confirm_in(tx, number, &sealed).await?;
        if !more || number % CHECKPOINT_EVERY == 0 {
            self.sign_in(tx, &peaks, block.sealed_at).await?;
        }
        Ok(())
    }

    /// Blocks are left without a signature while more waits. Where all of that was refused, no block comes to bear it.
    async fn sign_tip_in(&self, tx: &TenantTx) -> Result<(), Fault> {
        let tip = self.tip(tx).await?;
        if tip.peaks.size() as i64 > tip.signed {
            self.sign_in(tx, &tip.peaks, self.platform.clock.now()).await?;
        }
        Ok(())
    }

    async fn sign_in(&self, tx: &TenantTx, peaks: &Peaks, signed_at: DateTime<Utc>) -> Result<(), Fault> {
        let checkpoint = Checkpoint { tenant: tx.tenant(), size: peaks.size(), root: peaks.root(), signed_at };
        chain::insert_checkpoint_in(tx, peaks.size(), self.keys.sign(&checkpoint), signed_at).await
    }

    /// Where the chain ends. It is put together from what the last checkpoint vouches for and the few blocks since: the
    /// house does not go on from a chain whose signed part has another root now. It is no audit: rows of operations are
    /// not looked at, and of the blocks since the last checkpoint nobody can say what they were.
    async fn tip(&self, tx: &TenantTx) -> Result<Tip, Fault> {
        let broken = |what: &str| Fault::internal(anyhow::anyhow!("{what}; run `minthouse ledger audit`"));
        let mut peaks = match chain::last_checkpoint(tx).await? {
            None => Peaks::default(),
            Some(row) => {
                let (signed, _) = self.keys.open(&row.note).map_err(Fault::internal)?;
                let hashes = chain::subtrees(tx, &[Run { start: 0, length: signed.size }]).await?.concat();
                Peaks::of(signed.size, hashes)
                    .filter(|peaks| signed.tenant == tx.tenant() && peaks.root() == signed.root)
                    .ok_or_else(|| broken("the chain is not what its last checkpoint says"))?
            }
        };
        let signed = peaks.size() as i64;
        let blocks = chain::blocks_after(tx, (signed - 1).max(0), CHECKPOINT_EVERY + 1).await?;
        for block in blocks.iter().filter(|block| block.number > signed) {
            peaks.push(merkle::leaf(&block.hash));
        }
        match blocks.last() {
            last if last.map_or(0, |block| block.number) != peaks.size() as i64 => {
                Err(broken("a block of the chain is missing"))
            }
            Some(last) if last.number - signed >= CHECKPOINT_EVERY => Err(broken("checkpoints of the chain are gone")),
            _ => Ok(Tip { last: blocks.into_iter().next_back(), peaks, signed }),
        }
    }
}

struct Tip {
    last: Option<Block>,
    /// Of the tree over all blocks.
    peaks: Peaks,
    /// How many blocks the last checkpoint covers.
    signed: i64,
}

/// Operations that can be true, each with who held its piece before; and those that cannot, with the reason.
type Judged<'a> = (Vec<(&'a Operation, Option<Holding>)>, Vec<(OperationId, String)>);

async fn judge<'a>(tx: &TenantTx, operations: &'a [Operation]) -> Result<Judged<'a>, Fault> {
    // The piece of a transfer; of a run its last, before which any run that reaches into it begins.
    let pieces: Vec<Piece> = operations.iter().filter_map(|operation| touched(&operation.content)).collect();
    let mut standing = Standing::default();
    for (piece, known) in store::known(tx, &pieces).await? {
        if let Some((first, count)) = known.run {
            standing.add_run(piece.collectible, first, count);
        }
        if let Some(holding) = known.held {
            standing.add_holding(piece, holding);
        }
    }
    let (mut accepted, mut refused) = (Vec::with_capacity(operations.len()), Vec::new());
    for operation in operations {
        match standing.judge(operation) {
            Ok(before) => accepted.push((operation, before)),
            Err(reason) => refused.push((operation.id, reason)),
        }
    }
    Ok((accepted, refused))
}

fn touched(content: &Content) -> Option<Piece> {
    match *content {
        Content::Issue { collectible_id, first_serial, count } => {
            let serial = first_serial.saturating_add(count).saturating_sub(1);
            Some(Piece { collectible: collectible_id, serial })
        }
        Content::Transfer { collectible_id, serial, .. } => Some(Piece { collectible: collectible_id, serial }),
        Content::Anchor { .. } => None,
    }
}

/// The block over these leaves, which joins the chain and its tree.
pub fn seal(
    tenant: EnterpriseId,
    last: Option<&Block>,
    leaves: &[Hash],
    sealed_at: DateTime<Utc>,
    peaks: &mut Peaks,
) -> Block {
    let mut block = Block {
        number: last.map_or(1, |block| block.number + 1),
        previous_hash: last.map_or(GENESIS.to_vec(), |block| block.hash.clone()),
        operations_root: merkle::root(leaves).to_vec(),
        operation_count: leaves.len() as i32,
        sealed_at,
        hash: Vec::new(),
        subtrees: Vec::new(),
    };
    block.hash = block.computed_hash(tenant).to_vec();
    block.subtrees = peaks.push(merkle::leaf(&block.hash)).concat();
    block
}
