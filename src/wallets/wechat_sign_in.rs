//! A person signs in through WeChat. WeChat is asked between two transactions.

use serde::Serialize;

use crate::bridges::wechat::{App, Identity as WeChatIdentity, SignIn, SignInError};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::throttle::Window;
use crate::tenancy::enterprise::DataKey;
use crate::tenancy::model::{EnterpriseId, SignInMethod};
use crate::tenancy::scope::{ActorKind, TenantScope, TenantTx};
use crate::tenancy::session::{self, Opened, Visit};
use crate::tenancy::standing::Standings;
use crate::tenancy::token::{Identity, Tokens};
use crate::tenancy::{audit, enterprise, throttle};
use crate::wallets::entrance::{self, Entrance, Found};
use crate::wallets::holder::{SignedOn, register_bare_in};
use crate::wallets::identify::identity;
use crate::wallets::model::{Holder, HolderErrorCode, HolderId, IdentityKind, WeChatAppKind};
use crate::wallets::store::{self, identities, wechat};
use crate::wallets::wechat_app;

/// Each try costs WeChat a call in the enterprise's name.
const ONE_ADDRESS: Window = Window { limit: 300, length: chrono::TimeDelta::minutes(10) };

/// How often a sign-in that lost a race is tried again.
const ATTEMPTS: u32 = 6;

#[derive(Serialize)]
struct Trace<'a> {
    method: SignInMethod,
    app_id: &'a str,
}

pub async fn sign_in(
    platform: &Platform,
    tokens: &Tokens,
    standings: &Standings,
    wechat: &SignIn,
    entrance: Entrance<'_>,
    (app_id, code): (&str, &str),
    visit: &Visit,
) -> Result<SignedOn, Refusal<HolderErrorCode>> {
    let entered = entrance::find(platform, standings, entrance).await?;
    let tenant = entered.tenant;
    let key = throttle::Key::new(platform, "wechat.address", &[throttle::place(visit.address).as_bytes()]);
    if let Err(wait) = throttle::count_in_window(platform, tenant, &key, &ONE_ADDRESS).await? {
        return Err(Refusal::later(HolderErrorCode::TooOften, wait));
    }
    let (app, kind) = credentials(platform, tenant, app_id).await?;
    let answer = match kind {
        WeChatAppKind::MiniProgram => wechat.mini_program(&app, code).await,
        WeChatAppKind::OfficialAccount => wechat.official_account(&app, code).await,
    };
    let known_as = answer.map_err(|error| Refusal::code(refusal(error)))?;

    // WeChat's code is spent: what loses a race is tried again here, and not from the beginning.
    let mut attempt = 1;
    let (found, opened) = loop {
        match open(platform, entered, app_id, &known_as, visit).await {
            Err(Refusal::Fault(Fault::Contended(_))) if attempt < ATTEMPTS => attempt += 1,
            outcome => break outcome?,
        }
    };
    let granted = session::grant(tokens, tenant, opened, Identity::Holder { holder: found.id })?;
    Ok(SignedOn { holder: found, granted })
}

/// The session of whoever WeChat says it is.
async fn open(
    platform: &Platform,
    entered: Found,
    app_id: &str,
    known_as: &WeChatIdentity,
    visit: &Visit,
) -> Result<(Holder, Opened), Refusal<HolderErrorCode>> {
    let tx = TenantScope::of_visitor(entered.tenant, visit.request_id.clone()).write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let id = holder_of_in(platform, &tx, &data_key, entered, (app_id, known_as)).await?;
    let found = store::holders_by_id(&tx, &[id]).await?.remove(&id).ok_or(Fault::NotFound)?;
    let method = SignInMethod::WeChat;
    let tx = tx.acting_as(ActorKind::Holder, id.uuid());
    let opened = entrance::open_in(platform, &tx, id, method, visit, false).await?;
    audit::record_in(&tx, "holderWeChatSignIn", id.uuid(), None, &Trace { method, app_id }).await?;
    tx.commit().await?;
    Ok((found, opened))
}

async fn credentials(
    platform: &Platform,
    tenant: EnterpriseId,
    app_id: &str,
) -> Result<(App, WeChatAppKind), Refusal<HolderErrorCode>> {
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let (app, sealed) =
        wechat::at_work(&tx, app_id).await?.ok_or_else(|| Refusal::at("appId", HolderErrorCode::WeChatAppNotFound))?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let secret = data_key.open(wechat_app::PURPOSE, &sealed).map_err(Fault::internal)?;
    let secret = String::from_utf8(secret).map_err(|_| Fault::internal(anyhow::anyhow!("a secret is no text")))?;
    Ok((App::new(app.app_id, secret), app.kind))
}

/// The holder whom WeChat names, who becomes one if nobody is. The name within the app goes before the one across apps:
/// whoever has signed in through an app finds the same wallet there again, whatever else becomes known of them.
async fn holder_of_in(
    platform: &Platform,
    tx: &TenantTx,
    data_key: &DataKey,
    entered: Found,
    (app_id, known_as): (&str, &WeChatIdentity),
) -> Result<HolderId, Refusal<HolderErrorCode>> {
    let open = identity(platform, data_key, IdentityKind::WeChatOpenId, app_id, &known_as.open_id);
    let union = known_as.union_id.as_deref();
    let union = union.map(|name| identity(platform, data_key, IdentityKind::WeChatUnionId, "", name));
    let by_open = identities::find(tx, open.kind, &open.hash).await?;
    let by_union = match &union {
        Some(union) => identities::find(tx, union.kind, &union.hash).await?,
        None => None,
    };
    let id = match by_open.or(by_union) {
        Some(id) => id,
        None => {
            entered.newcomer()?;
            register_bare_in(tx, "").await?
        }
    };
    if by_open.is_none() {
        identities::insert_in(tx, id, &open).await?;
    }
    if let Some(union) = union.filter(|_| by_union.is_none()) {
        identities::insert_in(tx, id, &union).await?;
    }
    Ok(id)
}

fn refusal(error: SignInError) -> HolderErrorCode {
    match error {
        SignInError::InvalidCode | SignInError::CodeUsed => HolderErrorCode::WrongCode,
        SignInError::TooFrequent
        | SignInError::Busy
        | SignInError::Refused(_)
        | SignInError::Unreachable
        | SignInError::Nonsense => HolderErrorCode::WeChatUnavailable,
        SignInError::RiskyUser => HolderErrorCode::WeChatRefused,
        SignInError::Preview => HolderErrorCode::WeChatPreview,
        SignInError::WrongCredentials => HolderErrorCode::WeChatMisconfigured,
    }
}
