//! Prizes that the enterprise delivers or reviews itself, and claim codes: inputs and mutations.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use super::objects::ClaimObject;
use super::plans::PrizeObject;
use crate::activities::fulfil::{self, Fulfilment, Settled};
use crate::activities::model::{ActivityUserError, ClaimId, PrizeId};
use crate::activities::prize_code;
use crate::activities::win_review::{self, ReviewRequest};
use crate::api::context::ContextExt;
use crate::api::payload::{self, Outcome};
use crate::api::review::Verdict;
use crate::api::transport::raise;

/// A word on wins of prizes that are reviewed.
#[derive(InputObject)]
pub struct ClaimsReviewInput {
    /// 1 to 100 claims in state `IN_REVIEW`, each once. The word is for all of them.
    pub claim_ids: Vec<ClaimId>,
    /// Approved wins can be taken up, for as many days from now as the activity says; refused ones are revoked for good.
    pub verdict: Verdict,
    /// What the winners are told, at most 500 characters; required with a rejection.
    pub remark: Option<String>,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// What was delivered.
#[derive(InputObject)]
pub struct ClaimsFulfilInput {
    /// 1 to 100 claims, each once.
    pub claims: Vec<ClaimFulfilmentInput>,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// A claim that was delivered.
#[derive(InputObject)]
pub struct ClaimFulfilmentInput {
    /// A claim in state `CLAIMED`.
    pub claim_id: ClaimId,
    /// Under which name it was delivered, 1 to 64 visible ASCII characters: a parcel's number, a coupon's. Its holder sees it.
    pub reference: Option<String>,
}

/// Claim codes (兑奖码) to add.
#[derive(InputObject)]
pub struct PrizeCodesAddInput {
    /// A prize of kind `CLAIM_CODE` whose activity is not published yet.
    pub prize_id: PrizeId,
    /// 1 to 1000 codes of 1 to 64 visible ASCII characters. Each win gets one, in this order.
    pub codes: Vec<String>,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Names a claim to see the code of.
#[derive(InputObject)]
pub struct ClaimCodeRevealInput {
    /// A claim of the caller's own that was taken up.
    pub id: ClaimId,
}

/// What came of a mutation on several claims. They change all together or not at all.
#[derive(SimpleObject)]
pub struct ClaimsPayload {
    /// The claims as they are now, in the order asked for.
    pub claims: Vec<ClaimObject>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<ActivityUserError>,
}

impl From<Outcome<Settled, ActivityUserError>> for ClaimsPayload {
    fn from(outcome: Outcome<Settled, ActivityUserError>) -> Self {
        let (claims, replayed) = outcome.value.map_or((Vec::new(), false), |done| (done.claims, done.replayed));
        let claims = claims.into_iter().map(ClaimObject).collect();
        Self { claims, replayed, user_errors: outcome.user_errors }
    }
}

/// What came of adding claim codes.
#[derive(SimpleObject)]
pub struct PrizeCodesAddPayload {
    /// The prize, whose `codeCount` says how many there are now.
    pub prize: Option<PrizeObject>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was added, if nothing was.
    pub user_errors: Vec<ActivityUserError>,
}

/// What came of looking at a claim code.
#[derive(SimpleObject)]
pub struct ClaimCodeRevealPayload {
    /// The claim.
    pub claim: Option<ClaimObject>,
    /// Its code, which proves the win (兑奖码).
    pub code: Option<String>,
    /// Why nothing is shown, if nothing is.
    pub user_errors: Vec<ActivityUserError>,
}

#[derive(Default)]
pub struct PrizesMutation;

#[Object]
impl PrizesMutation {
    /// Gives the enterprise's word on wins of prizes that are reviewed (中奖审核). Needs `ACTIVITY_MANAGE`.
    async fn claims_review(&self, ctx: &Context<'_>, input: ClaimsReviewInput) -> Result<ClaimsPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let approve = input.verdict == Verdict::Approve;
        let request = ReviewRequest { claims: input.claim_ids, approve, remark: input.remark };
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            win_review::review(ctx.platform(), scope, &request, &key)
        })
        .await?;
        Ok(ClaimsPayload::from(outcome))
    }

    /// Says that benefits, cards and gifts were delivered to those who took them up. Needs `ACTIVITY_MANAGE`.
    async fn claims_fulfil(&self, ctx: &Context<'_>, input: ClaimsFulfilInput) -> Result<ClaimsPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let row = |row: ClaimFulfilmentInput| Fulfilment { claim: row.claim_id, reference: row.reference };
        let rows: Vec<Fulfilment> = input.claims.into_iter().map(row).collect();
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || fulfil::fulfil(ctx.platform(), scope, &rows, &key))
                .await?;
        Ok(ClaimsPayload::from(outcome))
    }

    /// Adds claim codes (兑奖码) to a prize before its activity is published, behind those that it has. Needs
    /// `ACTIVITY_MANAGE`.
    async fn prize_codes_add(&self, ctx: &Context<'_>, input: PrizeCodesAddInput) -> Result<PrizeCodesAddPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            prize_code::add(ctx.platform(), scope, input.prize_id, &input.codes, &key)
        })
        .await?;
        let (prize, replayed) = outcome.value.map_or((None, false), |done| (Some(done.prize), done.replayed));
        Ok(PrizeCodesAddPayload { prize: prize.map(PrizeObject), replayed, user_errors: outcome.user_errors })
    }

    /// Shows a claim code (兑奖码) to its winner, once the claim was taken up. For holders.
    async fn claim_code_reveal(
        &self,
        ctx: &Context<'_>,
        input: ClaimCodeRevealInput,
    ) -> Result<ClaimCodeRevealPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || prize_code::reveal(ctx.platform(), scope, input.id))
                .await?;
        let (claim, code) = outcome.value.map_or((None, None), |done| (Some(done.claim), Some(done.code)));
        Ok(ClaimCodeRevealPayload { claim: claim.map(ClaimObject), code, user_errors: outcome.user_errors })
    }
}
