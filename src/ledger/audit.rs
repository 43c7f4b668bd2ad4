//! Walks an enterprise's chain from its beginning, every row of it, and names the first that is not as it must be.

use std::fmt;

use crate::ledger::checkpoint::{Checkpoint, LedgerKeys};
use crate::ledger::embedded::{CHECKPOINT_EVERY, seal};
use crate::ledger::judge::Holding;
use crate::ledger::merkle::{self, Hash, Peaks};
use crate::ledger::model::{Block, GENESIS, OperationId, Owner};
use crate::ledger::record::{self, Record, Salts};
use crate::ledger::store;
use crate::ledger::store::chain::{self, Before, CheckpointRow, Standing};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{TenantScope, TenantTx};

/// How many blocks are read at a time.
const STEP: i64 = 100;

/// What an audit of one enterprise's chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Every block hangs on the one before, every sealed operation is in its block, every checkpoint that must be there
    /// is, and each is the house's. docs/ledgers.md tells what that leaves open.
    Whole { blocks: i64, operations: i64, checkpoints: i64 },
    /// This row is not what it was.
    Wrong(Wrong),
}

/// The first row that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub table: &'static str,
    /// The block that it is, stands in, or covers last.
    pub block: i64,
    pub operation: Option<OperationId>,
    /// The column that disagrees, where it can be told.
    pub column: Option<&'static str>,
    pub why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, block {}", self.table, self.block)?;
        if let Some(operation) = self.operation {
            write!(formatter, ", operation {operation}")?;
        }
        if let Some(column) = self.column {
            write!(formatter, ", column {column}")?;
        }
        write!(formatter, ": {}", self.why)
    }
}

impl Wrong {
    fn block(block: i64, column: Option<&'static str>, why: impl Into<String>) -> Self {
        Self { table: "ledger_blocks", block, operation: None, column, why: why.into() }
    }

    fn operation(block: i64, id: Option<OperationId>, column: Option<&'static str>, why: impl Into<String>) -> Self {
        Self { table: "ledger_operations", block, operation: id, column, why: why.into() }
    }

    fn checkpoint(size: i64, column: Option<&'static str>, why: impl Into<String>) -> Self {
        Self { table: "ledger_checkpoints", block: size, operation: None, column, why: why.into() }
    }
}

/// Walks the whole chain. `seen` are checkpoints that somebody has kept outside the database: what they say must hold.
pub async fn audit(
    platform: &Platform,
    keys: &LedgerKeys,
    tenant: EnterpriseId,
    seen: &[Checkpoint],
) -> Result<Audit, Fault> {
    let salts = Salts::new(&platform.master_key, tenant);
    let (mut walk, scope) = (Walk::default(), TenantScope::of_system(tenant));
    loop {
        // A transaction for each step, so that a long chain does not hold the database's past open.
        let tx = scope.read(&platform.database).await?;
        let blocks = chain::blocks_after(&tx, walk.number(), STEP).await?;
        let Some(until) = blocks.last().map(|block| block.number) else { break };
        let checkpoints = chain::checkpoints_between(&tx, walk.number(), until).await?;
        for block in blocks {
            let found = match check_block(&tx, &salts, &mut walk, &block).await? {
                Ok(()) => walk.check_checkpoints(keys, tenant, &checkpoints, seen),
                Err(wrong) => Err(wrong),
            };
            if let Err(wrong) = found {
                return Ok(Audit::Wrong(wrong));
            }
        }
    }
    let (blocks, signed) = (walk.number(), walk.signed);
    if let Some(longer) = seen.iter().filter(|seen| seen.tenant == tenant).find(|seen| seen.size as i64 > blocks) {
        let why = format!("it is gone: a checkpoint that was kept elsewhere covers {} blocks", longer.size);
        return Ok(Audit::Wrong(Wrong::block(blocks + 1, None, why)));
    }
    // What is sealed names its block: in its operations' rows, and in the checkpoint over it.
    let tx = scope.read(&platform.database).await?;
    let named = chain::highest_named(&tx).await?;
    let standing = chain::last_block(&tx).await?.map_or(0, |block| block.number);
    if standing < named {
        let why = format!("it is gone: operations or checkpoints name block {named}");
        return Ok(Audit::Wrong(Wrong::block(standing + 1, None, why)));
    }
    if signed < blocks && standing == blocks && store::pending(&tx, 1).await?.is_empty() {
        let why = format!("it is gone: blocks {} to {blocks} bear no signature, though nothing waits", signed + 1);
        return Ok(Audit::Wrong(Wrong::checkpoint(blocks, None, why)));
    }
    Ok(Audit::Whole { blocks, operations: walk.operations, checkpoints: walk.checkpoints })
}

/// How far an audit has come.
#[derive(Default)]
struct Walk {
    last: Option<Block>,
    peaks: Peaks,
    operations: i64,
    checkpoints: i64,
    /// How many blocks the last checkpoint covers.
    signed: i64,
}

impl Walk {
    fn number(&self) -> i64 {
        self.last.as_ref().map_or(0, |block| block.number)
    }

    /// The checkpoints of the block that was walked last.
    fn check_checkpoints(
        &mut self,
        keys: &LedgerKeys,
        tenant: EnterpriseId,
        kept: &[CheckpointRow],
        seen: &[Checkpoint],
    ) -> Result<(), Wrong> {
        let (number, root) = (self.number(), self.peaks.root());
        let anew = |by: &str| {
            let from = self.signed + 1;
            let why = format!("it, or a block from {from} on, was sealed anew: {by} says that the chain was another");
            Wrong::block(number, None, why)
        };
        let elsewhere = seen.iter().filter(|seen| seen.tenant == tenant && seen.size as i64 == number);
        for seen in elsewhere {
            if seen.root != root {
                return Err(anew("a checkpoint that was kept elsewhere"));
            }
        }
        let Some(row) = kept.iter().find(|row| row.tree_size == number) else {
            // Written in the block's own transaction, whatever waits.
            return match number % CHECKPOINT_EVERY {
                0 => {
                    let why =
                        format!("it is gone: each block whose number {CHECKPOINT_EVERY} divides bears a signature");
                    Err(Wrong::checkpoint(number, None, why))
                }
                _ => Ok(()),
            };
        };
        let (checkpoint, _) =
            keys.open(&row.note).map_err(|why| Wrong::checkpoint(number, Some("note"), why.to_string()))?;
        if (checkpoint.tenant, checkpoint.size as i64) != (tenant, number) {
            let why = format!("it was signed for {} blocks of {}", checkpoint.size, checkpoint.tenant);
            return Err(Wrong::checkpoint(number, Some("tree_size"), why));
        }
        if checkpoint.root != root {
            return Err(anew("the house's signed checkpoint"));
        }
        if checkpoint.signed_at != row.created_at {
            return Err(Wrong::checkpoint(number, Some("created_at"), "it was signed at another time"));
        }
        (self.signed, self.checkpoints) = (number, self.checkpoints + 1);
        Ok(())
    }
}

async fn check_block(tx: &TenantTx, salts: &Salts, walk: &mut Walk, block: &Block) -> Result<Result<(), Wrong>, Fault> {
    let due = walk.number() + 1;
    if block.number != due {
        return Ok(Err(Wrong::block(due, None, "it is gone")));
    }
    let standing = chain::operations_of_block(tx, due).await?;
    let before = chain::before_transfers(tx, due).await?;
    Ok(compare(tx.tenant(), salts, walk, block, &standing, |id| before.get(&id)))
}

fn compare<'a>(
    tenant: EnterpriseId,
    salts: &Salts,
    walk: &mut Walk,
    block: &Block,
    standing: &[Standing],
    before: impl Fn(OperationId) -> Option<&'a Before>,
) -> Result<(), Wrong> {
    let mut leaves = Vec::with_capacity(standing.len());
    for (due, row) in (0..).zip(standing) {
        if row.position != Some(due) {
            return Err(Wrong::operation(block.number, None, None, format!("the one at position {due} is gone")));
        }
        leaves.push(check_operation(tenant, salts, (block.number, due), row, before(row.row.operation_id))?);
    }
    check_head(tenant, walk, block, standing, &leaves)?;
    let due = seal(tenant, walk.last.as_ref(), &leaves, block.sealed_at, &mut walk.peaks);
    if due.subtrees != block.subtrees {
        return Err(Wrong::block(block.number, Some("subtrees"), "they are not those of the chain so far"));
    }
    walk.operations += leaves.len() as i64;
    walk.last = Some(block.clone());
    Ok(())
}

/// The leaf, where record and columns agree.
fn check_operation(
    tenant: EnterpriseId,
    salts: &Salts,
    place: (i64, i32),
    row: &Standing,
    before: Option<&Before>,
) -> Result<Hash, Wrong> {
    let wrong = |column, why: &str| Wrong::operation(place.0, Some(row.row.operation_id), Some(column), why);
    let held = before.and_then(|before| before.holder.zip(before.previous_id));
    let holding =
        held.map_or(Holding::TREASURY, |(id, since)| Holding { owner: Owner::Holder(id), since: Some(since) });
    let operation = row.row.operation().map_err(|_| wrong("kind", "the row lacks what such an operation needs"))?;
    let due = Record::new(salts, tenant, place, &operation, row.row.to_holder_id.map(|_| holding));
    let payload = row.payload.as_deref().unwrap_or_default();
    let leaf = record::leaf(payload);
    if row.leaf.as_deref() != Some(&leaf) {
        let column = if due.text() == payload { "leaf" } else { "payload" };
        return Err(wrong(column, "the record is not the one that its leaf was made of"));
    }
    let found: Record = match serde_json::from_str(payload) {
        Ok(record) => record,
        Err(error) => return Err(wrong("payload", &format!("it is no record: {error}"))),
    };
    let giver = match holding.owner {
        Owner::Treasury => None,
        Owner::Holder(holder) => Some(holder),
    };
    for (agrees, column) in [
        (found.enterprise == due.enterprise, "tenant_id"),
        (found.block == due.block, "block_number"),
        (found.position == due.position, "position"),
        (found.operation == due.operation, "operation_id"),
        (found.kind == due.kind, "kind"),
        (found.collectible == due.collectible, "collectible_id"),
        (found.first_serial == row.row.first_serial, "first_serial"),
        (found.count == row.row.piece_count, "piece_count"),
        (found.to == due.to, "to_holder_id"),
        (row.row.to_holder_id.is_none() || row.row.from_holder_id == giver, "from_holder_id"),
        (found.from == due.from, "from_holder_id"),
        (found.digest == due.digest, "digest"),
        (found == due, "payload"),
    ] {
        if !agrees {
            return Err(wrong(column, "it is not what the record says that was sealed"));
        }
    }
    Ok(leaf)
}

/// Whether the block's own row says what was sealed.
fn check_head(
    tenant: EnterpriseId,
    walk: &Walk,
    block: &Block,
    standing: &[Standing],
    leaves: &[Hash],
) -> Result<(), Wrong> {
    let number = block.number;
    let due = Block {
        previous_hash: walk.last.as_ref().map_or(GENESIS.to_vec(), |last| last.hash.clone()),
        operations_root: merkle::root(leaves).to_vec(),
        operation_count: leaves.len() as i32,
        ..block.clone()
    };
    if block.computed_hash(tenant)[..] != block.hash[..] {
        // Which column must be put right for the hash to follow again?
        let candidates = [
            ("previous_hash", Block { previous_hash: due.previous_hash.clone(), ..block.clone() }),
            ("operations_root", Block { operations_root: due.operations_root.clone(), ..block.clone() }),
            ("operation_count", Block { operation_count: due.operation_count, ..block.clone() }),
        ];
        let right = candidates.iter().find(|(_, candidate)| candidate.computed_hash(tenant)[..] == block.hash[..]);
        let column = right.map(|(column, _)| *column);
        return Err(Wrong::block(number, column, "its hash does not follow from its head"));
    }
    if block.previous_hash != due.previous_hash {
        return Err(Wrong::block(number, Some("previous_hash"), "it does not follow from the block before"));
    }
    if let Some(extra) = standing.get(block.operation_count.max(0) as usize) {
        let why = format!("it was put in: the block was sealed over {} operations", block.operation_count);
        return Err(Wrong::operation(number, Some(extra.row.operation_id), None, why));
    }
    if block.operation_count != due.operation_count {
        let why = format!("the one at position {} is gone", leaves.len());
        return Err(Wrong::operation(number, None, None, why));
    }
    if block.operations_root != due.operations_root {
        let why =
            "its operations are not those that it was sealed over; each agrees with itself, so one was written anew";
        return Err(Wrong::operation(number, None, None, why));
    }
    Ok(())
}
