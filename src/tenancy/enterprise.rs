//! Enterprises are provisioned by the house: by mutation, or from a manifest.

use std::collections::BTreeMap;

use serde_json::json;

use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::randomness::Randomness;
use crate::platform::refusal::Refusal;
use crate::platform::vault::{SealingKey, WrongKey};
use crate::tenancy::model::{
    Enterprise, EnterpriseErrorCode, EnterpriseId, EnterpriseKind, EnterpriseState, ReviewErrorCode,
};
use crate::tenancy::operator::{self, OperatorRequest};
use crate::tenancy::permission::Role;
use crate::tenancy::review::Decision;
use crate::tenancy::scope::{HouseScope, TenantTx};
use crate::tenancy::store::{self, DirectoryKind, enterprise_row, qualifications};
use crate::tenancy::{audit, password, registration};

/// The house's own slug.
pub const RESERVED_SLUG: &str = "house";

/// The purpose that data keys are wrapped for.
const DATA_KEY: &str = "data key";

#[derive(Clone, Debug)]
pub struct EnterpriseRequest {
    pub slug: String,
    pub name_chinese: String,
    pub name_english: String,
    pub kind: EnterpriseKind,
    pub owner_sign_in: String,
    pub owner_name: String,
    pub owner_password: String,
}

/// Creates an enterprise that works at once, with its data key and its owner.
pub async fn create(
    platform: &Platform,
    house: &HouseScope,
    request: &EnterpriseRequest,
) -> Result<EnterpriseId, Refusal<EnterpriseErrorCode>> {
    house.require_decider()?;
    check(request)?;
    provision(platform, house, request).await
}

/// Creates the house itself, once, from the command line.
pub async fn found_house(
    platform: &Platform,
    house: &HouseScope,
    request: &EnterpriseRequest,
) -> Result<EnterpriseId, Refusal<EnterpriseErrorCode>> {
    provision(platform, house, request).await
}

async fn provision(
    platform: &Platform,
    house: &HouseScope,
    request: &EnterpriseRequest,
) -> Result<EnterpriseId, Refusal<EnterpriseErrorCode>> {
    let EnterpriseRequest { slug, name_chinese, name_english, owner_sign_in, owner_name, owner_password, .. } = request;
    let about = [slug, name_chinese, name_english, owner_sign_in, owner_name].map(String::as_str);
    password::check("ownerPassword", EnterpriseErrorCode::InvalidInput, owner_password, &about).await?;
    let password_hash = password::hash(&*platform.randomness, &request.owner_password).await?;

    let id = EnterpriseId::generate();
    let tx = house.write_within(&platform.database, id).await?;
    let names = (request.name_chinese.as_str(), request.name_english.as_str());
    store::insert_enterprise_in(&tx, &request.slug, names, request.kind, EnterpriseState::Active).await?;
    furnish_in(platform, &tx, &request.slug).await?;
    let owner = OperatorRequest {
        sign_in: &request.owner_sign_in,
        name: &request.owner_name,
        role: Role::Owner,
        password_hash,
    };
    operator::add_in(&tx, owner).await?;
    audit::record_in(&tx, "enterpriseCreate", id.uuid(), None, &(&request.slug, names)).await?;
    tx.commit().await?;
    Ok(id)
}

/// What every enterprise has beside its row: its name in the directory and its data key.
pub async fn furnish_in(platform: &Platform, tx: &TenantTx, slug: &str) -> Result<(), Refusal<EnterpriseErrorCode>> {
    let id = tx.tenant();
    if !store::claim_name_in(tx, DirectoryKind::Slug, slug, id.uuid()).await? {
        return Err(Refusal::at("slug", EnterpriseErrorCode::SlugTaken));
    }
    let data_key = SealingKey::new(platform.randomness.bytes());
    let wrapped = platform.master_key.seal(&*platform.randomness, &purpose(id), data_key.expose());
    Ok(store::insert_data_key_in(tx, 1, wrapped).await?)
}

/// Hears the house's word on an enterprise that registered itself. One that was refused stays as it was, knows why, and
/// may hand itself in again. Nobody is let in whose licence the house has not approved.
pub async fn decided_in(tx: &TenantTx, decision: &Decision) -> Result<(), Refusal<ReviewErrorCode>> {
    let before = enterprise_row::lock_in(tx).await?.ok_or(Fault::NotFound)?;
    let state = if decision.approved { EnterpriseState::Active } else { EnterpriseState::Pending };
    if before.state != EnterpriseState::Pending {
        let cause = anyhow::anyhow!("{} was reviewed while it was {:?}", before.id, before.state);
        return Err(Fault::internal(cause).into());
    }
    if decision.approved && !qualifications::is_approved(tx, registration::REQUIRED).await? {
        return Err(Refusal::at("id", ReviewErrorCode::LicenceUndecided));
    }
    let after = enterprise_row::set_state_in(tx, state, decision.remark.as_deref()).await?;
    audit::record_in(tx, "enterpriseReview", tx.tenant().uuid(), Some(&before.state), &after.state).await?;
    Ok(announce_in(tx, &after).await?)
}

/// Tells the world where the enterprise stands now.
pub async fn announce_in(tx: &TenantTx, enterprise: &Enterprise) -> Result<(), Fault> {
    let data = json!({
        "enterpriseId": enterprise.id,
        "slug": enterprise.slug,
        "name": { "chinese": enterprise.name_chinese, "english": enterprise.name_english },
        "state": enterprise.state,
        "reason": enterprise.state_reason,
        "corpOpenId": enterprise.corp_open_id,
        "disabledAt": enterprise.disabled_at,
        "expiresAt": enterprise.expires_at,
    });
    let (subject, version) = (enterprise.id.uuid(), enterprise.version);
    outbox::emit_in(tx, NewEvent::new(EventType::EnterpriseChanged, subject, version, data)?).await
}

/// What an enterprise's personal data is sealed and searched with: every data key that it has had, of which the newest
/// seals. A rotation takes its time, and until it has ended both are in use.
pub struct DataKey {
    newest: u16,
    keys: BTreeMap<u16, SealingKey>,
    /// Not a data key itself: hashes must still be found after that one was exchanged.
    search: SealingKey,
}

impl DataKey {
    /// A keyed hash, for equality search over what is sealed.
    pub fn hash(&self, purpose: &str, value: &[u8]) -> [u8; 32] {
        self.search.hash(purpose, value)
    }

    /// `version of the data key (2 bytes, big-endian) | what [`SealingKey::seal`] gives`.
    pub fn seal(&self, randomness: &dyn Randomness, purpose: &str, clear: &[u8]) -> Vec<u8> {
        let key = &self.keys[&self.newest];
        [&self.newest.to_be_bytes()[..], &key.seal(randomness, purpose, clear)].concat()
    }

    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, WrongKey> {
        let (version, body) = sealed.split_first_chunk().ok_or(WrongKey)?;
        self.keys.get(&u16::from_be_bytes(*version)).ok_or(WrongKey)?.open(purpose, body)
    }

    /// The version of the key that seals.
    pub fn version(&self) -> u16 {
        self.newest
    }
}

/// The enterprise's data keys.
pub async fn data_key(platform: &Platform, tx: &TenantTx) -> Result<DataKey, Fault> {
    let purpose = purpose(tx.tenant());
    let mut keys = BTreeMap::new();
    for (version, wrapped) in store::data_keys(tx).await? {
        let key = platform.master_key.open(&purpose, &wrapped).map_err(Fault::internal)?;
        let key = key.try_into().map_err(|_| Fault::internal(anyhow::anyhow!("a data key has a wrong length")))?;
        keys.insert(u16::try_from(version).map_err(Fault::internal)?, SealingKey::new(key));
    }
    let newest =
        *keys.keys().next_back().ok_or_else(|| Fault::internal(anyhow::anyhow!("the enterprise has no data key")))?;
    Ok(DataKey { newest, keys, search: platform.master_key.derive(&format!("search/{}", tx.tenant())) })
}

/// Gives the enterprise a new data key under this version. What was sealed before opens under its old key.
pub async fn add_data_key_in(platform: &Platform, tx: &TenantTx, version: u16) -> Result<(), Fault> {
    let data_key = SealingKey::new(platform.randomness.bytes());
    let wrapped = platform.master_key.seal(&*platform.randomness, &purpose(tx.tenant()), data_key.expose());
    store::insert_data_key_in(tx, version.into(), wrapped).await
}

// The tenant is bound in: one tenant's wrapped key is of no use in another's row.
fn purpose(tenant: EnterpriseId) -> String {
    format!("{DATA_KEY}/{tenant}")
}

/// Whether a slug has the form of one and is not the house's.
pub fn is_slug(slug: &str) -> bool {
    (2..=40).contains(&slug.len())
        && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !slug.starts_with('-')
        && slug != RESERVED_SLUG
}

/// Whether a text will do as a name.
pub fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= 80
}

/// Whether a text will do as a sign-in name.
pub fn check(request: &EnterpriseRequest) -> Result<(), Refusal<EnterpriseErrorCode>> {
    use EnterpriseErrorCode::InvalidInput;
    if !is_slug(&request.slug) {
        return Err(Refusal::explained(
            "slug",
            InvalidInput,
            "标识须为 2 到 40 个小写字母、数字或连字符，不以连字符开头，且不能是 house。",
            "A slug has 2 to 40 lower-case letters, digits or hyphens, does not begin with a hyphen and is not `house`.",
        ));
    }
    if request.kind == EnterpriseKind::House {
        return Err(Refusal::explained(
            "kind",
            InvalidInput,
            "平台运营方只有一个，不能通过此接口创建。",
            "There is one house, and it is not created this way; choose STANDARD or PLATFORM.",
        ));
    }
    check_names(&request.name_chinese, &request.name_english)?;
    if !is_name(&request.owner_name) {
        return Err(Refusal::explained(
            "ownerName",
            InvalidInput,
            "姓名须为 1 到 80 个字符。",
            "An owner's name has 1 to 80 characters.",
        ));
    }
    if !operator::is_sign_in(&request.owner_sign_in) {
        let (chinese, english) = operator::SIGN_IN_RULE;
        return Err(Refusal::explained("ownerSignIn", InvalidInput, chinese, english));
    }
    Ok(())
}

/// What an enterprise may be called.
pub fn check_names(chinese: &str, english: &str) -> Result<(), Refusal<EnterpriseErrorCode>> {
    for (field, name) in [("name.chinese", chinese), ("name.english", english)] {
        if !is_name(name) {
            return Err(Refusal::explained(
                field,
                EnterpriseErrorCode::InvalidInput,
                "名称须为 1 到 80 个字符。",
                "A name has 1 to 80 characters.",
            ));
        }
    }
    Ok(())
}
