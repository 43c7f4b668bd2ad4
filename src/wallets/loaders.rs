//! Holders, items and transfers, loadable in batches.

use std::collections::HashMap;

use crate::platform::fault::Fault;
use crate::tenancy::loaders::Batch;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::{Holder, HolderId, Item, ItemId, Transfer, TransferId};
use crate::wallets::store;

impl Batch for HolderId {
    type Value = Holder;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Holder>, Fault> {
        store::holders_by_id(tx, keys).await
    }
}

impl Batch for ItemId {
    type Value = Item;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Item>, Fault> {
        store::items_by_id(tx, keys).await
    }
}

impl Batch for TransferId {
    type Value = Transfer;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Transfer>, Fault> {
        store::transfers::transfers_by_id(tx, keys).await
    }
}

/// The words that the enterprise has tied to a holder.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TagsOf(pub HolderId);

impl Batch for TagsOf {
    type Value = Vec<String>;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Vec<String>>, Fault> {
        let holders: Vec<HolderId> = keys.iter().map(|key| key.0).collect();
        let tags = store::tags::tags_of(tx, &holders).await?;
        Ok(tags.into_iter().map(|(holder, tags)| (TagsOf(holder), tags)).collect())
    }
}

/// How many points a holder has. Nothing for who never had any.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PointsOf(pub HolderId);

impl Batch for PointsOf {
    type Value = i64;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, i64>, Fault> {
        let holders: Vec<HolderId> = keys.iter().map(|key| key.0).collect();
        let balances = store::points::balances(tx, &holders).await?;
        Ok(balances.into_iter().map(|(holder, balance)| (PointsOf(holder), balance)).collect())
    }
}
