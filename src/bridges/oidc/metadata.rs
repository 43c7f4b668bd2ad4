//! What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414).

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use url::Url;

use super::OidcError;
use super::keys::algorithm;
use crate::platform::outbound::Outbound;

/// How we show a provider who we are when we exchange a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authentication {
    Basic,
    Post,
    None,
}

/// Checked: the issuer is the one that was asked, every address is one that may be called, and code flow, PKCE and an
/// algorithm of ours are offered.
#[derive(Debug)]
pub struct Metadata {
    issuer: String,
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub jwks_uri: Url,
    /// Those that both sides accept.
    pub algorithms: Vec<Algorithm>,
    authentications: Vec<String>,
    names_itself: bool,
}

#[derive(Deserialize)]
pub(super) struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    response_types_supported: Option<Vec<String>>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
}

/// Where an issuer's metadata lies. Schemes and hosts are judged by who fetches it.
pub(super) fn discovery(issuer: &str) -> Result<Url, OidcError> {
    let address = Url::parse(issuer).map_err(|_| OidcError::BadIssuer)?;
    if !address.has_host() || address.query().is_some() || address.fragment().is_some() {
        return Err(OidcError::BadIssuer);
    }
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    Url::parse(&format!("{base}/.well-known/openid-configuration")).map_err(|_| OidcError::BadIssuer)
}

impl Metadata {
    pub(super) fn read(issuer: &str, document: Document, outbound: &Outbound) -> Result<Self, OidcError> {
        // Byte by byte: whoever answers under this address must not be able to speak for another one.
        if document.issuer != issuer {
            return Err(OidcError::OtherIssuer);
        }
        let offers = |list: &Option<Vec<String>>, word: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|offered| offered == word))
        };
        if !offers(&document.response_types_supported, "code") {
            return Err(OidcError::Unusable("it does not offer the code flow"));
        }
        // Not every provider that knows PKCE says so; one that says what it knows must know S256.
        if !offers(&document.code_challenge_methods_supported, "S256") {
            return Err(OidcError::Unusable("it does not offer PKCE with S256"));
        }
        let named = document.id_token_signing_alg_values_supported.unwrap_or_else(|| vec!["RS256".to_owned()]);
        let algorithms: Vec<Algorithm> = named.iter().filter_map(|name| algorithm(name)).collect();
        if algorithms.is_empty() {
            return Err(OidcError::Unusable("it signs ID tokens with no algorithm that we accept"));
        }
        let endpoint = |text: &str| {
            let address = Url::parse(text).map_err(|_| OidcError::Unusable("one of its endpoints is no address"))?;
            // The browser's too: it must not be sent to a scheme that runs something.
            outbound.allows(&address)?;
            Ok::<_, OidcError>(address)
        };
        Ok(Self {
            authorization_endpoint: endpoint(&document.authorization_endpoint)?,
            token_endpoint: endpoint(&document.token_endpoint)?,
            jwks_uri: endpoint(&document.jwks_uri)?,
            issuer: document.issuer,
            algorithms,
            // The specification's word for what is not said.
            authentications: document
                .token_endpoint_auth_methods_supported
                .unwrap_or_else(|| vec!["client_secret_basic".to_owned()]),
            names_itself: document.authorization_response_iss_parameter_supported.unwrap_or(false),
        })
    }

    /// Whether an answer that came with this `iss` parameter came from this provider (RFC 9207).
    pub(super) fn sent(&self, iss: Option<&str>) -> bool {
        iss.map_or(!self.names_itself, |iss| iss == self.issuer)
    }

    pub(super) fn authentication(&self, secret: bool) -> Result<Authentication, OidcError> {
        let offers = |word: &str| self.authentications.iter().any(|offered| offered == word);
        match secret {
            // A public client shows nothing; many providers leave "none" out of what they say.
            false => Ok(Authentication::None),
            true if offers("client_secret_basic") => Ok(Authentication::Basic),
            true if offers("client_secret_post") => Ok(Authentication::Post),
            true => Err(OidcError::Unusable("it wants clients to show who they are in a way that we do not know")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::platform::outbound::Reach;

    const ISSUER: &str = "https://id.example.com/realms/one";

    fn good() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example.com/authorize?brand=1",
            "token_endpoint": "https://api.example.com/token",
            "jwks_uri": "https://api.example.com/keys",
            "response_types_supported": ["code", "code id_token"],
            "id_token_signing_alg_values_supported": ["HS256", "none", "RS256", "ES256K", "EdDSA"],
        })
    }

    fn read(change: Value) -> Result<Metadata, OidcError> {
        let mut document = good();
        document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let outbound = Outbound::trusting(rustls::RootCertStore::empty(), Reach::Public).unwrap();
        Metadata::read(ISSUER, serde_json::from_value(document).unwrap(), &outbound)
    }

    #[test]
    fn metadata_lies_where_the_specification_says() {
        for (issuer, place) in [
            ("https://id.example.com", "https://id.example.com/.well-known/openid-configuration"),
            ("https://id.example.com/", "https://id.example.com/.well-known/openid-configuration"),
            (ISSUER, "https://id.example.com/realms/one/.well-known/openid-configuration"),
        ] {
            assert_eq!(discovery(issuer).unwrap().as_str(), place);
        }
        for issuer in
            ["", "id.example.com", "https://id.example.com?x", "https://id.example.com/#x", "data:text/plain,x"]
        {
            assert!(matches!(discovery(issuer), Err(OidcError::BadIssuer)), "{issuer}");
        }
    }

    #[test]
    fn an_issuer_is_itself_to_the_last_byte() {
        for other in
            ["https://id.example.com/realms/one/", "https://ID.example.com/realms/one", "https://id.example.com"]
        {
            assert!(matches!(read(json!({"issuer": other})), Err(OidcError::OtherIssuer)), "{other}");
        }
        assert!(read(json!({})).is_ok());
    }

    #[test]
    fn what_we_do_not_accept_is_left_out() {
        assert_eq!(read(json!({})).unwrap().algorithms, [Algorithm::RS256, Algorithm::EdDSA]);
        for useless in [
            json!({"id_token_signing_alg_values_supported": ["none", "HS256"]}),
            json!({"response_types_supported": ["id_token"]}),
            json!({"code_challenge_methods_supported": ["plain"]}),
        ] {
            assert!(matches!(read(useless.clone()), Err(OidcError::Unusable(_))), "{useless}");
        }
    }

    #[test]
    fn no_endpoint_leads_where_we_may_not_go() {
        for member in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            for address in ["http://id.example.com/x", "https://127.0.0.1/x", "https://[::1]/x", "javascript:alert(1)"]
            {
                let outcome = read(json!({ member: address }));
                assert!(matches!(outcome, Err(OidcError::Unreachable(_))), "{member} {address}: {outcome:?}");
            }
        }
    }

    #[test]
    fn a_provider_that_names_itself_must_be_named() {
        let silent = read(json!({})).unwrap();
        assert!(silent.sent(None) && silent.sent(Some(ISSUER)) && !silent.sent(Some("https://evil.example")));
        let naming = read(json!({"authorization_response_iss_parameter_supported": true})).unwrap();
        assert!(!naming.sent(None) && naming.sent(Some(ISSUER)) && !naming.sent(Some("https://evil.example")));
    }

    #[test]
    fn a_secret_is_shown_as_the_provider_wants_it() {
        let way = |offered: Value, secret| {
            read(json!({"token_endpoint_auth_methods_supported": offered})).unwrap().authentication(secret)
        };
        assert_eq!(read(json!({})).unwrap().authentication(true).unwrap(), Authentication::Basic);
        assert_eq!(way(json!(["client_secret_post", "client_secret_basic"]), true).unwrap(), Authentication::Basic);
        assert_eq!(way(json!(["client_secret_post"]), true).unwrap(), Authentication::Post);
        assert_eq!(way(json!(["client_secret_post"]), false).unwrap(), Authentication::None);
        assert!(matches!(way(json!(["private_key_jwt"]), true), Err(OidcError::Unusable(_))));
    }
}
