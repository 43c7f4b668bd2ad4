//! A person's wallet across enterprises: where they are known, and what they have there.
//!
//! It is opened with a code to the phone, sent by the house. Each enterprise's rows are read as the holder whom the
//! person is there, under that enterprise's row security.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::{Enterprise, EnterpriseId};
use crate::tenancy::scope::{PersonScope, TenantScope};
use crate::tenancy::session::Visit;
use crate::tenancy::store as directory;
use crate::tenancy::throttle::NO_TENANT;
use crate::tenancy::token::{Identity, Tokens};
use crate::tenancy::{audit, enterprise};
use crate::wallets::entrance::Entrance;
use crate::wallets::model::{CodePurpose, Holder, HolderErrorCode};
use crate::wallets::store::{self, ItemFilter, identities};
use crate::wallets::verification::{self, Try};
use crate::wallets::{holder, person};

/// There is no session behind it: a new code opens it anew.
const LIFE: TimeDelta = TimeDelta::minutes(30);

/// At how many enterprises somebody is shown to be known.
pub const MEMBERSHIPS: i64 = 100;

/// What opens a wallet.
pub struct Opened {
    pub token: String,
    pub expires_at: DateTime<Utc>,
}

/// What a person is and has at one enterprise.
pub struct Membership {
    pub enterprise: Enterprise,
    pub holder: Holder,
    pub items: i64,
}

pub async fn sign_in(
    platform: &Platform,
    tokens: &Tokens,
    site: Option<EnterpriseId>,
    (phone, code): (&str, &str),
    visit: &Visit,
) -> Result<Opened, Refusal<HolderErrorCode>> {
    let phone = holder::phone("phone", phone)?;
    let house = verification::wallet_tenant(platform, Entrance { site, named: None }).await?;
    let tried = Try::count(platform, house, phone.digits().as_bytes(), visit.address).await?;
    let tx = TenantScope::of_visitor(house, visit.request_id.clone()).write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let phone_hash = holder::phone_hash(&data_key, &phone);
    if !verification::judge_in(&tx, &data_key, CodePurpose::Wallet, &phone_hash, code).await? {
        return verification::refuse(tx).await;
    }
    // Whose wallet it was is nothing for the house's log.
    audit::record_in(&tx, "walletSignIn", house.uuid(), None, &json!({})).await?;
    tx.commit().await?;
    tried.was_right(platform).await;
    let identity = Identity::Person { person: person::key(platform, &phone) };
    let (token, expires_at) = tokens.mint(NO_TENANT, identity, None, LIFE)?;
    Ok(Opened { token, expires_at: DateTime::from_timestamp(expires_at, 0).unwrap_or_default() })
}

/// The enterprises where the person has proved this phone.
pub async fn memberships(platform: &Platform, scope: &PersonScope) -> Result<Vec<Membership>, Fault> {
    let tx = scope.read(&platform.database).await?;
    let known = identities::memberships(&tx, scope.person(), MEMBERSHIPS).await?;
    drop(tx);
    let mut found = Vec::with_capacity(known.len());
    for (tenant, id) in known {
        let tx = scope.within(tenant, id).read(&platform.database).await?;
        let (ids, filter) = ([id], ItemFilter { holder: Some(id), collectible: None });
        let (enterprise, mut holders, items) = futures_util::try_join!(
            directory::enterprise(&tx),
            store::holders_by_id(&tx, &ids),
            store::count_items(&tx, &filter)
        )?;
        if let (Some(enterprise), Some(holder)) = (enterprise, holders.remove(&id)) {
            found.push(Membership { enterprise, holder, items });
        }
    }
    Ok(found)
}
