//! SQL over the histories. The server's roles add to them and read them, nothing else.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, insert_into};
use serde_json::Value;

use crate::catalog::model::{ChangeId, CollectibleChange, CollectibleId, SeriesChange, SeriesId};
use crate::paged;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{collectible_changes, series_changes};
use crate::tenancy::scope::TenantTx;

pub async fn insert_of_collectible_in(
    tx: &TenantTx,
    (id, version): (CollectibleId, i32),
    action: &str,
    fields: Value,
) -> Result<(), Fault> {
    let row = (
        collectible_changes::tenant_id.eq(tx.tenant()),
        collectible_changes::id.eq(ChangeId::generate()),
        collectible_changes::collectible_id.eq(id),
        collectible_changes::version.eq(version),
        collectible_changes::action.eq(action.to_owned()),
        collectible_changes::actor_kind.eq(tx.actor().kind),
        collectible_changes::actor_id.eq(tx.actor().id),
        collectible_changes::fields.eq(fields),
    );
    tx.execute_exactly(1, insert_into(collectible_changes::table).values(row)).await
}

pub async fn insert_of_series_in(
    tx: &TenantTx,
    (id, version): (SeriesId, i32),
    action: &str,
    fields: Value,
) -> Result<(), Fault> {
    let row = (
        series_changes::tenant_id.eq(tx.tenant()),
        series_changes::id.eq(ChangeId::generate()),
        series_changes::series_id.eq(id),
        series_changes::version.eq(version),
        series_changes::action.eq(action.to_owned()),
        series_changes::actor_kind.eq(tx.actor().kind),
        series_changes::actor_id.eq(tx.actor().id),
        series_changes::fields.eq(fields),
    );
    tx.execute_exactly(1, insert_into(series_changes::table).values(row)).await
}

pub async fn list_of_collectible(
    tx: &TenantTx,
    id: CollectibleId,
    page: &Page<ChangeId>,
) -> Result<Vec<CollectibleChange>, Fault> {
    let query = collectible_changes::table
        .filter(collectible_changes::tenant_id.eq(tx.tenant()))
        .filter(collectible_changes::collectible_id.eq(id))
        .select(CollectibleChange::as_select());
    tx.load(paged!(query, collectible_changes::id, page)).await
}

pub async fn count_of_collectible(tx: &TenantTx, id: CollectibleId) -> Result<i64, Fault> {
    let query = collectible_changes::table
        .filter(collectible_changes::tenant_id.eq(tx.tenant()))
        .filter(collectible_changes::collectible_id.eq(id));
    tx.one(query.count()).await
}

pub async fn list_of_series(tx: &TenantTx, id: SeriesId, page: &Page<ChangeId>) -> Result<Vec<SeriesChange>, Fault> {
    let query = series_changes::table
        .filter(series_changes::tenant_id.eq(tx.tenant()))
        .filter(series_changes::series_id.eq(id))
        .select(SeriesChange::as_select());
    tx.load(paged!(query, series_changes::id, page)).await
}

pub async fn count_of_series(tx: &TenantTx, id: SeriesId) -> Result<i64, Fault> {
    let query = series_changes::table
        .filter(series_changes::tenant_id.eq(tx.tenant()))
        .filter(series_changes::series_id.eq(id));
    tx.one(query.count()).await
}
