//! The enterprise's WeChat apps in GraphQL.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::transport::raise;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::tenancy::permission::Permission;
use crate::wallets::model::{WeChatApp, WeChatAppId, WeChatAppKind, WeChatAppState, WeChatAppUserError};
use crate::wallets::store::wechat;
use crate::wallets::wechat_app;

const APP_PAGES: PageRule = PageRule { list: "wechatApps", default: 20, maximum: 100 };

pub struct WeChatAppObject(pub WeChatApp);

/// A mini program or an official account through which people sign in.
#[Object(name = "WeChatApp")]
impl WeChatAppObject {
    /// Its ID.
    async fn id(&self) -> WeChatAppId {
        self.0.id
    }

    /// What kind of app it is.
    async fn kind(&self) -> WeChatAppKind {
        self.0.kind
    }

    /// Its AppID at WeChat.
    async fn app_id(&self) -> &str {
        &self.0.app_id
    }

    /// Whether people may sign in through it.
    async fn state(&self) -> WeChatAppState {
        self.0.state
    }

    /// Counts up with every change.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was added.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

#[derive(Default)]
pub struct WeChatQuery;

#[Object]
impl WeChatQuery {
    /// The enterprise's WeChat apps. Their secrets are not shown to anybody. Needs `SSO_MANAGE`.
    async fn wechat_apps(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<WeChatAppObject>> {
        ctx.request().enterprise().and_then(|scope| scope.require(Permission::SsoManage)).map_err(raise)?;
        let page = Page::new(APP_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = read(ctx).await?;
        let rows = wechat::list(&tx, &page).await.map_err(raise)?;
        let total = if wants_total(ctx) { wechat::count(&tx).await.map_err(raise)? } else { 0 };
        Ok(connect(&page, rows, total, |row| row.id, WeChatAppObject))
    }
}

/// A new WeChat app.
#[derive(InputObject)]
pub struct WechatAppCreateInput {
    /// What kind of app it is.
    pub kind: WeChatAppKind,
    /// Its AppID at WeChat.
    pub app_id: String,
    /// Its AppSecret. It is sealed and never shown again.
    pub secret: String,
}

/// What to change of a WeChat app.
#[derive(InputObject)]
pub struct WechatAppUpdateInput {
    /// The app.
    pub id: WeChatAppId,
    /// Its new AppSecret.
    pub secret: Option<String>,
    /// Whether people may sign in through it.
    pub state: Option<WeChatAppState>,
}

/// Names a WeChat app.
#[derive(InputObject)]
pub struct WechatAppDisableInput {
    /// The app.
    pub id: WeChatAppId,
}

/// What came of a change to a WeChat app.
#[derive(SimpleObject)]
pub struct WechatAppPayload {
    /// The app as it is now.
    pub wechat_app: Option<WeChatAppObject>,
    /// Why nothing was done, if nothing was.
    pub user_errors: Vec<WeChatAppUserError>,
}

fn changed(outcome: payload::Outcome<WeChatApp, WeChatAppUserError>) -> WechatAppPayload {
    WechatAppPayload { wechat_app: outcome.value.map(WeChatAppObject), user_errors: outcome.user_errors }
}

#[derive(Default)]
pub struct WeChatMutation;

#[Object]
impl WeChatMutation {
    /// Adds a WeChat app through which people may sign in. Needs `SSO_MANAGE`.
    async fn wechat_app_create(&self, ctx: &Context<'_>, input: WechatAppCreateInput) -> Result<WechatAppPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome = payload::run(ctx, WeChatAppUserError::from_problem, || {
            wechat_app::create(ctx.platform(), scope, input.kind, &input.app_id, &input.secret)
        })
        .await?;
        Ok(changed(outcome))
    }

    /// Changes a WeChat app's secret, or whether people may sign in through it. Needs `SSO_MANAGE`.
    async fn wechat_app_update(&self, ctx: &Context<'_>, input: WechatAppUpdateInput) -> Result<WechatAppPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome = payload::run(ctx, WeChatAppUserError::from_problem, || {
            wechat_app::update(ctx.platform(), scope, input.id, input.secret.as_deref(), input.state)
        })
        .await?;
        Ok(changed(outcome))
    }

    /// Lets nobody sign in through a WeChat app any more. Needs `SSO_MANAGE`.
    async fn wechat_app_disable(&self, ctx: &Context<'_>, input: WechatAppDisableInput) -> Result<WechatAppPayload> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        let outcome = payload::run(ctx, WeChatAppUserError::from_problem, || {
            wechat_app::disable(ctx.platform(), scope, input.id)
        })
        .await?;
        Ok(changed(outcome))
    }
}
