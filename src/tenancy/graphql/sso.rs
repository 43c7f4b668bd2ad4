//! Single sign-on in GraphQL: its administration, and the page that spends a ticket.

use std::sync::Arc;

use async_graphql::{Context, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::transport::raise;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::graphql::{EnterpriseObject, OperatorObject};
use crate::tenancy::model::{SsoConnectionId, SsoKeyId};
use crate::tenancy::permission::Role;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::sso::admin::{self, ConnectionChange, ConnectionRequest, KeyRequest};
use crate::tenancy::sso::model::{
    Connection, ConnectionSettings, Key, Origin, RoleMap, SsoProfile, SsoState, SsoTicketUserError, SsoUserError,
};
use crate::tenancy::sso::ticket::{self, SpendRequest};
use crate::tenancy::sso::{SsoServices, oidc};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::sso;
use crate::tenancy::token::Tokens;

const CONNECTION_PAGES: PageRule = PageRule { list: "ssoConnections", default: 20, maximum: 100 };
const KEY_PAGES: PageRule = PageRule { list: "ssoKeys", default: 20, maximum: 100 };

fn services<'a>(ctx: &Context<'a>) -> &'a Arc<SsoServices> {
    ctx.data_unchecked::<Arc<SsoServices>>()
}

fn own_origin(ctx: &Context<'_>) -> Result<String> {
    services(ctx).own_origin(ctx.request().visit.host.as_deref()).map_err(raise)
}

/// What a word of the provider's or the partner's stands for.
#[derive(SimpleObject)]
pub struct SsoRole {
    /// The word, as it stands in the claim.
    pub value: String,
    /// The role that it gives.
    pub role: Role,
}

fn roles_of(stored: &Value) -> Vec<SsoRole> {
    RoleMap::from_json(stored).words.into_iter().map(|(value, role)| SsoRole { value, role }).collect()
}

pub struct SsoConnectionObject(Connection);

/// An OpenID provider through which the enterprise's people sign in.
#[Object(name = "SsoConnection")]
impl SsoConnectionObject {
    /// Its ID.
    async fn id(&self) -> SsoConnectionId {
        self.0.id
    }

    /// What it is called.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The provider, as it names itself. It cannot be changed: another provider is another connection.
    async fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// How the provider knows us.
    async fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// Whether a client secret is kept; it is never shown.
    async fn has_client_secret(&self) -> bool {
        self.0.client_secret_sealed.is_some()
    }

    /// What the provider is asked for, apart by spaces.
    async fn scopes(&self) -> &str {
        &self.0.scopes
    }

    /// The claim that says what somebody is: a text or a list of texts.
    async fn role_claim(&self) -> &str {
        &self.0.role_claim
    }

    /// What that claim's values stand for.
    async fn roles(&self) -> Vec<SsoRole> {
        roles_of(&self.0.roles)
    }

    /// The role of those of whom no value is mapped; without it they are not let in.
    async fn default_role(&self) -> Option<Role> {
        self.0.default_role
    }

    /// The claim that names the branch by its corpOpenId. Who comes without it works in the enterprise itself.
    async fn branch_claim(&self) -> Option<&str> {
        self.0.branch_claim.as_deref()
    }

    /// Whether it is in use.
    async fn state(&self) -> SsoState {
        self.0.state
    }

    /// Where a browser signs in.
    async fn start_url(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(oidc::start_url(&own_origin(ctx)?, self.0.id))
    }

    /// What must be registered at the provider as redirect URI; it is this connection's alone.
    async fn redirect_uri(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(oidc::redirect_uri(&own_origin(ctx)?, self.0.id))
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

pub struct SsoKeyObject(Key);

/// A key with which a partner's server signs what it says of its people.
#[Object(name = "SsoKey")]
impl SsoKeyObject {
    /// Its ID: the `kid` of assertions, and the key parameter of the signature profiles.
    async fn id(&self) -> SsoKeyId {
        self.0.id
    }

    /// What it is called.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// How it signs.
    async fn profile(&self) -> SsoProfile {
        self.0.profile
    }

    /// The public key, with the one algorithm (`alg`) that it is for; none for the signature profiles.
    async fn public_jwk(&self) -> Option<&Value> {
        self.0.public_jwk.as_ref()
    }

    /// What the values of `role` stand for.
    async fn roles(&self) -> Vec<SsoRole> {
        roles_of(&self.0.roles)
    }

    /// The role of those of whom no value is mapped; without it they are not let in.
    async fn default_role(&self) -> Option<Role> {
        self.0.default_role
    }

    /// Whether it is in use.
    async fn state(&self) -> SsoState {
        self.0.state
    }

    /// When it was last used, to the minute.
    async fn last_used_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_used_at
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

pub struct SsoOriginObject(Origin);

/// A web origin whose pages may embed the console.
#[Object(name = "SsoOrigin")]
impl SsoOriginObject {
    /// The origin, as a browser writes it.
    async fn origin(&self) -> &str {
        &self.0.origin
    }

    /// Whether it is in use.
    async fn state(&self) -> SsoState {
        self.0.state
    }

    /// When it was first added.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

#[derive(Default)]
pub struct SsoQuery;

/// The transaction of an administrator who looks.
async fn looking(ctx: &Context<'_>) -> Result<TenantTx> {
    let scope = ctx.request().console().map_err(raise)?;
    admin::permit(&scope).map_err(raise)?;
    scope.read(&ctx.platform().database).await.map_err(raise)
}

#[Object]
impl SsoQuery {
    /// The enterprise's connections to OpenID providers. Needs `SSO_MANAGE`; for people only.
    async fn sso_connections(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<SsoConnectionObject>> {
        let page = Page::new(CONNECTION_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = looking(ctx).await?;
        let rows = sso::list_connections(&tx, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { sso::count_connections(&tx).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, SsoConnectionObject))
    }

    /// The keys that the enterprise's servers sign with. Needs `SSO_MANAGE`; for people only.
    async fn sso_keys(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<SsoKeyObject>> {
        let page = Page::new(KEY_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = looking(ctx).await?;
        let rows = sso::list_keys(&tx, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { sso::count_keys(&tx).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, SsoKeyObject))
    }

    /// The origins whose pages may embed the console, at most fifty. Needs `SSO_MANAGE`; for people only.
    async fn sso_origins(&self, ctx: &Context<'_>) -> Result<Vec<SsoOriginObject>> {
        let tx = looking(ctx).await?;
        Ok(sso::origins(&tx).await.map_err(raise)?.into_iter().map(SsoOriginObject).collect())
    }
}

/// What a word of the provider's or the partner's is to stand for.
#[derive(Clone, Debug, InputObject)]
pub struct SsoRoleInput {
    /// The word, as it stands in the claim, 1 to 128 bytes.
    pub value: String,
    /// The role that it gives; never `OWNER`.
    pub role: Role,
}

fn map(roles: Vec<SsoRoleInput>) -> RoleMap {
    RoleMap { words: roles.into_iter().map(|role| (role.value, role.role)).collect() }
}

/// A new connection to an OpenID provider.
#[derive(InputObject)]
pub struct SsoConnectionCreateInput {
    /// What it is called, 1 to 60 characters; people see it where they sign in.
    pub name: String,
    /// The provider as it names itself, to the last slash. It is asked for its discovery document at once.
    pub issuer: String,
    /// How the provider knows us.
    pub client_id: String,
    /// What we show the provider; left out for a public client, which PKCE alone protects.
    pub client_secret: Option<String>,
    /// What the provider is asked for, apart by spaces; `openid` is added where it is missing.
    #[graphql(default = "openid profile")]
    pub scopes: String,
    /// The claim of the ID token that says what somebody is.
    #[graphql(default = "roles")]
    pub role_claim: String,
    /// What that claim's values stand for, at most 100. Of several that fit, the mightiest counts.
    pub roles: Vec<SsoRoleInput>,
    /// The role of those of whom no value is mapped; without it they are not let in. Never `OWNER`.
    pub default_role: Option<Role>,
    /// For a PLATFORM enterprise: the claim that names the branch by its corpOpenId. Who comes without that claim works
    /// in the enterprise itself.
    pub branch_claim: Option<String>,
}

/// A change of a connection. What is left out stays as it is; null takes away what may be missing.
#[derive(InputObject)]
pub struct SsoConnectionUpdateInput {
    /// The connection.
    pub id: SsoConnectionId,
    /// What it is called.
    pub name: Option<String>,
    /// How the provider knows us.
    pub client_id: Option<String>,
    /// What we show the provider.
    pub client_secret: MaybeUndefined<String>,
    /// What the provider is asked for.
    pub scopes: Option<String>,
    /// The claim that says what somebody is.
    pub role_claim: Option<String>,
    /// What its values stand for; replaces all of them.
    pub roles: Option<Vec<SsoRoleInput>>,
    /// The role of those of whom no value is mapped.
    pub default_role: MaybeUndefined<Role>,
    /// The claim that names the branch.
    pub branch_claim: MaybeUndefined<String>,
}

/// Names a connection.
#[derive(InputObject)]
pub struct SsoConnectionInput {
    /// The connection.
    pub id: SsoConnectionId,
}

/// A new key for a partner's server.
#[derive(InputObject)]
pub struct SsoKeyCreateInput {
    /// What it is called, 1 to 60 characters.
    pub name: String,
    /// How it signs.
    pub profile: SsoProfile,
    /// For `JWT`, the public half of a pair that the partner made, as a JWK: Ed25519 (EdDSA), P-256 (ES256), or RSA
    /// from 2048 bits (RS256, or PS256 where `alg` says so). Left out for the other profiles.
    pub public_jwk: Option<async_graphql::Json<Value>>,
    /// What the values of `role` stand for, at most 100.
    pub roles: Vec<SsoRoleInput>,
    /// The role of those of whom no value is mapped; without it they are not let in. Never `OWNER`.
    pub default_role: Option<Role>,
}

/// Names a key.
#[derive(InputObject)]
pub struct SsoKeyInput {
    /// The key.
    pub id: SsoKeyId,
}

/// Names a web origin.
#[derive(InputObject)]
pub struct SsoOriginInput {
    /// The origin as a browser writes it, such as `https://partner.example`: no path, no star, no default port.
    pub origin: String,
}

/// A ticket and what proves that this page may spend it.
#[derive(InputObject)]
pub struct SsoTicketSpendInput {
    /// The ticket.
    pub ticket: String,
    /// The nonce that the ticket was asked for with.
    pub nonce: Option<String>,
    /// The origin of the window that handed the ticket over, as the browser told the page.
    pub embedder: Option<String>,
}

/// What came of a change of a connection.
#[derive(SimpleObject)]
pub struct SsoConnectionPayload {
    /// The connection as it is now.
    pub connection: Option<SsoConnectionObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<SsoUserError>,
}

/// What came of a change of a key.
#[derive(SimpleObject)]
pub struct SsoKeyPayload {
    /// The key as it is now.
    pub key: Option<SsoKeyObject>,
    /// The secret of a new key of a signature profile. It is told this once; keep it on the partner's server.
    pub secret: Option<String>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<SsoUserError>,
}

/// What came of a change of the origins.
#[derive(SimpleObject)]
pub struct SsoOriginPayload {
    /// The origin as it is now.
    pub origin: Option<SsoOriginObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<SsoUserError>,
}

/// What came of spending a ticket.
#[derive(SimpleObject, Default)]
pub struct SsoTicketSpendPayload {
    /// Send it as `Authorization: Bearer …`. There is no refresh token: when it ends, ask for a new ticket.
    pub token: Option<String>,
    /// When the token ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Who signed in.
    pub operator: Option<OperatorObject>,
    /// The enterprise that they work in.
    pub enterprise: Option<EnterpriseObject>,
    /// Why nobody was signed in, if nobody was.
    pub user_errors: Vec<SsoTicketUserError>,
}

fn given<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

#[derive(Default)]
pub struct SsoMutation;

async fn set_state(ctx: &Context<'_>, id: SsoConnectionId, state: SsoState) -> Result<SsoConnectionPayload> {
    let scope = ctx.request().console().map_err(raise)?;
    let outcome = payload::run(ctx, SsoUserError::from_problem, || {
        admin::set_connection_state(ctx.platform(), &scope, id, state)
    })
    .await?;
    Ok(SsoConnectionPayload { connection: outcome.value.map(SsoConnectionObject), user_errors: outcome.user_errors })
}

#[Object]
impl SsoMutation {
    /// Connects an OpenID provider, once its discovery document could be read. Needs `SSO_MANAGE`; for people only.
    async fn sso_connection_create(
        &self,
        ctx: &Context<'_>,
        input: SsoConnectionCreateInput,
    ) -> Result<SsoConnectionPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let request = ConnectionRequest {
            issuer: input.issuer,
            client_secret: input.client_secret,
            settings: ConnectionSettings {
                name: input.name,
                client_id: input.client_id,
                scopes: input.scopes,
                role_claim: input.role_claim,
                roles: map(input.roles),
                default_role: input.default_role,
                branch_claim: input.branch_claim,
            },
        };
        let outcome = payload::run(ctx, SsoUserError::from_problem, || {
            admin::create_connection(ctx.platform(), services(ctx), &scope, &request)
        })
        .await?;
        let connection = outcome.value.map(SsoConnectionObject);
        Ok(SsoConnectionPayload { connection, user_errors: outcome.user_errors })
    }

    /// Changes a connection. Its issuer stays: another provider is another connection. Needs `SSO_MANAGE`; for people
    /// only.
    async fn sso_connection_update(
        &self,
        ctx: &Context<'_>,
        input: SsoConnectionUpdateInput,
    ) -> Result<SsoConnectionPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let id = input.id;
        let change = ConnectionChange {
            name: input.name,
            client_id: input.client_id,
            client_secret: given(input.client_secret),
            scopes: input.scopes,
            role_claim: input.role_claim,
            roles: input.roles.map(map),
            default_role: given(input.default_role),
            branch_claim: given(input.branch_claim),
        };
        let outcome = payload::run(ctx, SsoUserError::from_problem, || {
            admin::update_connection(ctx.platform(), &scope, id, &change)
        })
        .await?;
        let connection = outcome.value.map(SsoConnectionObject);
        Ok(SsoConnectionPayload { connection, user_errors: outcome.user_errors })
    }

    /// Takes a connection out of use: nobody signs in through it any more. Needs `SSO_MANAGE`; for people only.
    async fn sso_connection_disable(
        &self,
        ctx: &Context<'_>,
        input: SsoConnectionInput,
    ) -> Result<SsoConnectionPayload> {
        set_state(ctx, input.id, SsoState::Disabled).await
    }

    /// Puts a connection into use again. Needs `SSO_MANAGE`; for people only.
    async fn sso_connection_enable(
        &self,
        ctx: &Context<'_>,
        input: SsoConnectionInput,
    ) -> Result<SsoConnectionPayload> {
        set_state(ctx, input.id, SsoState::Active).await
    }

    /// Registers a key for a partner's server. For a signature profile its secret is made here and told this once.
    /// Needs `SSO_MANAGE`; for people only.
    async fn sso_key_create(&self, ctx: &Context<'_>, input: SsoKeyCreateInput) -> Result<SsoKeyPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let request = KeyRequest {
            name: input.name,
            profile: input.profile,
            public_jwk: input.public_jwk.map(|jwk| jwk.0),
            roles: map(input.roles),
            default_role: input.default_role,
        };
        let outcome =
            payload::run(ctx, SsoUserError::from_problem, || admin::create_key(ctx.platform(), &scope, &request))
                .await?;
        let (key, secret) = outcome.value.map(|made| (SsoKeyObject(made.key), made.secret)).unzip();
        Ok(SsoKeyPayload { key, secret: secret.flatten(), user_errors: outcome.user_errors })
    }

    /// Takes a key out of use for good: what it signed is refused. Needs `SSO_MANAGE`; for people only.
    async fn sso_key_disable(&self, ctx: &Context<'_>, input: SsoKeyInput) -> Result<SsoKeyPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let outcome =
            payload::run(ctx, SsoUserError::from_problem, || admin::disable_key(ctx.platform(), &scope, input.id))
                .await?;
        Ok(SsoKeyPayload { key: outcome.value.map(SsoKeyObject), secret: None, user_errors: outcome.user_errors })
    }

    /// Lets the pages of an origin embed the console. Needs `SSO_MANAGE`; for people only.
    async fn sso_origin_add(&self, ctx: &Context<'_>, input: SsoOriginInput) -> Result<SsoOriginPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let outcome = payload::run(ctx, SsoUserError::from_problem, || {
            admin::add_origin(ctx.platform(), services(ctx), &scope, &input.origin)
        })
        .await?;
        Ok(SsoOriginPayload { origin: outcome.value.map(SsoOriginObject), user_errors: outcome.user_errors })
    }

    /// Forbids the pages of an origin to embed the console. Needs `SSO_MANAGE`; for people only.
    async fn sso_origin_remove(&self, ctx: &Context<'_>, input: SsoOriginInput) -> Result<SsoOriginPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let outcome = payload::run(ctx, SsoUserError::from_problem, || {
            admin::remove_origin(ctx.platform(), &scope, &input.origin)
        })
        .await?;
        Ok(SsoOriginPayload { origin: outcome.value.map(SsoOriginObject), user_errors: outcome.user_errors })
    }

    /// Opens the session that a ticket is for: once, within a minute, from the page that it is for. For browsers; the
    /// request's `Origin` must be this service's own, or the one that the ticket is bound to.
    async fn sso_ticket_spend(&self, ctx: &Context<'_>, input: SsoTicketSpendInput) -> Result<SsoTicketSpendPayload> {
        let (tokens, own_origin) = (ctx.data_unchecked::<Arc<Tokens>>(), own_origin(ctx)?);
        let standings = ctx.data_unchecked::<Arc<Standings>>();
        let request = SpendRequest {
            ticket: &input.ticket,
            nonce: input.nonce.as_deref(),
            embedder: input.embedder.as_deref(),
            own_origin: &own_origin,
            visit: &ctx.request().visit,
        };
        let outcome = payload::run(ctx, SsoTicketUserError::from_problem, || {
            ticket::spend(ctx.platform(), tokens, standings, &request)
        })
        .await?;
        Ok(match outcome.value {
            Some(entered) => SsoTicketSpendPayload {
                token: Some(entered.granted.token),
                expires_at: Some(entered.granted.expires_at),
                operator: Some(OperatorObject(entered.operator)),
                enterprise: Some(EnterpriseObject(entered.enterprise)),
                user_errors: Vec::new(),
            },
            None => SsoTicketSpendPayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }
}
