//! SQL over the embedded ledger.

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, insert_into};

use crate::catalog::model::CollectibleId;
use crate::ledger::model::{Block, Operation, OperationId, Owner, Piece, Place, Receipt};
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::schema::{ledger_blocks, ledger_operations};
use crate::tenancy::model::{EnterpriseId, HolderId};
use crate::tenancy::scope::{HouseTx, TenantTx};

pub async fn insert_operations_in(tx: &TenantTx, operations: &[Operation]) -> Result<(), Fault> {
    let mut payloads = Vec::with_capacity(operations.len());
    for operation in operations {
        payloads.push(serde_json::to_string(&operation.content).map_err(Fault::internal)?);
    }
    let statement = statement(
        "INSERT INTO ledger_operations (tenant_id, operation_id, kind, payload)
         SELECT $1, operation.* FROM unnest($2, $3, $4) AS operation ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(operations.iter().map(|operation| operation.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(operations.iter().map(|operation| operation.content.kind()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(payloads);
    tx.execute(statement).await?;
    Ok(())
}

pub async fn receipts(tx: &TenantTx, ids: &[OperationId]) -> Result<HashMap<OperationId, Receipt>, Fault> {
    let rows: Vec<(OperationId, Option<i64>, Option<i32>)> = tx
        .load(
            ledger_operations::table
                .filter(ledger_operations::tenant_id.eq(tx.tenant()))
                .filter(ledger_operations::operation_id.eq_any(ids.to_vec()))
                .select((
                    ledger_operations::operation_id,
                    ledger_operations::block_number,
                    ledger_operations::position,
                )),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, block, position)| match (block, position) {
            (Some(block), Some(position)) => (id, Receipt::Confirmed(Place { block, position, transaction: None })),
            _ => (id, Receipt::Pending),
        })
        .collect())
}

/// The last confirmed word on each piece.
pub async fn owners(tx: &TenantTx, pieces: &[Piece]) -> Result<HashMap<Piece, Owner>, Fault> {
    #[derive(QueryableByName)]
    struct Last {
        #[diesel(sql_type = SqlUuid)]
        collectible: CollectibleId,
        #[diesel(sql_type = Integer)]
        serial: i32,
        #[diesel(sql_type = Nullable<SqlUuid>)]
        holder: Option<HolderId>,
    }
    let statement = statement(
        "SELECT piece.collectible, piece.serial, last.holder
           FROM unnest($2, $3) AS piece (collectible, serial)
          CROSS JOIN LATERAL (
                SELECT (payload::json ->> 'to')::uuid AS holder
                  FROM ledger_operations
                 WHERE tenant_id = $1 AND state = 'CONFIRMED'
                   AND (payload::json ->> 'collectibleId')::uuid = piece.collectible
                   AND ((payload::json ->> 'serial')::integer = piece.serial
                        OR piece.serial - (payload::json ->> 'firstSerial')::integer
                           BETWEEN 0 AND (payload::json ->> 'count')::integer - 1)
                 ORDER BY block_number DESC, position DESC LIMIT 1) AS last",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(pieces.iter().map(|piece| piece.collectible).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(pieces.iter().map(|piece| piece.serial).collect::<Vec<_>>());
    let rows: Vec<Last> = tx.load(statement).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let piece = Piece { collectible: row.collectible, serial: row.serial };
            (piece, row.holder.map_or(Owner::Treasury, Owner::Holder))
        })
        .collect())
}

/// The tenants whose operations wait for a block.
pub async fn tenants_pending(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    tx.load(
        ledger_operations::table
            .filter(ledger_operations::state.eq("PENDING"))
            .select(ledger_operations::tenant_id)
            .distinct(),
    )
    .await
}

pub async fn lock_pending_in(tx: &TenantTx, limit: i64) -> Result<Vec<(OperationId, String)>, Fault> {
    tx.load(
        ledger_operations::table
            .filter(ledger_operations::tenant_id.eq(tx.tenant()))
            .filter(ledger_operations::state.eq("PENDING"))
            .order(ledger_operations::operation_id)
            .limit(limit)
            .select((ledger_operations::operation_id, ledger_operations::payload))
            .for_no_key_update(),
    )
    .await
}

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

/// `false` where another sealer has made this block already.
pub async fn insert_block_in(tx: &TenantTx, block: &Block) -> Result<bool, Fault> {
    let row = (
        ledger_blocks::tenant_id.eq(tx.tenant()),
        ledger_blocks::number.eq(block.number),
        ledger_blocks::previous_hash.eq(block.previous_hash.clone()),
        ledger_blocks::operations_hash.eq(block.operations_hash.clone()),
        ledger_blocks::hash.eq(block.hash.clone()),
        ledger_blocks::operation_count.eq(block.operation_count),
        ledger_blocks::sealed_at.eq(block.sealed_at),
    );
    Ok(tx.execute(insert_into(ledger_blocks::table).values(row).on_conflict_do_nothing()).await? == 1)
}

pub async fn confirm_in(tx: &TenantTx, block: i64, ids: &[OperationId]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE ledger_operations AS operation SET state = 'CONFIRMED', block_number = $2, position = place.position
           FROM unnest($3, $4) AS place (id, position)
          WHERE operation.tenant_id = $1 AND operation.operation_id = place.id AND operation.state = 'PENDING'",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<BigInt, _>(block)
    .bind::<Array<SqlUuid>, _>(ids.to_vec())
    .bind::<Array<Integer>, _>((0..ids.len() as i32).collect::<Vec<_>>());
    tx.execute_exactly(ids.len(), statement).await
}

/// Blocks in order from `after` on, for audits.
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

/// The operations of one block, in order.
pub async fn operations_of_block(tx: &TenantTx, block: i64) -> Result<Vec<(OperationId, String)>, Fault> {
    tx.load(
        ledger_operations::table
            .filter(ledger_operations::tenant_id.eq(tx.tenant()))
            .filter(ledger_operations::block_number.eq(block))
            .order(ledger_operations::position)
            .select((ledger_operations::operation_id, ledger_operations::payload)),
    )
    .await
}
