//! An API client exchanges its key and secret for an access token: OAuth's client-credentials grant (RFC 6749, section
//! 4.4). What the exchange looks like on the wire stands in `api/oauth.rs`.
//!
//! Why a client was not let in is nobody's business who did not get in: an unknown key, a wrong or ended secret, a
//! disabled client, an address that is not on the allow-list and another enterprise's host are one answer. The secret
//! has 256 random bits; what the throttle keeps off is load, and noise in the logs.

use chrono::TimeDelta;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::throttle::{Forgotten, Growth, Wait};
use crate::platform::vault::sha256;
use crate::tenancy::audit;
use crate::tenancy::model::clients::parse_key;
use crate::tenancy::model::{ApiClientId, ApiClientSecretId, EnterpriseId, EnterpriseState};
use crate::tenancy::permission::Permissions;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::session::Visit;
use crate::tenancy::store::clients::{self, ClientStanding};
use crate::tenancy::throttle::{self, NO_TENANT};
use crate::tenancy::token::{Identity, Tokens};

/// How long a token of a client lives.
pub const LIFE: TimeDelta = TimeDelta::minutes(30);

/// A secret cannot be guessed, and an integrator's servers behind one address may come for their tokens all at once: so
/// more is free than for passwords, and no wait is long.
const ATTEMPTS: Growth = Growth {
    free: 20,
    first: TimeDelta::seconds(1),
    longest: TimeDelta::minutes(1),
    forgotten: Forgotten::AfterQuiet(TimeDelta::minutes(15)),
};

/// What a client shows, and from where.
pub struct Credentials<'a> {
    pub key: &'a str,
    pub secret: &'a str,
    /// Fewer scopes than it has, if it asks for fewer; words, as they came.
    pub scope: Option<&'a str>,
    pub visit: &'a Visit,
    /// The enterprise whose bound host was asked.
    pub site: Option<EnterpriseId>,
    pub request_id: &'a str,
}

#[derive(Clone, Debug)]
pub struct Granted {
    pub token: String,
    pub seconds: i64,
    pub scope: Permissions,
}

/// Why there is no token.
#[derive(Debug)]
pub enum Denied {
    /// Whoever it was, they are not let in.
    Client,
    /// The client is known, and asks for what it has not or what is no scope.
    Scope,
    /// Too many attempts.
    Later(Wait),
    Fault(Fault),
}

impl From<Fault> for Denied {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

pub async fn grant(platform: &Platform, tokens: &Tokens, shown: &Credentials<'_>) -> Result<Granted, Denied> {
    // By key and address together: who does not know the secret cannot lock out who does, elsewhere.
    let place = throttle::place(shown.visit.address);
    let counter = throttle::Key::new(platform, "CLIENT_GRANT", &[shown.key.as_bytes(), place.as_bytes()]);
    if let Err(wait) = throttle::attempt(platform, NO_TENANT, &[(counter, ATTEMPTS)]).await? {
        return Err(Denied::Later(wait));
    }
    let known = recognise(platform, shown).await?.ok_or(Denied::Client)?;
    throttle::forgive(platform, NO_TENANT, &[counter]).await?;
    let scope = match shown.scope {
        None => known.scopes,
        Some(words) => match words.parse::<Permissions>() {
            Ok(wished) if !wished.is_empty() && wished.is_within(known.scopes) => wished,
            _ => return Err(Denied::Scope),
        },
    };

    let acting = TenantScope::of_client(known.tenant, known.client, scope, shown.request_id.into());
    let tx = acting.write(&platform.database).await?;
    clients::touch_in(&tx, known.client, known.secret).await?;
    audit::record_in(&tx, "apiClientTokenGrant", known.client.uuid(), None, &(known.secret, scope)).await?;
    tx.commit().await?;
    let identity = Identity::Client { client: known.client, secret: known.secret, scope };
    let (token, _) = tokens.mint(known.tenant, identity, None, known.life)?;
    Ok(Granted { token, seconds: known.life.num_seconds(), scope })
}

/// A client that has shown a secret of its own.
struct Known {
    tenant: EnterpriseId,
    client: ApiClientId,
    secret: ApiClientSecretId,
    scopes: Permissions,
    /// A token does not outlive the secret that it was made for.
    life: TimeDelta,
}

async fn recognise(platform: &Platform, shown: &Credentials<'_>) -> Result<Option<Known>, Fault> {
    let Some((tenant, id)) = parse_key(shown.key) else { return Ok(None) };
    let tx = TenantScope::of_system(tenant).read(&platform.database).await?;
    let hash = sha256(shown.secret.as_bytes());
    let ids = [id];
    let (enterprise, mut found, secret, now) = futures_util::try_join!(
        super::store::enterprise(&tx),
        clients::by_id(&tx, &ids),
        clients::secret_by_hash(&tx, id, &hash),
        tx.now()
    )?;
    let (Some(enterprise), Some(client), Some(secret)) = (enterprise, found.remove(&id), secret) else {
        return Ok(None);
    };
    let standing = ClientStanding::of(&client)?;
    let welcome = enterprise.state != EnterpriseState::Closed
        && secret.is_live(now)
        && standing.active
        && standing.allows(shown.visit.address)
        && shown.site.is_none_or(|site| site == tenant);
    let left = secret.expires_at.map_or(LIFE, |end| end - now);
    Ok(welcome.then_some(Known {
        tenant,
        client: id,
        secret: secret.id,
        scopes: standing.scopes,
        life: LIFE.min(left),
    }))
}
