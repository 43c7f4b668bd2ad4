//! SQL over holders and items. Transfers, and what else is about people, stand in files of their own beside this one.

pub mod codes;
pub mod identities;
pub mod personal;
pub mod points;
pub mod positions;
pub mod tags;
pub mod transfers;
pub mod wechat;

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt, Binary, Integer, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper};

use crate::catalog::model::CollectibleId;
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::platform::page::Page;
use crate::schema::{holders, items};
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::{Holder, HolderId, Item, ItemId};

pub struct NewHolder {
    pub id: HolderId,
    pub phone_hash: Vec<u8>,
    pub phone_sealed: Vec<u8>,
    pub phone_masked: String,
    pub nickname: String,
}

pub async fn holders_by_id(tx: &TenantTx, ids: &[HolderId]) -> Result<HashMap<HolderId, Holder>, Fault> {
    let query = holders::table.filter(holders::tenant_id.eq(tx.tenant())).filter(holders::id.eq_any(ids.to_vec()));
    let rows: Vec<Holder> = tx.load(query.select(Holder::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub async fn holders_by_phone_hash(tx: &TenantTx, hashes: &[Vec<u8>]) -> Result<HashMap<Vec<u8>, HolderId>, Fault> {
    let query = holders::table
        .filter(holders::tenant_id.eq(tx.tenant()))
        .filter(holders::phone_hash.eq_any(hashes.to_vec()))
        .select((holders::phone_hash, holders::id));
    let rows: Vec<(Option<Vec<u8>>, HolderId)> = tx.load(query).await?;
    Ok(rows.into_iter().filter_map(|(hash, id)| Some((hash?, id))).collect())
}

/// Inserts whom nobody has inserted yet; gives those that were.
pub async fn insert_holders_in(tx: &TenantTx, new: &[NewHolder]) -> Result<HashMap<Vec<u8>, HolderId>, Fault> {
    #[derive(QueryableByName)]
    struct Inserted {
        #[diesel(sql_type = Binary)]
        phone_hash: Vec<u8>,
        #[diesel(sql_type = SqlUuid)]
        id: HolderId,
    }
    // In the order of the hash, so that two sign-ons of the same people do not wait for each other in a ring.
    let mut new: Vec<&NewHolder> = new.iter().collect();
    new.sort_by(|a, b| a.phone_hash.cmp(&b.phone_hash));
    let statement = statement(
        "INSERT INTO holders (tenant_id, id, phone_hash, phone_sealed, phone_masked, nickname)
         SELECT $1, holder.* FROM unnest($2, $3, $4, $5, $6) AS holder
         ON CONFLICT (tenant_id, phone_hash) DO NOTHING
         RETURNING phone_hash, id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|holder| holder.id).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(new.iter().map(|holder| holder.phone_hash.clone()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(new.iter().map(|holder| holder.phone_sealed.clone()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|holder| holder.phone_masked.clone()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|holder| holder.nickname.clone()).collect::<Vec<_>>());
    let rows: Vec<Inserted> = tx.load(statement).await?;
    Ok(rows.into_iter().map(|row| (row.phone_hash, row.id)).collect())
}

#[derive(Clone, Debug, Default)]
pub struct HolderFilter {
    pub phone_hash: Option<Vec<u8>>,
}

pub async fn list_holders(tx: &TenantTx, filter: &HolderFilter, page: &Page<HolderId>) -> Result<Vec<Holder>, Fault> {
    let query = holders::table.filter(holders::tenant_id.eq(tx.tenant())).select(Holder::as_select());
    let mut query = paged!(query, holders::id, page);
    if let Some(hash) = &filter.phone_hash {
        query = query.filter(holders::phone_hash.eq(hash.clone()));
    }
    tx.load(query).await
}

pub async fn count_holders(tx: &TenantTx, filter: &HolderFilter) -> Result<i64, Fault> {
    let mut query = holders::table.filter(holders::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(hash) = &filter.phone_hash {
        query = query.filter(holders::phone_hash.eq(hash.clone()));
    }
    tx.one(query).await
}

pub async fn insert_items_in(tx: &TenantTx, collectible: CollectibleId, serials: Vec<i32>) -> Result<(), Fault> {
    #[derive(QueryableByName)]
    struct Inserted {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let expected = serials.len();
    // Counted by RETURNING: with ON CONFLICT the server would look into each unique index twice, half as much work
    // again. There is nothing to be in conflict with, and if there were, it should fail.
    let statement = statement(
        "WITH inserted AS (
            INSERT INTO items (tenant_id, id, collectible_id, serial)
            SELECT $1, item.id, $2, item.serial FROM unnest($3, $4) AS item (id, serial)
            RETURNING 1)
         SELECT count(*) AS count FROM inserted",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(collectible)
    .bind::<Array<SqlUuid>, _>(serials.iter().map(|_| id::generate()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(serials);
    let inserted: Inserted = tx.one(statement).await?;
    if inserted.count != expected as i64 {
        return Err(Fault::internal(anyhow::anyhow!("{expected} items were to be made, {} were", inserted.count)));
    }
    Ok(())
}

/// The items at these places that nobody holds, locked.
pub async fn treasury_items_in(
    tx: &TenantTx,
    places: &[(CollectibleId, i32)],
) -> Result<HashMap<(CollectibleId, i32), ItemId>, Fault> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = SqlUuid)]
        id: ItemId,
        #[diesel(sql_type = SqlUuid)]
        collectible_id: CollectibleId,
        #[diesel(sql_type = Integer)]
        serial: i32,
    }
    let statement = statement(
        "SELECT item.id, item.collectible_id, item.serial
           FROM unnest($2, $3) AS place (collectible_id, serial)
           JOIN items AS item ON item.tenant_id = $1 AND item.collectible_id = place.collectible_id AND item.serial = place.serial
          WHERE item.holder_id IS NULL
          ORDER BY item.id FOR NO KEY UPDATE OF item",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(places.iter().map(|place| place.0).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(places.iter().map(|place| place.1).collect::<Vec<_>>());
    let rows: Vec<Found> = tx.load(statement).await?;
    Ok(rows.into_iter().map(|row| ((row.collectible_id, row.serial), row.id)).collect())
}

pub async fn lock_item_in(tx: &TenantTx, id: ItemId) -> Result<Option<Item>, Fault> {
    tx.optional(
        items::table
            .filter(items::tenant_id.eq(tx.tenant()))
            .filter(items::id.eq(id))
            .select(Item::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn items_by_id(tx: &TenantTx, ids: &[ItemId]) -> Result<HashMap<ItemId, Item>, Fault> {
    let query = items::table.filter(items::tenant_id.eq(tx.tenant())).filter(items::id.eq_any(ids.to_vec()));
    let rows: Vec<Item> = tx.load(query.select(Item::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

#[derive(Clone, Debug, Default)]
pub struct ItemFilter {
    pub holder: Option<HolderId>,
    pub collectible: Option<CollectibleId>,
}

/// Items that somebody holds.
pub async fn list_items(tx: &TenantTx, filter: &ItemFilter, page: &Page<ItemId>) -> Result<Vec<Item>, Fault> {
    let query = items::table
        .filter(items::tenant_id.eq(tx.tenant()))
        .filter(items::holder_id.is_not_null())
        .select(Item::as_select());
    let mut query = paged!(query, items::id, page);
    if let Some(holder) = filter.holder {
        query = query.filter(items::holder_id.eq(holder));
    }
    if let Some(collectible) = filter.collectible {
        query = query.filter(items::collectible_id.eq(collectible));
    }
    tx.load(query).await
}

pub async fn count_items(tx: &TenantTx, filter: &ItemFilter) -> Result<i64, Fault> {
    let mut query = items::table
        .filter(items::tenant_id.eq(tx.tenant()))
        .filter(items::holder_id.is_not_null())
        .count()
        .into_boxed();
    if let Some(holder) = filter.holder {
        query = query.filter(items::holder_id.eq(holder));
    }
    if let Some(collectible) = filter.collectible {
        query = query.filter(items::collectible_id.eq(collectible));
    }
    tx.one(query).await
}

/// Gives items to their new holders. Their open transfers, which the caller has locked, keep anybody else from moving
/// them meanwhile.
pub async fn set_item_holders_in(tx: &TenantTx, moves: &[(ItemId, HolderId)]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE items AS item SET holder_id = change.holder_id, acquired_at = now(), version = item.version + 1
           FROM unnest($2, $3) AS change (id, holder_id)
          WHERE item.tenant_id = $1 AND item.id = change.id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(moves.iter().map(|change| change.0).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(moves.iter().map(|change| change.1).collect::<Vec<_>>());
    tx.execute_exactly(moves.len(), statement).await
}
