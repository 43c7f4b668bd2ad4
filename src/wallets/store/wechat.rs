//! SQL over the enterprise's WeChat apps.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, insert_into, update};

use crate::paged;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::wechat_apps;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::{WeChatApp, WeChatAppId, WeChatAppKind, WeChatAppState};

/// The new app; nothing where the enterprise has one of this AppID.
pub async fn insert_in(
    tx: &TenantTx,
    id: WeChatAppId,
    kind: WeChatAppKind,
    app_id: &str,
    secret_sealed: Vec<u8>,
) -> Result<Option<WeChatApp>, Fault> {
    let row = (
        wechat_apps::tenant_id.eq(tx.tenant()),
        wechat_apps::id.eq(id),
        wechat_apps::kind.eq(kind),
        wechat_apps::app_id.eq(app_id.to_owned()),
        wechat_apps::secret_sealed.eq(secret_sealed),
    );
    let statement = insert_into(wechat_apps::table).values(row).on_conflict_do_nothing();
    tx.optional(statement.returning(WeChatApp::as_returning())).await
}

pub async fn lock_in(tx: &TenantTx, id: WeChatAppId) -> Result<Option<WeChatApp>, Fault> {
    tx.optional(
        wechat_apps::table
            .filter(wechat_apps::tenant_id.eq(tx.tenant()))
            .filter(wechat_apps::id.eq(id))
            .select(WeChatApp::as_select())
            .for_no_key_update(),
    )
    .await
}

/// An app at work by WeChat's own name for it, with its sealed secret.
pub async fn at_work(tx: &TenantTx, app_id: &str) -> Result<Option<(WeChatApp, Vec<u8>)>, Fault> {
    tx.optional(
        wechat_apps::table
            .filter(wechat_apps::tenant_id.eq(tx.tenant()))
            .filter(wechat_apps::app_id.eq(app_id.to_owned()))
            .filter(wechat_apps::state.eq(WeChatAppState::Active))
            .select((WeChatApp::as_select(), wechat_apps::secret_sealed)),
    )
    .await
}

/// Changes a locked app's state, and its secret where there is a new one.
pub async fn set_in(
    tx: &TenantTx,
    id: WeChatAppId,
    state: WeChatAppState,
    secret_sealed: Option<Vec<u8>>,
) -> Result<WeChatApp, Fault> {
    let app = update(wechat_apps::table).filter(wechat_apps::tenant_id.eq(tx.tenant())).filter(wechat_apps::id.eq(id));
    let next = (wechat_apps::state.eq(state), wechat_apps::version.eq(wechat_apps::version + 1));
    match secret_sealed {
        Some(secret) => {
            let next = (next, wechat_apps::secret_sealed.eq(secret));
            tx.one(app.set(next).returning(WeChatApp::as_returning())).await
        }
        None => tx.one(app.set(next).returning(WeChatApp::as_returning())).await,
    }
}

pub async fn list(tx: &TenantTx, page: &Page<WeChatAppId>) -> Result<Vec<WeChatApp>, Fault> {
    let query = wechat_apps::table.filter(wechat_apps::tenant_id.eq(tx.tenant())).select(WeChatApp::as_select());
    tx.load(paged!(query, wechat_apps::id, page)).await
}

pub async fn count(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(wechat_apps::table.filter(wechat_apps::tenant_id.eq(tx.tenant())).count()).await
}
