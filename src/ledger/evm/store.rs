//! SQL over an enterprise's operations and their transactions. What crosses enterprises is in [`super::queue`].

use std::collections::{HashMap, HashSet};

use alloy::primitives::Address;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl};
use uuid::Uuid;

use crate::catalog::model::CollectibleId;
use crate::ledger::evm::contract::hash_text;
use crate::ledger::evm::model::{
    MOST_REVERTS, OperationState, Settlement, Told, TransactionKey, TransactionState, Waiting,
};
use crate::ledger::model::{Operation, OperationId, OperationKind, Place, Receipt};
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::schema::evm_operations;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantTx};

/// Operations that are there already are left as they are.
pub async fn insert_operations_in(tx: &TenantTx, operations: &[Operation]) -> Result<(), Fault> {
    let (mut payloads, mut collectibles) = (Vec::with_capacity(operations.len()), Vec::with_capacity(operations.len()));
    for operation in operations {
        // The contract knows pieces alone.
        let pieceless = || Fault::internal(anyhow::anyhow!("{} is not for the EVM ledger", operation.id));
        collectibles.push(operation.content.collectible().ok_or_else(pieceless)?);
        payloads.push(serde_json::to_string(&operation.content).map_err(Fault::internal)?);
    }
    let statement = statement(
        "INSERT INTO evm_operations (tenant_id, operation_id, sequence_id, kind, collectible_id, payload)
         SELECT $1, operation.* FROM unnest($2, $3, $4, $5, $6) AS operation ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(operations.iter().map(|operation| operation.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(operations.iter().map(|_| id::generate()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(operations.iter().map(|operation| operation.content.kind()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(collectibles)
    .bind::<Array<Text>, _>(payloads);
    tx.execute(statement).await?;
    Ok(())
}

/// Those among collectibles that pieces of this enterprise's own were issued of.
pub async fn issued_among(tx: &TenantTx, collectibles: &[CollectibleId]) -> Result<HashSet<CollectibleId>, Fault> {
    let found: Vec<CollectibleId> = tx
        .load(
            evm_operations::table
                .filter(evm_operations::tenant_id.eq(tx.tenant()))
                .filter(evm_operations::collectible_id.eq_any(collectibles.to_vec()))
                .filter(evm_operations::kind.eq(OperationKind::Issue))
                // Who only asks for another's collectible is refused, and is not to be told of it.
                .filter(evm_operations::state.eq(OperationState::Confirmed))
                .select(evm_operations::collectible_id),
        )
        .await?;
    Ok(found.into_iter().collect())
}

type ReceiptRow = (OperationId, OperationState, Option<i64>, Option<i32>, Option<Vec<u8>>, Option<String>);

pub async fn receipts(tx: &TenantTx, ids: &[OperationId]) -> Result<HashMap<OperationId, Receipt>, Fault> {
    let rows: Vec<ReceiptRow> = tx
        .load(
            evm_operations::table
                .filter(evm_operations::tenant_id.eq(tx.tenant()))
                .filter(evm_operations::operation_id.eq_any(ids.to_vec()))
                .select((
                    evm_operations::operation_id,
                    evm_operations::state,
                    evm_operations::block_number,
                    evm_operations::log_index,
                    evm_operations::transaction_hash,
                    evm_operations::reason,
                )),
        )
        .await?;
    let receipt = |(id, state, block, position, transaction, reason): ReceiptRow| {
        let receipt = match (state, block) {
            (OperationState::Confirmed, Some(block)) => {
                let transaction = transaction.map(|hash| hash_text(&hash));
                Receipt::Confirmed(Place { block, position: position.unwrap_or(Place::SOMEWHERE), transaction })
            }
            (OperationState::Refused, _) => Receipt::Refused { reason: reason.unwrap_or_default() },
            _ => Receipt::Pending,
        };
        (id, receipt)
    };
    Ok(rows.into_iter().map(receipt).collect())
}

/// The enterprises whose operations wait for a transaction. One that has a transaction without a nonce is left out:
/// what comes in meanwhile shall travel together.
pub async fn tenants_waiting(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    #[derive(diesel::QueryableByName)]
    struct Due {
        #[diesel(sql_type = SqlUuid)]
        tenant_id: EnterpriseId,
    }
    let statement = statement(
        "SELECT tenant.tenant_id FROM enterprises AS tenant
          WHERE EXISTS (SELECT FROM evm_operations AS operation
                         WHERE operation.tenant_id = tenant.tenant_id AND operation.state = 'WAITING')
            AND NOT EXISTS (SELECT FROM evm_transactions AS transaction
                             WHERE transaction.tenant_id = tenant.tenant_id AND transaction.state = 'WAITING')",
    );
    Ok(tx.load::<Due, _, _>(statement).await?.into_iter().map(|due| due.tenant_id).collect())
}

#[derive(diesel::QueryableByName)]
struct OperationRow {
    #[diesel(sql_type = SqlUuid)]
    operation_id: OperationId,
    #[diesel(sql_type = Text)]
    payload: String,
    #[diesel(sql_type = Integer)]
    reverts: i32,
}

impl OperationRow {
    fn read(self) -> Result<Waiting, Fault> {
        let content = serde_json::from_str(&self.payload).map_err(Fault::internal)?;
        Ok(Waiting { operation: Operation { id: self.operation_id, content }, reverts: self.reverts })
    }
}

/// In the order in which they were handed over. The caller has the enterprise's row, or two would take them crosswise.
pub async fn lock_waiting_in(tx: &TenantTx, limit: i64) -> Result<Vec<Waiting>, Fault> {
    let statement = statement(
        "SELECT operation_id, payload, reverts FROM evm_operations
          WHERE tenant_id = $1 AND state = 'WAITING' ORDER BY sequence_id LIMIT $2 FOR NO KEY UPDATE",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<BigInt, _>(limit);
    tx.load::<OperationRow, _, _>(statement).await?.into_iter().map(OperationRow::read).collect()
}

pub async fn bundle_in(
    tx: &TenantTx,
    chain: u64,
    contract: Address,
    gas_limit: u64,
    operations: &[OperationId],
) -> Result<(), Fault> {
    let transaction = id::generate();
    let insert = statement(
        "INSERT INTO evm_transactions (tenant_id, id, chain_id, contract, gas_limit) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(transaction)
    .bind::<BigInt, _>(chain.cast_signed())
    .bind::<Binary, _>(contract.to_vec())
    .bind::<BigInt, _>(gas_limit.cast_signed());
    tx.execute_exactly(1, insert).await?;
    let bundle = statement(
        "UPDATE evm_operations SET state = 'BUNDLED', transaction_id = $2
          WHERE tenant_id = $1 AND operation_id = ANY ($3) AND state = 'WAITING'",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(transaction)
    .bind::<Array<SqlUuid>, _>(operations.to_vec());
    tx.execute_exactly(operations.len(), bundle).await
}

/// What a transaction carries, in order.
pub async fn operations_of(tx: &TenantTx, transaction: Uuid) -> Result<Vec<Operation>, Fault> {
    let statement = statement(
        "SELECT operation_id, payload, reverts FROM evm_operations
          WHERE tenant_id = $1 AND transaction_id = $2 AND state = 'BUNDLED' ORDER BY sequence_id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(transaction);
    let rows = tx.load::<OperationRow, _, _>(statement).await?;
    rows.into_iter().map(|row| row.read().map(|waiting| waiting.operation)).collect()
}

/// Ends a transaction. `false` where another server was first.
pub async fn close_in(tx: &TenantTx, key: TransactionKey, state: TransactionState) -> Result<bool, Fault> {
    let statement = statement(
        "UPDATE evm_transactions SET state = $3 WHERE tenant_id = $1 AND id = $2 AND state IN ('SENT', 'MINED')",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(key.id)
    .bind::<Text, _>(state);
    Ok(tx.execute(statement).await? == 1)
}

/// Writes down what became of a transaction's operations.
pub async fn settle_in(tx: &TenantTx, settlements: &[Settlement]) -> Result<(), Fault> {
    let of = |settlement: &Settlement| match settlement.refusal {
        Some(_) => OperationState::Refused,
        None => OperationState::Confirmed,
    };
    let told: Vec<Option<Told>> = settlements.iter().map(|settled| settled.told).collect();
    let statement = statement(
        "UPDATE evm_operations AS operation
            SET state = settled.state, block_number = settled.block_number, log_index = settled.log_index,
                transaction_hash = settled.transaction_hash, reason = settled.reason
           FROM unnest($2, $3, $4, $5, $6, $7) AS settled (id, state, block_number, log_index, transaction_hash, reason)
          WHERE operation.tenant_id = $1 AND operation.operation_id = settled.id AND operation.state = 'BUNDLED'",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(settlements.iter().map(|settled| settled.operation).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(settlements.iter().map(of).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(settlements.iter().map(|settled| settled.block_number.cast_signed()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Integer>>, _>(told.iter().map(|told| told.map(|told| told.log_index)).collect::<Vec<_>>())
    .bind::<Array<Nullable<Binary>>, _>(
        told.iter().map(|told| told.map(|told| told.transaction_hash.to_vec())).collect::<Vec<_>>(),
    )
    .bind::<Array<Nullable<Text>>, _>(settlements.iter().map(|settled| settled.refusal.clone()).collect::<Vec<_>>());
    tx.execute_exactly(settlements.len(), statement).await
}

/// Lets what is left of a transaction's operations wait again; after a revert, not for ever.
pub async fn release_in(tx: &TenantTx, transaction: Uuid, reverted: bool) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE evm_operations
            SET reverts = reverts + CASE WHEN $3 THEN 1 ELSE 0 END,
                state = CASE WHEN $3 AND reverts + 1 >= $4 THEN 'REFUSED' ELSE 'WAITING' END,
                reason = CASE WHEN $3 AND reverts + 1 >= $4 THEN $5 END,
                transaction_id = NULL
          WHERE tenant_id = $1 AND transaction_id = $2 AND state = 'BUNDLED'",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(transaction)
    .bind::<Bool, _>(reverted)
    .bind::<Integer, _>(MOST_REVERTS)
    .bind::<Text, _>("the chain has taken it back each time that it was sent");
    tx.execute(statement).await.map(drop)
}
