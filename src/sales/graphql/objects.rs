//! What is sold and bought, as the API shows it.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::activities::graphql::ActivityObject;
use crate::api::context::ContextExt;
use crate::api::transport::raise;
use crate::catalog::graphql::{AllotmentObject, CollectibleObject, find_allotment};
use crate::sales::loaders::{LinesOf, PaymentsOf};
use crate::sales::model::{
    BindingState, Currency, Domain, DomainId, Merchant, MerchantId, Money, Offer, OfferId, Order, OrderId, OrderLine,
    OrderState, Payment, PaymentChannel, PaymentId, PaymentState, ProofFailure,
};
use crate::wallets::graphql::{HolderObject, find_holder};

/// An amount of money.
#[derive(SimpleObject)]
#[graphql(name = "Money")]
pub struct MoneyObject {
    /// In the currency's minor unit: fen (分) for CNY.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl From<Money> for MoneyObject {
    fn from(money: Money) -> Self {
        Self { amount_minor: money.amount_minor, currency: money.currency }
    }
}

fn money(amount_minor: i64, currency: Currency) -> MoneyObject {
    MoneyObject { amount_minor, currency }
}

pub struct MerchantObject(pub Merchant);

/// A merchant number (商户号) that an enterprise sells under.
#[Object(name = "Merchant")]
impl MerchantObject {
    /// Its ID.
    pub async fn id(&self) -> MerchantId {
        self.0.id
    }

    /// What it is called.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The channel that the money comes through.
    async fn channel(&self) -> PaymentChannel {
        self.0.channel
    }

    /// What the channel knows it by.
    async fn merchant_number(&self) -> &str {
        &self.0.merchant_number
    }

    /// Where its verification stands.
    async fn state(&self) -> BindingState {
        self.0.state
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was bound.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

pub struct DomainObject(pub Domain);

/// A host (H5 域名) that an enterprise's pages run on.
#[Object(name = "Domain")]
impl DomainObject {
    /// Its ID.
    pub async fn id(&self) -> DomainId {
        self.0.id
    }

    /// The host's name, in lower case.
    async fn host(&self) -> &str {
        &self.0.host
    }

    /// Its ICP filing number (备案号).
    async fn filing_number(&self) -> &str {
        &self.0.filing_number
    }

    /// What proves the host: serve it as the whole text of `http://<host>/.well-known/minthouse-domain`, then call
    /// `domainVerify`.
    async fn verification_token(&self) -> &str {
        &self.0.verification_token
    }

    /// Where its verification stands.
    async fn state(&self) -> BindingState {
        self.0.state
    }

    /// Why the last verification failed, if it did.
    async fn failure(&self) -> Option<ProofFailure> {
        self.0.failure
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was bound.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

pub struct OfferObject(pub Offer);

/// What a sale sells of a collectible, and at what price.
#[Object(name = "Offer")]
impl OfferObject {
    /// Its ID.
    pub async fn id(&self) -> OfferId {
        self.0.id
    }

    /// The sale that it belongs to.
    async fn activity(&self, ctx: &Context<'_>) -> Result<ActivityObject> {
        ctx.loaders().required(self.0.activity_id).await.map(ActivityObject).map_err(raise)
    }

    /// What is sold.
    async fn collectible(&self, ctx: &Context<'_>) -> Result<CollectibleObject> {
        ctx.loaders().required(self.0.collectible_id).await.map(CollectibleObject).map_err(raise)
    }

    /// Who is paid.
    async fn merchant(&self, ctx: &Context<'_>) -> Result<MerchantObject> {
        ctx.loaders().required(self.0.merchant_id).await.map(MerchantObject).map_err(raise)
    }

    /// Its place among the sale's offers, from 0.
    async fn position(&self) -> i32 {
        self.0.position
    }

    /// The price of one piece.
    async fn price(&self) -> MoneyObject {
        money(self.0.price_minor, self.0.currency)
    }

    /// How many pieces are on offer in all.
    async fn quantity(&self) -> i32 {
        self.0.quantity
    }

    /// How many pieces one holder may buy.
    async fn limit_per_holder(&self) -> i32 {
        self.0.limit_per_holder
    }

    /// Where its pieces are; nothing before the sale is published and its stock set aside.
    async fn stock(&self, ctx: &Context<'_>) -> Result<Option<AllotmentObject>> {
        find_allotment(ctx, self.0.allotment_id).await
    }
}

pub struct OrderObject(pub Order);

/// What a holder buys in one go (订单).
#[Object(name = "Order")]
impl OrderObject {
    /// Its ID.
    pub async fn id(&self) -> OrderId {
        self.0.id
    }

    /// The number that people and payment channels know it by.
    async fn number(&self) -> &str {
        &self.0.number
    }

    /// Where it stands.
    async fn state(&self) -> OrderState {
        self.0.state
    }

    /// What it comes to.
    async fn total(&self) -> MoneyObject {
        self.0.total().into()
    }

    /// What was ordered.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Vec<OrderLineObject>> {
        let rows = ctx.loaders().one(LinesOf(self.0.id)).await.map_err(raise)?.unwrap_or_default();
        let currency = self.0.currency;
        Ok(rows.into_iter().map(|line| OrderLineObject { line, currency }).collect())
    }

    /// The payments that came in for it: one, unless one came too late or twice.
    async fn payments(&self, ctx: &Context<'_>) -> Result<Vec<PaymentObject>> {
        let rows = ctx.loaders().one(PaymentsOf(self.0.id)).await.map_err(raise)?.unwrap_or_default();
        Ok(rows.into_iter().map(PaymentObject).collect())
    }

    /// The sale that it was placed in.
    async fn activity(&self, ctx: &Context<'_>) -> Result<ActivityObject> {
        ctx.loaders().required(self.0.activity_id).await.map(ActivityObject).map_err(raise)
    }

    /// Who buys, unless you may not know.
    async fn holder(&self, ctx: &Context<'_>) -> Result<Option<HolderObject>> {
        find_holder(ctx, Some(self.0.holder_id)).await
    }

    /// Who is paid.
    async fn merchant(&self, ctx: &Context<'_>) -> Result<MerchantObject> {
        ctx.loaders().required(self.0.merchant_id).await.map(MerchantObject).map_err(raise)
    }

    /// How many pieces are paid for and have not arrived.
    async fn undelivered(&self) -> i32 {
        self.0.undelivered
    }

    /// Until when it can be paid.
    async fn expires_at(&self) -> DateTime<Utc> {
        self.0.expires_at
    }

    /// When it was paid.
    async fn paid_at(&self) -> Option<DateTime<Utc>> {
        self.0.paid_at
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was placed.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

pub struct OrderLineObject {
    line: OrderLine,
    currency: Currency,
}

/// Pieces of one offer within an order.
#[Object(name = "OrderLine")]
impl OrderLineObject {
    /// What it was ordered from.
    async fn offer(&self, ctx: &Context<'_>) -> Result<OfferObject> {
        ctx.loaders().required(self.line.offer_id).await.map(OfferObject).map_err(raise)
    }

    /// What was ordered.
    async fn collectible(&self, ctx: &Context<'_>) -> Result<CollectibleObject> {
        ctx.loaders().required(self.line.collectible_id).await.map(CollectibleObject).map_err(raise)
    }

    /// How many pieces.
    async fn quantity(&self) -> i32 {
        self.line.quantity
    }

    /// The price of one piece when it was ordered.
    async fn unit_price(&self) -> MoneyObject {
        money(self.line.unit_price_minor, self.currency)
    }

    /// The serial numbers of its pieces, once it is paid.
    async fn serials(&self) -> Option<Vec<i32>> {
        self.line.first_serial.map(|first| (first..first + self.line.quantity).collect())
    }
}

pub struct PaymentObject(pub Payment);

/// Money that came in for an order.
#[Object(name = "Payment")]
impl PaymentObject {
    /// Its ID.
    pub async fn id(&self) -> PaymentId {
        self.0.id
    }

    /// The order that it was for.
    async fn order_id(&self) -> OrderId {
        self.0.order_id
    }

    /// The channel that it came through.
    async fn channel(&self) -> PaymentChannel {
        self.0.channel
    }

    /// What the channel knows it by.
    async fn channel_transaction_id(&self) -> &str {
        &self.0.channel_transaction_id
    }

    /// How much.
    async fn amount(&self) -> MoneyObject {
        money(self.0.amount_minor, self.0.currency)
    }

    /// What became of it.
    async fn state(&self) -> PaymentState {
        self.0.state
    }

    /// When we heard of it.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}
