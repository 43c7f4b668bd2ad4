//! Operators' passwords and second factors in GraphQL.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::transport::raise;
use crate::tenancy::graphql::OperatorObject;
use crate::tenancy::graphql::operators::OperatorPayload;
use crate::tenancy::model::OperatorId;
use crate::tenancy::model::operators::OperatorUserError;
use crate::tenancy::standing::Standings;
use crate::tenancy::{password_change, second_factor};

/// A new password of your own.
#[derive(InputObject)]
pub struct OperatorPasswordChangeInput {
    /// The present password.
    pub password: String,
    /// The one to use from now on.
    pub new_password: String,
}

/// Who is to get a new password.
#[derive(InputObject)]
pub struct OperatorPasswordResetInput {
    /// The operator.
    pub id: OperatorId,
    /// Whether two-step sign-in is turned off with it: for somebody who has lost their phone and their recovery codes.
    #[graphql(default)]
    pub without_totp: bool,
}

/// What came of asking for a new password.
#[derive(SimpleObject, Default)]
pub struct OperatorPasswordResetPayload {
    /// The operator.
    pub operator: Option<OperatorObject>,
    /// What the operator hands to `operatorPasswordSet`, once. It is shown this once; pass it on in private.
    pub secret: Option<String>,
    /// Until when the secret is good.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<OperatorUserError>,
}

/// A new password, by somebody who was given a secret for it.
#[derive(InputObject)]
pub struct OperatorPasswordSetInput {
    /// The secret of `operatorPasswordReset`.
    pub secret: String,
    /// The password to use from now on.
    pub password: String,
}

/// What came of setting a password.
#[derive(SimpleObject)]
pub struct OperatorPasswordSetPayload {
    /// The name to sign in with.
    pub sign_in: Option<String>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<OperatorUserError>,
}

/// Asks for a second factor's secret.
#[derive(InputObject)]
pub struct OperatorTotpBeginInput {
    /// The present password.
    pub password: String,
}

/// What an authenticator app is to be told.
#[derive(SimpleObject, Default)]
pub struct OperatorTotpBeginPayload {
    /// The `otpauth:` address that a QR code shows.
    pub uri: Option<String>,
    /// The secret alone, in base 32, for typing in. Neither is shown again.
    pub secret: Option<String>,
    /// Why nothing was begun, if nothing was.
    pub user_errors: Vec<OperatorUserError>,
}

/// A first code.
#[derive(InputObject)]
pub struct OperatorTotpConfirmInput {
    /// The six digits that the app shows.
    pub code: String,
}

/// What came of turning two-step sign-in on.
#[derive(SimpleObject, Default)]
pub struct OperatorTotpConfirmPayload {
    /// The operator as they are now.
    pub operator: Option<OperatorObject>,
    /// Ten codes, each good once in place of the app's. They are shown this once; keep them where the phone is not.
    pub recovery_codes: Option<Vec<String>>,
    /// Why it was not turned on, if it was not.
    pub user_errors: Vec<OperatorUserError>,
}

/// Both proofs of who you are.
#[derive(InputObject)]
pub struct OperatorTotpDisableInput {
    /// The present password.
    pub password: String,
    /// The six digits that the app shows, or a recovery code.
    pub code: String,
}

#[derive(Default)]
pub struct PasswordMutation;

#[Object]
impl PasswordMutation {
    /// Changes your own password. Every session of yours but this one ends. Needs an operator's own token.
    async fn operator_password_change(
        &self,
        ctx: &Context<'_>,
        input: OperatorPasswordChangeInput,
    ) -> Result<OperatorPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let standings = ctx.data_unchecked::<Arc<Standings>>();
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            password_change::change(ctx.platform(), standings, &scope, &input.password, &input.new_password)
        })
        .await?;
        Ok(outcome.into())
    }

    /// Makes a secret, good once and for an hour, with which another operator sets a new password. An earlier one is
    /// worth nothing from then on. Needs `OPERATOR_MANAGE`; an owner's only owners.
    async fn operator_password_reset(
        &self,
        ctx: &Context<'_>,
        input: OperatorPasswordResetInput,
    ) -> Result<OperatorPasswordResetPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            password_change::begin_reset(ctx.platform(), &scope, input.id, input.without_totp)
        })
        .await?;
        Ok(match outcome.value {
            Some(reset) => OperatorPasswordResetPayload {
                operator: Some(OperatorObject(reset.operator)),
                secret: Some(reset.secret),
                expires_at: Some(reset.expires_at),
                user_errors: Vec::new(),
            },
            None => OperatorPasswordResetPayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }

    /// Sets the password of whoever holds a reset's secret. All their sessions end; sign in with it afterwards. Needs no
    /// token.
    async fn operator_password_set(
        &self,
        ctx: &Context<'_>,
        input: OperatorPasswordSetInput,
    ) -> Result<OperatorPasswordSetPayload> {
        let standings = ctx.data_unchecked::<Arc<Standings>>();
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            let request_id = ctx.request().request_id.clone();
            password_change::finish_reset(ctx.platform(), standings, &input.secret, &input.password, request_id)
        })
        .await?;
        let sign_in = outcome.value.and_then(|operator| operator.sign_in);
        Ok(OperatorPasswordSetPayload { sign_in, user_errors: outcome.user_errors })
    }

    /// Begins two-step sign-in: gives the secret for an authenticator app, which `operatorTotpConfirm` then turns on.
    /// Needs an operator's own token.
    async fn operator_totp_begin(
        &self,
        ctx: &Context<'_>,
        input: OperatorTotpBeginInput,
    ) -> Result<OperatorTotpBeginPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            second_factor::begin(ctx.platform(), &scope, &input.password)
        })
        .await?;
        Ok(match outcome.value {
            Some(enrolment) => OperatorTotpBeginPayload {
                uri: Some(enrolment.uri),
                secret: Some(enrolment.secret),
                user_errors: Vec::new(),
            },
            None => OperatorTotpBeginPayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }

    /// Turns two-step sign-in on with a first code, and gives ten recovery codes. Needs an operator's own token.
    async fn operator_totp_confirm(
        &self,
        ctx: &Context<'_>,
        input: OperatorTotpConfirmInput,
    ) -> Result<OperatorTotpConfirmPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            second_factor::confirm(ctx.platform(), &scope, &input.code)
        })
        .await?;
        Ok(match outcome.value {
            Some((operator, recovery_codes)) => OperatorTotpConfirmPayload {
                operator: Some(OperatorObject(operator)),
                recovery_codes: Some(recovery_codes),
                user_errors: Vec::new(),
            },
            None => OperatorTotpConfirmPayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }

    /// Turns two-step sign-in off, with the password and a code or a recovery code. Needs an operator's own token.
    async fn operator_totp_disable(
        &self,
        ctx: &Context<'_>,
        input: OperatorTotpDisableInput,
    ) -> Result<OperatorPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            second_factor::disable(ctx.platform(), &scope, &input.password, &input.code)
        })
        .await?;
        Ok(outcome.into())
    }
}
