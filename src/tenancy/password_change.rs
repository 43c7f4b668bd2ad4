//! Passwords are changed: by their owner, who knows the present one, or with a link that an administrator gave out.
//!
//! A link is no row of a table. Its secret says for which version of which operator it was made and until when, under a
//! MAC that also covers the present password; whatever changes the operator makes it worthless, itself included.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::throttle::Growth;
use crate::platform::vault::SealingKey;
use crate::tenancy::audit;
use crate::tenancy::model::operators::OperatorErrorCode;
use crate::tenancy::model::{Enterprise, EnterpriseId, Operator, OperatorId, OperatorState};
use crate::tenancy::operator_change::lock_to_change_in;
use crate::tenancy::password;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::session;
use crate::tenancy::standing::Standings;
use crate::tenancy::store::{self, operators};
use crate::tenancy::throttle::{self, Key};

/// Changes one's own password. Every other session ends: whoever knew the old one is out.
pub async fn change(
    platform: &Platform,
    standings: &Standings,
    scope: &TenantScope,
    present: &str,
    new: &str,
) -> Result<Operator, Refusal<OperatorErrorCode>> {
    let id = scope.operator()?;
    let verified = verify_own(platform, scope, present).await?;
    let tx = scope.read(&platform.database).await?;
    let enterprise = store::enterprise(&tx).await?.ok_or(Fault::NotFound)?;
    drop(tx);
    check("newPassword", new, &enterprise, &verified).await?;
    let hash = password::hash(&*platform.randomness, new).await?;

    let tx = scope.write(&platform.database).await?;
    lock_unchanged_in(&tx, &verified).await?;
    let after = operators::set_password_in(&tx, id, &hash).await?;
    session::end_all_in(&tx, id.uuid(), scope.session(), "PASSWORD_CHANGED").await?;
    record_in(&tx, "operatorPasswordChange", &verified, &after).await?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(after)
}

/// Asks a signed-in operator for their password once more. Whoever found a console open cannot guess at it for long.
pub async fn verify_own(
    platform: &Platform,
    scope: &TenantScope,
    given: &str,
) -> Result<Operator, Refusal<OperatorErrorCode>> {
    let id = scope.operator()?;
    let key = Key::new(platform, "PASSWORD", &[id.uuid().as_bytes()]);
    if let Err(wait) = throttle::attempt(platform, scope.tenant(), &[(key, Growth::GUESSES)]).await? {
        return Err(Refusal::later(OperatorErrorCode::TryLater, wait));
    }
    let tx = scope.read(&platform.database).await?;
    let operator = store::operators_by_id(&tx, &[id]).await?.remove(&id);
    drop(tx);
    let operator = operator.filter(|operator| operator.state == OperatorState::Active);
    let operator = operator.ok_or(Fault::unauthenticated("该操作员已不存在", "there is no such operator any more"))?;
    let Some(hash) = operator.password_hash.clone() else {
        return Err(Refusal::code(OperatorErrorCode::NoPassword));
    };
    if !password::verify(hash, given.to_owned()).await? {
        return Err(Refusal::at("password", OperatorErrorCode::WrongPassword));
    }
    throttle::forgive(platform, scope.tenant(), &[key]).await?;
    Ok(operator)
}

/// Whether a password is fit to be this person's.
async fn check(
    field: &str,
    password: &str,
    enterprise: &Enterprise,
    operator: &Operator,
) -> Result<(), Refusal<OperatorErrorCode>> {
    let Enterprise { slug, name_chinese, name_english, .. } = enterprise;
    let sign_in = operator.sign_in.as_deref().unwrap_or_default();
    let about = [slug, name_chinese, name_english, &operator.name, sign_in];
    password::check(field, OperatorErrorCode::InvalidInput, password, &about).await
}

/// The same operator, locked, if they still have the password that was verified.
pub async fn lock_unchanged_in(tx: &TenantTx, verified: &Operator) -> Result<Operator, Refusal<OperatorErrorCode>> {
    operators::lock_in(tx, verified.id)
        .await?
        .filter(|now| now.password_hash == verified.password_hash && now.state == OperatorState::Active)
        .ok_or_else(|| Refusal::at("password", OperatorErrorCode::WrongPassword))
}

const PREFIX: &str = "mhp_";
const GOOD_FOR: TimeDelta = TimeDelta::hours(1);

/// A link for somebody who cannot sign in any more.
pub struct Reset {
    pub operator: Operator,
    pub secret: String,
    pub expires_at: DateTime<Utc>,
}

/// Makes the secret with which an operator can set a new password. An earlier one is worth nothing from then on. The
/// present password goes on working until then, so that nobody is put out by this alone.
pub async fn begin_reset(
    platform: &Platform,
    scope: &TenantScope,
    id: OperatorId,
    without_totp: bool,
) -> Result<Reset, Refusal<OperatorErrorCode>> {
    scope.require(Permission::OperatorManage)?;
    if scope.operator().is_ok_and(|own| own == id) {
        return Err(Refusal::explained(
            "id",
            OperatorErrorCode::Yourself,
            "请使用当前密码修改自己的密码。",
            "Change your own password with the present one, through `operatorPasswordChange`.",
        ));
    }
    let tx = scope.write(&platform.database).await?;
    let before = lock_to_change_in(&tx, id, None).await?;
    if before.password_hash.is_none() {
        return Err(Refusal::at("id", OperatorErrorCode::NoPassword));
    }
    let operator = operators::step_version_in(&tx, id).await?;
    // To the second, as the secret says it.
    let expires_at = (tx.now().await? + GOOD_FOR).timestamp();
    let link = Link { tenant: scope.tenant(), operator: id, expires_at, without_totp };
    let secret = link.secret(&platform.master_key, &operator);
    audit::record_in(&tx, "operatorPasswordReset", id.uuid(), None, &json!({ "withoutTotp": without_totp })).await?;
    tx.commit().await?;
    Ok(Reset { operator, secret, expires_at: DateTime::from_timestamp(expires_at, 0).unwrap_or_default() })
}

/// Sets the password of whoever holds the secret of a reset. They are signed in nowhere after it, here neither: the
/// second factor, if they have one, is still asked for.
pub async fn finish_reset(
    platform: &Platform,
    standings: &Standings,
    secret: &str,
    new: &str,
    request_id: Arc<str>,
) -> Result<Operator, Refusal<OperatorErrorCode>> {
    let invalid = || Refusal::at("secret", OperatorErrorCode::SecretInvalid);
    let (link, tag) = Link::parse(secret).ok_or_else(invalid)?;
    let tx = TenantScope::of_system(link.tenant).read(&platform.database).await?;
    let asked = store::operators_by_id(&tx, &[link.operator]).await?.remove(&link.operator).ok_or_else(invalid)?;
    let enterprise = store::enterprise(&tx).await?.ok_or_else(invalid)?;
    let now = tx.now().await?;
    drop(tx);
    if !link.holds(&platform.master_key, &asked, &tag, now) {
        return Err(invalid());
    }
    check("password", new, &enterprise, &asked).await?;
    let hash = password::hash(&*platform.randomness, new).await?;

    let scope = TenantScope::of_operator(link.tenant, link.operator, asked.role, request_id);
    let tx = scope.write(&platform.database).await?;
    let now = tx.now().await?;
    // Used once: the second of two at once finds another version.
    let before = operators::lock_in(&tx, link.operator).await?.ok_or_else(invalid)?;
    if !link.holds(&platform.master_key, &before, &tag, now) {
        return Err(invalid());
    }
    if link.without_totp {
        operators::set_totp_in(&tx, before.id, None).await?;
        operators::delete_recovery_codes_in(&tx, before.id).await?;
    }
    let after = operators::set_password_in(&tx, before.id, &hash).await?;
    session::end_all_in(&tx, before.id.uuid(), None, "PASSWORD_RESET").await?;
    record_in(&tx, "operatorPasswordSet", &before, &after).await?;
    tx.commit().await?;
    standings.forget(link.tenant);
    Ok(after)
}

/// What the log is told: that it changed, never what it is.
async fn record_in(tx: &TenantTx, action: &str, before: &Operator, after: &Operator) -> Result<(), Fault> {
    let record = |operator: &Operator| json!({ "version": operator.version });
    audit::record_in(tx, action, after.id.uuid(), Some(&record(before)), &record(after)).await
}

/// What a reset's secret says in clear: `mhp_ | base64url(tenant (16) | operator (16) | expiry (8) | flags (1) | tag (32))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    tenant: EnterpriseId,
    operator: OperatorId,
    /// Seconds since 1970.
    expires_at: i64,
    without_totp: bool,
}

const CLEAR_BYTES: usize = 16 + 16 + 8 + 1;

impl Link {
    fn clear(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CLEAR_BYTES);
        bytes.extend(self.tenant.uuid().as_bytes());
        bytes.extend(self.operator.uuid().as_bytes());
        bytes.extend(self.expires_at.to_be_bytes());
        bytes.push(u8::from(self.without_totp));
        bytes
    }

    fn tag(&self, master_key: &SealingKey, operator: &Operator) -> [u8; 32] {
        let mut bytes = self.clear();
        bytes.extend(operator.version.to_be_bytes());
        bytes.extend(operator.password_hash.as_deref().unwrap_or_default().as_bytes());
        master_key.derive("password reset").hash("link", &bytes)
    }

    fn secret(&self, master_key: &SealingKey, operator: &Operator) -> String {
        let bytes = [&self.clear()[..], &self.tag(master_key, operator)].concat();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    fn parse(secret: &str) -> Option<(Self, Vec<u8>)> {
        let bytes = URL_SAFE_NO_PAD.decode(secret.strip_prefix(PREFIX)?).ok()?;
        let (clear, tag) = bytes.split_first_chunk::<CLEAR_BYTES>()?;
        let (tenant, rest) = clear.split_first_chunk::<16>()?;
        let (operator, rest) = rest.split_first_chunk::<16>()?;
        let (expires_at, flags) = rest.split_first_chunk::<8>()?;
        let link = Self {
            tenant: EnterpriseId::from_uuid(Uuid::from_bytes(*tenant)),
            operator: OperatorId::from_uuid(Uuid::from_bytes(*operator)),
            expires_at: i64::from_be_bytes(*expires_at),
            without_totp: flags == [1],
        };
        (link.clear() == clear).then(|| (link, tag.to_vec()))
    }

    fn holds(&self, master_key: &SealingKey, operator: &Operator, tag: &[u8], now: DateTime<Utc>) -> bool {
        verify_slices_are_equal(&self.tag(master_key, operator), tag).is_ok()
            && now.timestamp() < self.expires_at
            && operator.state == OperatorState::Active
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenancy::permission::Role;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    #[test]
    fn a_link_is_good_for_one_version_of_one_operator_and_for_its_hour() {
        let key = SealingKey::new([1; 32]);
        let operator = Operator {
            id: OperatorId::generate(),
            sign_in: Some("somebody".into()),
            name: "S".into(),
            role: Role::Auditor,
            password_hash: Some("hash".into()),
            state: OperatorState::Active,
            totp_confirmed_at: None,
            version: 3,
            created_at: at(0),
        };
        let link =
            Link { tenant: EnterpriseId::generate(), operator: operator.id, expires_at: 100, without_totp: false };
        let tag = link.tag(&key, &operator);
        let holds = |operator: &Operator, now| link.holds(&key, operator, &tag, at(now));
        assert!(holds(&operator, 99) && !holds(&operator, 100));
        assert!(!holds(&Operator { version: 4, ..operator.clone() }, 1));
        assert!(!holds(&Operator { password_hash: Some("other".into()), ..operator.clone() }, 1));
        assert!(!holds(&Operator { state: OperatorState::Disabled, ..operator.clone() }, 1));
        for forged in [
            Link { without_totp: true, ..link },
            Link { expires_at: 1000, ..link },
            Link { operator: OperatorId::generate(), ..link },
            Link { tenant: EnterpriseId::generate(), ..link },
        ] {
            assert!(!forged.holds(&key, &operator, &tag, at(1)), "{forged:?}");
        }
        assert!(!link.holds(&SealingKey::new([2; 32]), &operator, &tag, at(1)));
    }

    #[test]
    fn a_link_reads_back_as_it_was_written_and_garbage_does_not() {
        for without_totp in [false, true] {
            let link = Link {
                tenant: EnterpriseId::generate(),
                operator: OperatorId::generate(),
                expires_at: 1_790_000_000,
                without_totp,
            };
            let text = |clear: &[u8]| format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([clear, &[7; 32]].concat()));
            assert_eq!(Link::parse(&text(&link.clear())), Some((link, vec![7; 32])));
            let mut odd = link.clear();
            odd[CLEAR_BYTES - 1] = 2;
            assert_eq!(Link::parse(&text(&odd)), None, "unknown flags");
        }
        for garbage in ["", "mhp_", "mhp_AAAA", "mhi_AAAA", "mhp_\u{1F600}"] {
            assert_eq!(Link::parse(garbage), None, "{garbage}");
        }
    }
}
