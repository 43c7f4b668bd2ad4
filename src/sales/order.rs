//! What every step of an order shares: it is a step that there is, and the world is told of it.

use serde_json::json;

use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::sales::model::{Order, OrderId, OrderState, SaleErrorCode};
use crate::sales::store::orders;
use crate::tenancy::model::HolderId;
use crate::tenancy::scope::TenantTx;

/// The order under lock, or the refusal that says it is not there (or not this holder's).
pub async fn lock_in(tx: &TenantTx, id: OrderId) -> Result<Order, Refusal<SaleErrorCode>> {
    orders::lock_orders_in(tx, &[id]).await?.pop().ok_or_else(|| Refusal::at("orderId", SaleErrorCode::OrderNotFound))
}

pub async fn find(tx: &TenantTx, id: OrderId) -> Result<Order, Fault> {
    orders::orders_by_id(tx, &[id]).await?.remove(&id).ok_or(Fault::NotFound)
}

/// Whether a holder has an order that is not finished.
pub async fn has_open(tx: &TenantTx, holder: HolderId) -> Result<bool, Fault> {
    orders::has_open(tx, holder).await
}

/// Moves locked orders to one state and tells of it.
pub async fn advance_in(tx: &TenantTx, before: &[Order], next: OrderState) -> Result<Vec<Order>, Fault> {
    before.iter().try_for_each(|order| check_step(order, next))?;
    let ids: Vec<OrderId> = before.iter().map(|order| order.id).collect();
    let after = orders::set_order_states_in(tx, &ids, next).await?;
    announce_in(tx, &after).await?;
    Ok(after)
}

pub fn check_step(order: &Order, next: OrderState) -> Result<(), Fault> {
    if order.state.may_become(next) {
        return Ok(());
    }
    Err(Fault::internal(anyhow::anyhow!("{} cannot go from {:?} to {next:?}", order.id, order.state)))
}

pub async fn announce_in(tx: &TenantTx, orders: &[Order]) -> Result<(), Fault> {
    let events = orders
        .iter()
        .map(|order| NewEvent::new(EventType::OrderChanged, order.id.uuid(), order.version, data(order)))
        .collect::<Result<Vec<_>, _>>()?;
    outbox::emit_all_in(tx, &events).await
}

/// What subscribers are told of an order.
pub fn data(order: &Order) -> serde_json::Value {
    json!({
        "orderId": order.id,
        "number": order.number,
        "activityId": order.activity_id,
        "merchantId": order.merchant_id,
        "holderId": order.holder_id,
        "state": order.state,
        "total": order.total(),
        "undelivered": order.undelivered,
    })
}
