//! What can be done with activities.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};

use super::draws::DrawObject;
use super::inputs::{
    ActivityCreateInput, ActivityDrawInput, ActivityEndInput, ActivityPauseInput, ActivityPublishInput,
    ActivityResumeInput, ActivitySettleInput, ActivitySimulateInput, ActivitySubmitInput, AirdropStartInput,
    ClaimTakeInput,
};
use super::objects::{ActivityObject, AirdropObject, ClaimObject};
use super::simulation::SimulationObject;
use crate::activities::airdrop::{self, AirdropRequest};
use crate::activities::consult::Callbacks;
use crate::activities::create::{self, ActivityRequest};
use crate::activities::draw::{self, DrawRequest, Outcome};
use crate::activities::lane::Lanes;
use crate::activities::model::{Activity, ActivityErrorCode, ActivityUserError};
use crate::activities::participation::Origin;
use crate::activities::simulate::{self, SimulationRequest};
use crate::activities::{claim, end, pause, publish, settle, submit};
use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::transport::raise;
use crate::platform::refusal::Problem;

/// What came of a mutation on activities.
#[derive(SimpleObject)]
pub struct ActivityPayload {
    /// The activity as it is now.
    pub activity: Option<ActivityObject>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<ActivityUserError>,
}

impl From<payload::Outcome<Activity, ActivityUserError>> for ActivityPayload {
    fn from(outcome: payload::Outcome<Activity, ActivityUserError>) -> Self {
        Self { activity: outcome.value.map(ActivityObject), replayed: false, user_errors: outcome.user_errors }
    }
}

/// What came of drawing. Nothing won is a draw too.
#[derive(SimpleObject)]
pub struct DrawPayload {
    /// The draw as it was recorded; of several the first.
    pub draw: Option<DrawObject>,
    /// All of them, in order.
    pub draws: Vec<DrawObject>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Beside the error `RULED_OUT`: what the enterprise's own system says.
    pub refusal: Option<DrawRefusal>,
    /// Why nothing was drawn, if nothing was. The chances are kept.
    pub user_errors: Vec<ActivityUserError>,
}

/// What the enterprise's own system says to somebody who may not draw. Its words and its address are the enterprise's.
#[derive(SimpleObject)]
pub struct DrawRefusal {
    /// What to show.
    pub message: Option<String>,
    /// Where to lead them then; nowhere if left out.
    pub url: Option<String>,
}

/// What came of trying an activity out.
#[derive(SimpleObject)]
pub struct ActivitySimulatePayload {
    /// What the activity would come to.
    pub simulation: Option<SimulationObject>,
    /// Why nothing was tried, if nothing was.
    pub user_errors: Vec<ActivityUserError>,
}

/// What came of taking a claim up.
#[derive(SimpleObject)]
pub struct ClaimPayload {
    /// The claim as it is now.
    pub claim: Option<ClaimObject>,
    /// Its claim code (兑奖码), where the prize is one. `claimCodeReveal` shows it again.
    pub code: Option<String>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<ActivityUserError>,
}

/// What came of an airdrop.
#[derive(SimpleObject)]
pub struct AirdropPayload {
    /// The airdrop as it is now.
    pub airdrop: Option<AirdropObject>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was given, if nothing was. Then nobody got anything.
    pub user_errors: Vec<ActivityUserError>,
}

#[derive(Default)]
pub struct ActivitiesMutation;

#[Object]
impl ActivitiesMutation {
    /// Creates an activity as a draft, with its prizes. Needs `ACTIVITY_MANAGE`.
    async fn activity_create(&self, ctx: &Context<'_>, input: ActivityCreateInput) -> Result<ActivityPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = ActivityRequest::from(input);
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || create::create(ctx.platform(), scope, &request))
                .await?;
        Ok(ActivityPayload::from(outcome))
    }

    /// Tries an activity out with a crowd that is made up: when prizes are gone, what they cost, how far chance strays from
    /// the odds. Nothing is written, and no two crowds are the same. Needs `ACTIVITY_MANAGE`.
    async fn activity_simulate(
        &self,
        ctx: &Context<'_>,
        input: ActivitySimulateInput,
    ) -> Result<ActivitySimulatePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = SimulationRequest::from(input);
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || simulate::simulate(ctx.platform(), scope, &request))
                .await?;
        let simulation = outcome.value.map(SimulationObject::from);
        Ok(ActivitySimulatePayload { simulation, user_errors: outcome.user_errors })
    }

    /// Hands a draft to the house for review; from then on it is frozen. Needs `ACTIVITY_MANAGE`.
    async fn activity_submit(&self, ctx: &Context<'_>, input: ActivitySubmitInput) -> Result<ActivityPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || submit::submit(ctx.platform(), scope, input.id))
                .await?;
        Ok(ActivityPayload::from(outcome))
    }

    /// Makes an approved activity public: sets its stock aside and, for a draw, commits to its seed. It runs within
    /// its window. Needs `ACTIVITY_MANAGE`.
    async fn activity_publish(&self, ctx: &Context<'_>, input: ActivityPublishInput) -> Result<ActivityPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            publish::publish(ctx.platform(), scope, input.id, &key)
        })
        .await?;
        let (activity, replayed) = outcome.value.map_or((None, false), |done| (Some(done.activity), done.replayed));
        Ok(ActivityPayload { activity: activity.map(ActivityObject), replayed, user_errors: outcome.user_errors })
    }

    /// Holds a published activity; nothing is drawn or given after this has answered. Needs `ACTIVITY_MANAGE`.
    async fn activity_pause(&self, ctx: &Context<'_>, input: ActivityPauseInput) -> Result<ActivityPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || pause::pause(ctx.platform(), scope, input.id))
                .await?;
        Ok(ActivityPayload::from(outcome))
    }

    /// Lets a held activity go on. Needs `ACTIVITY_MANAGE`.
    async fn activity_resume(&self, ctx: &Context<'_>, input: ActivityResumeInput) -> Result<ActivityPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || pause::resume(ctx.platform(), scope, input.id))
                .await?;
        Ok(ActivityPayload::from(outcome))
    }

    /// Ends an activity before its window closes, for good. What was won stays owed. Needs `ACTIVITY_MANAGE`.
    async fn activity_end(&self, ctx: &Context<'_>, input: ActivityEndInput) -> Result<ActivityPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || end::end(ctx.platform(), scope, input.id)).await?;
        Ok(ActivityPayload::from(outcome))
    }

    /// Settles an activity that is over: from then on its seed is public, and anybody can verify every draw. Needs
    /// `ACTIVITY_MANAGE`.
    async fn activity_settle(&self, ctx: &Context<'_>, input: ActivitySettleInput) -> Result<ActivityPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || settle::settle(ctx.platform(), scope, input.id))
                .await?;
        Ok(ActivityPayload::from(outcome))
    }

    /// Draws in a running activity, once or several times in a row, at the cost of a chance each. For holders.
    async fn activity_draw(&self, ctx: &Context<'_>, input: ActivityDrawInput) -> Result<DrawPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let request = DrawRequest {
            activity: input.activity_id,
            client_seed: input.client_seed.unwrap_or_default(),
            times: input.times,
            origin: Origin { device: input.device, address: ctx.request().visit.address },
        };
        let (lanes, callbacks) = (ctx.data_unchecked::<Arc<Lanes>>(), ctx.data_unchecked::<Arc<Callbacks>>());
        let mut outcome =
            payload::run(ctx, ActivityUserError::from_problem, || draw::draw(lanes, callbacks, scope, &request, &key))
                .await?;
        let (draws, replayed, refusal) = match outcome.value {
            Some(Outcome::Drawn(drawn)) => (drawn.draws, drawn.replayed, None),
            Some(Outcome::RuledOut(words)) => {
                let problem = Problem::at("activityId", ActivityErrorCode::RuledOut);
                outcome.user_errors.push(ActivityUserError::from_problem(problem, ctx.language()));
                (Vec::new(), false, Some(DrawRefusal { message: words.message, url: words.url }))
            }
            None => (Vec::new(), false, None),
        };
        Ok(DrawPayload {
            refusal,
            draw: draws.first().cloned().map(DrawObject),
            draws: draws.into_iter().map(DrawObject).collect(),
            replayed,
            user_errors: outcome.user_errors,
        })
    }

    /// Takes a claim up before its deadline. A collectible's piece is transferred to the caller, points are credited, a claim
    /// code is shown, and anything else is delivered by the enterprise. For holders.
    async fn claim_take(&self, ctx: &Context<'_>, input: ClaimTakeInput) -> Result<ClaimPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || claim::take(ctx.platform(), scope, input.id, &key))
                .await?;
        let (claim, code, replayed) =
            outcome.value.map_or((None, None, false), |done| (Some(done.claim), done.code, done.replayed));
        Ok(ClaimPayload { claim: claim.map(ClaimObject), code, replayed, user_errors: outcome.user_errors })
    }

    /// Gives one piece of a prize to each person of a list, or to nobody: each row becomes a claim. Needs
    /// `ACTIVITY_MANAGE`.
    async fn airdrop_start(&self, ctx: &Context<'_>, input: AirdropStartInput) -> Result<AirdropPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let request = AirdropRequest { activity: input.activity_id, prize: input.prize_id, phones: input.phones };
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            airdrop::start(ctx.platform(), scope, &request, &key)
        })
        .await?;
        let (airdrop, replayed) = outcome.value.map_or((None, false), |done| (Some(done.airdrop), done.replayed));
        Ok(AirdropPayload { airdrop: airdrop.map(AirdropObject), replayed, user_errors: outcome.user_errors })
    }
}
