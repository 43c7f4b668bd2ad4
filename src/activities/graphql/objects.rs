//! What clients see of activities and of what people are owed from them.

use async_graphql::{Context, Object, Result};
use chrono::{DateTime, Utc};

use super::chances::{ParticipationRuleObject, TaskObject, rule_of};
use super::plans::{PrizeObject, PrizePlanObject, prizes_of};
use crate::activities::loaders::{ChancesOf, PlansOf, TasksOf};
use crate::activities::model::{
    Activity, ActivityId, ActivityKind, ActivityPhase, ActivityState, Airdrop, AirdropId, AirdropState, Claim, ClaimId,
    ClaimSource, ClaimState, PrizeKind,
};
use crate::activities::publication;
use crate::api::context::ContextExt;
use crate::api::text::LocalizedText;
use crate::api::transport::raise;
use crate::catalog::graphql::CollectibleObject;
use crate::platform::vault::hex;
use crate::tenancy::scope::Caller;
use crate::wallets::graphql::{HolderObject, TransferObject, find_holder};
use crate::wallets::item::serial_text;
use crate::wallets::loaders::PointsOf;

pub struct ActivityObject(pub Activity);

/// Something that an enterprise runs for its people for a while: a draw, an airdrop or a sale (活动).
#[Object(name = "Activity")]
impl ActivityObject {
    /// Its ID.
    pub async fn id(&self) -> ActivityId {
        self.0.id
    }

    /// What it does.
    async fn kind(&self) -> ActivityKind {
        self.0.kind
    }

    /// What it is called.
    async fn name(&self) -> LocalizedText {
        LocalizedText::new(&self.0.name_chinese, &self.0.name_english)
    }

    /// Its rules, for people to read.
    async fn rules(&self) -> LocalizedText {
        LocalizedText::new(&self.0.rules_chinese, &self.0.rules_english)
    }

    /// When its window opens.
    async fn opens_at(&self) -> DateTime<Utc> {
        self.0.opens_at
    }

    /// When its window closes; that moment is no longer within.
    async fn closes_at(&self) -> DateTime<Utc> {
        self.0.closes_at
    }

    /// How many chances each holder has from the outset. 0 where nobody draws.
    async fn chances_per_holder(&self) -> i32 {
        self.0.chances_per_holder
    }

    /// How many draws a day in Shanghai are free, and used before chances.
    async fn daily_chances(&self) -> i32 {
        self.0.daily_chances
    }

    /// What is asked of who wants to draw.
    async fn participation(&self, ctx: &Context<'_>) -> Result<ParticipationRuleObject> {
        rule_of(ctx, self.0.id).await
    }

    /// What earns chances, by position; at most twenty.
    async fn tasks(&self, ctx: &Context<'_>) -> Result<Vec<TaskObject>> {
        let tasks = ctx.loaders().one(TasksOf(self.0.id)).await.map_err(raise)?.unwrap_or_default();
        Ok(tasks.into_iter().map(TaskObject).collect())
    }

    /// How many days a claim from it stays open.
    async fn claim_days(&self) -> i32 {
        self.0.claim_days
    }

    /// What was decided about it.
    async fn state(&self) -> ActivityState {
        self.0.state
    }

    /// Where it stands at this moment: its state and, for a published one, the database's time.
    async fn phase(&self) -> ActivityPhase {
        self.0.window().phase()
    }

    /// What the house said of it, to the enterprise.
    async fn review_remark(&self, ctx: &Context<'_>) -> Option<&str> {
        ctx.request().enterprise().ok()?;
        self.0.review_remark.as_deref()
    }

    /// How many draws one request may make.
    async fn draws_at_once(&self) -> i32 {
        self.0.draws_at_once
    }

    /// How often each holder may draw on one day in Shanghai, where that is limited.
    async fn draws_per_day(&self) -> Option<i32> {
        self.0.draws_per_day
    }

    /// How often each holder may win, where that is limited. Fallback prizes do not count.
    async fn wins_per_holder(&self) -> Option<i32> {
        self.0.wins_per_holder
    }

    /// The same, on one day in Shanghai.
    async fn wins_per_day(&self) -> Option<i32> {
        self.0.wins_per_day
    }

    /// SHA-256 of the server seed in hexadecimal: what a draw commits to when it is published. The seed itself is
    /// revealed at settlement.
    async fn seed_commitment(&self) -> Option<String> {
        self.0.seed_commitment.as_deref().map(hex)
    }

    /// The server seed in hexadecimal, once the activity is settled. With it, anybody can compute every draw again.
    async fn seed(&self) -> Option<String> {
        self.0.revealed_seed.as_deref().map(hex)
    }

    /// Where the public record of its draws is served, once it is published: see `minthouse verify-draws`. Nothing where
    /// nobody draws.
    async fn draw_record_path(&self) -> Option<String> {
        publication::path(&self.0)
    }

    /// What may be won or is given, plan by plan, first the one for everybody; at most twenty-one. A sale has none.
    async fn plans(&self, ctx: &Context<'_>) -> Result<Vec<PrizePlanObject>> {
        let plans = ctx.loaders().one(PlansOf(self.0.id)).await.map_err(raise)?.unwrap_or_default();
        Ok(plans.into_iter().map(PrizePlanObject).collect())
    }

    /// What may be won by everybody, or is given, by position; at most fifty. A sale has none.
    async fn prizes(&self, ctx: &Context<'_>) -> Result<Vec<PrizeObject>> {
        let plans = ctx.loaders().one(PlansOf(self.0.id)).await.map_err(raise)?.unwrap_or_default();
        match plans.first() {
            Some(plan) => prizes_of(ctx, plan.id).await,
            None => Ok(Vec::new()),
        }
    }

    /// How many points the holder who asks has with the enterprise. Nothing where the caller is no holder.
    async fn viewer_points(&self, ctx: &Context<'_>) -> Result<Option<i64>> {
        let Caller::Holder(scope) = &ctx.request().caller else { return Ok(None) };
        Ok(Some(ctx.loaders().one(PointsOf(scope.holder())).await.map_err(raise)?.unwrap_or(0)))
    }

    /// How often the holder who asks may still draw, today's free draws among them. Nothing where the caller is no holder, or nobody draws.
    async fn viewer_chances_left(&self, ctx: &Context<'_>) -> Result<Option<i32>> {
        if self.0.kind != ActivityKind::Draw || !matches!(ctx.request().caller, Caller::Holder(_)) {
            return Ok(None);
        }
        let left = ctx.loaders().one(ChancesOf(self.0.id)).await.map_err(raise)?;
        Ok(Some(left.unwrap_or(self.0.chances_per_holder)))
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

pub struct ClaimObject(pub Claim);

/// A numbered piece that somebody is owed: theirs once they take it up in time (领取).
#[Object(name = "Claim")]
impl ClaimObject {
    /// Its ID.
    pub async fn id(&self) -> ClaimId {
        self.0.id
    }

    /// The activity that it comes from.
    async fn activity(&self, ctx: &Context<'_>) -> Result<ActivityObject> {
        ctx.loaders().required(self.0.activity_id).await.map(ActivityObject).map_err(raise)
    }

    /// Who is owed the piece, unless you may not know.
    async fn holder(&self, ctx: &Context<'_>) -> Result<Option<HolderObject>> {
        find_holder(ctx, Some(self.0.holder_id)).await
    }

    /// Whether it was won or dropped.
    async fn source(&self) -> ClaimSource {
        self.0.source
    }

    /// The prize that it is a piece of.
    async fn prize(&self, ctx: &Context<'_>) -> Result<PrizeObject> {
        ctx.loaders().required(self.0.prize_id).await.map(PrizeObject).map_err(raise)
    }

    /// What kind of prize that is.
    async fn kind(&self) -> PrizeKind {
        self.0.kind
    }

    /// What the piece is of, where it is of a collectible.
    async fn collectible(&self, ctx: &Context<'_>) -> Result<Option<CollectibleObject>> {
        match self.0.collectible_id {
            Some(id) => ctx.loaders().required(id).await.map(|it| Some(CollectibleObject(it))).map_err(raise),
            None => Ok(None),
        }
    }

    /// The piece's serial number; of what is no collectible, which piece of the prize it is, from 1.
    async fn serial_number(&self) -> i32 {
        self.0.serial
    }

    /// The piece's serial number as people read it: `#00003`.
    async fn serial_text(&self) -> String {
        serial_text(self.0.serial)
    }

    /// Where it stands.
    async fn state(&self) -> ClaimState {
        self.0.state
    }

    /// Until when it can be taken up; that moment is too late. Nothing while it is reviewed: its days count from then on.
    async fn deadline(&self) -> Option<DateTime<Utc>> {
        self.0.deadline
    }

    /// When it was taken up.
    async fn taken_at(&self) -> Option<DateTime<Utc>> {
        self.0.taken_at
    }

    /// What the enterprise said of the win in its review.
    async fn remark(&self) -> Option<&str> {
        self.0.remark.as_deref()
    }

    /// Under which name the enterprise delivered it, such as a parcel's number.
    async fn delivery_reference(&self) -> Option<&str> {
        self.0.delivery_reference.as_deref()
    }

    /// The transfer that brings the piece of a collectible, once it was taken up.
    async fn transfer(&self, ctx: &Context<'_>) -> Result<Option<TransferObject>> {
        match self.0.transfer_id {
            Some(id) => Ok(ctx.loaders().one(id).await.map_err(raise)?.map(TransferObject)),
            None => Ok(None),
        }
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When the piece was won or dropped.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

pub struct AirdropObject(pub Airdrop);

/// Pieces given to a list of people at once. Each row of the list is a claim (定向空投).
#[Object(name = "Airdrop")]
impl AirdropObject {
    /// Its ID.
    pub async fn id(&self) -> AirdropId {
        self.0.id
    }

    /// The activity that it belongs to.
    async fn activity(&self, ctx: &Context<'_>) -> Result<ActivityObject> {
        ctx.loaders().required(self.0.activity_id).await.map(ActivityObject).map_err(raise)
    }

    /// What each person of the list gets.
    async fn prize(&self, ctx: &Context<'_>) -> Result<PrizeObject> {
        ctx.loaders().required(self.0.prize_id).await.map(PrizeObject).map_err(raise)
    }

    /// How many people the list names.
    async fn row_count(&self) -> i32 {
        self.0.row_count
    }

    /// Where it stands.
    async fn state(&self) -> AirdropState {
        self.0.state
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was started.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}
