//! Enterprises, operators and sign-in in GraphQL. What grew larger stands in files of its own beside this one.

pub mod audit;
pub mod branches;
pub mod clients;
pub mod hosts;
pub mod operators;
pub mod passwords;
pub mod qualifications;
pub mod registration;
pub mod sessions;
pub mod sso;

use std::sync::Arc;

use async_graphql::{Context, InputObject, MergedObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::text::{LocalizedText, LocalizedTextInput};
use crate::api::transport::raise;
use crate::platform::fault::Fault;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::enterprise::{self, EnterpriseRequest};
use crate::tenancy::model::{
    Enterprise, EnterpriseId, EnterpriseKind, EnterpriseState, EnterpriseUserError, Operator, OperatorId,
    OperatorState, SignInUserError,
};
use crate::tenancy::permission::{Permission, Role};
use crate::tenancy::scope::{ActorKind, Caller, HouseTx, TenantScope};
use crate::tenancy::sign_in::{self, SignInRequest};
use crate::tenancy::token::Tokens;
use crate::tenancy::{branch_view, store};
use crate::words;

const ENTERPRISE_PAGES: PageRule = PageRule { list: "enterprises", default: 20, maximum: 100 };

pub struct EnterpriseObject(pub Enterprise);

/// A tenant (企业).
#[Object(name = "Enterprise")]
impl EnterpriseObject {
    /// Its ID.
    pub async fn id(&self) -> EnterpriseId {
        self.0.id
    }

    /// Its short name, unique in this house.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    /// What it is called.
    async fn name(&self) -> LocalizedText {
        LocalizedText::new(&self.0.name_chinese, &self.0.name_english)
    }

    /// What kind of tenant it is.
    async fn kind(&self) -> EnterpriseKind {
        self.0.kind
    }

    /// Where it stands.
    async fn state(&self) -> EnterpriseState {
        self.0.state
    }

    /// Why it stands there, as the house said. For its own people and the house.
    async fn state_reason(&self, ctx: &Context<'_>) -> Option<&str> {
        match &ctx.request().caller {
            Caller::House(_) => self.0.state_reason.as_deref(),
            Caller::Enterprise(scope) if scope.tenant() == self.0.id => self.0.state_reason.as_deref(),
            _ => None,
        }
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

pub struct OperatorObject(pub Operator);

/// A user of the console (操作员).
#[Object(name = "Operator")]
impl OperatorObject {
    /// Its ID.
    pub async fn id(&self) -> OperatorId {
        self.0.id
    }

    /// The name they sign in with; nobody's who comes by single sign-on.
    async fn sign_in(&self) -> Option<&str> {
        self.0.sign_in.as_deref()
    }

    /// What they are called.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What they may do.
    async fn role(&self) -> Role {
        self.0.role
    }

    /// Whether they may come in.
    async fn state(&self) -> OperatorState {
        self.0.state
    }

    /// Whether they sign in with a password; who comes by single sign-on alone has none.
    async fn has_password(&self) -> bool {
        self.0.password_hash.is_some()
    }

    /// Whether two-step sign-in is on.
    async fn has_totp(&self) -> bool {
        self.0.totp_confirmed_at.is_some()
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When they became an operator.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

words! {
    /// What kind of caller a token speaks for.
    pub enum ViewerKind {
        /// No token was sent.
        Anonymous = "ANONYMOUS",
        /// A console user.
        Operator = "OPERATOR",
        /// A machine of the enterprise.
        Client = "CLIENT",
        /// The partner that the enterprise is a branch of.
        Partner = "PARTNER",
        /// A person.
        Holder = "HOLDER",
        /// The house.
        House = "HOUSE",
        /// A person across enterprises, in their wallet.
        Person = "PERSON",
    }
}

/// Whom the request's token speaks for. What other capabilities know of them stands with those
/// (`wallets::graphql::viewer`).
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Viewer {
    /// What kind of caller.
    pub kind: ViewerKind,
    /// The enterprise that the token is for.
    pub enterprise: Option<EnterpriseObject>,
    /// The person at the console, an enterprise's or the house's.
    pub operator: Option<OperatorObject>,
}

/// What can be read of who acts.
#[derive(MergedObject, Default)]
pub struct TenancyQuery(
    EnterpriseQuery,
    sessions::SessionQuery,
    operators::StaffQuery,
    clients::ClientQuery,
    audit::AuditQuery,
    hosts::HostQuery,
    sso::SsoQuery,
    qualifications::QualificationQuery,
    branches::BranchQuery,
);

/// What can be done about who acts.
#[derive(MergedObject, Default)]
pub struct TenancyMutation(
    EnterpriseMutation,
    sessions::SessionMutation,
    operators::StaffMutation,
    passwords::PasswordMutation,
    clients::ClientMutation,
    sso::SsoMutation,
    registration::RegistrationMutation,
    qualifications::QualificationMutation,
    branches::BranchMutation,
);

#[derive(Default)]
pub struct EnterpriseQuery;

#[Object]
impl EnterpriseQuery {
    /// Whom the request's token speaks for.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        let kind = match ctx.request().caller {
            Caller::Anonymous => ViewerKind::Anonymous,
            Caller::Enterprise(ref scope) => match scope.actor().kind {
                ActorKind::Client => ViewerKind::Client,
                ActorKind::Partner => ViewerKind::Partner,
                _ => ViewerKind::Operator,
            },
            Caller::Holder(_) => ViewerKind::Holder,
            Caller::House(_) => ViewerKind::House,
            Caller::Person(_) => ViewerKind::Person,
        };
        // Whoever asks only what kind of caller they are costs no statement.
        let wanted = |field: &str| ctx.look_ahead().field(field).exists();
        let enterprise = match ctx.request().caller {
            Caller::Enterprise(_) | Caller::Holder(_) if wanted("enterprise") => {
                let tx = read(ctx).await?;
                store::enterprise(&tx).await.map_err(raise)?
            }
            _ => None,
        };
        let operator = match ctx.request().console().ok().and_then(|scope| Some((scope.operator().ok()?, scope))) {
            Some((id, scope)) if wanted("operator") => find_operator(ctx, &scope, id).await?,
            _ => None,
        };
        Ok(Viewer { kind, enterprise: enterprise.map(EnterpriseObject), operator })
    }

    /// One enterprise by ID: your own, a branch of yours, or any if you are the house.
    async fn enterprise(&self, ctx: &Context<'_>, id: EnterpriseId) -> Result<Option<EnterpriseObject>> {
        find(ctx, id).await
    }

    /// Every enterprise. For the house.
    async fn enterprises(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<EnterpriseObject>> {
        ctx.request().house().map_err(raise)?;
        let page = Page::new(ENTERPRISE_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = HouseTx::read(&ctx.platform().database).await.map_err(raise)?;
        let rows = store::list_enterprises(&tx, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count_enterprises(&tx).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, EnterpriseObject))
    }

    /// One of the operators at your console by ID. Needs `ENTERPRISE_READ`.
    async fn operator(&self, ctx: &Context<'_>, id: OperatorId) -> Result<Option<OperatorObject>> {
        let scope = ctx.request().console().map_err(raise)?;
        scope.require(Permission::EnterpriseRead).map_err(raise)?;
        find_operator(ctx, &scope, id).await
    }
}

/// The house has no loaders, so it reads for itself.
async fn find_operator(ctx: &Context<'_>, scope: &TenantScope, id: OperatorId) -> Result<Option<OperatorObject>> {
    let found = match ctx.request().caller {
        Caller::House(_) => {
            let tx = scope.read(&ctx.platform().database).await.map_err(raise)?;
            store::operators_by_id(&tx, &[id]).await.map_err(raise)?.remove(&id)
        }
        _ => ctx.loaders().one(id).await.map_err(raise)?,
    };
    Ok(found.map(OperatorObject))
}

/// An enterprise as far as the caller may see it.
pub async fn find(ctx: &Context<'_>, id: EnterpriseId) -> Result<Option<EnterpriseObject>> {
    look_up(ctx, id).await.map_err(raise)
}

/// The same, with the fault still bare.
pub async fn look_up(ctx: &Context<'_>, id: EnterpriseId) -> std::result::Result<Option<EnterpriseObject>, Fault> {
    let found = match &ctx.request().caller {
        Caller::House(_) => {
            let tx = HouseTx::read(&ctx.platform().database).await?;
            store::enterprises_by_id(&tx, &[id]).await?.remove(&id)
        }
        caller => {
            let tx = ctx.request().reader.transaction().await?;
            match (store::enterprise(&tx).await?.filter(|own| own.id == id), caller) {
                (Some(own), _) => Some(own),
                // A partner also sees who its branches are.
                (None, Caller::Enterprise(scope)) if scope.require(Permission::BranchRead).is_ok() => {
                    branch_view::by_id(ctx.platform(), &tx, id).await?
                }
                (None, _) => None,
            }
        }
    };
    Ok(found.map(EnterpriseObject))
}

/// What an operator signs in with.
#[derive(InputObject)]
pub struct OperatorSignInInput {
    /// The sign-in name.
    pub sign_in: String,
    /// The password.
    pub password: String,
    /// Where two-step sign-in is on: the six digits that the app shows, or a recovery code.
    pub code: Option<String>,
    /// What an earlier sign-in on this device gave as `deviceToken`: strangers' guesses then do not slow you down.
    pub device_token: Option<String>,
}

/// What came of signing in.
#[derive(SimpleObject, Default)]
pub struct OperatorSignInPayload {
    /// Send it as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// When the token ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Good once, for the next token: hand it to `sessionRefresh`.
    pub refresh_token: Option<String>,
    /// Keep it on this device and send it with the next sign-in.
    pub device_token: Option<String>,
    /// Who signed in.
    pub operator: Option<OperatorObject>,
    /// Why nobody was signed in, if nobody was.
    pub user_errors: Vec<SignInUserError>,
}

/// A new enterprise.
#[derive(InputObject)]
pub struct EnterpriseCreateInput {
    /// Its short name: 2 to 40 lower-case letters, digits or hyphens, unique in this house.
    pub slug: String,
    /// What it is called, 1 to 80 characters in each language.
    pub name: LocalizedTextInput,
    /// What kind of tenant it is.
    #[graphql(default_with = "EnterpriseKind::Standard")]
    pub kind: EnterpriseKind,
    /// Its owner's sign-in name, unique in this house.
    pub owner_sign_in: String,
    /// What its owner is called.
    pub owner_name: String,
    /// Its owner's first password, 12 to 128 characters.
    pub owner_password: String,
}

/// What came of creating an enterprise.
#[derive(SimpleObject)]
pub struct EnterprisePayload {
    /// The enterprise as it is now.
    pub enterprise: Option<EnterpriseObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<EnterpriseUserError>,
}

#[derive(Default)]
pub struct EnterpriseMutation;

#[Object]
impl EnterpriseMutation {
    /// Signs an operator in with a password. The token is good for a quarter of an hour; `sessionRefresh` gives the next.
    /// `TOTP_REQUIRED` asks for the same once more with a code. After several failures each next attempt has to wait.
    async fn operator_sign_in(&self, ctx: &Context<'_>, input: OperatorSignInInput) -> Result<OperatorSignInPayload> {
        let tokens = ctx.data_unchecked::<Arc<Tokens>>();
        let request = SignInRequest {
            sign_in: &input.sign_in,
            password: &input.password,
            code: input.code.as_deref(),
            device_token: input.device_token.as_deref(),
            visit: &ctx.request().visit,
            site: ctx.request().site,
        };
        let outcome =
            payload::run(ctx, SignInUserError::from_problem, || sign_in::sign_in(ctx.platform(), tokens, &request))
                .await?;
        Ok(match outcome.value {
            Some(done) => OperatorSignInPayload {
                token: Some(done.granted.token),
                expires_at: Some(done.granted.expires_at),
                refresh_token: done.granted.refresh_token,
                device_token: Some(done.device_token),
                operator: Some(OperatorObject(done.operator)),
                user_errors: Vec::new(),
            },
            None => OperatorSignInPayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }

    /// Creates an enterprise with its owner. For the house.
    async fn enterprise_create(&self, ctx: &Context<'_>, input: EnterpriseCreateInput) -> Result<EnterprisePayload> {
        let house = ctx.request().house().map_err(raise)?;
        let request = EnterpriseRequest {
            slug: input.slug,
            name_chinese: input.name.chinese,
            name_english: input.name.english,
            kind: input.kind,
            owner_sign_in: input.owner_sign_in,
            owner_name: input.owner_name,
            owner_password: input.owner_password,
        };
        let outcome = payload::run(ctx, EnterpriseUserError::from_problem, || {
            enterprise::create(ctx.platform(), house, &request)
        })
        .await?;
        let enterprise = match outcome.value {
            Some(id) => find(ctx, id).await?,
            None => None,
        };
        Ok(EnterprisePayload { enterprise, user_errors: outcome.user_errors })
    }
}
