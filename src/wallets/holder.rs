//! Holders sign on: their enterprise vouches for them. Their phone number is sealed under the enterprise's data key and found by its keyed hash.

use std::collections::HashMap;
use std::fmt;

use serde_json::json;

use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::enterprise::DataKey;
use crate::tenancy::model::SignInMethod;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{ActorKind, TenantScope, TenantTx};
use crate::tenancy::session::{self, Granted, Visit};
use crate::tenancy::token::{Identity, Tokens};
use crate::tenancy::{audit, enterprise};
use crate::wallets::model::{Holder, HolderErrorCode, HolderId, IdentityKind, WalletErrorCode};
use crate::wallets::store::personal::{self, BoundPhone};
use crate::wallets::store::{self, NewHolder, identities};
use crate::wallets::{entrance, identify};

/// A mainland mobile number, as 11 digits. It shows itself only when asked by name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

    /// The number itself, for sealing and for hashing.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// As E.164 writes it.
    pub fn international(&self) -> String {
        format!("+86{}", self.0)
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Phone({})", self.masked())
    }
}

/// What phones are sealed and hashed for.
pub const PURPOSE: &str = "phone";

/// The phone that an input names.
pub fn phone(field: &str, text: &str) -> Result<Phone, Refusal<HolderErrorCode>> {
    Phone::parse(text).ok_or_else(|| Refusal::at(field, HolderErrorCode::InvalidPhone))
}

/// What a phone is found by within one enterprise.
pub fn phone_hash(data_key: &DataKey, phone: &Phone) -> Vec<u8> {
    data_key.hash(PURPOSE, phone.digits().as_bytes()).to_vec()
}

/// The same, for a search.
pub async fn look_for(platform: &Platform, tx: &TenantTx, phone: &Phone) -> Result<Vec<u8>, Fault> {
    Ok(phone_hash(&enterprise::data_key(platform, tx).await?, phone))
}

pub struct SignedOn {
    pub holder: Holder,
    pub granted: Granted,
}

/// Whom an enterprise vouches for: by phone, by its own customer number, or by both.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignOn<'a> {
    pub phone: Option<&'a str>,
    pub partner_user: Option<&'a str>,
    pub nickname: &'a str,
}

/// The enterprise vouches for a person that its own system has signed in (登录态打通), and gets their token.
pub async fn sign_on(
    platform: &Platform,
    tokens: &Tokens,
    scope: &TenantScope,
    request: &SignOn<'_>,
    visit: &Visit,
) -> Result<SignedOn, Refusal<WalletErrorCode>> {
    scope.require(Permission::HolderSignOn)?;
    let phone = check(request)?;
    let tx = scope.write(&platform.database).await?;
    let id = match request.partner_user {
        Some(name) => by_partner_user_in(platform, &tx, name, phone.as_ref(), request.nickname).await?,
        None => {
            let phone = phone.ok_or_else(|| Refusal::at("phone", WalletErrorCode::InvalidPhone))?;
            register_in(platform, &tx, &[(phone.clone(), request.nickname.to_owned())]).await?[&phone]
        }
    };
    let holder = store::holders_by_id(&tx, &[id]).await?.remove(&id).ok_or(Fault::NotFound)?;
    // What a partner does within a branch does not outlast its token by much.
    let brief = scope.actor().kind == ActorKind::Partner;
    let opened = entrance::open_in(platform, &tx, id, SignInMethod::Partner, visit, brief).await?;
    audit::record_in(&tx, "holderSignOn", id.uuid(), None, &holder.phone_masked).await?;
    tx.commit().await?;
    let granted = session::grant(tokens, scope.tenant(), opened, Identity::Holder { holder: id })?;
    Ok(SignedOn { holder, granted })
}

fn check(request: &SignOn<'_>) -> Result<Option<Phone>, Refusal<WalletErrorCode>> {
    let phone = match request.phone {
        Some(phone) => Some(Phone::parse(phone).ok_or_else(|| Refusal::at("phone", WalletErrorCode::InvalidPhone))?),
        None if request.partner_user.is_none() => {
            return Err(Refusal::explained(
                "phone",
                WalletErrorCode::InvalidInput,
                "请提供手机号或客户编号。",
                "Name the person by phone, by your customer number, or by both.",
            ));
        }
        None => None,
    };
    if request.nickname.chars().count() > 40 {
        return Err(Refusal::explained(
            "nickname",
            WalletErrorCode::InvalidInput,
            "昵称不能超过 40 个字符。",
            "A nickname has at most 40 characters.",
        ));
    }
    if request.partner_user.is_some_and(|name| name.trim().is_empty() || name.len() > 128) {
        return Err(Refusal::explained(
            "partnerUserId",
            WalletErrorCode::InvalidInput,
            "客户编号须为 1 到 128 个字节。",
            "A customer number has 1 to 128 bytes.",
        ));
    }
    Ok(phone)
}

/// The holder whom the enterprise knows by this customer number. One that is new is tied to the phone's holder, and a
/// phone that is new to a holder who has none. What would tie two different people together is refused: numbers are
/// given to new people, and the wallet must not go along.
async fn by_partner_user_in(
    platform: &Platform,
    tx: &TenantTx,
    name: &str,
    phone: Option<&Phone>,
    nickname: &str,
) -> Result<HolderId, Refusal<WalletErrorCode>> {
    let conflict = || Refusal::at("partnerUserId", WalletErrorCode::PartnerUserConflict);
    let data_key = enterprise::data_key(platform, tx).await?;
    let identity = identify::identity(platform, &data_key, IdentityKind::Partner, "", name);
    let known = identities::find(tx, identity.kind, &identity.hash).await?;
    let Some(id) = known else {
        let id = match phone {
            Some(phone) => register_in(platform, tx, &[(phone.clone(), nickname.to_owned())]).await?[phone],
            None => register_bare_in(tx, nickname).await?,
        };
        // Of two numbers that are tied to one holder at once, the second sees the first.
        personal::lock_in(tx, id).await?;
        if identities::has(tx, id, identity.kind).await? {
            return Err(conflict());
        }
        identities::insert_in(tx, id, &identity).await?;
        return Ok(id);
    };
    if let Some(phone) = phone {
        let hash = phone_hash(&data_key, phone);
        let bound = personal::lock_in(tx, id).await?.ok_or(Fault::NotFound)?.phone_hash;
        match bound {
            Some(bound) if bound == hash => {}
            Some(_) => return Err(conflict()),
            None if !store::holders_by_phone_hash(tx, std::slice::from_ref(&hash)).await?.is_empty() => {
                return Err(conflict());
            }
            None => {
                let sealed = data_key.seal(&*platform.randomness, PURPOSE, phone.digits().as_bytes());
                personal::set_phone_in(tx, id, BoundPhone { hash, sealed, masked: phone.masked() }).await?;
            }
        }
    }
    Ok(id)
}

/// A new holder whom nothing is known of yet but what the caller ties to them.
pub async fn register_bare_in(tx: &TenantTx, nickname: &str) -> Result<HolderId, Fault> {
    let id = HolderId::generate();
    identities::insert_holder_in(tx, id, nickname).await?;
    outbox::emit_in(tx, NewEvent::new(EventType::HolderRegistered, id.uuid(), 1, json!({ "holderId": id }))?).await?;
    Ok(id)
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
        by_hash.entry(phone_hash(&data_key, &person.0)).or_insert(person);
    }
    let hashes: Vec<Vec<u8>> = by_hash.keys().cloned().collect();
    let mut known = store::holders_by_phone_hash(tx, &hashes).await?;
    let new: Vec<NewHolder> = by_hash
        .iter()
        .filter(|(hash, _)| !known.contains_key(*hash))
        .map(|(hash, (phone, nickname))| NewHolder {
            id: HolderId::generate(),
            phone_hash: hash.clone(),
            phone_sealed: data_key.seal(&*platform.randomness, PURPOSE, phone.digits().as_bytes()),
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
