//! Two-step sign-in: a code from an authenticator app beside the password.
//!
//! It is begun (a secret is made), confirmed (a first code shows that the app has it), used at each sign-in and turned
//! off. A step of the clock is accepted once, and so is each of the ten recovery codes, whoever comes at the same moment:
//! the database decides. Codes are short, so attempts at them are counted, by operator and not by address.

use serde_json::json;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::throttle::{Growth, Wait};
use crate::tenancy::audit;
use crate::tenancy::device::DeviceId;
use crate::tenancy::enterprise;
use crate::tenancy::model::operators::OperatorErrorCode;
use crate::tenancy::model::{EnterpriseId, Operator, OperatorId, OperatorState, SignInMethod};
use crate::tenancy::password_change::{lock_unchanged_in, verify_own};
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::store::{self, operators};
use crate::tenancy::throttle::{self, Key};
use crate::tenancy::totp::{Secret, hash_recovery_code, recovery_codes};

/// What an app is to be told, this once.
pub struct Enrolment {
    pub uri: String,
    pub secret: String,
}

/// Makes a secret, which counts for nothing until it is confirmed. Whoever finds a console open must not lock its owner
/// out with a phone of their own, so the password is asked for.
pub async fn begin(
    platform: &Platform,
    scope: &TenantScope,
    password: &str,
) -> Result<Enrolment, Refusal<OperatorErrorCode>> {
    let verified = verify_own(platform, scope, password).await?;
    let secret = Secret::generate(&*platform.randomness);

    let tx = scope.write(&platform.database).await?;
    let operator = lock_unchanged_in(&tx, &verified).await?;
    if operator.totp_confirmed_at.is_some() {
        return Err(Refusal::code(OperatorErrorCode::TotpOn));
    }
    let enterprise = store::enterprise(&tx).await?.ok_or(Fault::NotFound)?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let sealed = data_key.seal(&*platform.randomness, &purpose(operator.id), secret.expose());
    operators::set_totp_in(&tx, operator.id, Some(sealed)).await?;
    audit::record_in(&tx, "operatorTotpBegin", operator.id.uuid(), None, &json!({ "operator": operator.id })).await?;
    tx.commit().await?;
    let account = operator.sign_in.as_deref().unwrap_or_default();
    Ok(Enrolment { uri: secret.uri(&enterprise.name_english, account), secret: secret.to_base32() })
}

/// Turns it on with a first code, and gives the recovery codes.
pub async fn confirm(
    platform: &Platform,
    scope: &TenantScope,
    code: &str,
) -> Result<(Operator, Vec<String>), Refusal<OperatorErrorCode>> {
    let id = scope.operator()?;
    let key = count_attempt(platform, scope.tenant(), id, None).await?.map_err(later)?;
    let codes = recovery_codes(&*platform.randomness);

    let tx = scope.write(&platform.database).await?;
    let before = operators::lock_in(&tx, id).await?.filter(|operator| operator.state == OperatorState::Active);
    let before = before.ok_or(Fault::unauthenticated("该操作员已不存在", "there is no such operator any more"))?;
    if before.totp_confirmed_at.is_some() {
        return Err(Refusal::code(OperatorErrorCode::TotpOn));
    }
    let seat = operators::totp_seat(&tx, id).await?;
    if seat.is_none_or(|seat| seat.totp_sealed.is_none()) {
        return Err(Refusal::code(OperatorErrorCode::TotpOff));
    }
    if !spend_totp_in(platform, &tx, id, code).await? {
        return Err(Refusal::at("code", OperatorErrorCode::WrongCode));
    }
    let operator = operators::confirm_totp_in(&tx, id).await?;
    operators::delete_recovery_codes_in(&tx, id).await?;
    let hashes = codes.iter().map(|code| recovery_hash(platform, id, code)).collect();
    operators::insert_recovery_codes_in(&tx, id, hashes).await?;
    record_in(&tx, "operatorTotpConfirm", &before, &operator).await?;
    tx.commit().await?;
    throttle::forgive(platform, scope.tenant(), &[key]).await?;
    Ok((operator, codes))
}

/// Turns it off: with the password and a code, or a recovery code.
pub async fn disable(
    platform: &Platform,
    scope: &TenantScope,
    password: &str,
    code: &str,
) -> Result<Operator, Refusal<OperatorErrorCode>> {
    let verified = verify_own(platform, scope, password).await?;
    let key = count_attempt(platform, scope.tenant(), verified.id, None).await?.map_err(later)?;

    let tx = scope.write(&platform.database).await?;
    let before = lock_unchanged_in(&tx, &verified).await?;
    if before.totp_confirmed_at.is_none() {
        return Err(Refusal::code(OperatorErrorCode::TotpOff));
    }
    if spend_in(platform, &tx, before.id, code).await?.is_none() {
        return Err(Refusal::at("code", OperatorErrorCode::WrongCode));
    }
    let operator = operators::set_totp_in(&tx, before.id, None).await?;
    operators::delete_recovery_codes_in(&tx, before.id).await?;
    record_in(&tx, "operatorTotpDisable", &before, &operator).await?;
    tx.commit().await?;
    throttle::forgive(platform, scope.tenant(), &[key]).await?;
    Ok(operator)
}

/// Counts an attempt at a code before it is judged; the key is for forgiving it. A known device is counted apart, so that
/// whoever knows the password alone cannot keep the owner waiting.
pub async fn count_attempt(
    platform: &Platform,
    tenant: EnterpriseId,
    operator: OperatorId,
    device: Option<&DeviceId>,
) -> Result<Result<Key, Wait>, Fault> {
    let device: &[u8] = device.map_or(&[], |device| &device[..]);
    let key = Key::new(platform, "CODE", &[operator.uuid().as_bytes(), device]);
    Ok(throttle::attempt(platform, tenant, &[(key, Growth::GUESSES)]).await?.map(|_| key))
}

/// Uses a code of either kind up, and says which kind it was; nothing where it is wrong.
pub async fn spend_in(
    platform: &Platform,
    tx: &TenantTx,
    operator: OperatorId,
    code: &str,
) -> Result<Option<SignInMethod>, Fault> {
    if spend_totp_in(platform, tx, operator, code).await? {
        return Ok(Some(SignInMethod::Totp));
    }
    let hash = recovery_hash(platform, operator, code);
    Ok(operators::spend_recovery_code_in(tx, operator, &hash).await?.then_some(SignInMethod::RecoveryCode))
}

async fn spend_totp_in(platform: &Platform, tx: &TenantTx, operator: OperatorId, code: &str) -> Result<bool, Fault> {
    let Some(seat) = operators::totp_seat(tx, operator).await? else { return Ok(false) };
    let Some(sealed) = seat.totp_sealed else { return Ok(false) };
    let data_key = enterprise::data_key(platform, tx).await?;
    let clear = data_key.open(&purpose(operator), &sealed).map_err(Fault::internal)?;
    let secret = Secret::from_bytes(&clear)
        .ok_or_else(|| Fault::internal(anyhow::anyhow!("a one-time password's secret has a wrong length")))?;
    match secret.accept(code, tx.now().await?, seat.totp_step) {
        Some(step) => operators::spend_totp_step_in(tx, operator, step).await,
        None => Ok(false),
    }
}

/// What the secret is sealed for: it is of no use in another operator's row.
pub fn purpose(operator: OperatorId) -> String {
    format!("totp/{operator}")
}

fn recovery_hash(platform: &Platform, operator: OperatorId, code: &str) -> Vec<u8> {
    hash_recovery_code(&platform.master_key, operator.uuid(), code).to_vec()
}

fn later(wait: Wait) -> Refusal<OperatorErrorCode> {
    Refusal::later(OperatorErrorCode::TryLater, wait)
}

async fn record_in(tx: &TenantTx, action: &str, before: &Operator, after: &Operator) -> Result<(), Fault> {
    let record = |operator: &Operator| json!({ "totp": operator.totp_confirmed_at.is_some() });
    audit::record_in(tx, action, after.id.uuid(), Some(&record(before)), &record(after)).await
}
