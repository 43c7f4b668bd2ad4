//! Single sign-on: an enterprise's people come in through the enterprise's own identity, a partner's people also into
//! the partner's branches.
//!
//! There are two ways in, and both end in a **ticket** ([`ticket`]), which is good once, for a minute, and is turned
//! into a session by the page that the person looks at:
//!
//! - [`oidc`]: the browser goes to the enterprise's OpenID provider and comes back.
//! - [`vouch`]: the partner's server says who its user is, signed with a registered key; as a JWT ([`assertion`]) or as
//!   parameters under one of the signature profiles ([`parameters`]).
//!
//! Whoever is vouched for becomes an operator at that moment ([`just_in_time`]): made if unknown, with the role that
//! the provider's words stand for today. A voucher reaches its own enterprise and, if that is a partner, the branches
//! that stand in its own `branches`; the branch's own row must agree. Nobody outside can make an owner.
//!
//! [`admin`] is where administrators configure all of it. To add a way in: verify what is shown, make a
//! [`model::Vouched`] of it, and hand it to [`ticket::issue`]. To add a signature profile: a word in
//! [`model::SsoProfile`], its rule in `bridges::partner_signature`, its names in [`parameters`].

pub mod admin;
pub mod assertion;
pub mod just_in_time;
pub mod model;
pub mod oidc;
pub mod origin;
pub mod parameters;
pub mod ticket;
pub mod vouch;

use url::Url;

use crate::bridges::oidc::RelyingParty;
use crate::platform::fault::Fault;

/// The outside world as single sign-on meets it. Made once, in the wiring, and put into the schema's data.
pub struct SsoServices {
    pub relying_party: RelyingParty,
    public_url: Option<String>,
    /// Plain HTTP is taken for an origin and an issuer, and our own address from what the browser asked for.
    pub development: bool,
}

impl SsoServices {
    pub fn new(relying_party: RelyingParty, public_url: Option<&str>, development: bool) -> anyhow::Result<Self> {
        if let Some(address) = public_url
            && !origin::is_origin(address, development)
        {
            anyhow::bail!("public_url is no web origin such as https://house.example, without a slash at its end");
        }
        Ok(Self { relying_party, public_url: public_url.map(str::to_owned), development })
    }

    /// Our own web origin, which our addresses begin with: as it is configured. In development it may be what the
    /// request's `Host` names; elsewhere nobody who asks has a say in it.
    pub fn own_origin(&self, host: Option<&str>) -> Result<String, Fault> {
        if let Some(configured) = &self.public_url {
            return Ok(configured.clone());
        }
        if !self.development {
            let cause = anyhow::anyhow!("single sign-on needs public_url to be configured");
            return Err(Fault::Unavailable(cause));
        }
        let named = host.and_then(|host| Url::parse(&format!("http://{host}")).ok());
        let named = named.map(|url| url.origin().ascii_serialization()).filter(|text| origin::is_origin(text, true));
        named.ok_or_else(|| Fault::BadRequest("the Host header names no host".into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::platform::clock::SystemClock;
    use crate::platform::outbound::{Outbound, Reach};
    use crate::platform::randomness::SystemRandomness;

    fn services(public_url: Option<&str>, development: bool) -> anyhow::Result<SsoServices> {
        let outbound = Outbound::trusting(rustls::RootCertStore::empty(), Reach::Public)?;
        let party = RelyingParty::new(outbound, Arc::new(SystemClock), Arc::new(SystemRandomness));
        SsoServices::new(party, public_url, development)
    }

    #[test]
    fn our_own_address_is_configured_and_not_asked_for() {
        for development in [true, false] {
            let services = services(Some("https://house.example"), development).unwrap();
            for host in [None, Some("evil.example"), Some("house.example:8080")] {
                assert_eq!(services.own_origin(host).unwrap(), "https://house.example");
            }
        }
        let unconfigured = services(None, false).unwrap();
        assert!(matches!(unconfigured.own_origin(Some("evil.example")), Err(Fault::Unavailable(_))));
        for address in ["https://house.example/", "house.example", "http://house.example", "https://*"] {
            assert!(services(Some(address), false).is_err(), "{address}");
        }
    }

    #[test]
    fn in_development_it_is_what_the_browser_asked_for() {
        let services = services(None, true).unwrap();
        assert_eq!(services.own_origin(Some("localhost:8080")).unwrap(), "http://localhost:8080");
        assert_eq!(services.own_origin(Some("LOCALHOST:80")).unwrap(), "http://localhost");
        for host in [None, Some(""), Some("a b"), Some("a/../b?"), Some("x;y")] {
            match services.own_origin(host) {
                Ok(origin) => assert!(origin::is_origin(&origin, true), "{host:?}"),
                Err(fault) => assert!(matches!(fault, Fault::BadRequest(_)), "{host:?}"),
            }
        }
    }
}
