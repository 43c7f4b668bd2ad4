//! What clients see of activities.

use async_graphql::{Context, Object, Result};
use chrono::{DateTime, Utc};

use crate::activities::loaders::{ChancesOf, PrizesOf};
use crate::activities::model::{
    Activity, ActivityId, ActivityKind, ActivityPhase, ActivityState, Airdrop, AirdropId, AirdropState, Claim, ClaimId,
    ClaimSource, ClaimState, Draw, DrawId, Prize, PrizeId,
};
use crate::api::context::ContextExt;
use crate::api::text::LocalizedText;
use crate::api::transport::raise;
use crate::catalog::graphql::{AllotmentObject, CollectibleObject, find_allotment};
use crate::platform::vault::hex;
use crate::tenancy::scope::Caller;
use crate::wallets::graphql::{HolderObject, TransferObject, find_holder};
use crate::wallets::item::serial_text;

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

    /// How often each holder may draw. 0 where nobody draws.
    async fn chances_per_holder(&self) -> i32 {
        self.0.chances_per_holder
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

    /// SHA-256 of the server seed in hexadecimal: what a draw commits to when it is published. The seed itself is
    /// revealed at settlement.
    async fn seed_commitment(&self) -> Option<String> {
        self.0.seed_commitment.as_deref().map(hex)
    }

    /// What may be won or is given, by position; at most fifty. A sale has none.
    async fn prizes(&self, ctx: &Context<'_>) -> Result<Vec<PrizeObject>> {
        let rows = ctx.loaders().one(PrizesOf(self.0.id)).await.map_err(raise)?.unwrap_or_default();
        Ok(rows.into_iter().map(PrizeObject).collect())
    }

    /// How often the holder who asks may still draw. Nothing where the caller is no holder, or nobody draws.
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

pub struct PrizeObject(pub Prize);

/// What may be won in a draw, or is given in an airdrop (奖品).
#[Object(name = "Prize")]
impl PrizeObject {
    /// Its ID.
    pub async fn id(&self) -> PrizeId {
        self.0.id
    }

    /// Its place in the plan, from 0. The rolls of a draw are dealt out to the prizes in this order.
    async fn position(&self) -> i32 {
        self.0.position
    }

    /// How high a prize it is; 0 is the highest.
    async fn level(&self) -> i32 {
        self.0.level
    }

    /// What it is called.
    async fn name(&self) -> LocalizedText {
        LocalizedText::new(&self.0.name_chinese, &self.0.name_english)
    }

    /// How many of a million rolls fall on it. 0 in an airdrop.
    async fn odds_per_million(&self) -> i32 {
        self.0.odds_per_million
    }

    /// How many pieces of it there are.
    async fn quantity(&self) -> i32 {
        self.0.quantity
    }

    /// Where its pieces are. Nothing before the activity is published.
    async fn stock(&self, ctx: &Context<'_>) -> Result<Option<AllotmentObject>> {
        find_allotment(ctx, self.0.allotment_id).await
    }

    /// What whoever wins it gets a piece of.
    async fn collectible(&self, ctx: &Context<'_>) -> Result<CollectibleObject> {
        ctx.loaders().required(self.0.collectible_id).await.map(CollectibleObject).map_err(raise)
    }
}

pub struct DrawObject(pub Draw);

/// One draw, as it was recorded (抽奖).
#[Object(name = "Draw")]
impl DrawObject {
    /// Its ID.
    pub async fn id(&self) -> DrawId {
        self.0.id
    }

    /// Where it was drawn.
    async fn activity(&self, ctx: &Context<'_>) -> Result<ActivityObject> {
        ctx.loaders().required(self.0.activity_id).await.map(ActivityObject).map_err(raise)
    }

    /// Who drew, unless you may not know.
    async fn holder(&self, ctx: &Context<'_>) -> Result<Option<HolderObject>> {
        find_holder(ctx, Some(self.0.holder_id)).await
    }

    /// Its place among the activity's draws, from 1, without gaps.
    async fn sequence(&self) -> i64 {
        self.0.sequence
    }

    /// Which version of the plan it was drawn from.
    async fn plan_version(&self, ctx: &Context<'_>) -> Result<i32> {
        ctx.loaders().required(self.0.plan_id).await.map(|plan| plan.version).map_err(raise)
    }

    /// What the holder's side mixed into the outcome.
    async fn client_seed(&self) -> &str {
        &self.0.client_seed
    }

    /// What was rolled, 0 to 999,999.
    async fn roll(&self) -> i32 {
        self.0.roll
    }

    /// What the roll fell on. Nothing: no prize.
    async fn picked_prize(&self, ctx: &Context<'_>) -> Result<Option<PrizeObject>> {
        prize(ctx, self.0.picked_prize_id).await
    }

    /// What was won. It is nothing where the picked prize was gone.
    async fn awarded_prize(&self, ctx: &Context<'_>) -> Result<Option<PrizeObject>> {
        prize(ctx, self.0.awarded_prize_id).await
    }

    /// The serial number of the piece that was won.
    async fn serial_number(&self) -> Option<i32> {
        self.0.serial
    }

    /// What the win is claimed with.
    async fn claim(&self, ctx: &Context<'_>) -> Result<Option<ClaimObject>> {
        match self.0.claim_id {
            None => Ok(None),
            Some(id) => ctx.loaders().required(id).await.map(|claim| Some(ClaimObject(claim))).map_err(raise),
        }
    }

    /// SHA-256 over this record and the hash of the one before, in hexadecimal.
    async fn record_hash(&self) -> String {
        hex(&self.0.record_hash)
    }

    /// When it was drawn.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

async fn prize(ctx: &Context<'_>, id: Option<PrizeId>) -> Result<Option<PrizeObject>> {
    match id {
        None => Ok(None),
        Some(id) => ctx.loaders().required(id).await.map(|prize| Some(PrizeObject(prize))).map_err(raise),
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

    /// What the piece is of.
    async fn collectible(&self, ctx: &Context<'_>) -> Result<CollectibleObject> {
        ctx.loaders().required(self.0.collectible_id).await.map(CollectibleObject).map_err(raise)
    }

    /// The piece's serial number.
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

    /// Until when it can be taken up; that moment is too late.
    async fn deadline(&self) -> DateTime<Utc> {
        self.0.deadline
    }

    /// The transfer that brings the piece, once it was taken up.
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
