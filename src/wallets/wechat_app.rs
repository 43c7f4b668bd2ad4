//! The enterprise's WeChat apps. An app's secret is written and never read back.

use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::{audit, enterprise};
use crate::wallets::model::{WeChatApp, WeChatAppErrorCode, WeChatAppId, WeChatAppKind, WeChatAppState};
use crate::wallets::store::wechat;

/// What secrets are sealed for.
pub const PURPOSE: &str = "wechat app secret";

pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    kind: WeChatAppKind,
    app_id: &str,
    secret: &str,
) -> Result<WeChatApp, Refusal<WeChatAppErrorCode>> {
    scope.require(Permission::SsoManage)?;
    if !is_word(app_id, 4..=64) {
        return Err(Refusal::explained(
            "appId",
            WeChatAppErrorCode::InvalidInput,
            "AppID 须为 4 到 64 个字母或数字。",
            "An AppID has 4 to 64 letters and digits; copy it from WeChat's console.",
        ));
    }
    check_secret(secret)?;
    let tx = scope.write(&platform.database).await?;
    let sealed = enterprise::data_key(platform, &tx).await?.seal(&*platform.randomness, PURPOSE, secret.as_bytes());
    let app = wechat::insert_in(&tx, WeChatAppId::generate(), kind, app_id, sealed)
        .await?
        .ok_or_else(|| Refusal::at("appId", WeChatAppErrorCode::AppTaken))?;
    audit::record_in(&tx, "wechatAppCreate", app.id.uuid(), None, &app).await?;
    tx.commit().await?;
    Ok(app)
}

/// Changes what is named: the secret, or whether people may sign in through the app.
pub async fn update(
    platform: &Platform,
    scope: &TenantScope,
    id: WeChatAppId,
    secret: Option<&str>,
    state: Option<WeChatAppState>,
) -> Result<WeChatApp, Refusal<WeChatAppErrorCode>> {
    scope.require(Permission::SsoManage)?;
    if let Some(secret) = secret {
        check_secret(secret)?;
    }
    let tx = scope.write(&platform.database).await?;
    let before = wechat::lock_in(&tx, id).await?.ok_or_else(|| Refusal::at("id", WeChatAppErrorCode::NotFound))?;
    let sealed = match secret {
        Some(secret) => {
            let data_key = enterprise::data_key(platform, &tx).await?;
            Some(data_key.seal(&*platform.randomness, PURPOSE, secret.as_bytes()))
        }
        None => None,
    };
    let after = wechat::set_in(&tx, id, state.unwrap_or(before.state), sealed).await?;
    audit::record_in(&tx, "wechatAppUpdate", id.uuid(), Some(&before), &after).await?;
    tx.commit().await?;
    Ok(after)
}

/// Lets nobody sign in through the app any more. Who has signed in stays so.
pub async fn disable(
    platform: &Platform,
    scope: &TenantScope,
    id: WeChatAppId,
) -> Result<WeChatApp, Refusal<WeChatAppErrorCode>> {
    update(platform, scope, id, None, Some(WeChatAppState::Disabled)).await
}

fn check_secret(secret: &str) -> Result<(), Refusal<WeChatAppErrorCode>> {
    if is_word(secret, 16..=128) {
        return Ok(());
    }
    Err(Refusal::explained(
        "secret",
        WeChatAppErrorCode::InvalidInput,
        "AppSecret 须为 16 到 128 个字母或数字。",
        "An AppSecret has 16 to 128 letters and digits; copy it from WeChat's console.",
    ))
}

fn is_word(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
