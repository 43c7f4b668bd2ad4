//! API clients (应用): an integrator's machines, what they may do and what they show for it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use serde::Serialize;
use uuid::Uuid;

use crate::codes;
use crate::platform::randomness::Randomness;
use crate::platform::vault::sha256;
use crate::schema::{api_client_secrets, api_clients};
use crate::tenancy::model::{ApiClientId, ApiClientSecretId, EnterpriseId};
use crate::words;

words! {
    /// Whether an API client may come in.
    pub enum ApiClientState {
        /// It may.
        Active = "ACTIVE",
        /// It may not, until it is enabled again.
        Disabled = "DISABLED",
    }
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = api_clients)]
pub struct ApiClient {
    pub id: ApiClientId,
    pub name: String,
    /// Names of permissions, separated by spaces.
    pub scopes: String,
    /// Blocks of addresses, separated by spaces; empty where it may come from anywhere.
    pub allow_list: String,
    pub state: ApiClientState,
    #[serde(skip)]
    pub last_used_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

/// A secret as far as it is remembered: by its hash, and its last characters for people.
#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = api_client_secrets)]
pub struct ApiClientSecret {
    pub id: ApiClientSecretId,
    pub client_id: ApiClientId,
    pub hint: String,
    /// When it ends, where a newer one has taken its place.
    pub expires_at: Option<DateTime<Utc>>,
    #[serde(skip)]
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

impl ApiClientSecret {
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

const KEY_PREFIX: &str = "mhk_";
const SECRET_PREFIX: &str = "mhs_";

/// How many of a secret's last characters stay known.
const HINT: usize = 4;

/// What a client calls itself, OAuth's `client_id`. It names the tenant, so that the client's row can be found, and is
/// no secret.
pub fn key_of(tenant: EnterpriseId, client: ApiClientId) -> String {
    let bytes = [*tenant.uuid().as_bytes(), *client.uuid().as_bytes()].concat();
    format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Whom a key names.
pub fn parse_key(key: &str) -> Option<(EnterpriseId, ApiClientId)> {
    let bytes = URL_SAFE_NO_PAD.decode(key.strip_prefix(KEY_PREFIX)?).ok()?;
    let (tenant, client) = bytes.split_first_chunk::<16>()?;
    let client: [u8; 16] = client.try_into().ok()?;
    Some((EnterpriseId::from_uuid(Uuid::from_bytes(*tenant)), ApiClientId::from_uuid(Uuid::from_bytes(client))))
}

/// A fresh secret. It is shown once; what is kept of it are [`NewSecret::hash`] and [`NewSecret::hint`].
pub struct NewSecret {
    pub text: String,
    pub hash: [u8; 32],
    pub hint: String,
}

impl NewSecret {
    pub fn generate(randomness: &dyn Randomness) -> Self {
        let text = format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(randomness.bytes::<32>()));
        // 256 random bits need no slow hash: there is nothing to guess.
        Self { hash: sha256(text.as_bytes()), hint: text[text.len() - HINT..].to_owned(), text }
    }
}

codes!(ClientErrorCode, ClientUserError, {
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    NotFound = "NOT_FOUND": "没有找到该应用，可用 `apiClients` 列出。" / "There is no such API client; list yours with `apiClients`.",
    SecretNotFound = "SECRET_NOT_FOUND": "该应用没有这个有效密钥，请查看其 `secrets`。" / "The client has no such live secret; look at its `secrets`.",
    ScopeNotAllowed = "SCOPE_NOT_ALLOWED": "应用的权限范围不能包含您自己没有的权限，也不能包含人员、密钥与单点登录的管理权限，请去掉。" / "A client may be given what you may do yourself, and nothing that manages people, keys or sign-on; leave that out.",
    TooManyClients = "TOO_MANY_CLIENTS": "应用数量已达上限 100 个，请使用已有的应用。" / "An enterprise has at most 100 API clients; use one of those that there are.",
    TooManySecrets = "TOO_MANY_SECRETS": "已有两个有效密钥；请先吊销一个，或以 0 小时重叠轮换。" / "Two secrets are live already; revoke one first, or rotate with an overlap of 0 hours, which ends both.",
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::randomness::SeededRandomness;

    #[test]
    fn a_key_names_its_client_and_nothing_else_reads_as_one() {
        let (tenant, client) = (EnterpriseId::generate(), ApiClientId::generate());
        let key = key_of(tenant, client);
        assert_eq!(parse_key(&key), Some((tenant, client)));
        for garbage in
            ["", "mhk_", "mhk_AAAA", &key[4..], &key[..key.len() - 2], &format!("{key}AAAA"), "mhk_\u{1F600}"]
        {
            assert_eq!(parse_key(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn a_secret_is_long_and_its_hint_short() {
        let randomness = SeededRandomness::new(1);
        let (one, other) = (NewSecret::generate(&randomness), NewSecret::generate(&randomness));
        assert_ne!(one.hash, other.hash);
        assert_eq!(one.hash, sha256(one.text.as_bytes()));
        assert_eq!(one.text.len(), SECRET_PREFIX.len() + 43);
        assert!(one.text.ends_with(&one.hint) && one.hint.len() == 4);
    }
}
