//! What can be done about sales.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use super::objects::{DomainObject, MerchantObject, OfferObject, OrderObject, PaymentObject};
use crate::activities::model::ActivityId;
use crate::api::context::ContextExt;
use crate::api::payload::{self, Outcome};
use crate::api::transport::raise;
use crate::catalog::model::CollectibleId;
use crate::sales::basket::Line;
use crate::sales::domain::{self, DomainRequest};
use crate::sales::merchant::{self, MerchantRequest};
use crate::sales::model::{Domain, DomainId, Merchant, MerchantId, OfferId, OrderId, PaymentChannel, SaleUserError};
use crate::sales::offers::{self, OfferRequest};
use crate::sales::place::{self, PlaceRequest};
use crate::sales::{SalesServices, cancel, pay, payment};
use crate::tenancy::hosts::Hosts;
use crate::tenancy::scope::Caller;

/// Binds a merchant number.
#[derive(InputObject)]
pub struct MerchantCreateInput {
    /// What to call it, 1 to 60 characters.
    pub name: String,
    /// The channel that the money comes through.
    #[graphql(default_with = "PaymentChannel::Sandbox")]
    pub channel: PaymentChannel,
    /// What the channel knows it by: 1 to 32 letters, digits, hyphens or underscores.
    pub merchant_number: String,
}

/// Names a merchant.
#[derive(InputObject)]
pub struct MerchantVerifyInput {
    /// The merchant.
    pub id: MerchantId,
}

/// Binds a host.
#[derive(InputObject)]
pub struct DomainCreateInput {
    /// The host's full name, such as `shop.example.com`, without scheme, port or path.
    pub host: String,
    /// Its ICP filing number (备案号), 1 to 60 characters.
    pub filing_number: String,
}

/// Names a domain.
#[derive(InputObject)]
pub struct DomainVerifyInput {
    /// The domain.
    pub id: DomainId,
}

/// A new offer.
#[derive(InputObject)]
pub struct OfferCreateInput {
    /// A sale that is still a draft.
    pub activity_id: ActivityId,
    /// What is sold.
    pub collectible_id: CollectibleId,
    /// Who is paid: an active merchant.
    pub merchant_id: MerchantId,
    /// The price of one piece in fen (分), 1 to 100,000,000.
    pub price_minor: i64,
    /// How many pieces are on offer in all.
    pub quantity: i32,
    /// How many pieces one holder may buy, 1 to 1000.
    pub limit_per_holder: i32,
}

/// Pieces of one offer.
#[derive(InputObject)]
pub struct OrderLineInput {
    /// The offer.
    pub offer_id: OfferId,
    /// How many pieces, 1 to 1000.
    pub quantity: i32,
}

/// A new order.
#[derive(InputObject)]
pub struct OrderPlaceInput {
    /// The sale.
    pub activity_id: ActivityId,
    /// 1 to 10 lines, all of one merchant. Lines of one offer count together.
    pub lines: Vec<OrderLineInput>,
    /// The total that the holder was shown, in fen (分). If it is another by now, nothing is ordered.
    pub expected_total_minor: Option<i64>,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Names an order to pay.
#[derive(InputObject)]
pub struct OrderPaymentStartInput {
    /// An order that waits for its payment.
    pub order_id: OrderId,
}

/// Pays an order with play money.
#[derive(InputObject)]
pub struct SandboxPayInput {
    /// An order of a sandbox merchant.
    pub order_id: OrderId,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Calls an order off.
#[derive(InputObject)]
pub struct OrderCancelInput {
    /// An order that waits for its payment.
    pub order_id: OrderId,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// What came of a mutation on merchants.
#[derive(SimpleObject)]
pub struct MerchantPayload {
    /// The merchant as it is now. After a verification, look at its state: FAILED is an answer too.
    pub merchant: Option<MerchantObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<SaleUserError>,
}

/// What came of a mutation on domains.
#[derive(SimpleObject)]
pub struct DomainPayload {
    /// The domain as it is now. After a verification, look at its state: FAILED is an answer too.
    pub domain: Option<DomainObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<SaleUserError>,
}

/// What came of a mutation on offers.
#[derive(SimpleObject)]
pub struct OfferPayload {
    /// The offer as it is now.
    pub offer: Option<OfferObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<SaleUserError>,
}

/// What came of a mutation on orders.
#[derive(SimpleObject)]
pub struct OrderPayload {
    /// The order as it is now.
    pub order: Option<OrderObject>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<SaleUserError>,
}

/// One thing that the payment page is given.
#[derive(SimpleObject)]
pub struct PaymentParameter {
    /// What the channel calls it.
    pub name: String,
    /// What to hand on, unchanged.
    pub value: String,
}

/// How to pay an order.
#[derive(SimpleObject)]
pub struct OrderPaymentStartPayload {
    /// The order.
    pub order: Option<OrderObject>,
    /// The channel to pay through.
    pub channel: Option<PaymentChannel>,
    /// What the channel's payment page needs on the holder's device.
    pub parameters: Vec<PaymentParameter>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<SaleUserError>,
}

/// What came of a payment.
#[derive(SimpleObject)]
pub struct SandboxPayPayload {
    /// The order as it is now.
    pub order: Option<OrderObject>,
    /// The payment. Its state tells whether the order has it or it is due back.
    pub payment: Option<PaymentObject>,
    /// Whether this payment had come in before.
    pub replayed: bool,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<SaleUserError>,
}

#[derive(Default)]
pub struct SalesMutation;

#[Object]
impl SalesMutation {
    /// Binds a merchant number; verify it with `merchantVerify`. Needs `SALE_MANAGE`.
    async fn merchant_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: MerchantCreateInput,
    ) -> Result<MerchantPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request =
            MerchantRequest { name: input.name, channel: input.channel, merchant_number: input.merchant_number };
        let outcome =
            payload::run(ctx, SaleUserError::from_problem, || merchant::create(ctx.platform(), scope, &request))
                .await?;
        Ok(MerchantPayload::from(outcome))
    }

    /// Asks the payment channel whether a merchant number is the enterprise's. Needs `SALE_MANAGE`.
    async fn merchant_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: MerchantVerifyInput,
    ) -> Result<MerchantPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome = payload::run(ctx, SaleUserError::from_problem, || {
            merchant::verify(ctx.platform(), services(ctx), scope, input.id)
        })
        .await?;
        Ok(MerchantPayload::from(outcome))
    }

    /// Binds a host for the enterprise's pages; serve its `verificationToken`, then `domainVerify`. It is yours once you
    /// have proved it: others may have bound it too, and the first proof wins. Needs `SALE_MANAGE`.
    async fn domain_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: DomainCreateInput,
    ) -> Result<DomainPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = DomainRequest { host: input.host, filing_number: input.filing_number };
        let outcome =
            payload::run(ctx, SaleUserError::from_problem, || domain::create(ctx.platform(), scope, &request)).await?;
        Ok(DomainPayload::from(outcome))
    }

    /// Looks for the verification token on the host. From the proof on, requests to that host are your enterprise's, and
    /// tokens of others are refused there. Needs `SALE_MANAGE`.
    async fn domain_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: DomainVerifyInput,
    ) -> Result<DomainPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let hosts = ctx.data_unchecked::<Arc<Hosts>>();
        let outcome = payload::run(ctx, SaleUserError::from_problem, || {
            domain::verify(ctx.platform(), services(ctx), hosts, scope, input.id)
        })
        .await?;
        Ok(DomainPayload::from(outcome))
    }

    /// Adds an offer to a sale that is still a draft. Needs `SALE_MANAGE`.
    async fn offer_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: OfferCreateInput,
    ) -> Result<OfferPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = OfferRequest {
            activity: input.activity_id,
            collectible: input.collectible_id,
            merchant: input.merchant_id,
            price_minor: input.price_minor,
            quantity: input.quantity,
            limit_per_holder: input.limit_per_holder,
        };
        let outcome =
            payload::run(ctx, SaleUserError::from_problem, || offers::create(ctx.platform(), scope, &request)).await?;
        Ok(OfferPayload { offer: outcome.value.map(OfferObject), user_errors: outcome.user_errors })
    }

    /// Orders pieces of a sale for the holder who asks; they are held for fifteen minutes.
    async fn order_place(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: OrderPlaceInput,
    ) -> Result<OrderPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let lines = input.lines.iter().map(|line| Line { offer: line.offer_id, quantity: line.quantity }).collect();
        let request =
            PlaceRequest { activity: input.activity_id, lines, expected_total_minor: input.expected_total_minor };
        let outcome =
            payload::run(ctx, SaleUserError::from_problem, || place::place(ctx.platform(), scope, &request, &key))
                .await?;
        let (order, replayed) = outcome.value.map_or((None, false), |done| (Some(done.order), done.replayed));
        Ok(OrderPayload { order: order.map(OrderObject), replayed, user_errors: outcome.user_errors })
    }

    /// Tells the holder's device how to pay an order of theirs. It may be asked again.
    async fn order_payment_start(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: OrderPaymentStartInput,
    ) -> Result<OrderPaymentStartPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let outcome = payload::run(ctx, SaleUserError::from_problem, || {
            pay::start(ctx.platform(), services(ctx), scope, input.order_id)
        })
        .await?;
        let mut answer = OrderPaymentStartPayload {
            order: None,
            channel: None,
            parameters: Vec::new(),
            user_errors: outcome.user_errors,
        };
        if let Some(started) = outcome.value {
            answer.order = Some(OrderObject(started.order));
            answer.channel = Some(started.channel);
            answer.parameters = started.parameters.into_iter().map(PaymentParameter::from).collect();
        }
        Ok(answer)
    }

    /// Pays the holder's own order with play money, as the sandbox channel would tell of it. A payment for an order that
    /// was closed meanwhile is honoured if there is enough left, and otherwise due back.
    async fn sandbox_pay(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: SandboxPayInput,
    ) -> Result<SandboxPayPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let outcome = payload::run(ctx, SaleUserError::from_problem, || {
            pay::sandbox_pay(ctx.platform(), services(ctx), scope, input.order_id, &key)
        })
        .await?;
        let mut answer =
            SandboxPayPayload { order: None, payment: None, replayed: false, user_errors: outcome.user_errors };
        if let Some(received) = outcome.value {
            answer.order = Some(OrderObject(received.order));
            answer.payment = Some(PaymentObject(received.payment));
            answer.replayed = received.replayed;
        }
        Ok(answer)
    }

    /// Calls off an order that was not paid: a holder their own, an operator any with `SALE_MANAGE`.
    async fn order_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: OrderCancelInput,
    ) -> Result<OrderPayload> {
        let (request, id) = (ctx.request(), input.order_id);
        let key = input.idempotency_key.parse().map_err(raise)?;
        let outcome = payload::run(ctx, SaleUserError::from_problem, || async {
            match &request.caller {
                Caller::Holder(scope) => cancel::cancel_own(ctx.platform(), scope, id, &key).await,
                _ => cancel::cancel(ctx.platform(), request.enterprise()?, id, &key).await,
            }
        })
        .await?;
        let (order, replayed) = outcome.value.map_or((None, false), |done| (Some(done.order), done.replayed));
        Ok(OrderPayload { order: order.map(OrderObject), replayed, user_errors: outcome.user_errors })
    }
}

fn services<'a>(ctx: &Context<'a>) -> &'a SalesServices {
    ctx.data_unchecked::<Arc<SalesServices>>()
}

impl From<payment::Parameter> for PaymentParameter {
    fn from(parameter: payment::Parameter) -> Self {
        Self { name: parameter.name.to_owned(), value: parameter.value }
    }
}

impl From<Outcome<Merchant, SaleUserError>> for MerchantPayload {
    fn from(outcome: Outcome<Merchant, SaleUserError>) -> Self {
        Self { merchant: outcome.value.map(MerchantObject), user_errors: outcome.user_errors }
    }
}

impl From<Outcome<Domain, SaleUserError>> for DomainPayload {
    fn from(outcome: Outcome<Domain, SaleUserError>) -> Self {
        Self { domain: outcome.value.map(DomainObject), user_errors: outcome.user_errors }
    }
}
