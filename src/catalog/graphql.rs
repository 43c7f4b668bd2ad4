//! The catalogue in GraphQL: decode, call, map.

pub mod designs;
pub mod history;

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::text::LocalizedText;
use crate::api::transport::raise;
use crate::catalog::collectible;
use crate::catalog::graphql::history::{ChangeObject, HISTORY_PAGES};
use crate::catalog::issuance::Issuance;
use crate::catalog::issue;
use crate::catalog::loaders::{CollectiblesOf, IssuanceOf, StockOf};
use crate::catalog::media::graphql::MediaObject;
use crate::catalog::media::model::MediaId;
use crate::catalog::model::design::{Attribute, Attributes};
use crate::catalog::model::{
    Allotment, AllotmentId, CatalogUserError, Collectible, CollectibleId, CollectibleState, CollectibleStock, Series,
    SeriesId,
};
use crate::catalog::store::{self, CollectibleFilter};
use crate::ledger::ledgers::Ledgers;
use crate::ledger::model::LedgerKind;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::platform::vault::hex;
use crate::tenancy::graphql::qualifications::{DocumentObject, look_up_document};
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

    /// A picture that stands for it, as far as the caller may see it.
    async fn cover(&self, ctx: &Context<'_>) -> Result<Option<MediaObject>> {
        find_media(ctx, self.0.cover_id).await
    }

    /// Every change of it, newest first. For the enterprise, with `CATALOG_READ`; everybody else sees what it is now.
    async fn history(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<ChangeObject>> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::CatalogRead)).map_err(raise)?;
        let arguments = arguments(first, after, last, before);
        let page = Page::new(HISTORY_PAGES, CreatedOrder::CreatedAtDesc, &arguments).map_err(raise)?;
        let tx = read(ctx).await?;
        let rows = store::changes::list_of_series(&tx, self.0.id, &page).await.map_err(raise)?;
        let total = match wants_total(ctx) {
            true => store::changes::count_of_series(&tx, self.0.id).await.map_err(raise)?,
            false => 0,
        };
        Ok(connect(&page, rows, total, |row| row.id, ChangeObject::from))
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

    /// The work itself, as far as the caller may see it.
    async fn media(&self, ctx: &Context<'_>) -> Result<Option<MediaObject>> {
        find_media(ctx, self.0.media_id).await
    }

    /// A picture that stands for it, as far as the caller may see it.
    async fn cover(&self, ctx: &Context<'_>) -> Result<Option<MediaObject>> {
        find_media(ctx, self.0.cover_id).await
    }

    /// The SM3 of the work in hexadecimal, as it was approved; nothing before that.
    async fn media_sm3(&self) -> Option<String> {
        self.0.media_sm3.as_deref().map(hex)
    }

    /// The document that shows whose the work is (版权证明). For the enterprise, with `ENTERPRISE_READ`.
    async fn copyright_proof(&self, ctx: &Context<'_>) -> Result<Option<DocumentObject>> {
        let Some(id) = self.0.copyright_proof_id else { return Ok(None) };
        look_up_document(ctx, id).await.map_err(raise)
    }

    /// The filing number that is shown with it (备案号), or nothing.
    async fn filing_number(&self) -> Option<&str> {
        Some(self.0.filing_number.as_str()).filter(|number| !number.is_empty())
    }

    /// A mark for whoever displays it, or nothing.
    async fn flag(&self) -> Option<&str> {
        Some(self.0.flag.as_str()).filter(|flag| !flag.is_empty())
    }

    /// Anything else that is kept with it, or nothing.
    async fn metadata(&self) -> Option<&str> {
        Some(self.0.metadata.as_str()).filter(|metadata| !metadata.is_empty())
    }

    /// What is said of it beside its description, in its order.
    async fn attributes(&self) -> Vec<AttributeObject> {
        let Attributes(attributes) = self.0.attributes.clone();
        attributes.into_iter().map(|Attribute { name, value }| AttributeObject { name, value }).collect()
    }

    /// The address of a picture that lies elsewhere, or nothing. Newer collectibles have `media` and `cover`.
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

    /// Every change of it, newest first. For the enterprise, with `CATALOG_READ`; everybody else sees what it is now.
    async fn history(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<ChangeObject>> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::CatalogRead)).map_err(raise)?;
        let arguments = arguments(first, after, last, before);
        let page = Page::new(HISTORY_PAGES, CreatedOrder::CreatedAtDesc, &arguments).map_err(raise)?;
        let tx = read(ctx).await?;
        let rows = store::changes::list_of_collectible(&tx, self.0.id, &page).await.map_err(raise)?;
        let total = match wants_total(ctx) {
            true => store::changes::count_of_collectible(&tx, self.0.id).await.map_err(raise)?,
            false => 0,
        };
        Ok(connect(&page, rows, total, |row| row.id, ChangeObject::from))
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

/// One thing that is said of a collectible beside its description.
#[derive(SimpleObject)]
#[graphql(name = "Attribute")]
pub struct AttributeObject {
    /// What it is about.
    pub name: String,
    /// What it is.
    pub value: String,
}

/// A medium, loaded. A holder gets none that is not public.
async fn find_media(ctx: &Context<'_>, id: Option<MediaId>) -> Result<Option<MediaObject>> {
    let Some(id) = id else { return Ok(None) };
    Ok(ctx.loaders().one(id).await.map_err(raise)?.map(MediaObject))
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

impl AllotmentObject {
    /// Two allotments counted as one.
    pub fn plus(self, other: &Self) -> Self {
        Self {
            total: self.total + other.total,
            available: self.available + other.available,
            reserved: self.reserved + other.reserved,
            issued: self.issued + other.issued,
            void: self.void + other.void,
        }
    }
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
