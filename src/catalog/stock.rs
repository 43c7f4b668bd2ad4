//! Stock: set aside once, moved by signed steps, each step in the ledger of its allotment.

use std::collections::BTreeMap;

use anyhow::anyhow;
use uuid::Uuid;

use crate::catalog::model::{Allotment, AllotmentId, CollectibleId, StockMove};
use crate::catalog::store;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantTx;

/// Sets `quantity` pieces of an issued collectible aside. `None`: that many are not left, or it is not issued.
pub async fn allot_in(
    tx: &TenantTx,
    collectible: CollectibleId,
    activity: Uuid,
    quantity: i32,
) -> Result<Option<AllotmentId>, Fault> {
    let Some(first_serial) = store::take_unallotted_in(tx, collectible, quantity).await? else { return Ok(None) };
    let id = AllotmentId::generate();
    store::insert_allotment_in(tx, id, Some(collectible), activity, first_serial, quantity).await?;
    Ok(Some(id))
}

/// Sets aside `quantity` pieces of what is no collectible, numbered from 1. There are as many as whoever runs the activity
/// says there are.
pub async fn set_aside_in(tx: &TenantTx, activity: Uuid, quantity: i32) -> Result<AllotmentId, Fault> {
    let id = AllotmentId::generate();
    store::insert_allotment_in(tx, id, None, activity, 1, quantity).await?;
    Ok(id)
}

/// Locks allotments, in the order of their IDs whoever asks, and reads them.
pub async fn lock_in(tx: &TenantTx, allotments: &[AllotmentId]) -> Result<BTreeMap<AllotmentId, Allotment>, Fault> {
    let rows = store::lock_allotments_in(tx, allotments).await?;
    if rows.len() != allotments.len() {
        return Err(Fault::internal(anyhow!("{} allotments to lock, {} found", allotments.len(), rows.len())));
    }
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Moves stock and writes each move down. Moves that would take more than there is break the transaction: decide under
/// [`lock_in`] first. Gives the first serial number taken off each allotment's run.
pub async fn move_in(tx: &TenantTx, moves: &[StockMove]) -> Result<BTreeMap<AllotmentId, i32>, Fault> {
    let mut sums: BTreeMap<AllotmentId, StockMove> = BTreeMap::new();
    for change in moves {
        let sum = sums.entry(change.allotment).or_insert(StockMove {
            available: 0,
            reserved: 0,
            issued: 0,
            void: 0,
            serials: 0,
            ..*change
        });
        sum.available += change.available;
        sum.reserved += change.reserved;
        sum.issued += change.issued;
        sum.void += change.void;
        sum.serials += change.serials;
    }
    if sums.is_empty() {
        return Ok(BTreeMap::new());
    }
    let firsts = store::apply_stock_moves_in(tx, sums.values()).await?;
    if firsts.len() != sums.len() {
        return Err(Fault::internal(anyhow!("{} allotments to move, {} had the stock", sums.len(), firsts.len())));
    }
    store::insert_stock_entries_in(tx, moves).await?;
    Ok(firsts)
}
