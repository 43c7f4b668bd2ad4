//! What clients see of plans and their prizes.

use async_graphql::{Context, Object, Result};
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;

use crate::activities::loaders::{CodesOf, LotsOf, PlanTagsOf, PrizesOf};
use crate::activities::model::{Prize, PrizeId, PrizeKind, PrizeLot, PrizePlan, PrizePlanId};
use crate::activities::terms::Exhaustion;
use crate::api::context::ContextExt;
use crate::api::text::LocalizedText;
use crate::api::transport::raise;
use crate::catalog::graphql::{AllotmentObject, CollectibleObject, find_allotment};

pub async fn prizes_of(ctx: &Context<'_>, plan: PrizePlanId) -> Result<Vec<PrizeObject>> {
    let prizes = ctx.loaders().one(PrizesOf(plan)).await.map_err(raise)?.unwrap_or_default();
    Ok(prizes.into_iter().map(PrizeObject).collect())
}

pub struct PrizePlanObject(pub PrizePlan);

/// What may be won, by everybody or by some, always or for a time (发奖方案).
#[Object(name = "PrizePlan")]
impl PrizePlanObject {
    /// Its ID.
    pub async fn id(&self) -> PrizePlanId {
        self.0.id
    }

    /// Its place among the activity's plans, from 0.
    async fn position(&self) -> i32 {
        self.0.position
    }

    /// Whether it is only for people whom the enterprise has chosen.
    async fn for_chosen(&self) -> bool {
        self.0.for_chosen
    }

    /// The tags of whom it is for, to the enterprise alone.
    async fn tags(&self, ctx: &Context<'_>) -> Result<Option<Vec<String>>> {
        if ctx.request().enterprise().is_err() {
            return Ok(None);
        }
        ctx.loaders().one(PlanTagsOf(self.0.id)).await.map(|tags| Some(tags.unwrap_or_default())).map_err(raise)
    }

    /// From when on, where it is not as long as the activity.
    async fn starts_at(&self) -> Option<DateTime<Utc>> {
        self.0.starts_at
    }

    /// Until when; that moment is no longer within.
    async fn ends_at(&self) -> Option<DateTime<Utc>> {
        self.0.ends_at
    }

    /// Which of several plans of one kind goes before: the higher.
    async fn priority(&self) -> i32 {
        self.0.priority
    }

    /// Whether a draw that it has no prize for goes on to the next plan.
    async fn overlays(&self) -> bool {
        self.0.overlays
    }

    /// Whether it is passed over once all of its prizes are gone.
    async fn falls_through(&self) -> bool {
        self.0.falls_through
    }

    /// What becomes of a draw whose picked prize cannot be given.
    async fn exhaustion(&self) -> Exhaustion {
        self.0.exhaustion
    }

    /// By position; at most fifty.
    async fn prizes(&self, ctx: &Context<'_>) -> Result<Vec<PrizeObject>> {
        prizes_of(ctx, self.0.id).await
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

    /// What it is.
    async fn kind(&self) -> PrizeKind {
        self.0.kind
    }

    /// How many points each win gives, where it is points.
    async fn points(&self) -> Option<i64> {
        self.0.points
    }

    /// What the enterprise's own system knows it as, to the enterprise alone.
    async fn reference(&self, ctx: &Context<'_>) -> Option<&str> {
        ctx.request().enterprise().ok()?;
        self.0.reference.as_deref()
    }

    /// How its winner gets it, for people to read.
    async fn instructions(&self) -> LocalizedText {
        LocalizedText::new(&self.0.instructions_chinese, &self.0.instructions_english)
    }

    /// Whether a win waits for the enterprise's word before its winner may take it (中奖审核).
    async fn reviewed(&self) -> bool {
        self.0.reviewed
    }

    /// How many claim codes (兑奖码) it has, to the enterprise alone. Before publication there must be as many as pieces.
    async fn code_count(&self, ctx: &Context<'_>) -> Result<Option<i64>> {
        if self.0.kind != PrizeKind::ClaimCode || ctx.request().enterprise().is_err() {
            return Ok(None);
        }
        Ok(Some(ctx.loaders().one(CodesOf(self.0.id)).await.map_err(raise)?.unwrap_or(0)))
    }

    /// How many of a million rolls fall on it. 0 in an airdrop.
    async fn odds_per_million(&self) -> i32 {
        self.0.odds_per_million
    }

    /// How often one holder may win it, where that is limited.
    async fn wins_per_holder(&self) -> Option<i32> {
        self.0.wins_per_holder
    }

    /// How often it may be won on one day in Shanghai, where that is limited.
    async fn wins_per_day(&self) -> Option<i32> {
        self.0.wins_per_day
    }

    /// Whether it is given out evenly over the hours of the window.
    async fn paced(&self) -> bool {
        self.0.paced
    }

    /// Whether it is what the plan gives where another prize cannot be given.
    async fn fallback(&self) -> bool {
        self.0.fallback
    }

    /// How many pieces of it there are. 0 of `NOTHING`, which has no end.
    async fn quantity(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(lots_of(ctx, self.0.id).await?.iter().map(|lot| lot.quantity).sum())
    }

    /// Where its pieces are, all lots together. Nothing before the activity is published.
    async fn stock(&self, ctx: &Context<'_>) -> Result<Option<AllotmentObject>> {
        let lots = lots_of(ctx, self.0.id).await?;
        let found = try_join_all(lots.iter().map(|lot| find_allotment(ctx, lot.allotment_id))).await?;
        Ok(found.into_iter().flatten().reduce(|sum, more| sum.plus(&more)))
    }

    /// What whoever wins it gets a piece of. Nothing for a blind box (read its lots) and for what is no collectible.
    async fn collectible(&self, ctx: &Context<'_>) -> Result<Option<CollectibleObject>> {
        match lots_of(ctx, self.0.id).await?[..] {
            [lot] => collectible_of(ctx, &lot).await,
            _ => Ok(None),
        }
    }

    /// What it consists of, at most twenty; of several, each piece is equally likely. None of `NOTHING`.
    async fn lots(&self, ctx: &Context<'_>) -> Result<Vec<PrizeLotObject>> {
        Ok(lots_of(ctx, self.0.id).await?.into_iter().map(PrizeLotObject).collect())
    }
}

async fn lots_of(ctx: &Context<'_>, prize: PrizeId) -> Result<Vec<PrizeLot>> {
    Ok(ctx.loaders().one(LotsOf(prize)).await.map_err(raise)?.unwrap_or_default())
}

async fn collectible_of(ctx: &Context<'_>, lot: &PrizeLot) -> Result<Option<CollectibleObject>> {
    match lot.collectible_id {
        Some(id) => ctx.loaders().required(id).await.map(|it| Some(CollectibleObject(it))).map_err(raise),
        None => Ok(None),
    }
}

pub struct PrizeLotObject(pub PrizeLot);

/// Pieces within a prize, of one collectible or of what the prize is itself.
#[Object(name = "PrizeLot")]
impl PrizeLotObject {
    /// What they are pieces of, where that is a collectible.
    async fn collectible(&self, ctx: &Context<'_>) -> Result<Option<CollectibleObject>> {
        collectible_of(ctx, &self.0).await
    }

    /// How many there are.
    async fn quantity(&self) -> i32 {
        self.0.quantity
    }

    /// Where they are. Nothing before the activity is published.
    async fn stock(&self, ctx: &Context<'_>) -> Result<Option<AllotmentObject>> {
        find_allotment(ctx, self.0.allotment_id).await
    }
}
