//! A browser leaves for the enterprise's OpenID provider and comes back as somebody.
//!
//! What belongs together is kept together by four things: the attempt's `state`, which is good once and at the
//! connection where it began; a cookie, so that nobody can finish in another's browser what they began in theirs (RFC
//! 9700, section 4.7); an address to come back to for each connection, and the `iss` parameter, so that one provider's
//! answer is not taken to another (section 4.4). The code is exchanged outside any transaction, after the attempt was
//! used up. What comes out is a ticket, bound to the browser by a nonce: whoever is made to open somebody else's
//! ticket lacks it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use url::Url;

use crate::bridges::oidc::{self, Callback, IdToken, OidcError, Registration};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::throttle::Window;
use crate::platform::vault::{hex, sha256};
use crate::tenancy::enterprise::data_key;
use crate::tenancy::model::{EnterpriseId, SsoConnectionId};
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::session::Visit;
use crate::tenancy::sso::SsoServices;
use crate::tenancy::sso::model::{Connection, RoleMap, SignOnError, SsoState, Vouched, display_name};
use crate::tenancy::sso::ticket::{self, Terms, Voucher};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::{self, DirectoryKind, sso};
use crate::tenancy::throttle;

/// How long somebody may take at their provider.
pub const PATIENCE: TimeDelta = TimeDelta::minutes(10);

/// A company's people share an address; a flood does not stay below this.
const STARTS: Window = Window { limit: 300, length: TimeDelta::minutes(1) };

/// What the client's secret is sealed for.
pub fn secret_purpose(id: SsoConnectionId) -> String {
    format!("sso client secret/{id}")
}

pub const VERIFIER: &str = "sso verifier";

/// A browser that is sent to its provider.
pub struct Departure {
    pub address: Url,
    /// The cookie that tells this browser from others: its name, without a prefix, and its value.
    pub cookie: (String, String),
}

/// What a browser wants when it sets out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// The page that the console is embedded in, where it is.
    pub origin: Option<&'a str>,
    /// Whom the provider is to expect.
    pub login_hint: Option<&'a str>,
}

pub async fn start(
    platform: &Platform,
    services: &SsoServices,
    standings: &Standings,
    id: SsoConnectionId,
    own_origin: &str,
    wish: Wish<'_>,
    visit: &Visit,
) -> Result<Departure, Refusal<SignOnError>> {
    let tenant = find(platform, id).await?;
    slow_down(platform, id, visit).await?;
    if !standings.at_work(tenant).await? {
        return Err(Refusal::code(SignOnError::EnterpriseNotActive));
    }
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let connection = usable(&tx, id).await?;
    if let Some(origin) = wish.origin
        && !sso::has_origin(&tx, origin).await?
    {
        return Err(Refusal::at("origin", SignOnError::UnknownOrigin));
    }
    let registration = registration(platform, &tx, &connection, own_origin).await?;
    drop(tx); // the provider may take its time

    let hint = wish.login_hint.filter(|hint| hint.len() <= 200);
    let start = services.relying_party.start(&registration, hint).await.map_err(|error| failed(id, &error))?;
    let browser = URL_SAFE_NO_PAD.encode(platform.randomness.bytes::<32>());
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    let key = data_key(platform, &tx).await?;
    let new = sso::NewAttempt {
        state_hash: sha256(start.state.as_bytes()),
        connection: id,
        browser_hash: sha256(browser.as_bytes()),
        verifier_sealed: key.seal(&*platform.randomness, VERIFIER, start.verifier.as_bytes()),
        nonce_hash: sha256(start.nonce.as_bytes()),
        origin: wish.origin,
        expires_at: tx.now().await? + PATIENCE,
    };
    sso::insert_attempt_in(&tx, new).await?;
    tx.commit().await?;
    Ok(Departure { address: start.address, cookie: (cookie_name(&start.state), browser) })
}

/// One cookie for each attempt, so that two tabs do not take each other's.
pub fn cookie_name(state: &str) -> String {
    format!("minthouse-sso-{}", &hex(&sha256(state.as_bytes()))[..16])
}

/// A browser that has come back.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    pub state: &'a str,
    /// The value of the cookie under [`cookie_name`].
    pub browser: Option<&'a str>,
    pub callback: Callback,
    pub request_id: &'a Arc<str>,
}

/// What the browser is given: the ticket for the page's address, the nonce for its cookies.
pub struct Arrived {
    pub ticket: String,
    pub nonce: String,
}

pub async fn finish(
    platform: &Platform,
    services: &SsoServices,
    standings: &Standings,
    id: SsoConnectionId,
    own_origin: &str,
    arrival: &Arrival<'_>,
) -> Result<Arrived, Refusal<SignOnError>> {
    let unknown = || Refusal::code(SignOnError::AttemptUnknown);
    let tenant = find(platform, id).await?;
    let browser = arrival.browser.ok_or_else(unknown)?;
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    let connection = usable(&tx, id).await?;
    let state_hash = sha256(arrival.state.as_bytes());
    let spent = sso::spend_attempt_in(&tx, &state_hash, id, &sha256(browser.as_bytes())).await?;
    let spent = spent.ok_or_else(unknown)?;
    let registration = registration(platform, &tx, &connection, own_origin).await?;
    let key = data_key(platform, &tx).await?;
    tx.commit().await?;

    let verifier = key.open(VERIFIER, &spent.verifier_sealed).map_err(Fault::internal)?;
    let attempt = oidc::Attempt {
        verifier: String::from_utf8(verifier).map_err(Fault::internal)?,
        nonce_hash: spent.nonce_hash.try_into().map_err(|_| Fault::internal(anyhow::anyhow!("a hash is too short")))?,
    };
    let token = services.relying_party.finish(&registration, &attempt, &arrival.callback).await;
    let token = token.map_err(|error| failed(id, &error))?;

    let vouched = vouched(&connection, &token).inspect_err(|refusal| not_let_in(id, refusal))?;
    let nonce = URL_SAFE_NO_PAD.encode(platform.randomness.bytes::<32>());
    let nonce_hash = Some(sha256(nonce.as_bytes()));
    let terms = Terms { voucher: Voucher::Connection(id), origin: spent.origin, nonce_hash };
    let issued = ticket::issue(platform, standings, tenant, &vouched, &terms, arrival.request_id).await;
    let issued = issued.inspect_err(|refusal| not_let_in(id, refusal))?;
    Ok(Arrived { ticket: issued.ticket, nonce })
}

/// Where a connection's browsers come back to: an address of its own.
pub fn redirect_uri(own_origin: &str, id: SsoConnectionId) -> String {
    format!("{own_origin}/sso/oidc/{id}/callback")
}

pub fn start_url(own_origin: &str, id: SsoConnectionId) -> String {
    format!("{own_origin}/sso/oidc/{id}/start")
}

/// What the provider's claims mean under this connection.
fn vouched(connection: &Connection, token: &IdToken) -> Result<Vouched, Refusal<SignOnError>> {
    let roles = RoleMap::from_json(&connection.roles);
    let role = roles.role_of(&token.texts(&connection.role_claim), connection.default_role);
    let corp_open_id = match connection.branch_claim.as_deref() {
        // Something else than a name must not pass for nothing: it would let a branch's people into the partner itself.
        Some(claim) if token.has(claim) => {
            let name = token.text(claim).filter(|name| !name.is_empty());
            Some(name.ok_or_else(|| Refusal::at("corpOpenId", SignOnError::BranchNotFound))?)
        }
        _ => None,
    };
    Ok(Vouched {
        voucher: connection.id.uuid(),
        name: display_name(token.text("name").or_else(|| token.text("preferred_username")), &token.subject),
        subject: token.subject.clone(),
        role: role.ok_or_else(|| Refusal::code(SignOnError::NoRole))?,
        corp_open_id: corp_open_id.map(str::to_owned),
    })
}

async fn find(platform: &Platform, id: SsoConnectionId) -> Result<EnterpriseId, Refusal<SignOnError>> {
    let house = HouseTx::read(&platform.database).await?;
    let found = store::look_up(&house, DirectoryKind::SsoConnection, &id.to_string()).await?;
    found.ok_or_else(|| Refusal::code(SignOnError::NotFound))
}

async fn slow_down(platform: &Platform, id: SsoConnectionId, visit: &Visit) -> Result<(), Refusal<SignOnError>> {
    let place = throttle::place(visit.address);
    let key = throttle::Key::new(platform, "SSO_START", &[id.uuid().as_bytes(), place.as_bytes()]);
    let counted = throttle::count_in_window(platform, throttle::NO_TENANT, &key, &STARTS).await?;
    counted.map_err(|wait| Refusal::later(SignOnError::TooManyAttempts, wait))
}

/// The connection, if it is at work.
async fn usable(tx: &TenantTx, id: SsoConnectionId) -> Result<Connection, Refusal<SignOnError>> {
    let connection = sso::connection(tx, id).await?.filter(|connection| connection.state == SsoState::Active);
    connection.ok_or_else(|| Refusal::code(SignOnError::NotFound))
}

async fn registration(
    platform: &Platform,
    tx: &TenantTx,
    connection: &Connection,
    own_origin: &str,
) -> Result<Registration, Fault> {
    let client_secret = match &connection.client_secret_sealed {
        None => None,
        Some(sealed) => {
            let key = data_key(platform, tx).await?;
            let secret = key.open(&secret_purpose(connection.id), sealed).map_err(Fault::internal)?;
            Some(String::from_utf8(secret).map_err(Fault::internal)?)
        }
    };
    Ok(Registration {
        issuer: connection.issuer.clone(),
        client_id: connection.client_id.clone(),
        client_secret,
        redirect_uri: redirect_uri(own_origin, connection.id),
        scopes: connection.scopes.clone(),
    })
}

/// Why goes to the log, for whoever looks after the connection; the browser hears as much as helps its person.
fn failed(connection: SsoConnectionId, error: &OidcError) -> Refusal<SignOnError> {
    tracing::warn!(%connection, "a sign-in through a provider failed: {error}");
    Refusal::code(match error {
        OidcError::Denied(_) => SignOnError::Denied,
        _ => SignOnError::ProviderFailed,
    })
}

/// Somebody whom the provider vouches for is not let in: whoever looks after the connection may have to change its roles.
fn not_let_in(connection: SsoConnectionId, refusal: &Refusal<SignOnError>) {
    if let Refusal::Problems(problems) = refusal {
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code.as_str()).collect();
        tracing::warn!(%connection, "a sign-in through a provider was refused: {}", codes.join(" "));
    }
}
