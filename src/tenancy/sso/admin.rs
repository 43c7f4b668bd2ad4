//! Single sign-on as an enterprise's administrators configure it. For people alone: whoever could put a key here could
//! become anybody but the owner.

use serde_json::{Value, json};

use crate::bridges::oidc::OidcError;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::enterprise::data_key;
use crate::tenancy::model::{EnterpriseKind, SsoConnectionId, SsoKeyId};
use crate::tenancy::permission::{Permission, Role};
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::sso::assertion::{KeyFlaw, PublicKey};
use crate::tenancy::sso::model::{
    Connection, ConnectionSettings, Key, Origin, RoleMap, SsoErrorCode, SsoProfile, SsoState,
};
use crate::tenancy::sso::{SsoServices, oidc, origin, vouch};
use crate::tenancy::store::{self, DirectoryKind, sso};

// Of those in use: what is out of use cannot be taken away, and must not stand in anybody's way.
const ACTIVE_CONNECTIONS: i64 = 20;
const ACTIVE_KEYS: i64 = 20;
const ACTIVE_ORIGINS: i64 = 50;
const ROLES: usize = 100;

type Outcome<T> = Result<T, Refusal<SsoErrorCode>>;

/// Who may configure: a person with the permission.
pub fn permit(scope: &TenantScope) -> Result<(), Fault> {
    scope.require(Permission::SsoManage)?;
    scope.operator().map(|_| ())
}

#[derive(Clone, Debug)]
pub struct ConnectionRequest {
    pub issuer: String,
    pub client_secret: Option<String>,
    pub settings: ConnectionSettings,
}

/// Connects a provider, after it has said of itself that it can be used.
pub async fn create_connection(
    platform: &Platform,
    services: &SsoServices,
    scope: &TenantScope,
    request: &ConnectionRequest,
) -> Outcome<Connection> {
    permit(scope)?;
    check(&request.settings)?;
    check_secret(request.client_secret.as_deref())?;
    if request.issuer.len() > 255 {
        return Err(Refusal::at("issuer", SsoErrorCode::IssuerRefused));
    }
    services.relying_party.metadata(&request.issuer).await.map_err(|error| refused(&error))?;

    let tx = scope.write(&platform.database).await?;
    check_branches(&tx, &request.settings).await?;
    room_for_connection(&tx).await?;
    let id = SsoConnectionId::generate();
    if !store::claim_name_in(&tx, DirectoryKind::SsoConnection, &id.to_string(), id.uuid()).await? {
        return Err(Fault::internal(anyhow::anyhow!("a new ID is in the directory")).into());
    }
    let sealed = seal(platform, &tx, id, request.client_secret.as_deref()).await?;
    let connection = sso::insert_connection_in(&tx, id, &request.issuer, &request.settings, sealed).await?;
    let record = json!({ "issuer": request.issuer, "settings": request.settings });
    audit::record_in(&tx, "ssoConnectionCreate", id.uuid(), None, &record).await?;
    tx.commit().await?;
    Ok(connection)
}

/// What is to become of each thing; `None` leaves it, `Some(None)` takes it away.
#[derive(Clone, Debug, Default)]
pub struct ConnectionChange {
    pub name: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Option<String>>,
    pub scopes: Option<String>,
    pub role_claim: Option<String>,
    pub roles: Option<RoleMap>,
    pub default_role: Option<Option<Role>>,
    pub branch_claim: Option<Option<String>>,
}

pub async fn update_connection(
    platform: &Platform,
    scope: &TenantScope,
    id: SsoConnectionId,
    change: &ConnectionChange,
) -> Outcome<Connection> {
    permit(scope)?;
    let tx = scope.write(&platform.database).await?;
    let before = sso::lock_connection_in(&tx, id).await?.ok_or_else(not_found)?;
    let old = before.settings();
    let mut new = old.clone();
    let change = change.clone();
    new.name = change.name.unwrap_or(new.name);
    new.client_id = change.client_id.unwrap_or(new.client_id);
    new.scopes = change.scopes.unwrap_or(new.scopes);
    new.role_claim = change.role_claim.unwrap_or(new.role_claim);
    new.roles = change.roles.unwrap_or(new.roles);
    new.default_role = change.default_role.unwrap_or(new.default_role);
    new.branch_claim = change.branch_claim.unwrap_or(new.branch_claim);
    check(&new)?;
    check_branches(&tx, &new).await?;
    let sealed = match &change.client_secret {
        None => before.client_secret_sealed,
        Some(secret) => {
            check_secret(secret.as_deref())?;
            seal(platform, &tx, id, secret.as_deref()).await?
        }
    };
    let connection = sso::update_connection_in(&tx, id, &new, sealed).await?;
    let record =
        |settings: &ConnectionSettings, exchanged: bool| json!({ "settings": settings, "secretExchanged": exchanged });
    let (old, new) = (record(&old, false), record(&new, change.client_secret.is_some()));
    audit::record_in(&tx, "ssoConnectionUpdate", id.uuid(), Some(&old), &new).await?;
    tx.commit().await?;
    Ok(connection)
}

/// Puts a connection out of use, or into it again. Sessions that it opened run out by themselves, within half an hour.
pub async fn set_connection_state(
    platform: &Platform,
    scope: &TenantScope,
    id: SsoConnectionId,
    state: SsoState,
) -> Outcome<Connection> {
    permit(scope)?;
    let tx = scope.write(&platform.database).await?;
    let before = sso::lock_connection_in(&tx, id).await?.ok_or_else(not_found)?;
    if before.state == state {
        return Ok(before);
    }
    if state == SsoState::Active {
        room_for_connection(&tx).await?;
    }
    let connection = sso::set_connection_state_in(&tx, id, state).await?;
    let action = if state == SsoState::Active { "ssoConnectionEnable" } else { "ssoConnectionDisable" };
    audit::record_in(&tx, action, id.uuid(), Some(&before.state), &state).await?;
    tx.commit().await?;
    Ok(connection)
}

#[derive(Clone, Debug)]
pub struct KeyRequest {
    pub name: String,
    pub profile: SsoProfile,
    /// For assertions: the public half of the partner's pair.
    pub public_jwk: Option<Value>,
    pub roles: RoleMap,
    pub default_role: Option<Role>,
}

/// A key and, where we made it, its secret: this is the only time that it is told.
pub struct MadeKey {
    pub key: Key,
    pub secret: Option<String>,
}

pub async fn create_key(platform: &Platform, scope: &TenantScope, request: &KeyRequest) -> Outcome<MadeKey> {
    permit(scope)?;
    check_name(&request.name)?;
    check_roles(&request.roles, request.default_role)?;
    let public_jwk = match (request.profile, &request.public_jwk) {
        (SsoProfile::Jwt, Some(jwk)) => Some(PublicKey::read(jwk).map_err(key_refused)?.jwk),
        (SsoProfile::Jwt, None) => {
            let (chinese, english) =
                ("JWT 密钥必须提供公钥。", "A JWT key needs `publicJwk`, the public half of a pair of yours.");
            return Err(Refusal::explained("publicJwk", SsoErrorCode::InvalidInput, chinese, english));
        }
        (_, Some(_)) => {
            let (chinese, english) = (
                "签名协议的密钥由平台生成，请勿提供公钥。",
                "The secret of a signature profile is made here; leave `publicJwk` out.",
            );
            return Err(Refusal::explained("publicJwk", SsoErrorCode::InvalidInput, chinese, english));
        }
        (_, None) => None,
    };
    let tx = scope.write(&platform.database).await?;
    if sso::count_active_keys(&tx).await? >= ACTIVE_KEYS {
        return Err(Refusal::code(SsoErrorCode::TooMany));
    }
    let id = SsoKeyId::generate();
    if !store::claim_name_in(&tx, DirectoryKind::SsoKey, &id.to_string(), id.uuid()).await? {
        return Err(Fault::internal(anyhow::anyhow!("a new ID is in the directory")).into());
    }
    let secret =
        (request.profile != SsoProfile::Jwt).then(|| crate::platform::vault::hex(&platform.randomness.bytes::<32>()));
    let secret_sealed = match &secret {
        None => None,
        Some(secret) => {
            let key = data_key(platform, &tx).await?;
            Some(key.seal(&*platform.randomness, &vouch::secret_purpose(id), secret.as_bytes()))
        }
    };
    let new = sso::NewKey {
        id,
        name: request.name.trim(),
        profile: request.profile,
        public_jwk: public_jwk.clone(),
        secret_sealed,
        roles: &request.roles,
        default_role: request.default_role,
    };
    let key = sso::insert_key_in(&tx, new).await?;
    let record = json!({ "profile": key.profile, "publicJwk": public_jwk, "roles": request.roles, "defaultRole": request.default_role });
    audit::record_in(&tx, "ssoKeyCreate", id.uuid(), None, &record).await?;
    tx.commit().await?;
    Ok(MadeKey { key, secret })
}

/// Puts a key out of use for good: what it signed is refused from now on.
pub async fn disable_key(platform: &Platform, scope: &TenantScope, id: SsoKeyId) -> Outcome<Key> {
    permit(scope)?;
    let tx = scope.write(&platform.database).await?;
    let before = sso::lock_key_in(&tx, id).await?.ok_or_else(not_found)?;
    if before.state == SsoState::Disabled {
        return Ok(before);
    }
    let key = sso::disable_key_in(&tx, id).await?;
    audit::record_in(&tx, "ssoKeyDisable", id.uuid(), Some(&before.state), &key.state).await?;
    tx.commit().await?;
    Ok(key)
}

/// Lets the console be embedded in the pages of an origin.
pub async fn add_origin(
    platform: &Platform,
    services: &SsoServices,
    scope: &TenantScope,
    text: &str,
) -> Outcome<Origin> {
    permit(scope)?;
    if !origin::is_origin(text, services.development) {
        return Err(Refusal::explained(
            "origin",
            SsoErrorCode::InvalidInput,
            "来源须形如 https://partner.example，不含路径、通配符和默认端口。",
            "An origin is written as a browser writes it, such as https://partner.example: no path, no star, no default port, lower case.",
        ));
    }
    let tx = scope.write(&platform.database).await?;
    if !sso::has_origin(&tx, text).await? && sso::count_active_origins(&tx).await? >= ACTIVE_ORIGINS {
        return Err(Refusal::code(SsoErrorCode::TooMany));
    }
    set_origin(tx, text, SsoState::Active, "ssoOriginAdd").await
}

pub async fn remove_origin(platform: &Platform, scope: &TenantScope, text: &str) -> Outcome<Origin> {
    permit(scope)?;
    let tx = scope.write(&platform.database).await?;
    set_origin(tx, text, SsoState::Disabled, "ssoOriginRemove").await
}

async fn set_origin(tx: TenantTx, text: &str, state: SsoState, action: &str) -> Outcome<Origin> {
    let changed = sso::set_origin_in(&tx, text, state).await?;
    let changed = changed.ok_or_else(|| Refusal::at("origin", SsoErrorCode::NotFound))?;
    let record = json!({ "origin": text, "state": state });
    audit::record_in(&tx, action, tx.tenant().uuid(), None, &record).await?;
    tx.commit().await?;
    Ok(changed)
}

async fn room_for_connection(tx: &TenantTx) -> Outcome<()> {
    match sso::count_active_connections(tx).await? >= ACTIVE_CONNECTIONS {
        true => Err(Refusal::code(SsoErrorCode::TooMany)),
        false => Ok(()),
    }
}

fn not_found() -> Refusal<SsoErrorCode> {
    Refusal::at("id", SsoErrorCode::NotFound)
}

async fn seal(
    platform: &Platform,
    tx: &TenantTx,
    id: SsoConnectionId,
    secret: Option<&str>,
) -> Result<Option<Vec<u8>>, Fault> {
    let Some(secret) = secret else { return Ok(None) };
    let key = data_key(platform, tx).await?;
    Ok(Some(key.seal(&*platform.randomness, &oidc::secret_purpose(id), secret.as_bytes())))
}

fn check(settings: &ConnectionSettings) -> Outcome<()> {
    check_name(&settings.name)?;
    check_roles(&settings.roles, settings.default_role)?;
    let claims = [("roleClaim", Some(&settings.role_claim)), ("branchClaim", settings.branch_claim.as_ref())];
    for (field, claim) in claims {
        if claim.is_some_and(|claim| !is_word(claim, 128)) {
            let (chinese, english) = (
                "声明名须为 1 到 128 个可见字符。",
                "The name of a claim has 1 to 128 visible characters and no space.",
            );
            return Err(Refusal::explained(field, SsoErrorCode::InvalidInput, chinese, english));
        }
    }
    if !is_word(&settings.client_id, 255) {
        let (chinese, english) =
            ("客户端 ID 须为 1 到 255 个可见字符。", "A client ID has 1 to 255 visible characters and no space.");
        return Err(Refusal::explained("clientId", SsoErrorCode::InvalidInput, chinese, english));
    }
    let scopes: Vec<&str> = settings.scopes.split(' ').collect();
    if settings.scopes.len() > 400 || !scopes.iter().all(|scope| is_word(scope, 100)) {
        let (chinese, english) =
            ("scope 须以单个空格分隔。", "Scopes are words apart by single spaces, such as `openid profile`.");
        return Err(Refusal::explained("scopes", SsoErrorCode::InvalidInput, chinese, english));
    }
    Ok(())
}

fn is_word(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn check_name(name: &str) -> Outcome<()> {
    if name.trim().is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
        let (chinese, english) = ("名称须为 1 到 60 个字符。", "A name has 1 to 60 characters.");
        return Err(Refusal::explained("name", SsoErrorCode::InvalidInput, chinese, english));
    }
    Ok(())
}

fn check_secret(secret: Option<&str>) -> Outcome<()> {
    if secret.is_some_and(|secret| secret.is_empty() || secret.len() > 500) {
        let (chinese, english) = (
            "客户端密钥须为 1 到 500 个字符；公共客户端请留空。",
            "A client secret has 1 to 500 characters; a public client has none.",
        );
        return Err(Refusal::explained("clientSecret", SsoErrorCode::InvalidInput, chinese, english));
    }
    Ok(())
}

fn check_roles(roles: &RoleMap, default_role: Option<Role>) -> Outcome<()> {
    if default_role == Some(Role::Owner) || roles.words.values().any(|role| *role == Role::Owner) {
        let (chinese, english) =
            ("单点登录不能授予 OWNER 角色。", "Nobody becomes an owner by single sign-on; map to another role.");
        let field = if default_role == Some(Role::Owner) { "defaultRole" } else { "roles" };
        return Err(Refusal::explained(field, SsoErrorCode::InvalidInput, chinese, english));
    }
    let fits = |word: &String| (1..=128).contains(&word.len()) && !word.chars().any(char::is_control);
    if roles.words.len() > ROLES || !roles.words.keys().all(fits) {
        let (chinese, english) = (
            "角色映射最多 100 条，每个取值 1 到 128 个字节。",
            "At most 100 values are mapped, each of 1 to 128 bytes.",
        );
        return Err(Refusal::explained("roles", SsoErrorCode::InvalidInput, chinese, english));
    }
    Ok(())
}

async fn check_branches(tx: &TenantTx, settings: &ConnectionSettings) -> Outcome<()> {
    if settings.branch_claim.is_none() {
        return Ok(());
    }
    match store::enterprise(tx).await? {
        Some(enterprise) if enterprise.kind == EnterpriseKind::Platform => Ok(()),
        _ => Err(Refusal::at("branchClaim", SsoErrorCode::NotAPartner)),
    }
}

fn key_refused(flaw: KeyFlaw) -> Refusal<SsoErrorCode> {
    let (chinese, english) = match flaw {
        KeyFlaw::Private => return Refusal::at("publicJwk", SsoErrorCode::PrivateKey),
        KeyFlaw::Kind => (
            "仅支持 Ed25519（EdDSA）、P-256（ES256）和 RSA（RS256、PS256）的签名公钥。",
            "Keys are Ed25519 (EdDSA), P-256 (ES256) or RSA (RS256, PS256), for signatures.",
        ),
        KeyFlaw::Weak => {
            ("RSA 公钥须为 2048 位以上，指数为 65537。", "An RSA key has at least 2048 bits and the exponent 65537.")
        }
        KeyFlaw::Form => {
            ("公钥不是有效的 JWK（RFC 7517）。", "That is no JWK (RFC 7517): its members are missing or not base64url.")
        }
    };
    Refusal::explained("publicJwk", SsoErrorCode::InvalidInput, chinese, english)
}

fn refused(error: &OidcError) -> Refusal<SsoErrorCode> {
    tracing::info!("an issuer was not accepted: {error}");
    let (chinese, english) = match error {
        OidcError::BadIssuer => {
            ("issuer 须为 https 地址，且不含查询参数。", "The issuer is an https address without query and fragment.")
        }
        OidcError::OtherIssuer => (
            "发现文档中的 issuer 与所填不一致，请逐字符核对（包括末尾斜杠）。",
            "The provider's discovery document names another issuer; copy it from there to the last slash.",
        ),
        OidcError::Unusable(_) => (
            "该身份提供方不支持授权码流程、PKCE（S256）或我们接受的签名算法。",
            "The provider lacks the code flow, PKCE with S256, or a signature algorithm that is accepted here.",
        ),
        _ => (
            "无法从公网访问该身份提供方的发现文档。",
            "The provider's discovery document could not be fetched from the public internet as JSON.",
        ),
    };
    Refusal::explained("issuer", SsoErrorCode::IssuerRefused, chinese, english)
}
