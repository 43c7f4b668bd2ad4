//! SQL over holders, items and transfers. What is about people stands in files of its own beside this one.

pub mod codes;
pub mod identities;
pub mod personal;
pub mod positions;
pub mod wechat;

use std::collections::HashMap;

use diesel::sql_types::{Array, Binary, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper};
use uuid::Uuid;

use crate::catalog::model::CollectibleId;
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::platform::page::Page;
use crate::schema::{holders, items, transfers};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantTx};
use crate::wallets::model::{Holder, HolderId, Item, ItemId, Transfer, TransferCause, TransferId, TransferState};

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

pub async fn insert_items_in(
    tx: &TenantTx,
    collectible: CollectibleId,
    first_serial: i32,
    count: i32,
) -> Result<(), Fault> {
    let ids: Vec<Uuid> = (0..count).map(|_| id::generate()).collect();
    let statement = statement(
        "INSERT INTO items (tenant_id, id, collectible_id, serial)
         SELECT $1, item.id, $2, item.serial FROM unnest($3, $4) AS item (id, serial)
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<SqlUuid, _>(collectible)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Integer>, _>((first_serial..first_serial + count).collect::<Vec<_>>());
    tx.execute_exactly(count as usize, statement).await
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

pub struct NewTransfer {
    pub id: TransferId,
    pub item: ItemId,
    pub from: Option<HolderId>,
    pub to: HolderId,
    pub cause: TransferCause,
    pub cause_id: Uuid,
}

pub async fn insert_transfers_in(tx: &TenantTx, new: &[NewTransfer]) -> Result<Vec<Transfer>, Fault> {
    let statement = statement(
        "INSERT INTO transfers (tenant_id, id, item_id, from_holder_id, to_holder_id, cause, cause_id)
         SELECT $1, transfer.* FROM unnest($2, $3, $4, $5, $6, $7) AS transfer
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|transfer| transfer.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|transfer| transfer.item).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(new.iter().map(|transfer| transfer.from).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|transfer| transfer.to).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(new.iter().map(|transfer| transfer.cause).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(new.iter().map(|transfer| transfer.cause_id).collect::<Vec<_>>());
    tx.execute_exactly(new.len(), statement).await?;
    let ids: Vec<TransferId> = new.iter().map(|transfer| transfer.id).collect();
    in_order(&ids, transfers_by_id(tx, &ids).await?)
}

pub async fn transfers_by_id(tx: &TenantTx, ids: &[TransferId]) -> Result<HashMap<TransferId, Transfer>, Fault> {
    let query =
        transfers::table.filter(transfers::tenant_id.eq(tx.tenant())).filter(transfers::id.eq_any(ids.to_vec()));
    let rows: Vec<Transfer> = tx.load(query.select(Transfer::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Locked in the order of their IDs.
pub async fn lock_transfers_in(tx: &TenantTx, ids: &[TransferId]) -> Result<Vec<Transfer>, Fault> {
    tx.load(
        transfers::table
            .filter(transfers::tenant_id.eq(tx.tenant()))
            .filter(transfers::id.eq_any(ids.to_vec()))
            .order(transfers::id)
            .select(Transfer::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn has_open_transfer(tx: &TenantTx, item: ItemId) -> Result<bool, Fault> {
    tx.one(diesel::select(diesel::dsl::exists(
        transfers::table
            .filter(transfers::tenant_id.eq(tx.tenant()))
            .filter(transfers::item_id.eq(item))
            .filter(transfers::state.eq_any(TransferState::OPEN)),
    )))
    .await
}

/// Whether something is on its way to or from a holder.
pub async fn has_open_transfer_of(tx: &TenantTx, holder: HolderId) -> Result<bool, Fault> {
    tx.one(diesel::select(diesel::dsl::exists(
        transfers::table
            .filter(transfers::tenant_id.eq(tx.tenant()))
            .filter(transfers::from_holder_id.eq(holder).or(transfers::to_holder_id.eq(holder)))
            .filter(transfers::state.eq_any(TransferState::OPEN)),
    )))
    .await
}

/// The tenants with transfers to move on.
pub async fn tenants_transferring(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    tx.load(
        transfers::table
            .filter(transfers::state.eq_any(TransferState::OPEN))
            .filter(transfers::due_at.le(diesel::dsl::now))
            .select(transfers::tenant_id)
            .distinct(),
    )
    .await
}

/// Transfers in one state whose time has come.
pub async fn due_transfers(tx: &TenantTx, state: TransferState, limit: i64) -> Result<Vec<Transfer>, Fault> {
    tx.load(
        transfers::table
            .filter(transfers::tenant_id.eq(tx.tenant()))
            .filter(transfers::state.eq(state))
            .filter(transfers::due_at.le(diesel::dsl::now))
            .order(transfers::id)
            .limit(limit)
            .select(Transfer::as_select()),
    )
    .await
}

/// The same, locked; other workers pass them over.
pub async fn lock_due_transfers_in(tx: &TenantTx, state: TransferState, limit: i64) -> Result<Vec<Transfer>, Fault> {
    tx.load(
        transfers::table
            .filter(transfers::tenant_id.eq(tx.tenant()))
            .filter(transfers::state.eq(state))
            .filter(transfers::due_at.le(diesel::dsl::now))
            .order(transfers::id)
            .limit(limit)
            .select(Transfer::as_select())
            .for_no_key_update()
            .skip_locked(),
    )
    .await
}

pub async fn set_transfer_states_in(
    tx: &TenantTx,
    moves: &[(TransferId, TransferState)],
) -> Result<Vec<Transfer>, Fault> {
    let statement = statement(
        "UPDATE transfers AS transfer SET state = change.state, version = transfer.version + 1, updated_at = now(), due_at = now()
           FROM unnest($2, $3) AS change (id, state)
          WHERE transfer.tenant_id = $1 AND transfer.id = change.id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(moves.iter().map(|change| change.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(moves.iter().map(|change| change.1).collect::<Vec<_>>());
    tx.execute_exactly(moves.len(), statement).await?;
    let ids: Vec<TransferId> = moves.iter().map(|change| change.0).collect();
    in_order(&ids, transfers_by_id(tx, &ids).await?)
}

#[derive(Clone, Debug, Default)]
pub struct TransferFilter {
    pub item: Option<ItemId>,
    pub states: Option<Vec<TransferState>>,
}

pub async fn list_transfers(
    tx: &TenantTx,
    filter: &TransferFilter,
    page: &Page<TransferId>,
) -> Result<Vec<Transfer>, Fault> {
    let query = transfers::table.filter(transfers::tenant_id.eq(tx.tenant())).select(Transfer::as_select());
    let mut query = paged!(query, transfers::id, page);
    if let Some(item) = filter.item {
        query = query.filter(transfers::item_id.eq(item));
    }
    if let Some(states) = &filter.states {
        query = query.filter(transfers::state.eq_any(states.clone()));
    }
    tx.load(query).await
}

pub async fn count_transfers(tx: &TenantTx, filter: &TransferFilter) -> Result<i64, Fault> {
    let mut query = transfers::table.filter(transfers::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(item) = filter.item {
        query = query.filter(transfers::item_id.eq(item));
    }
    if let Some(states) = &filter.states {
        query = query.filter(transfers::state.eq_any(states.clone()));
    }
    tx.one(query).await
}

fn in_order(ids: &[TransferId], mut found: HashMap<TransferId, Transfer>) -> Result<Vec<Transfer>, Fault> {
    ids.iter().map(|id| found.remove(id).ok_or(Fault::NotFound)).collect()
}
