//! Operators in GraphQL: who they are, what they may do, and how somebody becomes one. Passwords and codes stand in
//! `passwords.rs`.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::ContextExt;
use crate::api::payload::{self, Outcome};
use crate::api::transport::raise;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::graphql::OperatorObject;
use crate::tenancy::invitation::{self, Acceptance, InvitationRequest, Invited};
use crate::tenancy::model::operators::{Invitation, InvitationState, OperatorUserError};
use crate::tenancy::model::{InvitationId, Operator, OperatorId, OperatorState};
use crate::tenancy::operator_change::{self, OperatorChange};
use crate::tenancy::permission::{Permission, Role};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::operators::{self, OperatorFilter};
use crate::tenancy::token::Tokens;

const OPERATOR_PAGES: PageRule = PageRule { list: "operators", default: 20, maximum: 100 };
const INVITATION_PAGES: PageRule = PageRule { list: "invitations", default: 20, maximum: 100 };

pub struct InvitationObject(pub Invitation);

/// Somebody who was asked to become an operator.
#[Object(name = "Invitation")]
impl InvitationObject {
    /// Its ID.
    pub async fn id(&self) -> InvitationId {
        self.0.id
    }

    /// The name that they will sign in with.
    async fn sign_in(&self) -> &str {
        &self.0.sign_in
    }

    /// What they are called.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What they will be.
    async fn role(&self) -> Role {
        self.0.role
    }

    /// Where it stands.
    async fn state(&self) -> InvitationState {
        self.0.state
    }

    /// Until when it can be accepted.
    async fn expires_at(&self) -> DateTime<Utc> {
        self.0.expires_at
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// Which operators to list.
#[derive(InputObject, Default)]
pub struct OperatorFilterInput {
    /// Only those with this role.
    pub role: Option<Role>,
    /// Only those in this state.
    pub state: Option<OperatorState>,
}

/// Which invitations to list.
#[derive(InputObject, Default)]
pub struct InvitationFilterInput {
    /// Only those in this state. One that has expired stays open until it is revoked or made anew.
    pub state: Option<InvitationState>,
}

#[derive(Default)]
pub struct StaffQuery;

#[Object]
impl StaffQuery {
    /// The people at your console. Needs `ENTERPRISE_READ`.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn operators(
        &self,
        ctx: &Context<'_>,
        filter: Option<OperatorFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<OperatorObject>> {
        let scope = ctx.request().console().map_err(raise)?;
        scope.require(Permission::EnterpriseRead).map_err(raise)?;
        let page = Page::new(OPERATOR_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let filter = filter.map(|filter| OperatorFilter { role: filter.role, state: filter.state }).unwrap_or_default();
        let tx = scope.read(&ctx.platform().database).await.map_err(raise)?;
        let rows = operators::list(&tx, &filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { operators::count(&tx, &filter).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, OperatorObject))
    }

    /// Who was invited to your console, newest first. Needs `OPERATOR_MANAGE`.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn invitations(
        &self,
        ctx: &Context<'_>,
        filter: Option<InvitationFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<InvitationObject>> {
        let scope = ctx.request().console().map_err(raise)?;
        scope.require(Permission::OperatorManage).map_err(raise)?;
        let page = Page::new(INVITATION_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let state = filter.and_then(|filter| filter.state);
        let tx = scope.read(&ctx.platform().database).await.map_err(raise)?;
        let rows = operators::list_invitations(&tx, state, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { operators::count_invitations(&tx, state).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, InvitationObject))
    }
}

/// Whom to invite.
#[derive(InputObject)]
pub struct OperatorInviteInput {
    /// The name that they will sign in with, 3 to 254 characters without spaces, unique in this house.
    pub sign_in: String,
    /// What they are called, 1 to 80 characters.
    pub name: String,
    /// What they will be.
    pub role: Role,
}

/// What came of inviting.
#[derive(SimpleObject, Default)]
pub struct OperatorInvitePayload {
    /// The invitation.
    pub invitation: Option<InvitationObject>,
    /// What the one who was invited hands to `invitationAccept`. It is shown this once; pass it on in private.
    pub secret: Option<String>,
    /// Why nobody was invited, if nobody was.
    pub user_errors: Vec<OperatorUserError>,
}

/// What somebody who was invited answers.
#[derive(InputObject)]
pub struct InvitationAcceptInput {
    /// The invitation's secret.
    pub secret: String,
    /// The password to sign in with from now on.
    pub password: String,
}

/// What came of accepting an invitation.
#[derive(SimpleObject, Default)]
pub struct InvitationAcceptPayload {
    /// Send it as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// When the token ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Good once, for the next token: hand it to `sessionRefresh`.
    pub refresh_token: Option<String>,
    /// Keep it on this device and send it with each sign-in: strangers' guesses then do not slow you down.
    pub device_token: Option<String>,
    /// Who you are now.
    pub operator: Option<OperatorObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<OperatorUserError>,
}

/// Names an invitation.
#[derive(InputObject)]
pub struct InvitationRevokeInput {
    /// The invitation.
    pub id: InvitationId,
}

/// What came of taking an invitation back.
#[derive(SimpleObject)]
pub struct InvitationRevokePayload {
    /// The invitation as it is now.
    pub invitation: Option<InvitationObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<OperatorUserError>,
}

/// How an operator is to be different.
#[derive(InputObject)]
pub struct OperatorUpdateInput {
    /// The operator.
    pub id: OperatorId,
    /// What they are called, 1 to 80 characters; stays as it is if it is not given.
    pub name: Option<String>,
    /// What they may do; stays as it is if it is not given.
    pub role: Option<Role>,
}

/// Names an operator.
#[derive(InputObject)]
pub struct OperatorDisableInput {
    /// The operator.
    pub id: OperatorId,
}

/// Names an operator.
#[derive(InputObject)]
pub struct OperatorEnableInput {
    /// The operator.
    pub id: OperatorId,
}

/// Names an operator.
#[derive(InputObject)]
pub struct OperatorSessionsEndInput {
    /// The operator. Of your own sessions the one that asks stays.
    pub id: OperatorId,
}

/// What came of changing an operator.
#[derive(SimpleObject)]
pub struct OperatorPayload {
    /// The operator as they are now.
    pub operator: Option<OperatorObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<OperatorUserError>,
}

impl From<Outcome<Operator, OperatorUserError>> for OperatorPayload {
    fn from(outcome: Outcome<Operator, OperatorUserError>) -> Self {
        Self { operator: outcome.value.map(OperatorObject), user_errors: outcome.user_errors }
    }
}

/// What came of ending sessions.
#[derive(SimpleObject)]
pub struct OperatorSessionsEndPayload {
    /// How many were ended.
    pub ended_count: Option<i64>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<OperatorUserError>,
}

#[derive(Default)]
pub struct StaffMutation;

#[Object]
impl StaffMutation {
    /// Invites somebody to your console, for seven days. An open invitation to the same name ends with it. Needs
    /// `OPERATOR_MANAGE`; only an owner invites an owner.
    async fn operator_invite(&self, ctx: &Context<'_>, input: OperatorInviteInput) -> Result<OperatorInvitePayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let request = InvitationRequest { sign_in: input.sign_in, name: input.name, role: input.role };
        let outcome =
            payload::run(ctx, OperatorUserError::from_problem, || invitation::invite(ctx.platform(), &scope, &request))
                .await?;
        Ok(match outcome.value {
            Some(Invited { invitation, secret }) => OperatorInvitePayload {
                invitation: Some(InvitationObject(invitation)),
                secret: Some(secret),
                user_errors: Vec::new(),
            },
            None => OperatorInvitePayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }

    /// Makes an operator of whoever holds an invitation's secret, and signs them in. Needs no token.
    async fn invitation_accept(
        &self,
        ctx: &Context<'_>,
        input: InvitationAcceptInput,
    ) -> Result<InvitationAcceptPayload> {
        let tokens = ctx.data_unchecked::<Arc<Tokens>>();
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            let acceptance = Acceptance {
                secret: &input.secret,
                password: &input.password,
                visit: &ctx.request().visit,
                request_id: ctx.request().request_id.clone(),
            };
            invitation::accept(ctx.platform(), tokens, acceptance)
        })
        .await?;
        Ok(match outcome.value {
            Some(done) => InvitationAcceptPayload {
                token: Some(done.granted.token),
                expires_at: Some(done.granted.expires_at),
                refresh_token: done.granted.refresh_token,
                device_token: Some(done.device_token),
                operator: Some(OperatorObject(done.operator)),
                user_errors: Vec::new(),
            },
            None => InvitationAcceptPayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }

    /// Takes an open invitation back. Needs `OPERATOR_MANAGE`; an owner's only owners.
    async fn invitation_revoke(
        &self,
        ctx: &Context<'_>,
        input: InvitationRevokeInput,
    ) -> Result<InvitationRevokePayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let outcome =
            payload::run(ctx, OperatorUserError::from_problem, || invitation::revoke(ctx.platform(), &scope, input.id))
                .await?;
        let invitation = outcome.value.map(InvitationObject);
        Ok(InvitationRevokePayload { invitation, user_errors: outcome.user_errors })
    }

    /// Changes an operator's name or role. A new role ends their sessions. Needs `OPERATOR_MANAGE`; owners are made and
    /// changed by owners, and the last active one stays.
    async fn operator_update(&self, ctx: &Context<'_>, input: OperatorUpdateInput) -> Result<OperatorPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let standings = ctx.data_unchecked::<Arc<Standings>>();
        let change = OperatorChange { name: input.name, role: input.role };
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            operator_change::update(ctx.platform(), standings, &scope, input.id, &change)
        })
        .await?;
        Ok(outcome.into())
    }

    /// Keeps an operator out: their sessions end, and they cannot sign in. Needs `OPERATOR_MANAGE`; an owner only by
    /// owners, and the last active one stays.
    async fn operator_disable(&self, ctx: &Context<'_>, input: OperatorDisableInput) -> Result<OperatorPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let standings = ctx.data_unchecked::<Arc<Standings>>();
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            operator_change::disable(ctx.platform(), standings, &scope, input.id)
        })
        .await?;
        Ok(outcome.into())
    }

    /// Lets an operator in again, with the password that they had. Needs `OPERATOR_MANAGE`; an owner only by owners.
    async fn operator_enable(&self, ctx: &Context<'_>, input: OperatorEnableInput) -> Result<OperatorPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            operator_change::enable(ctx.platform(), &scope, input.id)
        })
        .await?;
        Ok(outcome.into())
    }

    /// Ends every session of an operator; of your own, every other one. For others needs `OPERATOR_MANAGE`; an owner's
    /// only owners.
    async fn operator_sessions_end(
        &self,
        ctx: &Context<'_>,
        input: OperatorSessionsEndInput,
    ) -> Result<OperatorSessionsEndPayload> {
        let scope = ctx.request().console().map_err(raise)?;
        let standings = ctx.data_unchecked::<Arc<Standings>>();
        let outcome = payload::run(ctx, OperatorUserError::from_problem, || {
            operator_change::end_sessions(ctx.platform(), standings, &scope, input.id)
        })
        .await?;
        let ended_count = outcome.value.and_then(|ended| i64::try_from(ended).ok());
        Ok(OperatorSessionsEndPayload { ended_count, user_errors: outcome.user_errors })
    }
}
