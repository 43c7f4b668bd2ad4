//! A partner's branches in GraphQL.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::text::LocalizedTextInput;
use crate::api::transport::raise;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::branch::{self, BranchRequest, OwnerRequest, Step};
use crate::tenancy::graphql::EnterpriseObject;
use crate::tenancy::model::{BranchState, BranchTotals, BranchUserError, Enterprise, EnterpriseId};
use crate::tenancy::permission::{Permission, Permissions};
use crate::tenancy::standing::Standings;
use crate::tenancy::token::Tokens;
use crate::tenancy::{branch_token, branch_view};

const BRANCH_PAGES: PageRule = PageRule { list: "branches", default: 20, maximum: 100 };

pub struct BranchObject {
    branch: Enterprise,
    /// Counted for the whole page where the page asks for it.
    totals: Option<BranchTotals>,
}

impl BranchObject {
    fn new(branch: Enterprise) -> Self {
        Self { branch, totals: None }
    }
}

/// A branch of a partner platform (平台类企业的分支): an enterprise of its own that the partner answers for.
#[Object(name = "Branch")]
impl BranchObject {
    /// What the partner calls it.
    async fn corp_open_id(&self) -> &str {
        self.branch.corp_open_id.as_deref().unwrap_or_default()
    }

    /// The enterprise that it is.
    async fn enterprise(&self) -> EnterpriseObject {
        EnterpriseObject(self.branch.clone())
    }

    /// Where it stands, the house's word, the partner's and the calendar taken together.
    async fn state(&self, ctx: &Context<'_>) -> BranchState {
        BranchState::of(&self.branch, ctx.platform().clock.now())
    }

    /// When the partner has disabled it, if it did.
    async fn disabled_at(&self) -> Option<DateTime<Utc>> {
        self.branch.disabled_at
    }

    /// From when on it no longer works, if there is such a time.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.branch.expires_at
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.branch.created_at
    }

    /// What it amounts to. Counted at the moment of asking, for a page of branches together.
    async fn totals(&self, ctx: &Context<'_>) -> Result<BranchTotalsObject> {
        if let Some(totals) = &self.totals {
            return Ok(totals.clone().into());
        }
        let id = self.branch.id;
        let mut totals = branch_view::totals(ctx.platform(), &[id]).await.map_err(raise)?;
        Ok(totals.remove(&id).unwrap_or_default().into())
    }
}

/// Sums over a branch, or over all of them.
#[derive(SimpleObject)]
#[graphql(name = "BranchTotals")]
pub struct BranchTotalsObject {
    /// Persons who are known there.
    pub holders: i64,
    /// Pieces that somebody holds.
    pub items: i64,
    /// Orders that were paid and not given back.
    pub paid_orders: i64,
    /// What they came to, in each currency.
    pub paid_amounts: Vec<BranchAmount>,
    /// Activities that are published and within their window.
    pub running_activities: i64,
    /// Collectibles that were issued.
    pub issued_collectibles: i64,
}

/// A sum of money.
#[derive(SimpleObject)]
pub struct BranchAmount {
    /// The currency, as ISO 4217 names it.
    pub currency: String,
    /// In the currency's minor unit.
    pub amount_minor: i64,
}

impl From<BranchTotals> for BranchTotalsObject {
    fn from(totals: BranchTotals) -> Self {
        let amount = |(currency, amount_minor)| BranchAmount { currency, amount_minor };
        Self {
            holders: totals.holders,
            items: totals.items,
            paid_orders: totals.paid_orders,
            paid_amounts: totals.paid.into_iter().map(amount).collect(),
            running_activities: totals.running_activities,
            issued_collectibles: totals.issued_collectibles,
        }
    }
}

/// How many branches are in a state.
#[derive(SimpleObject)]
pub struct BranchStateCount {
    /// The state.
    pub state: BranchState,
    /// How many are in it.
    pub count: i64,
}

/// All branches together.
#[derive(SimpleObject)]
pub struct BranchSummary {
    /// How many there are in each state.
    pub states: Vec<BranchStateCount>,
    /// What all of them amount to, whatever their state.
    pub totals: BranchTotalsObject,
}

/// Which branches to list.
#[derive(InputObject, Default)]
pub struct BranchFilterInput {
    /// Only those in this state.
    pub state: Option<BranchState>,
}

#[derive(Default)]
pub struct BranchQuery;

#[Object]
impl BranchQuery {
    /// One of the partner's branches by the partner's name for it. Needs `BRANCH_READ`.
    async fn branch(&self, ctx: &Context<'_>, corp_open_id: String) -> Result<Option<BranchObject>> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::BranchRead)).map_err(raise)?;
        let tx = read(ctx).await?;
        let found = branch_view::by_name(ctx.platform(), &tx, &corp_open_id).await.map_err(raise)?;
        Ok(found.map(BranchObject::new))
    }

    /// The partner's branches. Needs `BRANCH_READ`.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn branches(
        &self,
        ctx: &Context<'_>,
        filter: Option<BranchFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<BranchObject>> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::BranchRead)).map_err(raise)?;
        let filter = filter.unwrap_or_default().state;
        let page = Page::new(BRANCH_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let (platform, tx) = (ctx.platform(), read(ctx).await?);
        let rows = branch_view::list(platform, &tx, filter, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { branch_view::count(platform, &tx, filter).await.map_err(raise)? } else { 0 };
        drop(tx);
        let wants_totals = ["nodes", "edges"].iter().any(|list| {
            let list = ctx.look_ahead().field(list);
            list.field("totals").exists() || list.field("node").field("totals").exists()
        });
        let totals = match wants_totals {
            true => {
                let ids: Vec<EnterpriseId> = rows.iter().map(|row| row.id).collect();
                Some(branch_view::totals(platform, &ids).await.map_err(raise)?)
            }
            false => None,
        };
        let of = |totals: &HashMap<EnterpriseId, BranchTotals>, id| totals.get(&id).cloned().unwrap_or_default();
        let object = |branch: Enterprise| {
            let totals = totals.as_ref().map(|totals| of(totals, branch.id));
            BranchObject { branch, totals }
        };
        Ok(connect(&page, rows, total, |row| row.id, object))
    }

    /// All of the partner's branches together: how many in which state, and their sums. Needs `BRANCH_READ`.
    async fn branch_summary(&self, ctx: &Context<'_>) -> Result<BranchSummary> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::BranchRead)).map_err(raise)?;
        let tx = read(ctx).await?;
        let summary = branch_view::summary(ctx.platform(), &tx).await.map_err(raise)?;
        let states = summary.states.into_iter().map(|(state, count)| BranchStateCount { state, count }).collect();
        Ok(BranchSummary { states, totals: summary.totals.into() })
    }
}

/// A branch's first owner.
#[derive(InputObject)]
pub struct BranchOwnerInput {
    /// Their sign-in name, unique in this house.
    pub sign_in: String,
    /// What they are called.
    pub name: String,
    /// Their first password, 12 to 128 characters.
    pub password: String,
}

/// A new branch.
#[derive(InputObject)]
pub struct BranchCreateInput {
    /// What you call it: 1 to 128 visible ASCII characters, unique among your branches.
    pub corp_open_id: String,
    /// What it is called, 1 to 80 characters in each language.
    pub name: LocalizedTextInput,
    /// Its short name: 2 to 40 lower-case letters, digits or hyphens, unique in this house. Derived where it is left out.
    pub slug: Option<String>,
    /// Somebody to sign in there with a password. Not needed where its people come by single sign-on.
    pub owner: Option<BranchOwnerInput>,
    /// From when on it no longer works, if there is such a time.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Names a branch.
#[derive(InputObject)]
pub struct BranchInput {
    /// What you call it.
    pub corp_open_id: String,
}

/// Sets when a branch ends to work.
#[derive(InputObject)]
pub struct BranchExpireInput {
    /// What you call it.
    pub corp_open_id: String,
    /// From when on it no longer works; a time that has passed stops it now, none lets it work on.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Asks for a token within a branch.
#[derive(InputObject)]
pub struct BranchTokenCreateInput {
    /// What you call the branch.
    pub corp_open_id: String,
    /// What the token may do, out of your own permissions; all of them that are of use there where it is left out.
    pub scopes: Option<Vec<Permission>>,
}

/// What came of a mutation on branches.
#[derive(SimpleObject)]
pub struct BranchPayload {
    /// The branch as it is now.
    pub branch: Option<BranchObject>,
    /// Whether it was there already, made from the same input.
    pub replayed: bool,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<BranchUserError>,
}

/// What came of asking for a token within a branch.
#[derive(SimpleObject, Default)]
pub struct BranchTokenPayload {
    /// Send it as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// When the token ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// What it may do.
    pub scopes: Vec<Permission>,
    /// The branch that it is for.
    pub branch: Option<BranchObject>,
    /// Why nothing was given, if nothing was.
    pub user_errors: Vec<BranchUserError>,
}

#[derive(Default)]
pub struct BranchMutation;

#[Object]
impl BranchMutation {
    /// Makes a branch, which works at once. The same `corpOpenId` with the same input gives the same branch again, and
    /// with another input is refused; passwords are not compared. For an enterprise of kind PLATFORM. Needs
    /// `BRANCH_MANAGE`.
    async fn branch_create(&self, ctx: &Context<'_>, input: BranchCreateInput) -> Result<BranchPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let owner = |owner: BranchOwnerInput| OwnerRequest {
            sign_in: owner.sign_in,
            name: owner.name,
            password: owner.password,
        };
        let request = BranchRequest {
            corp_open_id: input.corp_open_id,
            name_chinese: input.name.chinese,
            name_english: input.name.english,
            slug: input.slug,
            owner: input.owner.map(owner),
            expires_at: input.expires_at,
        };
        let outcome =
            payload::run(ctx, BranchUserError::from_problem, || branch::create(ctx.platform(), scope, &request))
                .await?;
        let (branch, replayed) = outcome.value.map_or((None, false), |made| (Some(made.branch), made.replayed));
        Ok(BranchPayload { branch: branch.map(BranchObject::new), replayed, user_errors: outcome.user_errors })
    }

    /// Stops a branch, whatever the house thinks of it. Tokens within it are refused at once. Needs `BRANCH_MANAGE`.
    async fn branch_disable(&self, ctx: &Context<'_>, input: BranchInput) -> Result<BranchPayload> {
        step(ctx, &input.corp_open_id, Step::Disable).await
    }

    /// Takes a `branchDisable` back. What the house has stopped stays stopped. Needs `BRANCH_MANAGE`.
    async fn branch_enable(&self, ctx: &Context<'_>, input: BranchInput) -> Result<BranchPayload> {
        step(ctx, &input.corp_open_id, Step::Enable).await
    }

    /// Sets from when on a branch no longer works. Needs `BRANCH_MANAGE`.
    async fn branch_expire(&self, ctx: &Context<'_>, input: BranchExpireInput) -> Result<BranchPayload> {
        step(ctx, &input.corp_open_id, Step::Expire(input.expires_at)).await
    }

    /// Gives you a token to act within one of your branches, for a quarter of an hour. It may do no more than you may,
    /// never concerns branches, people, keys or sign-on, and ends with your own session or secret. Needs `BRANCH_ACT`.
    async fn branch_token_create(
        &self,
        ctx: &Context<'_>,
        input: BranchTokenCreateInput,
    ) -> Result<BranchTokenPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let tokens = ctx.data_unchecked::<Arc<Tokens>>();
        let asked: Option<Permissions> = input.scopes.map(|scopes| scopes.into_iter().collect());
        let outcome = payload::run(ctx, BranchUserError::from_problem, || {
            branch_token::create(ctx.platform(), tokens, scope, &input.corp_open_id, asked)
        })
        .await?;
        Ok(match outcome.value {
            Some(made) => BranchTokenPayload {
                token: Some(made.token),
                expires_at: Some(made.expires_at),
                scopes: made.scopes.iter().collect(),
                branch: Some(BranchObject::new(made.branch)),
                user_errors: Vec::new(),
            },
            None => BranchTokenPayload { user_errors: outcome.user_errors, ..Default::default() },
        })
    }
}

async fn step(ctx: &Context<'_>, corp_open_id: &str, step: Step) -> Result<BranchPayload> {
    let scope = ctx.request().enterprise().map_err(raise)?;
    let standings = ctx.data_unchecked::<Arc<Standings>>();
    let outcome = payload::run(ctx, BranchUserError::from_problem, || {
        branch::take(ctx.platform(), standings, scope, corp_open_id, step)
    })
    .await?;
    let branch = outcome.value.map(BranchObject::new);
    Ok(BranchPayload { branch, replayed: false, user_errors: outcome.user_errors })
}
