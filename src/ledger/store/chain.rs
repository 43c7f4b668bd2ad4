//! SQL over the chain: blocks, what stands in them, and checkpoints.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Uuid as SqlUuid};
use diesel::{
    ExpressionMethods, NullableExpressionMethods, QueryDsl, Queryable, QueryableByName, Selectable, SelectableHelper,
    insert_into,
};

use crate::ledger::merkle::{self, Hash, Run, Subtree};
use crate::ledger::model::{Block, OperationId};
use crate::ledger::store::OperationRow;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::schema::{ledger_blocks, ledger_checkpoints, ledger_operations};
use crate::tenancy::model::HolderId;
use crate::tenancy::scope::TenantTx;

pub async fn last_block(tx: &TenantTx) -> Result<Option<Block>, Fault> {
    tx.optional(
        ledger_blocks::table
            .filter(ledger_blocks::tenant_id.eq(tx.tenant()))
            .order(ledger_blocks::number.desc())
            .limit(1)
            .select(Block::as_select()),
    )
    .await
}

pub async fn blocks(tx: &TenantTx, numbers: &[i64]) -> Result<HashMap<i64, Block>, Fault> {
    let rows: Vec<Block> = tx
        .load(
            ledger_blocks::table
                .filter(ledger_blocks::tenant_id.eq(tx.tenant()))
                .filter(ledger_blocks::number.eq_any(numbers.to_vec()))
                .select(Block::as_select()),
        )
        .await?;
    Ok(rows.into_iter().map(|block| (block.number, block)).collect())
}

/// Blocks in order from `after` on.
pub async fn blocks_after(tx: &TenantTx, after: i64, limit: i64) -> Result<Vec<Block>, Fault> {
    tx.load(
        ledger_blocks::table
            .filter(ledger_blocks::tenant_id.eq(tx.tenant()))
            .filter(ledger_blocks::number.gt(after))
            .order(ledger_blocks::number)
            .limit(limit)
            .select(Block::as_select()),
    )
    .await
}

pub async fn insert_block_in(tx: &TenantTx, block: &Block) -> Result<(), Fault> {
    let row = (
        ledger_blocks::tenant_id.eq(tx.tenant()),
        ledger_blocks::number.eq(block.number),
        ledger_blocks::previous_hash.eq(block.previous_hash.clone()),
        ledger_blocks::operations_root.eq(block.operations_root.clone()),
        ledger_blocks::hash.eq(block.hash.clone()),
        ledger_blocks::operation_count.eq(block.operation_count),
        ledger_blocks::sealed_at.eq(block.sealed_at),
        ledger_blocks::subtrees.eq(block.subtrees.clone()),
    );
    tx.execute_exactly(1, insert_into(ledger_blocks::table).values(row)).await
}

/// The hashes of each run's full subtrees, the largest first, in the tree over the chain's blocks.
pub async fn subtrees(tx: &TenantTx, runs: &[Run]) -> Result<Vec<Vec<Hash>>, Fault> {
    let wanted: Vec<Vec<Subtree>> = runs.iter().map(|run| run.subtrees()).collect();
    let mut numbers: Vec<i64> = wanted.iter().flatten().map(|subtree| subtree.end as i64).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let kept = blocks(tx, &numbers).await?;
    let hash = |subtree: &Subtree| {
        let block = kept.get(&(subtree.end as i64)).ok_or_else(|| astray(subtree))?;
        match subtree.level.checked_sub(1) {
            None => Ok(merkle::leaf(&block.hash)),
            Some(place) => block
                .subtrees
                .chunks_exact(32)
                .nth(place as usize)
                .map_or_else(|| Err(astray(subtree)), |hash| Hash::try_from(hash).map_err(|_| astray(subtree))),
        }
    };
    wanted.iter().map(|run| run.iter().map(hash).collect()).collect()
}

fn astray(subtree: &Subtree) -> Fault {
    Fault::internal(anyhow::anyhow!("the chain does not hold {subtree:?}; run `minthouse ledger audit`"))
}

/// The leaves of these blocks' trees, each with its block, in order.
pub async fn leaves(tx: &TenantTx, blocks: &[i64]) -> Result<Vec<(i64, Vec<u8>)>, Fault> {
    tx.load(
        ledger_operations::table
            .filter(ledger_operations::tenant_id.eq(tx.tenant()))
            .filter(ledger_operations::block_number.eq_any(blocks.to_vec()))
            .order((ledger_operations::block_number, ledger_operations::position))
            .select((ledger_operations::block_number.assume_not_null(), ledger_operations::leaf.assume_not_null())),
    )
    .await
}

/// An operation of a block, as it stands there.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = ledger_operations)]
pub struct Standing {
    pub position: Option<i32>,
    #[diesel(embed)]
    pub row: OperationRow,
    pub payload: Option<String>,
    pub leaf: Option<Vec<u8>>,
}

/// The operations of one block, in order.
pub async fn operations_of_block(tx: &TenantTx, block: i64) -> Result<Vec<Standing>, Fault> {
    tx.load(
        ledger_operations::table
            .filter(ledger_operations::tenant_id.eq(tx.tenant()))
            .filter(ledger_operations::block_number.eq(block))
            .order(ledger_operations::position)
            .select(Standing::as_select()),
    )
    .await
}

/// The transfer before, of the same piece.
#[derive(Clone, Debug, Queryable, QueryableByName)]
pub struct Before {
    #[diesel(sql_type = SqlUuid)]
    pub operation_id: OperationId,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub previous_id: Option<OperationId>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub holder: Option<HolderId>,
}

/// For each transfer of a block, the one that brought the piece to its giver; none where that was the treasury.
pub async fn before_transfers(tx: &TenantTx, block: i64) -> Result<HashMap<OperationId, Before>, Fault> {
    let statement = statement(
        "SELECT operation.operation_id, last.operation_id AS previous_id, last.to_holder_id AS holder
           FROM ledger_operations AS operation
           LEFT JOIN LATERAL (
                SELECT before.operation_id, before.to_holder_id FROM ledger_operations AS before
                 WHERE before.tenant_id = $1 AND before.kind = 'TRANSFER' AND before.state = 'CONFIRMED'
                   AND before.collectible_id = operation.collectible_id AND before.first_serial = operation.first_serial
                   AND (before.block_number, before.position) < (operation.block_number, operation.position)
                 ORDER BY before.block_number DESC, before.position DESC LIMIT 1) AS last ON true
          WHERE operation.tenant_id = $1 AND operation.block_number = $2 AND operation.kind = 'TRANSFER'",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<BigInt, _>(block);
    let rows: Vec<Before> = tx.load(statement).await?;
    Ok(rows.into_iter().map(|row| (row.operation_id, row)).collect())
}

/// A checkpoint as it is kept.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = ledger_checkpoints)]
pub struct CheckpointRow {
    pub tree_size: i64,
    pub note: String,
    pub created_at: DateTime<Utc>,
}

pub async fn insert_checkpoint_in(
    tx: &TenantTx,
    tree_size: u64,
    note: String,
    created_at: DateTime<Utc>,
) -> Result<(), Fault> {
    let row = (
        ledger_checkpoints::tenant_id.eq(tx.tenant()),
        ledger_checkpoints::tree_size.eq(tree_size as i64),
        ledger_checkpoints::note.eq(note),
        ledger_checkpoints::created_at.eq(created_at),
    );
    tx.execute_exactly(1, insert_into(ledger_checkpoints::table).values(row)).await
}

pub async fn last_checkpoint(tx: &TenantTx) -> Result<Option<CheckpointRow>, Fault> {
    tx.optional(
        ledger_checkpoints::table
            .filter(ledger_checkpoints::tenant_id.eq(tx.tenant()))
            .order(ledger_checkpoints::tree_size.desc())
            .limit(1)
            .select(CheckpointRow::as_select()),
    )
    .await
}

/// The checkpoints of the blocks from `after` to `until`, in order.
pub async fn checkpoints_between(tx: &TenantTx, after: i64, until: i64) -> Result<Vec<CheckpointRow>, Fault> {
    tx.load(
        ledger_checkpoints::table
            .filter(ledger_checkpoints::tenant_id.eq(tx.tenant()))
            .filter(ledger_checkpoints::tree_size.gt(after))
            .filter(ledger_checkpoints::tree_size.le(until))
            .order(ledger_checkpoints::tree_size)
            .select(CheckpointRow::as_select()),
    )
    .await
}

/// The highest block that an operation or a checkpoint names; 0 where none does.
pub async fn highest_named(tx: &TenantTx) -> Result<i64, Fault> {
    #[derive(QueryableByName)]
    struct Highest {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    let statement = statement(
        "SELECT greatest((SELECT max(block_number) FROM ledger_operations WHERE tenant_id = $1),
                         (SELECT max(tree_size) FROM ledger_checkpoints WHERE tenant_id = $1), 0) AS number",
    )
    .bind::<SqlUuid, _>(tx.tenant());
    Ok(tx.one::<Highest, _, _>(statement).await?.number)
}
