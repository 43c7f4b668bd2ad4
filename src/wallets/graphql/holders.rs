//! How people sign in and prove who they are, in GraphQL.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::transport::raise;
use crate::tenancy::scope::Caller;
use crate::tenancy::standing::Standings;
use crate::tenancy::token::Tokens;
use crate::wallets::WalletServices;
use crate::wallets::entrance::Entrance;
use crate::wallets::graphql::HolderObject;
use crate::wallets::holder::SignedOn;
use crate::wallets::model::{CodePurpose, HolderUserError};
use crate::wallets::verification::{self, CodeRequest};
use crate::wallets::{phone_bind, sign_in, verify, wechat_sign_in};

/// Asks for a code.
#[derive(InputObject)]
pub struct VerificationCodeSendInput {
    /// Where to send it: a mainland mobile number, 11 digits, with or without +86.
    pub phone: String,
    /// What it shall be good for.
    pub purpose: CodePurpose,
    /// The enterprise's slug. Not needed on its own host and with a holder's token; not to be named for `WALLET`.
    pub enterprise: Option<String>,
}

/// What came of asking for a code. It is the same whether or not anybody knows the phone.
#[derive(SimpleObject)]
pub struct VerificationCodeSendPayload {
    /// How long the code is good, in seconds; nothing if none was sent.
    pub expires_in_seconds: Option<i32>,
    /// Why none was sent, if none was.
    pub user_errors: Vec<HolderUserError>,
}

/// What a person signs in with.
#[derive(InputObject)]
pub struct HolderSignInInput {
    /// The phone that the code was sent to.
    pub phone: String,
    /// The newest code sent for `SIGN_IN`.
    pub code: String,
    /// The enterprise's slug. Not needed on its own host.
    pub enterprise: Option<String>,
}

/// What a page within WeChat signs in with.
#[derive(InputObject)]
pub struct HolderWeChatSignInInput {
    /// The app's AppID, as the enterprise has set it up.
    pub app_id: String,
    /// What WeChat gave to the page: from `wx.login`, or from the redirect of the official account.
    pub code: String,
    /// The enterprise's slug. Not needed on its own host.
    pub enterprise: Option<String>,
}

/// What came of signing in.
#[derive(SimpleObject, Default)]
pub struct HolderSignInPayload {
    /// Who signed in.
    pub holder: Option<HolderObject>,
    /// Send it as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// When the token ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Good once, for the next token: hand it to `sessionRefresh`.
    pub refresh_token: Option<String>,
    /// Why nobody was signed in, if nobody was.
    pub user_errors: Vec<HolderUserError>,
}

/// A phone to be bound.
#[derive(InputObject)]
pub struct HolderPhoneBindInput {
    /// The phone that the code was sent to.
    pub phone: String,
    /// The newest code sent for `BIND_PHONE`.
    pub code: String,
}

/// A name and a number to be proved.
#[derive(InputObject)]
pub struct HolderRealNameVerifyInput {
    /// The name as it stands on the identity card, 2 to 40 characters.
    pub name: String,
    /// The 18 characters of the identity number.
    pub id_number: String,
    /// The same key and input give the first answer again, also a mismatch; another try needs a new key.
    pub idempotency_key: String,
}

/// What came of a change to oneself.
#[derive(SimpleObject)]
pub struct HolderPayload {
    /// The holder as they are now.
    pub holder: Option<HolderObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<HolderUserError>,
}

/// What came of proving a name.
#[derive(SimpleObject)]
pub struct HolderRealNameVerifyPayload {
    /// The holder as they are now.
    pub holder: Option<HolderObject>,
    /// Whether this is the answer to an earlier request with the same idempotency key.
    pub replayed: bool,
    /// Why nothing was proved, if nothing was.
    pub user_errors: Vec<HolderUserError>,
}

fn signed_in(outcome: payload::Outcome<SignedOn, HolderUserError>) -> HolderSignInPayload {
    match outcome.value {
        Some(done) => HolderSignInPayload {
            holder: Some(HolderObject(done.holder)),
            token: Some(done.granted.token),
            expires_at: Some(done.granted.expires_at),
            refresh_token: done.granted.refresh_token,
            user_errors: Vec::new(),
        },
        None => HolderSignInPayload { user_errors: outcome.user_errors, ..Default::default() },
    }
}

#[derive(Default)]
pub struct HolderMutation;

#[Object]
impl HolderMutation {
    /// Sends a code of six digits to a phone. It is good for five minutes and one use, and a newer one takes its place.
    /// Five tries are free, and then each has to wait. Anybody may ask, once a minute for each phone; for `BIND_PHONE` a
    /// holder without a phone, and for `ERASE` a holder, whose own phone it must be.
    async fn verification_code_send(
        &self,
        ctx: &Context<'_>,
        input: VerificationCodeSendInput,
    ) -> Result<VerificationCodeSendPayload> {
        let (standings, services) =
            (ctx.data_unchecked::<Arc<Standings>>(), ctx.data_unchecked::<Arc<WalletServices>>());
        let holder = match (&ctx.request().caller, input.purpose) {
            // In whatever state the enterprise is, as erasing.
            (Caller::Holder(scope), CodePurpose::SignIn | CodePurpose::Wallet | CodePurpose::Erase) => Some(scope),
            (_, CodePurpose::SignIn | CodePurpose::Wallet) => None,
            (_, CodePurpose::BindPhone | CodePurpose::Erase) => Some(ctx.request().holder().map_err(raise)?),
        };
        let request = CodeRequest {
            phone: &input.phone,
            purpose: input.purpose,
            entrance: Entrance { site: ctx.request().site, named: input.enterprise.as_deref() },
            holder,
            address: ctx.request().visit.address,
        };
        let outcome = payload::run(ctx, HolderUserError::from_problem, || {
            verification::send(ctx.platform(), standings, &*services.sms, &request)
        })
        .await?;
        let expires_in_seconds = outcome.value.map(|()| verification::MINUTES as i32 * 60);
        Ok(VerificationCodeSendPayload { expires_in_seconds, user_errors: outcome.user_errors })
    }

    /// Signs a person in with a code sent to their phone. Who comes for the first time becomes a holder, unless the
    /// enterprise was stopped: its holders still come in and see what they own.
    async fn holder_sign_in(&self, ctx: &Context<'_>, input: HolderSignInInput) -> Result<HolderSignInPayload> {
        let (tokens, standings) = (ctx.data_unchecked::<Arc<Tokens>>(), ctx.data_unchecked::<Arc<Standings>>());
        let entrance = Entrance { site: ctx.request().site, named: input.enterprise.as_deref() };
        let proof = (input.phone.as_str(), input.code.as_str());
        let outcome = payload::run(ctx, HolderUserError::from_problem, || {
            sign_in::sign_in(ctx.platform(), tokens, standings, entrance, proof, &ctx.request().visit)
        })
        .await?;
        Ok(signed_in(outcome))
    }

    /// Signs a person in through WeChat. Who comes for the first time becomes a holder without a phone, until
    /// `holderPhoneBind`.
    async fn holder_we_chat_sign_in(
        &self,
        ctx: &Context<'_>,
        input: HolderWeChatSignInInput,
    ) -> Result<HolderSignInPayload> {
        let (tokens, standings) = (ctx.data_unchecked::<Arc<Tokens>>(), ctx.data_unchecked::<Arc<Standings>>());
        let wechat = &ctx.data_unchecked::<Arc<WalletServices>>().wechat;
        let entrance = Entrance { site: ctx.request().site, named: input.enterprise.as_deref() };
        let proof = (input.app_id.as_str(), input.code.as_str());
        let outcome = payload::run(ctx, HolderUserError::from_problem, || {
            wechat_sign_in::sign_in(ctx.platform(), tokens, standings, wechat, entrance, proof, &ctx.request().visit)
        })
        .await?;
        Ok(signed_in(outcome))
    }

    /// Binds a phone to a holder who has none. One that another holder of the enterprise has is refused: wallets are not
    /// merged. For holders.
    async fn holder_phone_bind(&self, ctx: &Context<'_>, input: HolderPhoneBindInput) -> Result<HolderPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let proof = (input.phone.as_str(), input.code.as_str());
        let outcome = payload::run(ctx, HolderUserError::from_problem, || {
            phone_bind::bind(ctx.platform(), scope, proof, ctx.request().visit.address)
        })
        .await?;
        Ok(HolderPayload { holder: outcome.value.map(HolderObject), user_errors: outcome.user_errors })
    }

    /// Proves the holder's real name, for good: a verified holder cannot become somebody else. Three tries a day. For
    /// holders.
    async fn holder_real_name_verify(
        &self,
        ctx: &Context<'_>,
        input: HolderRealNameVerifyInput,
    ) -> Result<HolderRealNameVerifyPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let provider = &*ctx.data_unchecked::<Arc<WalletServices>>().real_name;
        let key = input.idempotency_key.parse().map_err(raise)?;
        let claim = (input.name.as_str(), input.id_number.as_str());
        let outcome = payload::run(ctx, HolderUserError::from_problem, || {
            verify::verify(ctx.platform(), provider, scope, claim, &key)
        })
        .await?;
        let (holder, replayed) = outcome.value.map_or((None, false), |done| (Some(done.holder), done.replayed));
        let holder = holder.map(HolderObject);
        Ok(HolderRealNameVerifyPayload { holder, replayed, user_errors: outcome.user_errors })
    }
}
