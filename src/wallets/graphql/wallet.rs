//! A person's wallet across enterprises in GraphQL.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::text::LocalizedText;
use crate::api::transport::raise;
use crate::tenancy::model::Enterprise;
use crate::tenancy::token::Tokens;
use crate::wallets::graphql::HolderObject;
use crate::wallets::model::HolderUserError;
use crate::wallets::wallet::{self, Membership};

/// An enterprise as far as its holders need to know it.
pub struct WalletEnterpriseObject(Enterprise);

/// An enterprise, as a person who is known there sees it.
#[Object(name = "WalletEnterprise")]
impl WalletEnterpriseObject {
    /// Its short name, to sign in there.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    /// What it is called.
    async fn name(&self) -> LocalizedText {
        LocalizedText::new(&self.0.name_chinese, &self.0.name_english)
    }
}

/// What a person is and has at one enterprise.
#[derive(SimpleObject)]
pub struct WalletMembership {
    /// Where.
    pub enterprise: WalletEnterpriseObject,
    /// Who they are there.
    pub holder: HolderObject,
    /// How many items they have there. To see them, sign in there.
    pub item_count: i64,
}

impl From<Membership> for WalletMembership {
    fn from(membership: Membership) -> Self {
        Self {
            enterprise: WalletEnterpriseObject(membership.enterprise),
            holder: HolderObject(membership.holder),
            item_count: membership.items,
        }
    }
}

pub struct WalletObject;

/// One person's wallet across enterprises (钱包).
#[Object(name = "Wallet")]
impl WalletObject {
    /// The enterprises where the person has proved this phone with a code, at most 100.
    async fn memberships(&self, ctx: &Context<'_>) -> Result<Vec<WalletMembership>> {
        let scope = ctx.request().person().map_err(raise)?;
        let found = wallet::memberships(ctx.platform(), scope).await.map_err(raise)?;
        Ok(found.into_iter().map(WalletMembership::from).collect())
    }
}

#[derive(Default)]
pub struct WalletQuery;

#[Object]
impl WalletQuery {
    /// Your wallet across enterprises. For the token of `walletSignIn` alone: no enterprise sees another one here.
    async fn wallet(&self, ctx: &Context<'_>) -> Result<WalletObject> {
        ctx.request().person().map_err(raise)?;
        Ok(WalletObject)
    }
}

/// What opens a wallet.
#[derive(InputObject)]
pub struct WalletSignInInput {
    /// The phone that the code was sent to.
    pub phone: String,
    /// The newest code sent for `WALLET`.
    pub code: String,
}

/// What came of opening a wallet.
#[derive(SimpleObject, Default)]
pub struct WalletSignInPayload {
    /// Send it as `Authorization: Bearer …`. It opens `wallet` and nothing else.
    pub token: Option<String>,
    /// When the token ends; a new code opens the wallet again.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why it was not opened, if it was not.
    pub user_errors: Vec<HolderUserError>,
}

#[derive(Default)]
pub struct WalletMutation;

#[Object]
impl WalletMutation {
    /// Opens a person's wallet across enterprises with a code sent to their phone. Refused on an enterprise's own host.
    async fn wallet_sign_in(&self, ctx: &Context<'_>, input: WalletSignInInput) -> Result<WalletSignInPayload> {
        let tokens = ctx.data_unchecked::<Arc<Tokens>>();
        let proof = (input.phone.as_str(), input.code.as_str());
        let outcome = payload::run(ctx, HolderUserError::from_problem, || {
            wallet::sign_in(ctx.platform(), tokens, ctx.request().site, proof, &ctx.request().visit)
        })
        .await?;
        Ok(match outcome.value {
            Some(opened) => WalletSignInPayload {
                token: Some(opened.token),
                expires_at: Some(opened.expires_at),
                user_errors: Vec::new(),
            },
            None => WalletSignInPayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }
}
