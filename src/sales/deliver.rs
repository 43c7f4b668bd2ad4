//! Pieces of orders have reached their holders.

use std::collections::BTreeMap;

use crate::catalog::model::{CollectibleId, StockMove};
use crate::platform::fault::Fault;
use crate::sales::model::OrderId;
use crate::sales::order::announce_in;
use crate::sales::reserve::lock_and_move_in;
use crate::sales::store::orders;
use crate::tenancy::scope::TenantTx;

/// Called by the transfer worker in the transaction that gives the items to their holders: each piece by its order, its
/// collectible and its serial number, once. A handful of statements, however many pieces.
pub async fn delivered_in(tx: &TenantTx, pieces: &[(OrderId, CollectibleId, i32)]) -> Result<(), Fault> {
    if pieces.is_empty() {
        return Ok(());
    }
    let mut counts: BTreeMap<OrderId, i32> = BTreeMap::new();
    for (order, _, _) in pieces {
        *counts.entry(*order).or_default() += 1;
    }
    let ids: Vec<OrderId> = counts.keys().copied().collect();
    let before = orders::lock_orders_in(tx, &ids).await?;
    let arrivals = orders::arrivals(tx, pieces).await?;
    let found: i32 = arrivals.iter().map(|arrival| arrival.pieces).sum();
    if before.len() != ids.len() || found as usize != pieces.len() {
        return Err(Fault::internal(anyhow::anyhow!(
            "{} pieces of {} orders arrived, {found} pieces and {} orders are known",
            pieces.len(),
            ids.len(),
            before.len()
        )));
    }

    let moves: Vec<StockMove> = arrivals
        .iter()
        .map(|arrival| StockMove::deliver(arrival.allotment_id, arrival.order_id.uuid(), arrival.pieces))
        .collect();
    lock_and_move_in(tx, &moves).await?;
    let mut changes = Vec::with_capacity(before.len());
    for order in &before {
        let arrived = counts.get(&order.id).copied().unwrap_or_default();
        let (state, undelivered) = order.after_arrival(arrived).ok_or_else(|| {
            Fault::internal(anyhow::anyhow!(
                "{arrived} pieces arrived for {}, which is {:?} and waits for {}",
                order.id,
                order.state,
                order.undelivered
            ))
        })?;
        changes.push((order.id, state, undelivered));
    }
    let after = orders::set_undelivered_in(tx, &changes).await?;
    announce_in(tx, &after).await
}
