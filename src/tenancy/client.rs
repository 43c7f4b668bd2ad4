//! API clients are made and looked after by people of the enterprise.
//!
//! A client can never do more than whoever gave it its scopes or got its secret: what somebody may not do they cannot
//! hand to a machine and pick up again from there. Narrowed scopes, a disabled client and a revoked secret count at
//! once, for tokens that are about too: the gate asks `standing.rs` at each request. A secret is shown when it is made
//! and never again.

use chrono::TimeDelta;

use crate::platform::Platform;
use crate::platform::address::Block;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::model::clients::{ApiClient, ApiClientSecret, ApiClientState, ClientErrorCode, NewSecret};
use crate::tenancy::model::{ApiClientId, ApiClientSecretId};
use crate::tenancy::permission::{Permission, Permissions};
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::clients::{self, Terms, allow_list_of};

/// How many clients an enterprise may have: the gate keeps all of them in memory.
const MAXIMUM_CLIENTS: i64 = 100;
const MAXIMUM_BLOCKS: usize = 50;
/// How many secrets of a client may be good at the same time: the present one, and the one that it takes over from.
const LIVE_SECRETS: usize = 2;
/// How long the one before may go on, in hours.
const LONGEST_OVERLAP: i32 = 72;

/// A new client.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    pub name: String,
    pub scopes: Vec<Permission>,
    pub allow_list: Vec<String>,
}

/// What changes of a client. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ClientChange {
    pub name: Option<String>,
    pub scopes: Option<Vec<Permission>>,
    pub allow_list: Option<Vec<String>>,
}

/// A client and the secret that was just made for it.
pub struct WithSecret {
    pub client: ApiClient,
    pub secret: ApiClientSecret,
    /// The secret itself, for this once.
    pub text: String,
}

pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &ClientRequest,
) -> Result<WithSecret, Refusal<ClientErrorCode>> {
    scope.require(Permission::ClientManage)?;
    let terms = Terms {
        name: name_of(&request.name)?,
        scopes: scopes_of(&request.scopes)?,
        allow_list: blocks_of(&request.allow_list)?,
    };
    may_give(scope, terms.scopes)?;
    let fresh = NewSecret::generate(&*platform.randomness);

    let tx = scope.write(&platform.database).await?;
    if clients::count(&tx).await? >= MAXIMUM_CLIENTS {
        return Err(Refusal::code(ClientErrorCode::TooManyClients));
    }
    let client = clients::insert_in(&tx, ApiClientId::generate(), &terms).await?;
    let secret = clients::insert_secret_in(&tx, client.id, &fresh).await?;
    audit::record_in(&tx, "apiClientCreate", client.id.uuid(), None, &(&client, &secret)).await?;
    tx.commit().await?;
    Ok(WithSecret { client, secret, text: fresh.text })
}

pub async fn update(
    platform: &Platform,
    standings: &Standings,
    scope: &TenantScope,
    id: ApiClientId,
    change: &ClientChange,
) -> Result<ApiClient, Refusal<ClientErrorCode>> {
    scope.require(Permission::ClientManage)?;
    let name = change.name.as_deref().map(name_of).transpose()?;
    let scopes = change.scopes.as_deref().map(scopes_of).transpose()?;
    let blocks = change.allow_list.as_deref().map(blocks_of).transpose()?;

    let tx = scope.write(&platform.database).await?;
    let before = lock_in(&tx, id).await?;
    let held = held_by(&before)?;
    let terms = Terms {
        name: name.unwrap_or_else(|| before.name.clone()),
        scopes: scopes.unwrap_or(held),
        allow_list: match blocks {
            Some(blocks) => blocks,
            None => allow_list_of(&before)?,
        },
    };
    // What the client has already somebody gave it who might.
    may_give(scope, terms.scopes.iter().filter(|&permission| !held.contains(permission)).collect())?;
    let after = clients::change_in(&tx, id, &terms).await?;
    audit::record_in(&tx, "apiClientUpdate", id.uuid(), Some(&before), &after).await?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(after)
}

/// Lets a client in again, or keeps it out. To ask for what is so already changes nothing.
pub async fn set_state(
    platform: &Platform,
    standings: &Standings,
    scope: &TenantScope,
    id: ApiClientId,
    state: ApiClientState,
) -> Result<ApiClient, Refusal<ClientErrorCode>> {
    scope.require(Permission::ClientManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = lock_in(&tx, id).await?;
    if before.state == state {
        return Ok(before);
    }
    let after = clients::set_state_in(&tx, id, state).await?;
    let action = match state {
        ApiClientState::Active => "apiClientEnable",
        ApiClientState::Disabled => "apiClientDisable",
    };
    audit::record_in(&tx, action, id.uuid(), Some(&before), &after).await?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(after)
}

/// Makes the next secret. The one before goes on for `overlap_hours`; with none it ends here and now, and so do the
/// tokens that were made for it.
pub async fn rotate(
    platform: &Platform,
    standings: &Standings,
    scope: &TenantScope,
    id: ApiClientId,
    overlap_hours: i32,
) -> Result<WithSecret, Refusal<ClientErrorCode>> {
    scope.require(Permission::ClientManage)?;
    if !(0..=LONGEST_OVERLAP).contains(&overlap_hours) {
        return Err(Refusal::explained(
            "overlapHours",
            ClientErrorCode::InvalidInput,
            "重叠时间须为 0 到 72 小时。",
            "An overlap is 0 to 72 hours long.",
        ));
    }
    let fresh = NewSecret::generate(&*platform.randomness);

    let tx = scope.write(&platform.database).await?;
    let client = lock_in(&tx, id).await?;
    // Whoever gets the secret can do what the client can.
    may_give(scope, held_by(&client)?)?;
    let now = tx.now().await?;
    let before = clients::secrets_of(&tx, &[id]).await?.remove(&id).unwrap_or_default();
    let live: Vec<&ApiClientSecret> = before.iter().filter(|secret| secret.is_live(now)).collect();
    let ids: Vec<ApiClientSecretId> = live.iter().map(|secret| secret.id).collect();
    match overlap_hours {
        0 => clients::revoke_secrets_in(&tx, &ids).await?,
        _ if live.len() >= LIVE_SECRETS => {
            return Err(Refusal::at("overlapHours", ClientErrorCode::TooManySecrets));
        }
        hours => clients::end_secrets_in(&tx, &ids, now + TimeDelta::hours(hours.into())).await?,
    }
    let secret = clients::insert_secret_in(&tx, id, &fresh).await?;
    let after = clients::secrets_of(&tx, &[id]).await?.remove(&id).unwrap_or_default();
    audit::record_in(&tx, "apiClientSecretRotate", id.uuid(), Some(&before), &after).await?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(WithSecret { client, secret, text: fresh.text })
}

/// Ends a secret, and the tokens that were made for it.
pub async fn revoke(
    platform: &Platform,
    standings: &Standings,
    scope: &TenantScope,
    id: ApiClientId,
    secret_id: ApiClientSecretId,
) -> Result<ApiClient, Refusal<ClientErrorCode>> {
    scope.require(Permission::ClientManage)?;
    let tx = scope.write(&platform.database).await?;
    let client = lock_in(&tx, id).await?;
    let now = tx.now().await?;
    let before = clients::secrets_of(&tx, &[id]).await?.remove(&id).unwrap_or_default();
    // One that has ended by its time may have tokens about, and can be revoked for their sake.
    let known = before.iter().find(|secret| secret.id == secret_id && secret.revoked_at.is_none());
    let Some(known) = known else { return Err(Refusal::at("secretId", ClientErrorCode::SecretNotFound)) };
    clients::revoke_secrets_in(&tx, &[secret_id]).await?;
    let after = ApiClientSecret { revoked_at: Some(now), ..known.clone() };
    audit::record_in(&tx, "apiClientSecretRevoke", id.uuid(), Some(known), &after).await?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(client)
}

async fn lock_in(tx: &TenantTx, id: ApiClientId) -> Result<ApiClient, Refusal<ClientErrorCode>> {
    clients::lock_in(tx, id).await?.ok_or_else(|| Refusal::at("id", ClientErrorCode::NotFound))
}

fn held_by(client: &ApiClient) -> Result<Permissions, Refusal<ClientErrorCode>> {
    client.scopes.parse().map_err(|unknown| Refusal::Fault(crate::platform::fault::Fault::internal(unknown)))
}

fn name_of(name: &str) -> Result<String, Refusal<ClientErrorCode>> {
    let name = name.trim();
    if (1..=60).contains(&name.chars().count()) {
        return Ok(name.to_owned());
    }
    Err(Refusal::explained(
        "name",
        ClientErrorCode::InvalidInput,
        "名称须为 1 到 60 个字符。",
        "A name has 1 to 60 characters.",
    ))
}

fn scopes_of(scopes: &[Permission]) -> Result<Permissions, Refusal<ClientErrorCode>> {
    if scopes.is_empty() {
        return Err(Refusal::explained(
            "scopes",
            ClientErrorCode::InvalidInput,
            "请至少选择一项权限。",
            "A client needs at least one scope.",
        ));
    }
    match scopes.iter().position(|scope| !scope.may_be_a_scope()) {
        Some(place) => Err(Refusal::at(format!("scopes.{place}"), ClientErrorCode::ScopeNotAllowed)),
        None => Ok(scopes.iter().copied().collect()),
    }
}

/// Nobody gives what they do not have.
fn may_give(scope: &TenantScope, scopes: Permissions) -> Result<(), Refusal<ClientErrorCode>> {
    if scopes.is_within(scope.permissions()) {
        return Ok(());
    }
    Err(Refusal::at("scopes", ClientErrorCode::ScopeNotAllowed))
}

fn blocks_of(blocks: &[String]) -> Result<Vec<Block>, Refusal<ClientErrorCode>> {
    if blocks.len() > MAXIMUM_BLOCKS {
        return Err(Refusal::explained(
            "allowList",
            ClientErrorCode::InvalidInput,
            "允许的地址段最多 50 个。",
            "An allow-list has at most 50 blocks of addresses.",
        ));
    }
    let parsed = blocks.iter().enumerate().map(|(place, text)| {
        text.trim().parse().map_err(|_| {
            Refusal::explained(
                format!("allowList.{place}"),
                ClientErrorCode::InvalidInput,
                "须为 IP 地址或 CIDR 地址段，如 203.0.113.0/24。",
                "That is no address and no block of addresses such as 203.0.113.0/24.",
            )
        })
    });
    parsed.collect()
}
