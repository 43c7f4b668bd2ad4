//! Sessions in GraphQL: refresh, sign out, and who is signed in where.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::ContextExt;
use crate::api::payload;
use crate::api::transport::raise;
use crate::platform::fault::Fault;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::model::{OperatorId, Session, SessionId, SessionUserError, SignInMethod};
use crate::tenancy::operator_change;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::Caller;
use crate::tenancy::session::{self, Own};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::sessions;
use crate::tenancy::token::Tokens;

const SESSION_PAGES: PageRule = PageRule { list: "sessions", default: 20, maximum: 100 };

pub struct SessionObject {
    session: Session,
    /// The session of the request that asks.
    present: Option<SessionId>,
}

/// One time that somebody signed in.
#[Object(name = "Session")]
impl SessionObject {
    /// Its ID, which the session's access tokens carry as `sid`.
    pub async fn id(&self) -> SessionId {
        self.session.id
    }

    /// How they signed in.
    async fn method(&self) -> SignInMethod {
        self.session.method
    }

    /// The program they signed in with, as its `User-Agent` says.
    async fn client(&self) -> &str {
        &self.session.client
    }

    /// The address they signed in from.
    async fn address(&self) -> &str {
        &self.session.address
    }

    /// Whether it is the session that asks.
    async fn is_present(&self) -> bool {
        self.present == Some(self.session.id)
    }

    /// When they signed in.
    async fn created_at(&self) -> DateTime<Utc> {
        self.session.created_at
    }

    /// When it was last refreshed.
    async fn used_at(&self) -> DateTime<Utc> {
        self.session.used_at
    }

    /// When it ends at the latest.
    async fn expires_at(&self) -> DateTime<Utc> {
        self.session.expires_at
    }

    /// When it was ended before its time, if it was.
    async fn ended_at(&self) -> Option<DateTime<Utc>> {
        self.session.revoked_at
    }

    /// Why it was ended, if it was: `SIGNED_OUT`, `REFRESH_TOKEN_REUSED`, …
    async fn ended_because(&self) -> Option<&str> {
        self.session.revoked_because.as_deref()
    }
}

#[derive(Default)]
pub struct SessionQuery;

#[Object]
impl SessionQuery {
    /// Your own sessions, or with `OPERATOR_MANAGE` those of one of your operators.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside subject and order")]
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        operator_id: Option<OperatorId>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<SessionObject>> {
        let page = Page::new(SESSION_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let database = &ctx.platform().database;
        let (tx, subject, present) = match (&ctx.request().caller, operator_id) {
            (Caller::Holder(scope), None) => {
                (scope.read(database).await.map_err(raise)?, scope.holder().uuid(), scope.session())
            }
            (Caller::Holder(_), Some(_)) => {
                return Err(raise(Fault::wrong_caller("操作员的令牌", "an operator's token")));
            }
            (_, operator) => {
                let scope = ctx.request().console().map_err(raise)?;
                let own = scope.operator().ok();
                let subject = match operator {
                    Some(other) if Some(other) != own => {
                        scope.require(Permission::OperatorManage).map_err(raise)?;
                        other
                    }
                    _ => {
                        own.ok_or_else(|| raise(Fault::wrong_caller("操作员本人的令牌", "an operator's own token")))?
                    }
                };
                (scope.read(database).await.map_err(raise)?, subject.uuid(), scope.session())
            }
        };
        let rows = sessions::list(&tx, subject, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { sessions::count(&tx, subject).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, move |session| SessionObject { session, present }))
    }
}

/// A refresh token.
#[derive(InputObject)]
pub struct SessionRefreshInput {
    /// The newest one that the session was given. It is good once.
    pub refresh_token: String,
}

/// Names a session.
#[derive(InputObject, Default)]
pub struct SessionEndInput {
    /// One of your own, or with `OPERATOR_MANAGE` one of another operator; without it the session of the token that asks.
    pub id: Option<SessionId>,
}

/// What came of a refresh.
#[derive(SimpleObject, Default)]
pub struct SessionRefreshPayload {
    /// Send it as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// When the token ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// The next refresh token; the one that was sent is used up.
    pub refresh_token: Option<String>,
    /// Why nothing was given, if nothing was.
    pub user_errors: Vec<SessionUserError>,
}

/// What came of ending a session.
#[derive(SimpleObject)]
pub struct SessionEndPayload {
    /// The session as it is now.
    pub session: Option<SessionObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<SessionUserError>,
}

#[derive(Default)]
pub struct SessionMutation;

#[Object]
impl SessionMutation {
    /// Exchanges a refresh token for the next access token and the next refresh token. A refresh token that comes a
    /// second time ends the session, whoever sent it: if the answer was lost, sign in again.
    async fn session_refresh(&self, ctx: &Context<'_>, input: SessionRefreshInput) -> Result<SessionRefreshPayload> {
        let (tokens, standings) = (ctx.data_unchecked::<Arc<Tokens>>(), ctx.data_unchecked::<Arc<Standings>>());
        let outcome = payload::run(ctx, SessionUserError::from_problem, || {
            session::refresh(
                ctx.platform(),
                tokens,
                standings,
                &input.refresh_token,
                (ctx.request().site, &ctx.request().request_id),
            )
        })
        .await?;
        Ok(match outcome.value {
            Some(granted) => SessionRefreshPayload {
                token: Some(granted.token),
                expires_at: Some(granted.expires_at),
                refresh_token: granted.refresh_token,
                user_errors: Vec::new(),
            },
            None => SessionRefreshPayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }

    /// Signs out: ends the present session, or another of your own, or with `OPERATOR_MANAGE` one of another operator (an
    /// owner's only owners). Its tokens are refused from then on.
    async fn session_end(&self, ctx: &Context<'_>, input: SessionEndInput) -> Result<SessionEndPayload> {
        let standings = ctx.data_unchecked::<Arc<Standings>>();
        let (console, holder) = match &ctx.request().caller {
            Caller::Holder(scope) => (None, Some(scope)),
            _ => (Some(ctx.request().console().map_err(raise)?), None),
        };
        let outcome = payload::run(ctx, SessionUserError::from_problem, || async {
            match (&console, holder) {
                (Some(scope), _) => operator_change::end_session(ctx.platform(), standings, scope, input.id).await,
                (None, Some(scope)) => session::end_own(ctx.platform(), standings, Own::Holder(scope), input.id).await,
                (None, None) => Err(Fault::NO_TOKEN.into()),
            }
        })
        .await?;
        let session = outcome.value.map(|session| SessionObject { session, present: None });
        Ok(SessionEndPayload { session, user_errors: outcome.user_errors })
    }
}
