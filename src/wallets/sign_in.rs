//! A person signs in with a code sent to their phone; the first time makes them a holder.

use serde::Serialize;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::SignInMethod;
use crate::tenancy::scope::{ActorKind, TenantScope};
use crate::tenancy::session::{self, Visit};
use crate::tenancy::standing::Standings;
use crate::tenancy::token::{Identity, Tokens};
use crate::tenancy::{audit, enterprise};
use crate::wallets::entrance::{self, Entrance};
use crate::wallets::holder::{self, SignedOn};
use crate::wallets::model::{CodePurpose, HolderErrorCode};
use crate::wallets::{person, store, verification};

/// What the audit log digests of a sign-in.
#[derive(Serialize)]
struct Trace {
    method: SignInMethod,
}

pub async fn sign_in(
    platform: &Platform,
    tokens: &Tokens,
    standings: &Standings,
    entrance: Entrance<'_>,
    (phone, code): (&str, &str),
    visit: &Visit,
) -> Result<SignedOn, Refusal<HolderErrorCode>> {
    let phone = holder::phone("phone", phone)?;
    let tenant = entrance::find(platform, standings, entrance).await?;

    let tx = TenantScope::of_visitor(tenant, visit.request_id.clone()).write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let phone_hash = holder::phone_hash(&data_key, &phone);
    if !verification::judge_in(&tx, &data_key, CodePurpose::SignIn, &phone_hash, code).await? {
        return verification::refuse(tx).await;
    }
    let id = holder::register_in(platform, &tx, &[(phone.clone(), String::new())]).await?[&phone];
    let tx = tx.acting_as(ActorKind::Holder, id.uuid());
    let method = SignInMethod::PhoneCode;
    let opened = entrance::open_in(platform, &tx, id, method, visit, false).await?;
    person::proved_in(platform, &tx, &phone, id).await?;
    let found = store::holders_by_id(&tx, &[id]).await?.remove(&id).ok_or(Fault::NotFound)?;
    audit::record_in(&tx, "holderSignIn", id.uuid(), None, &Trace { method }).await?;
    tx.commit().await?;
    let granted = session::grant(tokens, tenant, opened, Identity::Holder { holder: id })?;
    Ok(SignedOn { holder: found, granted })
}
