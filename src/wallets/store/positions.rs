//! SQL over where items lie, for comparing them with the ledger.

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Uuid as SqlUuid};

use crate::catalog::model::CollectibleId;
use crate::ledger::model::LedgerKind;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::{HolderId, ItemId};

/// Where an item lies.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct Position {
    #[diesel(sql_type = SqlUuid)]
    pub id: ItemId,
    #[diesel(sql_type = SqlUuid)]
    pub collectible_id: CollectibleId,
    #[diesel(sql_type = Integer)]
    pub serial: i32,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub holder_id: Option<HolderId>,
    #[diesel(sql_type = Integer)]
    pub version: i32,
}

/// Items on this ledger that no open transfer is about, in the order of their IDs.
pub async fn settled_positions(
    tx: &TenantTx,
    ledger: LedgerKind,
    after: Option<ItemId>,
    limit: i64,
) -> Result<Vec<Position>, Fault> {
    let statement = statement(
        "SELECT item.id, item.collectible_id, item.serial, item.holder_id, item.version FROM items AS item
           JOIN issuances AS issuance
             ON issuance.tenant_id = $1 AND issuance.collectible_id = item.collectible_id AND issuance.ledger = $4
          WHERE item.tenant_id = $1 AND item.id > $2
            AND NOT EXISTS (SELECT FROM transfers AS transfer
                 WHERE transfer.tenant_id = $1 AND transfer.item_id = item.id
                   AND transfer.state IN ('REQUESTED', 'LOCKED', 'SUBMITTED', 'CONFIRMED', 'UNKNOWN'))
          ORDER BY item.id LIMIT $3",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(after.unwrap_or(ItemId::from_uuid(uuid::Uuid::nil())))
    .bind::<BigInt, _>(limit)
    .bind::<Text, _>(ledger);
    tx.load(statement).await
}

/// Those of these items that no open transfer is about.
pub async fn settled_positions_of(tx: &TenantTx, ids: &[ItemId]) -> Result<Vec<Position>, Fault> {
    let statement = statement(
        "SELECT item.id, item.collectible_id, item.serial, item.holder_id, item.version FROM items AS item
          WHERE item.tenant_id = $1 AND item.id = ANY ($2)
            AND NOT EXISTS (SELECT FROM transfers AS transfer
                 WHERE transfer.tenant_id = $1 AND transfer.item_id = item.id
                   AND transfer.state IN ('REQUESTED', 'LOCKED', 'SUBMITTED', 'CONFIRMED', 'UNKNOWN'))",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(ids.to_vec());
    tx.load(statement).await
}

/// A batch whose pieces were brought into being, and the first of them that has no item any more.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct BatchLooked {
    #[diesel(sql_type = SqlUuid)]
    pub collectible_id: CollectibleId,
    #[diesel(sql_type = Integer)]
    pub number: i32,
    #[diesel(sql_type = Nullable<Integer>)]
    pub missing: Option<i32>,
}

/// Confirmed batches on this ledger in their order, each looked through for pieces without an item.
pub async fn batches_looked_through(
    tx: &TenantTx,
    ledger: LedgerKind,
    after: Option<(CollectibleId, i32)>,
    limit: i64,
) -> Result<Vec<BatchLooked>, Fault> {
    let (collectible, number) = after.unwrap_or((CollectibleId::from_uuid(uuid::Uuid::nil()), -1));
    let statement = statement(
        "SELECT batch.collectible_id, batch.number,
                (SELECT min(due.serial)
                   FROM generate_series(batch.first_serial, batch.first_serial + batch.count - 1) AS due (serial)
                  WHERE NOT EXISTS (SELECT FROM items AS item
                         WHERE item.tenant_id = $1 AND item.collectible_id = batch.collectible_id AND item.serial = due.serial))
                AS missing
           FROM issuance_batches AS batch
           JOIN issuances AS issuance
             ON issuance.tenant_id = $1 AND issuance.collectible_id = batch.collectible_id AND issuance.ledger = $5
          WHERE batch.tenant_id = $1 AND batch.state = 'CONFIRMED' AND (batch.collectible_id, batch.number) > ($2, $3)
          ORDER BY batch.collectible_id, batch.number LIMIT $4",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(collectible)
    .bind::<Integer, _>(number)
    .bind::<BigInt, _>(limit)
    .bind::<Text, _>(ledger);
    tx.load(statement).await
}
