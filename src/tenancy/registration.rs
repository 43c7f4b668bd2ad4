//! An enterprise comes by itself: it registers, says who it is, and asks the house to be let in (入驻).
//!
//! Whoever registers owns an enterprise that is PENDING: they can sign in at once, and do nothing but see to their
//! admission (`Permission::serves_admission`). Submitting opens the house's review; what the house says arrives in
//! `enterprise::decided_in`.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::throttle::Window;
use crate::tenancy::enterprise::{self, EnterpriseRequest};
use crate::tenancy::model::{
    Enterprise, EnterpriseErrorCode, EnterpriseId, EnterpriseState, OperatorId, QualificationKind, ReviewSubject,
};
use crate::tenancy::operator::{self, OperatorRequest};
use crate::tenancy::permission::{Permission, Role};
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::session::Visit;
use crate::tenancy::store::{self, enterprise_row, qualifications};
use crate::tenancy::{audit, password, review, throttle};

/// What the house expects to see before it lets anybody in: who they are. Filings of a site or of a chain come with
/// what is done there, and may be the house's own.
pub const REQUIRED: QualificationKind = QualificationKind::BusinessLicence;

/// From one address. Whoever has mistyped a slug has plenty left; a program fills no directory.
const ATTEMPTS: Window = Window { limit: 20, length: TimeDelta::hours(1) };

/// Registers an enterprise with its owner, who acts in it from its first record on.
pub async fn register(
    platform: &Platform,
    request: &EnterpriseRequest,
    request_id: Arc<str>,
    visit: &Visit,
) -> Result<Enterprise, Refusal<EnterpriseErrorCode>> {
    enterprise::check(request)?;
    // Before a password is judged and hashed, and before anybody learns which names are taken.
    let key = throttle::Key::new(platform, "REGISTRATION", &[throttle::place(visit.address).as_bytes()]);
    if let Err(wait) = throttle::count_in_window(platform, throttle::NO_TENANT, &key, &ATTEMPTS).await? {
        return Err(Refusal::later(EnterpriseErrorCode::TooManyAttempts, wait));
    }
    let about =
        [&request.slug, &request.name_chinese, &request.name_english, &request.owner_sign_in, &request.owner_name]
            .map(String::as_str);
    password::check("ownerPassword", EnterpriseErrorCode::InvalidInput, &request.owner_password, &about).await?;
    let password_hash = password::hash(&*platform.randomness, &request.owner_password).await?;

    let (id, owner) = (EnterpriseId::generate(), OperatorId::generate());
    let tx = TenantScope::of_operator(id, owner, Role::Owner, request_id).write(&platform.database).await?;
    let names = (request.name_chinese.trim(), request.name_english.trim());
    store::insert_enterprise_in(&tx, &request.slug, names, request.kind, EnterpriseState::Pending).await?;
    enterprise::furnish_in(platform, &tx, &request.slug).await?;
    let new = OperatorRequest {
        sign_in: &request.owner_sign_in,
        name: &request.owner_name,
        role: Role::Owner,
        password_hash,
    };
    operator::add_as_in(&tx, owner, new).await?;
    let enterprise = store::enterprise(&tx).await?.ok_or(Fault::NotFound)?;
    audit::record_in(&tx, "enterpriseRegister", id.uuid(), None, &(&request.slug, names, request.kind)).await?;
    enterprise::announce_in(&tx, &enterprise).await?;
    tx.commit().await?;
    Ok(enterprise)
}

/// The enterprise takes other names.
pub async fn rename(
    platform: &Platform,
    scope: &TenantScope,
    (chinese, english): (&str, &str),
) -> Result<Enterprise, Refusal<EnterpriseErrorCode>> {
    scope.require(Permission::EnterpriseManage)?;
    enterprise::check_names(chinese, english)?;
    let tx = scope.write(&platform.database).await?;
    let before = enterprise_row::lock_in(&tx).await?.ok_or(Fault::NotFound)?;
    // The house decides on what it has read.
    not_in_review(&tx).await?;
    let after = enterprise_row::set_names_in(&tx, (chinese.trim(), english.trim())).await?;
    let names = |enterprise: &Enterprise| (enterprise.name_chinese.clone(), enterprise.name_english.clone());
    audit::record_in(&tx, "enterpriseUpdate", after.id.uuid(), Some(&names(&before)), &names(&after)).await?;
    enterprise::announce_in(&tx, &after).await?;
    tx.commit().await?;
    Ok(after)
}

/// Hands the enterprise to the house's review.
pub async fn submit(
    platform: &Platform,
    scope: &TenantScope,
    id: EnterpriseId,
) -> Result<Enterprise, Refusal<EnterpriseErrorCode>> {
    scope.require(Permission::EnterpriseManage)?;
    if id != scope.tenant() {
        return Err(Refusal::at("id", EnterpriseErrorCode::NotFound));
    }
    let tx = scope.write(&platform.database).await?;
    let enterprise = enterprise_row::lock_in(&tx).await?.ok_or(Fault::NotFound)?;
    if enterprise.state != EnterpriseState::Pending {
        return Err(Refusal::code(EnterpriseErrorCode::WrongState));
    }
    not_in_review(&tx).await?;
    if !qualifications::has_one(&tx, REQUIRED).await? {
        return Err(Refusal::code(EnterpriseErrorCode::LicenceMissing));
    }
    let review = review::open_in(&tx, ReviewSubject::Enterprise, enterprise.id.uuid()).await?;
    audit::record_in(&tx, "enterpriseSubmit", enterprise.id.uuid(), None, &review).await?;
    tx.commit().await?;
    Ok(enterprise)
}

async fn not_in_review(tx: &TenantTx) -> Result<(), Refusal<EnterpriseErrorCode>> {
    match review::open_of(tx, tx.tenant().uuid()).await? {
        Some(_) => Err(Refusal::code(EnterpriseErrorCode::InReview)),
        None => Ok(()),
    }
}
