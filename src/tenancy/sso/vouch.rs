//! A partner's server vouches for one of its users and gets a ticket for them.

use std::sync::Arc;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::vault::sha256;
use crate::tenancy::enterprise::data_key;
use crate::tenancy::model::SsoKeyId;
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::sso::SsoServices;
use crate::tenancy::sso::assertion::{self, Demand, PublicKey, Statement};
use crate::tenancy::sso::model::{Key, RoleMap, SignOnError, SsoProfile, SsoState, Vouched, display_name};
use crate::tenancy::sso::parameters::{self, Parameters};
use crate::tenancy::sso::ticket::{self, Terms, Voucher};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::{self, DirectoryKind, sso};

/// What a key's secret is sealed for.
pub fn secret_purpose(id: SsoKeyId) -> String {
    format!("sso key secret/{id}")
}

/// A ticket, and the enterprise whose embedded page it is to be opened in: the voucher's, which knows the origins.
#[derive(Clone, Debug)]
pub struct VouchedTicket {
    pub ticket: String,
    pub slug: String,
}

/// The parts that both ways work with.
pub struct Desk<'a> {
    pub platform: &'a Platform,
    pub services: &'a SsoServices,
    pub standings: &'a Standings,
    /// Our own address.
    pub own_origin: &'a str,
    pub request_id: &'a Arc<str>,
}

impl Desk<'_> {
    pub async fn by_assertion(&self, text: &str) -> Result<VouchedTicket, Refusal<SignOnError>> {
        let claimed = assertion::claimed(text).ok_or_else(invalid)?;
        let tx = TenantScope::of_system(claimed.enterprise).write(&self.platform.database).await?;
        let key = usable_key(&tx, claimed.key, SsoProfile::Jwt).await?;
        let jwk = key.public_jwk.as_ref().ok_or_else(invalid)?;
        let public = PublicKey::read(jwk)
            .map_err(|flaw| Fault::internal(anyhow::anyhow!("a stored key of {} is not good: {flaw:?}", key.id)))?;
        let now = self.platform.clock.now();
        let demand = Demand { enterprise: claimed.enterprise, audience: self.own_origin, now };
        let statement = assertion::verify(text, &public, &demand)?;
        self.accept(tx, &key, statement).await
    }

    pub async fn by_parameters(&self, given: &Parameters) -> Result<VouchedTicket, Refusal<SignOnError>> {
        let (profile, id) = parameters::claimed(given).ok_or_else(invalid)?;
        let house = HouseTx::read(&self.platform.database).await?;
        let tenant = store::look_up(&house, DirectoryKind::SsoKey, &id.to_string()).await?.ok_or_else(invalid)?;
        drop(house);
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        let key = usable_key(&tx, id, profile).await?;
        let sealed = key.secret_sealed.as_ref().ok_or_else(invalid)?;
        let secret = data_key(self.platform, &tx).await?.open(&secret_purpose(id), sealed).map_err(Fault::internal)?;
        let secret = String::from_utf8(secret).map_err(Fault::internal)?;
        let statement = parameters::verify(given, profile, &secret, self.platform.clock.now())?;
        self.accept(tx, &key, statement).await
    }

    /// What was signed is believed from here on: it is used up, and then its user is let in.
    async fn accept(
        &self,
        tx: TenantTx,
        key: &Key,
        statement: Statement,
    ) -> Result<VouchedTicket, Refusal<SignOnError>> {
        let enterprise = store::enterprise(&tx).await?.ok_or_else(invalid)?;
        if let Some(origin) = &statement.origin
            && !sso::has_origin(&tx, origin).await?
        {
            return Err(Refusal::at("origin", SignOnError::UnknownOrigin));
        }
        let words: Vec<&str> = statement.roles.iter().map(String::as_str).collect();
        let role = RoleMap::from_json(&key.roles).role_of(&words, key.default_role);
        let role = role.ok_or_else(|| Refusal::at("role", SignOnError::NoRole))?;
        // Profile and content, not the key: an assertion is not good a second time because it is signed again.
        let fingerprint = sha256(format!("{}/{}", key.profile.as_str(), statement.id).as_bytes());
        if !sso::use_assertion_in(&tx, &fingerprint, statement.worthless_at).await? {
            return Err(Refusal::code(SignOnError::Replayed));
        }
        sso::touch_key_in(&tx, key).await?;
        tx.commit().await?;

        let vouched = Vouched {
            voucher: enterprise.id.uuid(),
            name: display_name(statement.name.as_deref(), &statement.subject),
            subject: statement.subject,
            role,
            corp_open_id: statement.corp_open_id,
        };
        let nonce_hash = Some(sha256(statement.nonce.as_bytes()));
        let terms = Terms { voucher: Voucher::Key(key.id), origin: statement.origin, nonce_hash };
        let issued =
            ticket::issue(self.platform, self.standings, enterprise.id, &vouched, &terms, self.request_id).await?;
        Ok(VouchedTicket { ticket: issued.ticket, slug: enterprise.slug })
    }
}

/// One answer for every way of not having signed: nobody learns which keys there are.
fn invalid() -> Refusal<SignOnError> {
    Refusal::code(SignOnError::InvalidAssertion)
}

async fn usable_key(tx: &TenantTx, id: SsoKeyId, profile: SsoProfile) -> Result<Key, Refusal<SignOnError>> {
    let key = sso::key(tx, id).await?;
    key.filter(|key| key.state == SsoState::Active && key.profile == profile).ok_or_else(invalid)
}
