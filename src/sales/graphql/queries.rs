//! What can be asked of sales.

use async_graphql::{Context, InputObject, Object, Result};
use chrono::{DateTime, Utc};

use super::objects::{DomainObject, MerchantObject, OfferObject, OrderObject};
use crate::activities::model::ActivityId;
use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::transport::raise;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::sales::model::{DomainId, MerchantId, OrderId, OrderState};
use crate::sales::store::bindings;
use crate::sales::store::offers::{self, OfferFilter};
use crate::sales::store::orders::{self, OrderFilter};
use crate::tenancy::permission::Permission;

const MERCHANT_PAGES: PageRule = PageRule { list: "merchants", default: 20, maximum: 100 };
const DOMAIN_PAGES: PageRule = PageRule { list: "domains", default: 20, maximum: 100 };
const OFFER_PAGES: PageRule = PageRule { list: "offers", default: 20, maximum: 100 };
const ORDER_PAGES: PageRule = PageRule { list: "orders", default: 20, maximum: 100 };

/// Which offers to list.
#[derive(InputObject, Default)]
pub struct OfferFilterInput {
    /// Only those of this sale.
    pub activity_id: Option<ActivityId>,
}

/// Which orders to list.
#[derive(InputObject, Default)]
pub struct OrderFilterInput {
    /// Only those in one of these states.
    pub states: Option<Vec<OrderState>>,
    /// Only those of this sale.
    pub activity_id: Option<ActivityId>,
    /// Only those of this merchant.
    pub merchant_id: Option<MerchantId>,
    /// Only those placed at this time or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Only those placed before this time.
    pub created_to: Option<DateTime<Utc>>,
}

#[derive(Default)]
pub struct SalesQuery;

#[Object]
impl SalesQuery {
    /// One merchant by ID. Needs `SALE_READ`.
    async fn merchant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its ID.")] id: MerchantId,
    ) -> Result<Option<MerchantObject>> {
        console(ctx)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(MerchantObject))
    }

    /// The enterprise's merchants. Needs `SALE_READ`.
    async fn merchants(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "In which order they come.", default_with = "CreatedOrder::CreatedAtDesc")]
        order_by: CreatedOrder,
        #[graphql(desc = "How many, from the beginning of the order.")] first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the end of the order.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<List<MerchantObject>> {
        console(ctx)?;
        let page = Page::new(MERCHANT_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = read(ctx).await?;
        let rows = bindings::list_merchants(&tx, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { bindings::count_merchants(&tx).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, MerchantObject))
    }

    /// One domain by ID. Needs `SALE_READ`.
    async fn domain(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its ID.")] id: DomainId,
    ) -> Result<Option<DomainObject>> {
        console(ctx)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(DomainObject))
    }

    /// The enterprise's domains. Needs `SALE_READ`.
    async fn domains(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "In which order they come.", default_with = "CreatedOrder::CreatedAtDesc")]
        order_by: CreatedOrder,
        #[graphql(desc = "How many, from the beginning of the order.")] first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the end of the order.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<List<DomainObject>> {
        console(ctx)?;
        let page = Page::new(DOMAIN_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = read(ctx).await?;
        let rows = bindings::list_domains(&tx, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { bindings::count_domains(&tx).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, DomainObject))
    }

    /// What is on offer. An operator needs `SALE_READ`; a holder sees what was published.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn offers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which to list; all, if left out.")] filter: Option<OfferFilterInput>,
        #[graphql(desc = "In which order they come.", default_with = "CreatedOrder::CreatedAtAsc")]
        order_by: CreatedOrder,
        #[graphql(desc = "How many, from the beginning of the order.")] first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the end of the order.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<List<OfferObject>> {
        ctx.request().reading(Permission::SaleRead).map_err(raise)?;
        let page = Page::new(OFFER_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = OfferFilter { activity: filter.unwrap_or_default().activity_id };
        let tx = read(ctx).await?;
        let rows = offers::list_offers(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { offers::count_offers(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, OfferObject))
    }

    /// One order by ID. An operator needs `SALE_READ`; a holder sees their own.
    async fn order(&self, ctx: &Context<'_>, #[graphql(desc = "Its ID.")] id: OrderId) -> Result<Option<OrderObject>> {
        ctx.request().reading(Permission::SaleRead).map_err(raise)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(OrderObject))
    }

    /// Orders. An operator needs `SALE_READ`; a holder sees their own.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which to list; all, if left out.")] filter: Option<OrderFilterInput>,
        #[graphql(desc = "In which order they come.", default_with = "CreatedOrder::CreatedAtDesc")]
        order_by: CreatedOrder,
        #[graphql(desc = "How many, from the beginning of the order.")] first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the end of the order.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<List<OrderObject>> {
        ctx.request().reading(Permission::SaleRead).map_err(raise)?;
        let page = Page::new(ORDER_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = filter.unwrap_or_default();
        let filter = OrderFilter {
            states: filter.states,
            activity: filter.activity_id,
            merchant: filter.merchant_id,
            created_from: filter.created_from,
            created_to: filter.created_to,
        };
        let tx = read(ctx).await?;
        let rows = orders::list_orders(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { orders::count_orders(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, OrderObject))
    }
}

/// Merchants and domains as such are the console's business alone.
fn console(ctx: &Context<'_>) -> Result<()> {
    ctx.request().enterprise().and_then(|scope| scope.require(Permission::SaleRead)).map_err(raise)
}
