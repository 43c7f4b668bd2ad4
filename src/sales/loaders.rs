//! What is sold and bought, loadable in batches.

use std::collections::HashMap;
use std::hash::Hash;

use crate::activities::model::ActivityId;
use crate::platform::fault::Fault;
use crate::sales::model::{Domain, DomainId, Merchant, MerchantId, Offer, OfferId, Order, OrderId, OrderLine, Payment};
use crate::sales::store::{bindings, offers, orders, payments};
use crate::tenancy::loaders::Batch;
use crate::tenancy::scope::TenantTx;

/// The offers of a sale.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OffersOf(pub ActivityId);

/// The lines of an order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinesOf(pub OrderId);

/// The payments of an order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PaymentsOf(pub OrderId);

impl Batch for MerchantId {
    type Value = Merchant;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Merchant>, Fault> {
        bindings::merchants_by_id(tx, keys).await
    }
}

impl Batch for DomainId {
    type Value = Domain;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Domain>, Fault> {
        bindings::domains_by_id(tx, keys).await
    }
}

impl Batch for OfferId {
    type Value = Offer;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Offer>, Fault> {
        offers::offers_by_id(tx, keys).await
    }
}

impl Batch for OrderId {
    type Value = Order;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Order>, Fault> {
        orders::orders_by_id(tx, keys).await
    }
}

impl Batch for OffersOf {
    type Value = Vec<Offer>;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Vec<Offer>>, Fault> {
        let ids: Vec<ActivityId> = keys.iter().map(|key| key.0).collect();
        Ok(grouped(offers::offers_of(tx, &ids).await?, |offer| OffersOf(offer.activity_id)))
    }
}

impl Batch for LinesOf {
    type Value = Vec<OrderLine>;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Vec<OrderLine>>, Fault> {
        let ids: Vec<OrderId> = keys.iter().map(|key| key.0).collect();
        Ok(grouped(orders::lines_of(tx, &ids).await?, |line| LinesOf(line.order_id)))
    }
}

impl Batch for PaymentsOf {
    type Value = Vec<Payment>;

    async fn fetch(tx: &TenantTx, keys: &[Self]) -> Result<HashMap<Self, Vec<Payment>>, Fault> {
        let ids: Vec<OrderId> = keys.iter().map(|key| key.0).collect();
        Ok(grouped(payments::payments_of(tx, &ids).await?, |payment| PaymentsOf(payment.order_id)))
    }
}

fn grouped<K: Eq + Hash, T>(rows: Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, Vec<T>> {
    let mut groups: HashMap<K, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}
