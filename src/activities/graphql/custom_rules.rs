//! Endpoints of the enterprise's own: objects, inputs, queries and mutations.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::activities::consult::Callbacks;
use crate::activities::custom_rule::{self, Definition, ParameterKind, RuleRequest, UseRequest};
use crate::activities::model::{
    ActivityUserError, CustomRule, CustomRuleId, CustomRuleKind, CustomRuleState, EnvelopeDigest,
};
use crate::activities::store::custom_rules as store;
use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::transport::raise;
use crate::bridges::callback::contract::Line;
use crate::platform::language::Language;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::permission::Permission;

const CUSTOM_RULE_PAGES: PageRule = PageRule { list: "customRules", default: 20, maximum: 100 };

pub struct CustomRuleObject(pub CustomRule);

/// An endpoint of the enterprise's own that decides draws or counts chances (自定义规则). What is shared with it is not shown.
#[Object(name = "CustomRule")]
impl CustomRuleObject {
    /// Its ID.
    async fn id(&self) -> CustomRuleId {
        self.0.id
    }

    /// What it is asked.
    async fn kind(&self) -> CustomRuleKind {
        self.0.kind
    }

    /// What the enterprise calls it.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it is.
    async fn url(&self) -> &str {
        &self.0.url
    }

    /// With what envelopes are signed.
    async fn digest(&self) -> EnvelopeDigest {
        self.0.digest
    }

    /// What stands behind a message in its envelope, if anything does.
    async fn trailing_id(&self) -> Option<&str> {
        self.0.trailing_id.as_deref()
    }

    /// Costs and thresholds that activities may set.
    async fn parameters(&self) -> Vec<CustomRuleParameter> {
        let known: Vec<Definition> = serde_json::from_value(self.0.parameters.clone()).unwrap_or_default();
        known.into_iter().map(CustomRuleParameter::from).collect()
    }

    /// Whether it is asked.
    async fn state(&self) -> CustomRuleState {
        self.0.state
    }

    /// When it was registered.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// A cost or a threshold that is sent to an endpoint.
#[derive(SimpleObject)]
pub struct CustomRuleParameter {
    /// What is spent or asked for.
    pub name: String,
    /// Under which name it is sent.
    pub parameter: String,
    /// What it is.
    pub kind: ParameterKind,
    /// What is sent where an activity does not say.
    pub default: Option<String>,
    /// The least that it may be.
    pub minimum: Option<i64>,
    /// The most that it may be.
    pub maximum: Option<i64>,
    /// What an identity may be.
    pub classes: Vec<String>,
}

impl From<Definition> for CustomRuleParameter {
    fn from(one: Definition) -> Self {
        let Definition { name, parameter, kind, default, minimum, maximum, classes } = one;
        Self { name, parameter, kind, default, minimum, maximum, classes }
    }
}

/// Registers an endpoint.
#[derive(InputObject)]
pub struct CustomRuleCreateInput {
    /// What it is asked.
    pub kind: CustomRuleKind,
    /// What the enterprise calls it, 1 to 30 characters.
    pub name: String,
    /// A public https address.
    pub url: String,
    /// What both sides sign with, 3 to 128 visible characters.
    pub token: String,
    /// What both sides encrypt with: an EncodingAESKey of 43 characters.
    pub encoding_aes_key: String,
    /// With what envelopes are signed; SHA-1 if left out, as WeChat's own scheme does it.
    #[graphql(default_with = "EnvelopeDigest::Sha1")]
    pub digest: EnvelopeDigest,
    /// What stands behind a message in its envelope, if the endpoint looks for anything there.
    pub trailing_id: Option<String>,
    /// Costs and thresholds that activities may set, at most 20.
    #[graphql(default)]
    pub parameters: Vec<CustomRuleParameterInput>,
}

/// A cost or a threshold that is sent to an endpoint.
#[derive(InputObject)]
pub struct CustomRuleParameterInput {
    /// What is spent or asked for, 1 to 30 characters.
    pub name: String,
    /// Under which name it is sent: a letter, then up to 63 letters, digits, `_` and `-`; none of the protocol's own.
    pub parameter: String,
    /// What it is.
    pub kind: ParameterKind,
    /// What is sent where an activity does not say. Without one, an activity must say.
    pub default: Option<String>,
    /// The least that it may be, for numbers.
    pub minimum: Option<i64>,
    /// The most that it may be, for numbers.
    pub maximum: Option<i64>,
    /// What it may be, for an identity: 1 to 50.
    #[graphql(default)]
    pub classes: Vec<String>,
}

/// Has an activity ask an endpoint.
#[derive(InputObject)]
pub struct ActivityCustomRuleInput {
    /// A rule that is active; one of each kind.
    pub custom_rule_id: CustomRuleId,
    /// What is sent, where it is not the default.
    #[graphql(default)]
    pub parameters: Vec<ParameterValueInput>,
    /// Whether the endpoint decides each draw, and its word that we may draw ourselves counts as a failure. Stock and limits
    /// stay ours.
    #[graphql(default)]
    pub decides: bool,
}

/// What is sent under a name.
#[derive(InputObject)]
pub struct ParameterValueInput {
    /// One of the rule's parameters.
    pub parameter: String,
    /// The text that is sent.
    pub value: String,
}

impl From<ActivityCustomRuleInput> for UseRequest {
    fn from(input: ActivityCustomRuleInput) -> Self {
        let parameters = input.parameters.into_iter().map(|one| (one.parameter, one.value));
        Self { rule: input.custom_rule_id, parameters: parameters.collect(), decides: input.decides }
    }
}

/// Names an endpoint to leave alone.
#[derive(InputObject)]
pub struct CustomRuleDisableInput {
    /// A rule of the enterprise.
    pub id: CustomRuleId,
}

/// Names an endpoint to ask again.
#[derive(InputObject)]
pub struct CustomRuleEnableInput {
    /// A rule of the enterprise.
    pub id: CustomRuleId,
}

/// Has an endpoint examined.
#[derive(InputObject)]
pub struct CustomRuleTestInput {
    /// A rule of the enterprise, in whatever state.
    pub id: CustomRuleId,
    /// A mobile number of the enterprise's own tests: the endpoint is asked as for anybody else.
    pub phone: String,
}

/// What came of registering or changing an endpoint.
#[derive(SimpleObject)]
pub struct CustomRulePayload {
    /// The rule as it is now.
    pub custom_rule: Option<CustomRuleObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<ActivityUserError>,
}

/// What came of examining an endpoint.
#[derive(SimpleObject)]
pub struct CustomRuleTestPayload {
    /// What was found, in the order of the checks. After one that all others stand on has failed, there are no more.
    pub lines: Vec<CustomRuleTestLine>,
    /// Why nothing was tried, if nothing was.
    pub user_errors: Vec<ActivityUserError>,
}

/// One thing that was found of an endpoint.
#[derive(SimpleObject)]
pub struct CustomRuleTestLine {
    /// The check's name.
    pub check: String,
    /// Whether the endpoint stands it.
    pub passed: bool,
    /// What was found, and what to mend.
    pub detail: String,
}

#[derive(Default)]
pub struct CustomRulesQuery;

#[Object]
impl CustomRulesQuery {
    /// The endpoints of the enterprise's own. Needs `ACTIVITY_READ`.
    async fn custom_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<CustomRuleObject>> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::ActivityRead)).map_err(raise)?;
        let page = Page::new(CUSTOM_RULE_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = read(ctx).await?;
        let rows = store::list(&tx, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count(&tx).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, CustomRuleObject))
    }
}

#[derive(Default)]
pub struct CustomRulesMutation;

#[Object]
impl CustomRulesMutation {
    /// Registers an endpoint of the enterprise's own. Needs `ACTIVITY_MANAGE`.
    async fn custom_rule_create(&self, ctx: &Context<'_>, input: CustomRuleCreateInput) -> Result<CustomRulePayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let definition = |one: CustomRuleParameterInput| Definition {
            name: one.name,
            parameter: one.parameter,
            kind: one.kind,
            default: one.default,
            minimum: one.minimum,
            maximum: one.maximum,
            classes: one.classes,
        };
        let request = RuleRequest {
            kind: input.kind,
            name: input.name,
            url: input.url,
            token: input.token,
            encoding_aes_key: input.encoding_aes_key,
            digest: input.digest,
            trailing_id: input.trailing_id,
            parameters: input.parameters.into_iter().map(definition).collect(),
        };
        let callbacks = ctx.data_unchecked::<Arc<Callbacks>>();
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            custom_rule::create(ctx.platform(), callbacks, scope, &request)
        })
        .await?;
        Ok(CustomRulePayload { custom_rule: outcome.value.map(CustomRuleObject), user_errors: outcome.user_errors })
    }

    /// Stops asking an endpoint. Where a running activity needs it, nobody draws until it is enabled. Needs
    /// `ACTIVITY_MANAGE`.
    async fn custom_rule_disable(&self, ctx: &Context<'_>, input: CustomRuleDisableInput) -> Result<CustomRulePayload> {
        set_state(ctx, input.id, CustomRuleState::Disabled).await
    }

    /// Asks an endpoint again. Needs `ACTIVITY_MANAGE`.
    async fn custom_rule_enable(&self, ctx: &Context<'_>, input: CustomRuleEnableInput) -> Result<CustomRulePayload> {
        set_state(ctx, input.id, CustomRuleState::Active).await
    }

    /// Asks an endpoint as an activity would, and some things that a good one refuses, and tells line by line what is left to
    /// mend. The endpoint counts it as draws. Needs `ACTIVITY_MANAGE`.
    async fn custom_rule_test(&self, ctx: &Context<'_>, input: CustomRuleTestInput) -> Result<CustomRuleTestPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let callbacks = ctx.data_unchecked::<Arc<Callbacks>>();
        let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
            custom_rule::test(ctx.platform(), callbacks, scope, input.id, &input.phone)
        })
        .await?;
        let line = |line: Line| CustomRuleTestLine {
            check: line.check.to_owned(),
            passed: line.passed,
            detail: match ctx.language() {
                Language::Chinese => line.detail.chinese,
                Language::English => line.detail.english,
            },
        };
        let lines = outcome.value.unwrap_or_default().into_iter().map(line).collect();
        Ok(CustomRuleTestPayload { lines, user_errors: outcome.user_errors })
    }
}

async fn set_state(ctx: &Context<'_>, id: CustomRuleId, state: CustomRuleState) -> Result<CustomRulePayload> {
    let scope = ctx.request().enterprise().map_err(raise)?;
    let callbacks = ctx.data_unchecked::<Arc<Callbacks>>();
    let outcome = payload::run(ctx, ActivityUserError::from_problem, || {
        custom_rule::set_state(ctx.platform(), callbacks, scope, id, state)
    })
    .await?;
    Ok(CustomRulePayload { custom_rule: outcome.value.map(CustomRuleObject), user_errors: outcome.user_errors })
}
