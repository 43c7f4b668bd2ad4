//! A holder who came by WeChat binds a phone.
//!
//! A phone that another holder of the enterprise has is refused, not merged: merging would move items, chances, limits
//! and ledgers from one person to another on the strength of one code, and could not be taken back. Whoever has that
//! phone signs in with it and gives over what they want to.

use std::net::IpAddr;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::scope::HolderScope;
use crate::tenancy::{audit, enterprise};
use crate::wallets::holder::{self, PURPOSE};
use crate::wallets::model::{CodePurpose, Holder, HolderErrorCode};
use crate::wallets::store::personal::{self, BoundPhone};
use crate::wallets::verification::{self, Try};
use crate::wallets::{person, store};

pub async fn bind(
    platform: &Platform,
    scope: &HolderScope,
    (phone, code): (&str, &str),
    address: Option<IpAddr>,
) -> Result<Holder, Refusal<HolderErrorCode>> {
    let phone = holder::phone("phone", phone)?;
    let id = scope.holder();
    let tried = Try::count(platform, scope.tenant(), phone.digits().as_bytes(), address).await?;
    let tx = scope.write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let phone_hash = holder::phone_hash(&data_key, &phone);
    // The code's row is locked before the holder's, wherever both are.
    if !verification::judge_in(&tx, &data_key, CodePurpose::BindPhone, &phone_hash, code).await? {
        return verification::refuse(tx).await;
    }
    let before = personal::lock_in(&tx, id).await?.ok_or(Fault::NotFound)?;
    if before.erased_at.is_some() {
        return Err(Refusal::code(HolderErrorCode::Erased));
    }
    if before.phone_hash.as_ref().is_some_and(|bound| *bound != phone_hash) {
        return Err(Refusal::at("phone", HolderErrorCode::PhoneBound));
    }
    if before.phone_hash.is_none() {
        if !store::holders_by_phone_hash(&tx, std::slice::from_ref(&phone_hash)).await?.is_empty() {
            return Err(Refusal::at("phone", HolderErrorCode::PhoneTaken));
        }
        let sealed = data_key.seal(&*platform.randomness, PURPOSE, phone.digits().as_bytes());
        personal::set_phone_in(&tx, id, BoundPhone { hash: phone_hash, sealed, masked: phone.masked() }).await?;
    }
    person::proved_in(platform, &tx, &phone, id).await?;
    let after = store::holders_by_id(&tx, &[id]).await?.remove(&id).ok_or(Fault::NotFound)?;
    audit::record_in(&tx, "holderPhoneBind", id.uuid(), None, &after.phone_masked).await?;
    tx.commit().await?;
    tried.was_right(platform).await;
    Ok(after)
}
