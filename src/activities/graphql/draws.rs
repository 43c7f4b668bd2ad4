//! What clients see of draws, and of how they came to what they came to.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};
use chrono::{DateTime, Utc};

use super::objects::{ActivityObject, ClaimObject};
use super::plans::{PrizeObject, PrizePlanObject};
use crate::activities::engine::{Cause, Step, Withheld};
use crate::activities::explain;
use crate::activities::fairness::Participant;
use crate::activities::model::{Draw, DrawId, PrizeId, PrizePlanId};
use crate::activities::terms::Terms;
use crate::api::context::ContextExt;
use crate::api::text::LocalizedText;
use crate::api::transport::raise;
use crate::platform::vault::hex;
use crate::wallets::graphql::{HolderObject, find_holder};

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

    /// Which of the holder's draws in the activity it was, from 1. Its numbers depend on this.
    async fn ordinal(&self) -> i32 {
        self.0.ordinal
    }

    /// Its place among the draws of one request, from 0.
    async fn index(&self) -> i32 {
        self.0.place
    }

    /// Which version of the terms it was drawn by.
    async fn terms_version(&self) -> i32 {
        self.0.version
    }

    /// Under which name its holder stands in the public record.
    async fn participant(&self) -> String {
        hex(&Participant::of(self.0.activity_id, self.0.holder_id).0)
    }

    /// The plan that it was drawn from first. Nothing where no plan was open.
    async fn plan(&self, ctx: &Context<'_>) -> Result<Option<PrizePlanObject>> {
        match self.0.plan_id {
            None => Ok(None),
            Some(id) => ctx.loaders().required(id).await.map(|plan| Some(PrizePlanObject(plan))).map_err(raise),
        }
    }

    /// What the holder's side mixed into the outcome.
    async fn client_seed(&self) -> &str {
        &self.0.client_seed
    }

    /// What was rolled first, 0 to 999,999. Nothing where no plan was open.
    async fn roll(&self) -> Option<i32> {
        self.0.roll
    }

    /// What the first roll fell on. Nothing: no prize.
    async fn picked_prize(&self, ctx: &Context<'_>) -> Result<Option<PrizeObject>> {
        prize(ctx, self.0.picked_prize_id).await
    }

    /// What was won: the picked prize, or where that could not be given, what the plan gives instead.
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

/// How a draw came to what it came to.
pub struct DrawExplanationObject {
    pub draw: Draw,
    pub terms: Arc<Terms>,
    pub steps: Vec<Step>,
}

/// How a draw came to what it came to, step by step.
#[Object(name = "DrawExplanation")]
impl DrawExplanationObject {
    /// The draw.
    async fn draw(&self) -> DrawObject {
        DrawObject(self.draw.clone())
    }

    /// In sentences, from the plan that was drawn from to what was given.
    async fn sentences(&self) -> Vec<LocalizedText> {
        let said = explain::sentences(&self.terms, &self.draw, &self.steps);
        said.iter().map(|(chinese, english)| LocalizedText::new(chinese, english)).collect()
    }

    /// Every number that was drawn, and what it led to; a handful.
    async fn steps(&self) -> Vec<DrawStepObject> {
        let step = |step: &Step| {
            let plan = self.terms.plans.get(step.plan);
            let picked = plan.zip(step.picked).and_then(|(plan, prize)| plan.prizes.get(prize));
            DrawStepObject { plan: plan.map(|plan| plan.id), step: *step, picked: picked.map(|prize| prize.id) }
        };
        self.steps.iter().map(step).collect()
    }
}

pub struct DrawStepObject {
    plan: Option<PrizePlanId>,
    step: Step,
    picked: Option<PrizeId>,
}

/// One number, and what it led to.
#[Object(name = "DrawStep")]
impl DrawStepObject {
    /// The plan that was drawn from.
    async fn plan(&self, ctx: &Context<'_>) -> Result<Option<PrizePlanObject>> {
        match self.plan {
            None => Ok(None),
            Some(id) => ctx.loaders().required(id).await.map(|plan| Some(PrizePlanObject(plan))).map_err(raise),
        }
    }

    /// Why a number was drawn.
    async fn cause(&self) -> Cause {
        self.step.cause
    }

    /// The number; nothing where none was drawn.
    async fn number(&self) -> Option<i64> {
        self.step.is_drawn().then_some(self.step.number.into())
    }

    /// What it fell on. Nothing: no prize.
    async fn picked_prize(&self, ctx: &Context<'_>) -> Result<Option<PrizeObject>> {
        prize(ctx, self.picked).await
    }

    /// Why that was not given, where it was not.
    async fn withheld(&self) -> Option<Withheld> {
        self.step.withheld
    }
}

async fn prize(ctx: &Context<'_>, id: Option<PrizeId>) -> Result<Option<PrizeObject>> {
    match id {
        None => Ok(None),
        Some(id) => ctx.loaders().required(id).await.map(|prize| Some(PrizeObject(prize))).map_err(raise),
    }
}
