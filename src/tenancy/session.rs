//! Sessions: one row for each time somebody signed in.
//!
//! Every way of signing in ends here: [`open_in`] writes the session within the transaction of the sign-in, and
//! [`grant`] makes its first access token. Access tokens are short; [`refresh`] exchanges a refresh token for the next
//! pair. A refresh token is good once: one that is shown a second time has been in two hands, and as nobody can tell
//! whose are the right ones, the session ends (RFC 9700, section 4.14.2). [`end_in`] is the only other way to end one;
//! whoever calls it lets [`Standings`] forget the enterprise after the commit.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::randomness::Randomness;
use crate::platform::refusal::Refusal;
use crate::platform::vault::sha256;
use crate::tenancy::audit;
use crate::tenancy::model::{
    EnterpriseId, EnterpriseKind, EnterpriseState, HolderId, OperatorId, OperatorState, Session, SessionErrorCode,
    SessionId, SessionSubject, SignInMethod,
};
use crate::tenancy::scope::{HolderScope, TenantScope, TenantTx};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::{self, sessions};
use crate::tenancy::token::{Identity, Tokens};

/// Where a request came from, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    pub address: Option<IpAddr>,
    /// The program, as its `User-Agent` names it.
    pub agent: Option<String>,
    /// The web origin of the page that sent it.
    pub origin: Option<String>,
    /// The host that it asked for.
    pub host: Option<String>,
    pub request_id: Arc<str>,
}

/// How long what a session hands out is good.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// An access token.
    pub access: TimeDelta,
    /// A session that nobody refreshes.
    pub idle: TimeDelta,
    /// A session, however often it is refreshed.
    pub whole: TimeDelta,
    pub refreshable: bool,
}

impl Lives {
    pub fn of(subject: SessionSubject, method: SignInMethod) -> Self {
        match (subject, method) {
            // The embedded console lives in somebody else's page: its session is short and ends by itself.
            (SessionSubject::Operator, SignInMethod::Ticket | SignInMethod::Oidc) => Self {
                access: TimeDelta::minutes(30),
                idle: TimeDelta::minutes(30),
                whole: TimeDelta::minutes(30),
                refreshable: false,
            },
            (SessionSubject::Operator, _) => Self {
                access: TimeDelta::minutes(15),
                idle: TimeDelta::hours(24),
                whole: TimeDelta::days(7),
                refreshable: true,
            },
            (SessionSubject::Holder, _) => Self {
                access: TimeDelta::hours(1),
                idle: TimeDelta::days(30),
                whole: TimeDelta::days(90),
                refreshable: true,
            },
        }
    }
}

/// How long a session lasts that is opened on a partner's word within a branch: about as long as that word itself.
const BRIEF: TimeDelta = TimeDelta::minutes(15);

/// Somebody who has just proved who they are.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    pub subject: SessionSubject,
    /// The operator or holder, whose row the transaction has locked: who disables or erases them at the same time finds
    /// the session, or is found to have been first.
    pub subject_id: Uuid,
    pub method: SignInMethod,
    pub visit: &'a Visit,
    /// Ends after a quarter of an hour and cannot be refreshed.
    pub brief: bool,
}

/// A session that has been written and waits for the commit.
pub struct Opened {
    pub session: Session,
    refresh_token: Option<String>,
}

/// What a sign-in or a refresh gives.
#[derive(Clone, Debug)]
pub struct Granted {
    pub token: String,
    pub expires_at: DateTime<Utc>,
    pub refresh_token: Option<String>,
    pub session: Session,
}

/// Writes the session of somebody who has proved who they are.
pub async fn open_in(platform: &Platform, tx: &TenantTx, new: NewSession<'_>) -> Result<Opened, Fault> {
    let lives = Lives::of(new.subject, new.method);
    let whole = if new.brief { BRIEF } else { lives.whole };
    let session = sessions::insert_in(tx, &new, tx.now().await? + whole).await?;
    let refresh_token = match lives.refreshable && !new.brief {
        true => Some(hand_out_in(platform, tx, session.id).await?),
        false => None,
    };
    Ok(Opened { session, refresh_token })
}

/// The access token of a session whose transaction has been committed. It ends with the session at the latest: a session
/// that is over is not among those that are watched for having been ended.
pub fn grant(tokens: &Tokens, tenant: EnterpriseId, opened: Opened, identity: Identity) -> Result<Granted, Fault> {
    let Opened { session, refresh_token } = opened;
    let lives = Lives::of(session.subject_kind, session.method);
    let life = lives.access.min(session.expires_at - tokens.now());
    let (token, expires_at) = tokens.mint(tenant, identity, Some(session.id), life)?;
    let expires_at = DateTime::from_timestamp(expires_at, 0).unwrap_or_default();
    Ok(Granted { token, expires_at, refresh_token, session })
}

/// Exchanges a refresh token for the next pair. At an enterprise's bound host (`site`) only its own are good.
pub async fn refresh(
    platform: &Platform,
    tokens: &Tokens,
    standings: &Standings,
    refresh_token: &str,
    (site, request_id): (Option<EnterpriseId>, &Arc<str>),
) -> Result<Granted, Refusal<SessionErrorCode>> {
    let invalid = || Refusal::at("refreshToken", SessionErrorCode::InvalidRefreshToken);
    let tenant = tenant_of(REFRESH_PREFIX, refresh_token);
    let tenant = tenant.filter(|tenant| site.is_none_or(|site| site == *tenant)).ok_or_else(invalid)?;
    let tx = TenantScope::of_visitor(tenant, request_id.clone()).write(&platform.database).await?;
    let hash = sha256(refresh_token.as_bytes());

    let Some(session_id) = sessions::spend_refresh_token_in(&tx, &hash).await? else {
        let Some(session_id) = sessions::session_of_refresh_token(&tx, &hash).await? else { return Err(invalid()) };
        end_in(&tx, &[session_id], "REFRESH_TOKEN_REUSED").await?;
        audit::record_in(&tx, "refreshTokenReused", session_id.uuid(), None, &json!({ "session": session_id })).await?;
        tx.commit().await?;
        standings.forget(tenant);
        tracing::warn!(%tenant, session = %session_id, "a refresh token was used twice; its session was ended");
        return Err(Refusal::at("refreshToken", SessionErrorCode::RefreshTokenReused));
    };
    let session = sessions::lock_in(&tx, session_id).await?.ok_or_else(invalid)?;
    let lives = Lives::of(session.subject_kind, session.method);
    let now = tx.now().await?;
    let ended = session.revoked_at.is_some() || session.expires_at <= now || session.used_at + lives.idle <= now;
    if ended {
        return Err(Refusal::at("refreshToken", SessionErrorCode::SessionEnded));
    }
    let identity = identity_in(&tx, &session).await?;
    sessions::touch_in(&tx, session_id).await?;
    let refresh_token = hand_out_in(platform, &tx, session_id).await?;
    tx.commit().await?;
    Ok(grant(tokens, tenant, Opened { session, refresh_token: Some(refresh_token) }, identity)?)
}

/// Who the session's owner is today: a role may have changed since they signed in.
async fn identity_in(tx: &TenantTx, session: &Session) -> Result<Identity, Refusal<SessionErrorCode>> {
    let ended = || Refusal::at("refreshToken", SessionErrorCode::SessionEnded);
    let enterprise = store::enterprise(tx).await?.ok_or_else(ended)?;
    match session.subject_kind {
        SessionSubject::Holder => Ok(Identity::Holder { holder: HolderId::from_uuid(session.subject_id) }),
        SessionSubject::Operator => {
            let id = OperatorId::from_uuid(session.subject_id);
            let operator = store::operators_by_id(tx, &[id]).await?.remove(&id).ok_or_else(ended)?;
            if operator.state != OperatorState::Active || enterprise.state == EnterpriseState::Closed {
                return Err(ended());
            }
            Ok(operator_identity(enterprise.kind, id, operator.role))
        }
    }
}

/// What an operator's token says.
pub fn operator_identity(
    kind: EnterpriseKind,
    operator: OperatorId,
    role: crate::tenancy::permission::Role,
) -> Identity {
    match kind {
        EnterpriseKind::House => Identity::House { operator, role },
        EnterpriseKind::Standard | EnterpriseKind::Platform => Identity::Operator { operator, role },
    }
}

/// Ends sessions. Their refresh tokens are worth nothing from the commit on, their access tokens as soon as the
/// standings have been read again.
pub async fn end_in(tx: &TenantTx, ids: &[SessionId], because: &'static str) -> Result<usize, Fault> {
    sessions::revoke_in(tx, ids, because).await
}

/// Ends every session of an operator or a holder, but for `except`.
pub async fn end_all_in(
    tx: &TenantTx,
    subject: Uuid,
    except: Option<SessionId>,
    because: &'static str,
) -> Result<usize, Fault> {
    let open = sessions::open_of(tx, subject).await?;
    let ids: Vec<SessionId> = open.into_iter().filter(|id| Some(*id) != except).collect();
    end_in(tx, &ids, because).await
}

/// Ends every session of somebody who is erased, and forgets where they came from.
pub async fn erase_all_in(tx: &TenantTx, subject: Uuid) -> Result<(), Fault> {
    end_all_in(tx, subject, None, "ERASED").await?;
    sessions::forget_visits_in(tx, subject).await
}

/// Who ends a session of their own.
pub enum Own<'a> {
    Operator(&'a TenantScope),
    Holder(&'a HolderScope),
}

/// Signs out: ends the caller's present session, or another one of theirs.
pub async fn end_own(
    platform: &Platform,
    standings: &Standings,
    own: Own<'_>,
    id: Option<SessionId>,
) -> Result<Session, Refusal<SessionErrorCode>> {
    let (tx, subject, present) = match own {
        Own::Operator(scope) => (scope.write(&platform.database).await?, scope.operator()?.uuid(), scope.session()),
        Own::Holder(scope) => (scope.write_of_own(&platform.database).await?, scope.holder().uuid(), scope.session()),
    };
    let not_found = || Refusal::at("id", SessionErrorCode::NotFound);
    let id = id.or(present).ok_or_else(not_found)?;
    let session = sessions::lock_in(&tx, id).await?.filter(|session| session.subject_id == subject);
    let session = session.ok_or_else(not_found)?;
    let ended = end_in(&tx, &[session.id], "SIGNED_OUT").await? == 1;
    let before = json!({ "session": session.id, "endedAt": session.revoked_at });
    let session = sessions::lock_in(&tx, id).await?.ok_or_else(not_found)?;
    if ended {
        let after = json!({ "session": session.id, "endedAt": session.revoked_at });
        audit::record_in(&tx, "sessionEnd", session.id.uuid(), Some(&before), &after).await?;
    }
    let tenant = tx.tenant();
    tx.commit().await?;
    standings.forget(tenant);
    Ok(session)
}

const REFRESH_PREFIX: &str = "mhr_";

async fn hand_out_in(platform: &Platform, tx: &TenantTx, session: SessionId) -> Result<String, Fault> {
    let token = bearer_secret(&*platform.randomness, REFRESH_PREFIX, tx.tenant());
    sessions::insert_refresh_token_in(tx, &sha256(token.as_bytes()), session).await?;
    Ok(token)
}

/// A secret that tells whose it is: `prefix | base64url(tenant (16 bytes) | 32 random bytes)`. The prefix lets scanners
/// find one that leaked; the tenant lets its row be found, and is no secret.
pub fn bearer_secret(randomness: &dyn Randomness, prefix: &str, tenant: EnterpriseId) -> String {
    let secret: [u8; 32] = randomness.bytes();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode([&tenant.uuid().as_bytes()[..], &secret].concat()))
}

/// The tenant that such a secret names.
pub fn tenant_of(prefix: &str, secret: &str) -> Option<EnterpriseId> {
    let bytes = URL_SAFE_NO_PAD.decode(secret.strip_prefix(prefix)?).ok()?;
    let (tenant, rest) = bytes.split_first_chunk::<16>()?;
    (rest.len() == 32).then(|| EnterpriseId::from_uuid(Uuid::from_bytes(*tenant)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::randomness::SeededRandomness;

    #[test]
    fn a_secret_names_its_tenant_and_nothing_else_reads_as_one() {
        let tenant = EnterpriseId::generate();
        let secret = bearer_secret(&SeededRandomness::new(1), REFRESH_PREFIX, tenant);
        assert_eq!(tenant_of(REFRESH_PREFIX, &secret), Some(tenant));
        assert_eq!(tenant_of("mhi_", &secret), None);
        for garbage in ["", "mhr_", "mhr_AAAA", &secret[..secret.len() - 2], "mhr_\u{1F600}"] {
            assert_eq!(tenant_of(REFRESH_PREFIX, garbage), None, "{garbage}");
        }
    }

    #[test]
    fn no_access_token_outlives_the_watch_over_revoked_sessions() {
        for &subject in SessionSubject::ALL {
            for &method in SignInMethod::ALL {
                let lives = Lives::of(subject, method);
                assert!(lives.access <= crate::tenancy::token::LONGEST_LIFE && lives.idle <= lives.whole);
            }
        }
    }
}
