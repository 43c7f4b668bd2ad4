//! How enterprises come in and are stopped, in GraphQL.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result};

use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::text::LocalizedTextInput;
use crate::api::transport::raise;
use crate::tenancy::enterprise::EnterpriseRequest;
use crate::tenancy::graphql::{EnterpriseObject, EnterprisePayload};
use crate::tenancy::model::{EnterpriseId, EnterpriseKind, EnterpriseUserError};
use crate::tenancy::registration;
use crate::tenancy::standing::Standings;
use crate::tenancy::suspension::{self, Step};

/// An enterprise that wants to come in.
#[derive(InputObject)]
pub struct EnterpriseRegisterInput {
    /// Its short name: 2 to 40 lower-case letters, digits or hyphens, unique in this house.
    pub slug: String,
    /// What it is called, 1 to 80 characters in each language.
    pub name: LocalizedTextInput,
    /// What kind of tenant it wants to be: STANDARD, or PLATFORM with branches of its own.
    #[graphql(default_with = "EnterpriseKind::Standard")]
    pub kind: EnterpriseKind,
    /// Its owner's sign-in name, unique in this house.
    pub owner_sign_in: String,
    /// What its owner is called.
    pub owner_name: String,
    /// Its owner's password, 12 to 128 characters.
    pub owner_password: String,
}

/// What an enterprise changes of itself.
#[derive(InputObject)]
pub struct EnterpriseUpdateInput {
    /// What it is called, 1 to 80 characters in each language.
    pub name: LocalizedTextInput,
}

/// Asks for the house's review.
#[derive(InputObject)]
pub struct EnterpriseSubmitInput {
    /// The enterprise: your own, named so that nobody hands in another by mistake.
    pub id: EnterpriseId,
}

/// Stops or closes an enterprise.
#[derive(InputObject)]
pub struct EnterpriseStopInput {
    /// The enterprise.
    pub id: EnterpriseId,
    /// Why, 1 to 500 characters; the enterprise reads it.
    pub reason: String,
}

/// Lets an enterprise go on.
#[derive(InputObject)]
pub struct EnterpriseResumeInput {
    /// The enterprise.
    pub id: EnterpriseId,
}

#[derive(Default)]
pub struct RegistrationMutation;

#[Object]
impl RegistrationMutation {
    /// Registers an enterprise with its owner. It is PENDING: the owner signs in at once with `operatorSignIn`, hands in
    /// qualifications and then asks for admission with `enterpriseSubmit`. Counted for each address.
    async fn enterprise_register(
        &self,
        ctx: &Context<'_>,
        input: EnterpriseRegisterInput,
    ) -> Result<EnterprisePayload> {
        let request = EnterpriseRequest {
            slug: input.slug,
            name_chinese: input.name.chinese,
            name_english: input.name.english,
            kind: input.kind,
            owner_sign_in: input.owner_sign_in,
            owner_name: input.owner_name,
            owner_password: input.owner_password,
        };
        let from = ctx.request();
        let outcome = payload::run(ctx, EnterpriseUserError::from_problem, || {
            registration::register(ctx.platform(), &request, from.request_id.clone(), &from.visit)
        })
        .await?;
        Ok(EnterprisePayload { enterprise: outcome.value.map(EnterpriseObject), user_errors: outcome.user_errors })
    }

    /// Changes what the enterprise is called; not while it is in review. Needs `ENTERPRISE_MANAGE`.
    async fn enterprise_update(&self, ctx: &Context<'_>, input: EnterpriseUpdateInput) -> Result<EnterprisePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome = payload::run(ctx, EnterpriseUserError::from_problem, || {
            registration::rename(ctx.platform(), scope, (&input.name.chinese, &input.name.english))
        })
        .await?;
        Ok(EnterprisePayload { enterprise: outcome.value.map(EnterpriseObject), user_errors: outcome.user_errors })
    }

    /// Hands a PENDING enterprise to the house's review. It must have handed in a BUSINESS_LICENCE that was not refused.
    /// Where the house refuses, `stateReason` says why, and it may be handed in again. Needs `ENTERPRISE_MANAGE`.
    async fn enterprise_submit(&self, ctx: &Context<'_>, input: EnterpriseSubmitInput) -> Result<EnterprisePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome = payload::run(ctx, EnterpriseUserError::from_problem, || {
            registration::submit(ctx.platform(), scope, input.id)
        })
        .await?;
        Ok(EnterprisePayload { enterprise: outcome.value.map(EnterpriseObject), user_errors: outcome.user_errors })
    }

    /// Stops an ACTIVE enterprise: its people can only see to its admission, its holders only look; what was won or paid
    /// is still delivered. For the house.
    async fn enterprise_suspend(&self, ctx: &Context<'_>, input: EnterpriseStopInput) -> Result<EnterprisePayload> {
        step(ctx, input.id, Step::Suspend, Some(&input.reason)).await
    }

    /// Lets a SUSPENDED enterprise go on. For the house.
    async fn enterprise_resume(&self, ctx: &Context<'_>, input: EnterpriseResumeInput) -> Result<EnterprisePayload> {
        step(ctx, input.id, Step::Resume, None).await
    }

    /// Closes a SUSPENDED enterprise for good: its people's tokens are refused, its holders still see what they own. For
    /// the house.
    async fn enterprise_close(&self, ctx: &Context<'_>, input: EnterpriseStopInput) -> Result<EnterprisePayload> {
        step(ctx, input.id, Step::Close, Some(&input.reason)).await
    }
}

async fn step(ctx: &Context<'_>, id: EnterpriseId, step: Step, reason: Option<&str>) -> Result<EnterprisePayload> {
    let house = ctx.request().house().map_err(raise)?;
    let standings = ctx.data_unchecked::<Arc<Standings>>();
    let outcome = payload::run(ctx, EnterpriseUserError::from_problem, || {
        suspension::take(ctx.platform(), standings, house, id, step, reason)
    })
    .await?;
    Ok(EnterprisePayload { enterprise: outcome.value.map(EnterpriseObject), user_errors: outcome.user_errors })
}
