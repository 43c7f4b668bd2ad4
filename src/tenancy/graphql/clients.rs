//! API clients in GraphQL.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload::{self, Outcome};
use crate::api::transport::raise;
use crate::platform::fault::Fault;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::client::{self, ClientChange, ClientRequest, WithSecret};
use crate::tenancy::loaders::SecretsOf;
use crate::tenancy::model::clients::{ApiClient, ApiClientSecret, ApiClientState, ClientUserError, key_of};
use crate::tenancy::model::{ApiClientId, ApiClientSecretId};
use crate::tenancy::permission::{Permission, Permissions};
use crate::tenancy::standing::Standings;
use crate::tenancy::store;

const CLIENT_PAGES: PageRule = PageRule { list: "apiClients", default: 20, maximum: 100 };

pub struct ApiClientObject(pub ApiClient);

/// A machine of the enterprise (应用), which signs in at `/oauth/token` with its key and a secret.
#[Object(name = "ApiClient")]
impl ApiClientObject {
    /// Its ID.
    pub async fn id(&self) -> ApiClientId {
        self.0.id
    }

    /// What it is called.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it calls itself at the token endpoint: OAuth's `client_id`. No secret.
    async fn key(&self, ctx: &Context<'_>) -> Result<String> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        Ok(key_of(scope.tenant(), self.0.id))
    }

    /// What it may do.
    async fn scopes(&self) -> Result<Vec<Permission>> {
        let scopes: Permissions = self.0.scopes.parse().map_err(|unknown| raise(Fault::internal(unknown)))?;
        Ok(scopes.iter().collect())
    }

    /// Blocks of addresses that it may come from, as CIDR; from anywhere where there are none.
    async fn allow_list(&self) -> Vec<&str> {
        self.0.allow_list.split_ascii_whitespace().collect()
    }

    /// Whether it may come in.
    async fn state(&self) -> ApiClientState {
        self.0.state
    }

    /// Its secrets, newest first, ended ones too. Only hints: a secret is shown when it is made and never again.
    async fn secrets(&self, ctx: &Context<'_>) -> Result<Vec<ApiClientSecretObject>> {
        let secrets = ctx.loaders().one(SecretsOf(self.0.id)).await.map_err(raise)?.unwrap_or_default();
        let now = ctx.platform().clock.now();
        Ok(secrets.into_iter().map(|secret| ApiClientSecretObject { live: secret.is_live(now), secret }).collect())
    }

    /// When it last got a token.
    async fn last_used_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_used_at
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

pub struct ApiClientSecretObject {
    secret: ApiClientSecret,
    live: bool,
}

/// What an API client shows for itself, as far as it is remembered.
#[Object(name = "ApiClientSecret")]
impl ApiClientSecretObject {
    /// Its ID.
    async fn id(&self) -> ApiClientSecretId {
        self.secret.id
    }

    /// Its last four characters.
    async fn hint(&self) -> &str {
        &self.secret.hint
    }

    /// Whether a token can be got with it.
    async fn is_live(&self) -> bool {
        self.live
    }

    /// When it ends, where a newer one has taken its place.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.secret.expires_at
    }

    /// When it was revoked, if it was.
    async fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.secret.revoked_at
    }

    /// When a token was last got with it.
    async fn last_used_at(&self) -> Option<DateTime<Utc>> {
        self.secret.last_used_at
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.secret.created_at
    }
}

#[derive(Default)]
pub struct ClientQuery;

#[Object]
impl ClientQuery {
    /// One of the enterprise's API clients by ID. Needs `ENTERPRISE_READ`.
    async fn api_client(&self, ctx: &Context<'_>, id: ApiClientId) -> Result<Option<ApiClientObject>> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::EnterpriseRead)).map_err(raise)?;
        Ok(ctx.loaders().one(id).await.map_err(raise)?.map(ApiClientObject))
    }

    /// The enterprise's API clients, disabled ones too. Needs `ENTERPRISE_READ`.
    async fn api_clients(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<ApiClientObject>> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::EnterpriseRead)).map_err(raise)?;
        let page = Page::new(CLIENT_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = read(ctx).await?;
        let rows = store::clients::list(&tx, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::clients::count(&tx).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, ApiClientObject))
    }
}

/// A new API client.
#[derive(InputObject)]
pub struct ApiClientCreateInput {
    /// What to call it, 1 to 60 characters.
    pub name: String,
    /// What it may do: at least one scope, none that you lack yourself, and none that manages people, keys or sign-on.
    pub scopes: Vec<Permission>,
    /// Blocks of addresses that it may come from, as CIDR such as `203.0.113.0/24`; at most 50. From anywhere where
    /// there are none.
    #[graphql(default)]
    pub allow_list: Vec<String>,
}

/// What is to change of an API client. What is left out stays as it is.
#[derive(InputObject)]
pub struct ApiClientUpdateInput {
    /// The client.
    pub id: ApiClientId,
    /// What to call it, 1 to 60 characters.
    pub name: Option<String>,
    /// What it may do from now on. Tokens that are about may do no more than that either.
    pub scopes: Option<Vec<Permission>>,
    /// Blocks of addresses that it may come from, as CIDR; an empty list lets it come from anywhere.
    pub allow_list: Option<Vec<String>>,
}

/// Names an API client.
#[derive(InputObject)]
pub struct ApiClientDisableInput {
    /// The client.
    pub id: ApiClientId,
}

/// Names an API client.
#[derive(InputObject)]
pub struct ApiClientEnableInput {
    /// The client.
    pub id: ApiClientId,
}

/// Names an API client, and how long its present secret goes on.
#[derive(InputObject)]
pub struct ApiClientSecretRotateInput {
    /// The client.
    pub id: ApiClientId,
    /// For how many hours the present secret is still good, 0 to 72. With 0 every secret before and every token that was
    /// got with it ends at once.
    #[graphql(default = 24)]
    pub overlap_hours: i32,
}

/// Names a secret.
#[derive(InputObject)]
pub struct ApiClientSecretRevokeInput {
    /// The client.
    pub id: ApiClientId,
    /// Its secret.
    pub secret_id: ApiClientSecretId,
}

/// What came of a mutation on API clients.
#[derive(SimpleObject)]
pub struct ApiClientPayload {
    /// The client as it is now.
    pub client: Option<ApiClientObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<ClientUserError>,
}

impl From<Outcome<ApiClient, ClientUserError>> for ApiClientPayload {
    fn from(outcome: Outcome<ApiClient, ClientUserError>) -> Self {
        Self { client: outcome.value.map(ApiClientObject), user_errors: outcome.user_errors }
    }
}

/// What came of making a secret.
#[derive(SimpleObject)]
pub struct ApiClientSecretPayload {
    /// The client as it is now.
    pub client: Option<ApiClientObject>,
    /// The secret itself, OAuth's `client_secret`. It is shown this once: keep it where it is safe.
    pub secret: Option<String>,
    /// The secret as it will be known from now on.
    pub secret_id: Option<ApiClientSecretId>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<ClientUserError>,
}

impl From<Outcome<WithSecret, ClientUserError>> for ApiClientSecretPayload {
    fn from(outcome: Outcome<WithSecret, ClientUserError>) -> Self {
        let user_errors = outcome.user_errors;
        match outcome.value {
            Some(WithSecret { client, secret, text }) => Self {
                client: Some(ApiClientObject(client)),
                secret: Some(text),
                secret_id: Some(secret.id),
                user_errors,
            },
            None => Self { client: None, secret: None, secret_id: None, user_errors },
        }
    }
}

#[derive(Default)]
pub struct ClientMutation;

#[Object]
impl ClientMutation {
    /// Makes an API client with its first secret. Needs `CLIENT_MANAGE`.
    async fn api_client_create(
        &self,
        ctx: &Context<'_>,
        input: ApiClientCreateInput,
    ) -> Result<ApiClientSecretPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let request = ClientRequest { name: input.name, scopes: input.scopes, allow_list: input.allow_list };
        let outcome =
            payload::run(ctx, ClientUserError::from_problem, || client::create(ctx.platform(), scope, &request))
                .await?;
        Ok(outcome.into())
    }

    /// Changes an API client's name, scopes or allow-list. It counts at once, for its tokens too. Needs `CLIENT_MANAGE`.
    async fn api_client_update(&self, ctx: &Context<'_>, input: ApiClientUpdateInput) -> Result<ApiClientPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let change = ClientChange { name: input.name, scopes: input.scopes, allow_list: input.allow_list };
        let outcome = payload::run(ctx, ClientUserError::from_problem, || {
            client::update(ctx.platform(), standings(ctx), scope, input.id, &change)
        })
        .await?;
        Ok(outcome.into())
    }

    /// Keeps an API client out, at once and with all of its tokens, until it is enabled again. Needs `CLIENT_MANAGE`.
    async fn api_client_disable(&self, ctx: &Context<'_>, input: ApiClientDisableInput) -> Result<ApiClientPayload> {
        set_state(ctx, input.id, ApiClientState::Disabled).await
    }

    /// Lets an API client in again. Needs `CLIENT_MANAGE`.
    async fn api_client_enable(&self, ctx: &Context<'_>, input: ApiClientEnableInput) -> Result<ApiClientPayload> {
        set_state(ctx, input.id, ApiClientState::Active).await
    }

    /// Makes an API client's next secret. The present one is good for a while longer, so that a fleet can be moved over;
    /// at most two are live at a time. Needs `CLIENT_MANAGE`, and whatever the client may do.
    async fn api_client_secret_rotate(
        &self,
        ctx: &Context<'_>,
        input: ApiClientSecretRotateInput,
    ) -> Result<ApiClientSecretPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome = payload::run(ctx, ClientUserError::from_problem, || {
            client::rotate(ctx.platform(), standings(ctx), scope, input.id, input.overlap_hours)
        })
        .await?;
        Ok(outcome.into())
    }

    /// Ends one of an API client's secrets, and every token that was got with it, at once. Needs `CLIENT_MANAGE`.
    async fn api_client_secret_revoke(
        &self,
        ctx: &Context<'_>,
        input: ApiClientSecretRevokeInput,
    ) -> Result<ApiClientPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome = payload::run(ctx, ClientUserError::from_problem, || {
            client::revoke(ctx.platform(), standings(ctx), scope, input.id, input.secret_id)
        })
        .await?;
        Ok(outcome.into())
    }
}

async fn set_state(ctx: &Context<'_>, id: ApiClientId, state: ApiClientState) -> Result<ApiClientPayload> {
    let scope = ctx.request().enterprise().map_err(raise)?;
    let outcome = payload::run(ctx, ClientUserError::from_problem, || {
        client::set_state(ctx.platform(), standings(ctx), scope, id, state)
    })
    .await?;
    Ok(outcome.into())
}

fn standings<'a>(ctx: &Context<'a>) -> &'a Arc<Standings> {
    ctx.data_unchecked::<Arc<Standings>>()
}
