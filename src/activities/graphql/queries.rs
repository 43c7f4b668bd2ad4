//! What can be asked about activities.

use async_graphql::{Context, InputObject, Object, Result};

use super::draws::{DrawExplanationObject, DrawObject};
use super::objects::{ActivityObject, AirdropObject, ClaimObject};
use crate::activities::loaders::TermsOf;
use crate::activities::model::{ActivityId, ActivityKind, ActivityState, AirdropId, ClaimState, DrawId, PrizeId};
use crate::activities::record;
use crate::activities::store::claims::{self, ClaimFilter};
use crate::activities::store::draws::{self, DrawFilter};
use crate::activities::store::{self, ActivityFilter};
use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::transport::raise;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::permission::Permission;

const ACTIVITY_PAGES: PageRule = PageRule { list: "activities", default: 20, maximum: 100 };
const DRAW_PAGES: PageRule = PageRule { list: "draws", default: 20, maximum: 100 };
const CLAIM_PAGES: PageRule = PageRule { list: "claims", default: 20, maximum: 100 };

/// Which activities to list.
#[derive(InputObject, Default)]
pub struct ActivityFilterInput {
    /// Only those of this kind.
    pub kind: Option<ActivityKind>,
    /// Only those in one of these states.
    pub states: Option<Vec<ActivityState>>,
}

/// Which draws to list.
#[derive(InputObject, Default)]
pub struct DrawFilterInput {
    /// Only those of this activity.
    pub activity_id: Option<ActivityId>,
    /// Only those that won something, or only those that did not.
    pub won: Option<bool>,
    /// Only those that won this prize.
    pub awarded_prize_id: Option<PrizeId>,
}

/// Which claims to list.
#[derive(InputObject, Default)]
pub struct ClaimFilterInput {
    /// Only those in one of these states.
    pub states: Option<Vec<ClaimState>>,
    /// Only those from this activity.
    pub activity_id: Option<ActivityId>,
}

#[derive(Default)]
pub struct ActivitiesQuery;

#[Object]
impl ActivitiesQuery {
    /// One activity by ID. A holder sees what was published.
    async fn activity(&self, ctx: &Context<'_>, id: ActivityId) -> Result<Option<ActivityObject>> {
        ctx.request().reading(Permission::ActivityRead).map_err(raise)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(ActivityObject))
    }

    /// The enterprise's activities. A holder sees those that were published.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn activities(
        &self,
        ctx: &Context<'_>,
        filter: Option<ActivityFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<ActivityObject>> {
        ctx.request().reading(Permission::ActivityRead).map_err(raise)?;
        let page = Page::new(ACTIVITY_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = filter.unwrap_or_default();
        let filter = ActivityFilter { kind: filter.kind, states: filter.states };
        let tx = read(ctx).await?;
        let rows = store::list_activities(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count_activities(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, ActivityObject))
    }

    /// The enterprise's draws. A holder sees their own.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn draws(
        &self,
        ctx: &Context<'_>,
        filter: Option<DrawFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<DrawObject>> {
        ctx.request().reading(Permission::ActivityRead).map_err(raise)?;
        let page = Page::new(DRAW_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = filter.unwrap_or_default();
        let filter = DrawFilter { activity: filter.activity_id, won: filter.won, awarded: filter.awarded_prize_id };
        let tx = read(ctx).await?;
        let rows = draws::list_draws(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { draws::count_draws(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, DrawObject))
    }

    /// Why a draw came to what it came to. A holder finds their own alone.
    async fn draw_explain(&self, ctx: &Context<'_>, id: DrawId) -> Result<Option<DrawExplanationObject>> {
        ctx.request().reading(Permission::ActivityRead).map_err(raise)?;
        let Some(draw) = ctx.loaders().one(id).await.map_err(raise)? else { return Ok(None) };
        let key = TermsOf { activity: draw.activity_id, version: draw.version };
        // Draws from before there were terms explain nothing.
        let Some(terms) = ctx.loaders().one(key).await.map_err(raise)? else { return Ok(None) };
        let steps = record::unpack(&draw.steps).unwrap_or_default();
        Ok(Some(DrawExplanationObject { draw, terms, steps }))
    }

    /// What people are owed from activities. A holder sees their own.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn claims(
        &self,
        ctx: &Context<'_>,
        filter: Option<ClaimFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<ClaimObject>> {
        ctx.request().reading(Permission::ActivityRead).map_err(raise)?;
        let page = Page::new(CLAIM_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = filter.unwrap_or_default();
        let filter = ClaimFilter { states: filter.states, activity: filter.activity_id };
        let tx = read(ctx).await?;
        let rows = claims::list_claims(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { claims::count_claims(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, ClaimObject))
    }

    /// One airdrop by ID. For operators.
    async fn airdrop(&self, ctx: &Context<'_>, id: AirdropId) -> Result<Option<AirdropObject>> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        scope.require(Permission::ActivityRead).map_err(raise)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(AirdropObject))
    }
}
