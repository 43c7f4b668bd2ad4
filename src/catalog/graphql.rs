//! The catalogue in GraphQL: decode, call, map.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::text::{LocalizedText, LocalizedTextInput};
use crate::api::transport::raise;
use crate::catalog::collectible::{self, CollectibleRequest};
use crate::catalog::issuance::Issuance;
use crate::catalog::issue;
use crate::catalog::loaders::{CollectiblesOf, IssuanceOf, StockOf};
use crate::catalog::model::{
    Allotment, AllotmentId, CatalogUserError, Collectible, CollectibleId, CollectibleState, CollectibleStock, Series,
    SeriesId,
};
use crate::catalog::series::{self, SeriesRequest};
use crate::catalog::store::{self, CollectibleFilter};
use crate::ledger::ledgers::Ledgers;
use crate::ledger::model::LedgerKind;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::permission::Permission;

const SERIES_PAGES: PageRule = PageRule { list: "seriesList", default: 20, maximum: 100 };
const COLLECTIBLE_PAGES: PageRule = PageRule { list: "collectibles", default: 20, maximum: 100 };

pub struct SeriesObject(pub Series);

/// A theme that collectibles belong to (系列).
#[Object(name = "Series")]
impl SeriesObject {
    /// Its ID.
    pub async fn id(&self) -> SeriesId {
        self.0.id
    }

    /// What it is called.
    async fn name(&self) -> LocalizedText {
        LocalizedText::new(&self.0.name_chinese, &self.0.name_english)
    }

    /// What it is about.
    async fn description(&self) -> LocalizedText {
        LocalizedText::new(&self.0.description_chinese, &self.0.description_english)
    }

    /// Its first fifty collectibles, oldest first; page through the rest with `collectibles(filter: {seriesId})`.
    async fn collectibles(&self, ctx: &Context<'_>) -> Result<Vec<CollectibleObject>> {
        let rows = ctx.loaders().one(CollectiblesOf(self.0.id)).await.map_err(raise)?.unwrap_or_default();
        Ok(rows.into_iter().map(CollectibleObject).collect())
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was created.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

pub struct CollectibleObject(pub Collectible);

/// A design with a limited supply (藏品). Each numbered piece of it is an item.
#[Object(name = "Collectible")]
impl CollectibleObject {
    /// Its ID.
    pub async fn id(&self) -> CollectibleId {
        self.0.id
    }

    /// The series that it belongs to.
    async fn series(&self, ctx: &Context<'_>) -> Result<SeriesObject> {
        ctx.loaders().required(self.0.series_id).await.map(SeriesObject).map_err(raise)
    }

    /// What it is called.
    async fn name(&self) -> LocalizedText {
        LocalizedText::new(&self.0.name_chinese, &self.0.name_english)
    }

    /// What it shows.
    async fn description(&self) -> LocalizedText {
        LocalizedText::new(&self.0.description_chinese, &self.0.description_english)
    }

    /// Who made it.
    async fn author(&self) -> &str {
        &self.0.author
    }

    /// Where its picture is, or nothing.
    async fn image_url(&self) -> Option<&str> {
        Some(self.0.image_url.as_str()).filter(|url| !url.is_empty())
    }

    /// How many pieces there are in all.
    async fn supply(&self) -> i32 {
        self.0.supply
    }

    /// The first serial number, 0 or 1.
    async fn first_serial(&self) -> i32 {
        self.0.first_serial
    }

    /// Where its issuance stands.
    async fn state(&self) -> CollectibleState {
        self.0.state
    }

    /// How many pieces exist on the ledger so far.
    async fn issued_count(&self) -> i32 {
        self.0.issued_count
    }

    /// How it gets onto its ledger, once that has started; to the enterprise. As it stands now, also where the collectible is
    /// told of as it was.
    async fn issuance(&self, ctx: &Context<'_>) -> Result<Option<IssuanceObject>> {
        if ctx.request().enterprise().is_err() {
            return Ok(None);
        }
        Ok(ctx.loaders().one(IssuanceOf(self.0.id)).await.map_err(raise)?.map(IssuanceObject))
    }

    /// What the house said of it, to the enterprise.
    async fn review_remark(&self, ctx: &Context<'_>) -> Option<&str> {
        ctx.request().enterprise().ok()?;
        self.0.review_remark.as_deref()
    }

    /// What of it is set aside, and what is left.
    async fn stock(&self, ctx: &Context<'_>) -> Result<StockObject> {
        ctx.loaders().required(StockOf(self.0.id)).await.map(StockObject::from).map_err(raise)
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was created.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

pub struct IssuanceObject(pub Issuance);

/// How a collectible gets onto its ledger (发行上链): in batches of at most 1,000 pieces.
#[Object(name = "Issuance")]
impl IssuanceObject {
    /// The ledger that keeps its pieces, chosen when the issuance started.
    async fn ledger(&self) -> LedgerKind {
        self.0.ledger
    }

    /// How many batches there are in all.
    async fn batch_count(&self) -> i32 {
        self.0.batch_count
    }

    /// How many of them the ledger has confirmed.
    async fn confirmed_batch_count(&self) -> i32 {
        self.0.confirmed_count
    }

    /// Why the ledger refused, where it did; `collectibleIssue` tries again.
    async fn failure(&self) -> Option<&str> {
        self.0.failure.as_deref()
    }
}

/// The stock of a collectible: `supply = unallotted + allotted`.
#[derive(SimpleObject)]
#[graphql(name = "CollectibleStock")]
pub struct StockObject {
    /// Pieces in all.
    pub supply: i32,
    /// Not set aside for anything.
    pub unallotted: i32,
    /// Set aside for prizes and offers.
    pub allotted: i32,
}

impl From<CollectibleStock> for StockObject {
    fn from(stock: CollectibleStock) -> Self {
        Self { supply: stock.supply, unallotted: stock.unallotted, allotted: stock.allotted }
    }
}

/// The pieces set aside for one prize or offer: `total = available + reserved + issued + void`.
#[derive(SimpleObject)]
#[graphql(name = "Allotment")]
pub struct AllotmentObject {
    /// Pieces in all.
    pub total: i32,
    /// Still to be had.
    pub available: i32,
    /// Promised to somebody: won, dropped or ordered, and not yet with them.
    pub reserved: i32,
    /// With their holders.
    pub issued: i32,
    /// Taken out of use.
    pub void: i32,
}

/// Where the pieces of a prize or an offer are; nothing before they are set aside.
pub async fn find_allotment(ctx: &Context<'_>, id: Option<AllotmentId>) -> Result<Option<AllotmentObject>> {
    let Some(id) = id else { return Ok(None) };
    let Allotment { total, available, reserved, issued, void, .. } = ctx.loaders().required(id).await.map_err(raise)?;
    Ok(Some(AllotmentObject { total, available, reserved, issued, void }))
}

/// Which collectibles to list.
#[derive(InputObject, Default)]
pub struct CollectibleFilterInput {
    /// Only those of this series.
    pub series_id: Option<SeriesId>,
    /// Only those in one of these states.
    pub states: Option<Vec<CollectibleState>>,
}

#[derive(Default)]
pub struct CatalogQuery;

#[Object]
impl CatalogQuery {
    /// One series by ID.
    async fn series(&self, ctx: &Context<'_>, id: SeriesId) -> Result<Option<SeriesObject>> {
        ctx.request().reading(Permission::CatalogRead).map_err(raise)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(SeriesObject))
    }

    /// The enterprise's series.
    async fn series_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<SeriesObject>> {
        ctx.request().reading(Permission::CatalogRead).map_err(raise)?;
        let page = Page::new(SERIES_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = read(ctx).await?;
        let rows = store::list_series(&tx, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count_series(&tx).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, SeriesObject))
    }

    /// One collectible by ID.
    async fn collectible(&self, ctx: &Context<'_>, id: CollectibleId) -> Result<Option<CollectibleObject>> {
        ctx.request().reading(Permission::CatalogRead).map_err(raise)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(CollectibleObject))
    }

    /// The enterprise's collectibles.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn collectibles(
        &self,
        ctx: &Context<'_>,
        filter: Option<CollectibleFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<CollectibleObject>> {
        ctx.request().reading(Permission::CatalogRead).map_err(raise)?;
        let page = Page::new(COLLECTIBLE_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = filter.unwrap_or_default();
        let filter = CollectibleFilter { series: filter.series_id, states: filter.states };
        let tx = read(ctx).await?;
        let rows = store::list_collectibles(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count_collectibles(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, CollectibleObject))
    }
}

/// A new series.
#[derive(InputObject)]
pub struct SeriesCreateInput {
    /// What it is called, 1 to 30 characters in each language.
    pub name: LocalizedTextInput,
    /// What it is about, at most 500 characters in each language.
    pub description: LocalizedTextInput,
}

/// A new collectible.
#[derive(InputObject)]
pub struct CollectibleCreateInput {
    /// The series that it belongs to.
    pub series_id: SeriesId,
    /// What it is called, 1 to 30 characters in each language.
    pub name: LocalizedTextInput,
    /// What it shows, at most 500 characters in each language.
    pub description: LocalizedTextInput,
    /// Who made it, 1 to 30 characters.
    pub author: String,
    /// Where its picture is: an https address.
    pub image_url: Option<String>,
    /// How many pieces there shall be, 1 to 10,000,000.
    pub supply: i32,
    /// The first serial number: 0 or 1.
    #[graphql(default = 1)]
    pub first_serial: i32,
}

/// Names a collectible.
#[derive(InputObject)]
pub struct CollectibleSubmitInput {
    /// The collectible.
    pub id: CollectibleId,
}

/// Starts an issuance.
#[derive(InputObject)]
pub struct CollectibleIssueInput {
    /// An approved collectible.
    pub id: CollectibleId,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// What came of a mutation on series.
#[derive(SimpleObject)]
pub struct SeriesPayload {
    /// The series as it is now.
    pub series: Option<SeriesObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<CatalogUserError>,
}

/// What came of a mutation on collectibles.
#[derive(SimpleObject)]
pub struct CollectiblePayload {
    /// The collectible as it is now.
    pub collectible: Option<CollectibleObject>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<CatalogUserError>,
}

#[derive(Default)]
pub struct CatalogMutation;

#[Object]
impl CatalogMutation {
    /// Creates a series. Needs `CATALOG_MANAGE`.
    async fn series_create(&self, ctx: &Context<'_>, input: SeriesCreateInput) -> Result<SeriesPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = SeriesRequest {
            name_chinese: input.name.chinese,
            name_english: input.name.english,
            description_chinese: input.description.chinese,
            description_english: input.description.english,
        };
        let outcome =
            payload::run(ctx, CatalogUserError::from_problem, || series::create(ctx.platform(), scope, &request))
                .await?;
        Ok(SeriesPayload { series: outcome.value.map(SeriesObject), user_errors: outcome.user_errors })
    }

    /// Creates a collectible as a draft. Needs `CATALOG_MANAGE`.
    async fn collectible_create(&self, ctx: &Context<'_>, input: CollectibleCreateInput) -> Result<CollectiblePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = CollectibleRequest {
            series: input.series_id,
            name_chinese: input.name.chinese,
            name_english: input.name.english,
            description_chinese: input.description.chinese,
            description_english: input.description.english,
            author: input.author,
            image_url: input.image_url.unwrap_or_default(),
            supply: input.supply,
            first_serial: input.first_serial,
        };
        let outcome =
            payload::run(ctx, CatalogUserError::from_problem, || collectible::create(ctx.platform(), scope, &request))
                .await?;
        Ok(CollectiblePayload::from(outcome))
    }

    /// Hands a draft to the house for review; from then on it is frozen. Needs `CATALOG_MANAGE`.
    async fn collectible_submit(&self, ctx: &Context<'_>, input: CollectibleSubmitInput) -> Result<CollectiblePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome =
            payload::run(ctx, CatalogUserError::from_problem, || collectible::submit(ctx.platform(), scope, input.id))
                .await?;
        Ok(CollectiblePayload::from(outcome))
    }

    /// Puts an approved collectible's whole supply on the ledger, or goes on where an issuance has failed; follow it with
    /// `issuanceProgress`. Needs `CATALOG_MANAGE`.
    async fn collectible_issue(&self, ctx: &Context<'_>, input: CollectibleIssueInput) -> Result<CollectiblePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let ledger = ctx.data_unchecked::<Arc<Ledgers>>().chosen();
        let outcome = payload::run(ctx, CatalogUserError::from_problem, || {
            issue::start(ctx.platform(), scope, ledger, input.id, &key)
        })
        .await?;
        let (collectible, replayed) =
            outcome.value.map_or((None, false), |done| (Some(done.collectible), done.replayed));
        Ok(CollectiblePayload {
            collectible: collectible.map(CollectibleObject),
            replayed,
            user_errors: outcome.user_errors,
        })
    }
}

impl From<payload::Outcome<Collectible, CatalogUserError>> for CollectiblePayload {
    fn from(outcome: payload::Outcome<Collectible, CatalogUserError>) -> Self {
        Self { collectible: outcome.value.map(CollectibleObject), replayed: false, user_errors: outcome.user_errors }
    }
}
