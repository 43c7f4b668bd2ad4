//! Holders sign on. Their phone number is sealed under the enterprise's data key and found by its keyed hash.

use std::collections::HashMap;

use serde_json::json;

use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::{SessionSubject, SignInMethod};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::session::{self, Granted, NewSession, Visit};
use crate::tenancy::token::{Identity, Tokens};
use crate::tenancy::{audit, enterprise};
use crate::wallets::model::{Holder, HolderId, WalletErrorCode};
use crate::wallets::store::{self, NewHolder};

/// A mainland mobile number, as 11 digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone(String);

impl Phone {
    /// Takes 11 digits, with or without `+86` or `86`, spaces and hyphens.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let digits = digits.strip_prefix("+86").or_else(|| digits.strip_prefix("86")).unwrap_or(&digits);
        let fits = digits.len() == 11
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && digits.starts_with('1')
            && !matches!(digits.as_bytes()[1], b'0' | b'1' | b'2');
        fits.then(|| Self(digits.to_owned()))
    }

    pub fn masked(&self) -> String {
        format!("{}****{}", &self.0[..3], &self.0[7..])
    }
}

const PURPOSE: &str = "phone";

pub struct SignedOn {
    pub holder: Holder,
    pub granted: Granted,
}

/// The enterprise vouches for a person that its own system has signed in (登录态打通), and gets their token.
pub async fn sign_on(
    platform: &Platform,
    tokens: &Tokens,
    scope: &TenantScope,
    phone: &str,
    nickname: &str,
    visit: &Visit,
) -> Result<SignedOn, Refusal<WalletErrorCode>> {
    scope.require(Permission::HolderSignOn)?;
    let phone = Phone::parse(phone).ok_or_else(|| Refusal::at("phone", WalletErrorCode::InvalidPhone))?;
    if nickname.chars().count() > 40 {
        return Err(Refusal::explained(
            "nickname",
            WalletErrorCode::InvalidInput,
            "昵称不能超过 40 个字符。",
            "A nickname has at most 40 characters.",
        ));
    }
    let tx = scope.write(&platform.database).await?;
    let ids = register_in(platform, &tx, &[(phone.clone(), nickname.to_owned())]).await?;
    let id = ids[&phone];
    let holder = store::holders_by_id(&tx, &[id]).await?.remove(&id).ok_or(Fault::NotFound)?;
    let new =
        NewSession { subject: SessionSubject::Holder, subject_id: id.uuid(), method: SignInMethod::Partner, visit };
    let opened = session::open_in(platform, &tx, new).await?;
    audit::record_in(&tx, "holderSignOn", id.uuid(), None, &holder.phone_masked).await?;
    tx.commit().await?;
    let granted = session::grant(tokens, scope.tenant(), opened, Identity::Holder { holder: id })?;
    Ok(SignedOn { holder, granted })
}

/// The holders of these phone numbers; who is not known yet becomes one. One statement to read, one to write.
pub async fn register_in(
    platform: &Platform,
    tx: &TenantTx,
    people: &[(Phone, String)],
) -> Result<HashMap<Phone, HolderId>, Fault> {
    let data_key = enterprise::data_key(platform, tx).await?;
    let mut by_hash: HashMap<Vec<u8>, &(Phone, String)> = HashMap::new();
    for person in people {
        by_hash.entry(data_key.hash(PURPOSE, person.0.0.as_bytes()).to_vec()).or_insert(person);
    }
    let hashes: Vec<Vec<u8>> = by_hash.keys().cloned().collect();
    let mut known = store::holders_by_phone_hash(tx, &hashes).await?;
    let new: Vec<NewHolder> = by_hash
        .iter()
        .filter(|(hash, _)| !known.contains_key(*hash))
        .map(|(hash, (phone, nickname))| NewHolder {
            id: HolderId::generate(),
            phone_hash: hash.clone(),
            phone_sealed: data_key.seal(&*platform.randomness, PURPOSE, phone.0.as_bytes()),
            phone_masked: phone.masked(),
            nickname: nickname.clone(),
        })
        .collect();
    if !new.is_empty() {
        let inserted = store::insert_holders_in(tx, &new).await?;
        let mut events = Vec::with_capacity(inserted.len());
        for id in inserted.values() {
            events.push(NewEvent::new(EventType::HolderRegistered, id.uuid(), 1, json!({ "holderId": id }))?);
        }
        outbox::emit_all_in(tx, &events).await?;
        // Somebody else may have signed the same person on meanwhile: then theirs is the row.
        known = store::holders_by_phone_hash(tx, &hashes).await?;
    }
    by_hash
        .into_iter()
        .map(|(hash, (phone, _))| match known.get(&hash) {
            Some(id) => Ok((phone.clone(), *id)),
            None => Err(Fault::internal(anyhow::anyhow!("a holder vanished while being signed on"))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Phone;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for text in ["13800001234", "+8613800001234", "86 138-0000-1234", "138 0000 1234"] {
            assert_eq!(Phone::parse(text).map(|phone| phone.masked()).as_deref(), Some("138****1234"), "{text}");
        }
        for text in
            ["", "1380000123", "138000012345", "23800001234", "12800001234", "1380000123a", "１３８００００１２３４"]
        {
            assert_eq!(Phone::parse(text), None, "{text}");
        }
    }
}
