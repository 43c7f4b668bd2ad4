//! The catalogue's entities, loadable in batches.

use std::collections::HashMap;

use crate::catalog::issuance::Issuance;
use crate::catalog::media;
use crate::catalog::media::model::{Media, MediaId};
use crate::catalog::model::{Allotment, AllotmentId, Collectible, CollectibleId, CollectibleStock, Series, SeriesId};
use crate::catalog::store;
use crate::platform::fault::Fault;
use crate::tenancy::loaders::Batch;
use crate::tenancy::scope::TenantTx;

/// How many collectibles a series shows within another list. A longer series is paged through `collectibles`.
pub const COLLECTIBLES_SHOWN: i64 = 50;

/// The stock of a collectible.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StockOf(pub CollectibleId);

/// The issuance of a collectible, once it has started.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IssuanceOf(pub CollectibleId);

/// The first collectibles of a series.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CollectiblesOf(pub SeriesId);

impl Batch for SeriesId {
    type Value = Series;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Series>, Fault> {
        store::series_by_id(tx, keys).await
    }
}

impl Batch for CollectibleId {
    type Value = Collectible;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Collectible>, Fault> {
        store::collectibles_by_id(tx, keys).await
    }
}

impl Batch for MediaId {
    type Value = Media;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Media>, Fault> {
        media::store::by_id(tx, keys).await
    }
}

impl Batch for AllotmentId {
    type Value = Allotment;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Allotment>, Fault> {
        store::allotments_by_id(tx, keys).await
    }
}

impl Batch for StockOf {
    type Value = CollectibleStock;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, CollectibleStock>, Fault> {
        let ids: Vec<CollectibleId> = keys.iter().map(|key| key.0).collect();
        let stocks = store::stocks_by_collectible(tx, &ids).await?;
        Ok(stocks.into_iter().map(|(id, stock)| (StockOf(id), stock)).collect())
    }
}

impl Batch for IssuanceOf {
    type Value = Issuance;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Issuance>, Fault> {
        let ids: Vec<CollectibleId> = keys.iter().map(|key| key.0).collect();
        let found = store::issuances::issuances_by_collectible(tx, &ids).await?;
        Ok(found.into_iter().map(|(id, issuance)| (IssuanceOf(id), issuance)).collect())
    }
}

impl Batch for CollectiblesOf {
    type Value = Vec<Collectible>;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Vec<Collectible>>, Fault> {
        let ids: Vec<SeriesId> = keys.iter().map(|key| key.0).collect();
        let grouped = store::collectibles_of_series(tx, &ids, COLLECTIBLES_SHOWN).await?;
        Ok(grouped.into_iter().map(|(id, rows)| (CollectiblesOf(id), rows)).collect())
    }
}
