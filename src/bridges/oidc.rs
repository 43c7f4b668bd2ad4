//! An OpenID Connect relying party: operators sign in at their partner's identity provider.
//!
//! Follows OpenID Connect Core 1.0 and Discovery 1.0 (code flow), PKCE with S256 (RFC 7636), the `iss` parameter
//! against mix-up (RFC 9207), and the advice of RFC 9700. Decision record 0020 says why no library does it.
//!
//! A sign-in has two halves. [`RelyingParty::start`] gives the address to send the browser to, and three values to
//! remember. Who calls finds the attempt again by `state`, takes care that it is good once and belongs to the same
//! browser, and hands the rest to [`RelyingParty::finish`], which answers with a verified [`IdToken`]. What its claims
//! mean is not decided here.
//!
//! - `metadata.rs`: what a provider says of itself; `keys.rs`: its keys; `id_token.rs`: the rules of an ID token, pure.
//! - To accept another algorithm, add it in `keys.rs`; never a symmetric one, whose key would be the client's secret.
//! - Only the ID token is used. The access token that comes with it is dropped, so `at_hash` has nothing to bind.

mod id_token;
mod kept;
mod keys;
mod metadata;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::platform::clock::Clock;
use crate::platform::outbound::{Outbound, OutboundError};
use crate::platform::randomness::Randomness;
use crate::platform::vault::sha256;

use id_token::{Demand, Head};
pub use id_token::{Flaw, IdToken};
use kept::Kept;
use keys::{Key, KeySet};
use metadata::Authentication;
pub use metadata::Metadata;

/// Keys and metadata are asked for again after this time at the latest: a key that the provider took back is not
/// believed for longer.
const KEYS_AGE: TimeDelta = TimeDelta::minutes(15);
const METADATA_AGE: TimeDelta = TimeDelta::hours(1);
/// So many providers are remembered. Tenants name them, so there must be an end.
const PROVIDERS: usize = 1_000;

/// How we are known to a provider.
#[derive(Clone)]
pub struct Registration {
    /// Exactly as the provider writes it, to the last slash.
    pub issuer: String,
    pub client_id: String,
    /// None for a public client, which PKCE alone protects.
    pub client_secret: Option<String>,
    pub redirect_uri: String,
    /// Apart by spaces. `openid` is added if it is missing.
    pub scopes: String,
}

/// A sign-in that begins. `state` and `nonce` may be kept as SHA-256 alone, `verifier` has to be kept itself.
pub struct Start {
    pub address: Url,
    pub state: String,
    pub nonce: String,
    pub verifier: String,
}

/// What was remembered of a [`Start`].
pub struct Attempt {
    pub verifier: String,
    /// SHA-256 of the nonce's text.
    pub nonce_hash: [u8; 32],
}

/// The parameters with which the browser came back, but for `state`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Callback {
    pub code: Option<String>,
    pub iss: Option<String>,
    pub error: Option<String>,
}

/// Why a sign-in came to nothing. The words are for the log and for the tenant's administrators; they hold no token, no
/// code and no claim.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("the issuer is no https address without a query and a fragment")]
    BadIssuer,
    #[error("the provider's metadata names another issuer than the one that is configured")]
    OtherIssuer,
    #[error("{0}")]
    Unreachable(#[from] OutboundError),
    #[error("the provider did not answer properly a moment ago and is left in peace for some seconds")]
    Resting,
    #[error("the provider cannot be used: {0}")]
    Unusable(&'static str),
    #[error("the answer to the browser came from another provider than the one that was asked")]
    MixedUp,
    #[error("the provider refused the sign-in: {0}")]
    Denied(String),
    #[error("the browser came back without a code")]
    NoCode,
    #[error("the provider refused the code: {0}")]
    CodeRefused(String),
    #[error("the ID token is not good: {0}")]
    Token(#[from] Flaw),
}

/// Knows the providers that were asked before. One for the process.
pub struct RelyingParty {
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    providers: Mutex<HashMap<String, Arc<Provider>>>,
}

/// What is remembered of an issuer. It is the issuer's own word, fetched from its own address, so tenants can share it.
struct Provider {
    discovery: Url,
    metadata: Kept<Metadata>,
    keys: Kept<KeySet>,
}

impl RelyingParty {
    pub fn new(outbound: Outbound, clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { outbound, clock, randomness, providers: Mutex::default() }
    }

    /// What the provider says of itself, checked. Good for trying a configuration out before it is kept.
    pub async fn metadata(&self, issuer: &str) -> Result<Arc<Metadata>, OidcError> {
        let provider = self.provider(issuer)?;
        self.metadata_of(&provider, issuer).await
    }

    /// Begins a sign-in. `login_hint` tells the provider who is expected, if anybody is.
    pub async fn start(&self, registration: &Registration, login_hint: Option<&str>) -> Result<Start, OidcError> {
        let metadata = self.metadata(&registration.issuer).await?;
        let [state, nonce, verifier] = std::array::from_fn(|_| URL_SAFE_NO_PAD.encode(self.randomness.bytes::<32>()));
        let mut scopes = registration.scopes.clone();
        if !scopes.split(' ').any(|scope| scope == "openid") {
            scopes = format!("openid {scopes}").trim_end().to_owned();
        }
        // The address may have a query of its own, which stays.
        let mut address = metadata.authorization_endpoint.clone();
        let mut query = address.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &registration.client_id)
            .append_pair("redirect_uri", &registration.redirect_uri)
            .append_pair("scope", &scopes)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())))
            .append_pair("code_challenge_method", "S256");
        if let Some(login_hint) = login_hint {
            query.append_pair("login_hint", login_hint);
        }
        drop(query);
        Ok(Start { address, state, nonce, verifier })
    }

    /// Ends a sign-in: who answered is judged first, then what was answered, then the code is exchanged.
    pub async fn finish(
        &self,
        registration: &Registration,
        attempt: &Attempt,
        callback: &Callback,
    ) -> Result<IdToken, OidcError> {
        let metadata = self.metadata(&registration.issuer).await?;
        if !metadata.sent(callback.iss.as_deref()) {
            return Err(OidcError::MixedUp);
        }
        if let Some(error) = &callback.error {
            return Err(OidcError::Denied(word(error)));
        }
        let code = callback.code.as_deref().ok_or(OidcError::NoCode)?;
        let token = self.exchange(registration, &metadata, code, &attempt.verifier).await?;
        self.verify(registration, &token, &attempt.nonce_hash).await
    }

    /// Verifies an ID token that was issued to us in answer to the sign-in with this nonce.
    pub async fn verify(
        &self,
        registration: &Registration,
        token: &str,
        nonce_hash: &[u8; 32],
    ) -> Result<IdToken, OidcError> {
        let provider = self.provider(&registration.issuer)?;
        let metadata = self.metadata_of(&provider, &registration.issuer).await?;
        let head = Head::of(token)?;
        if !metadata.algorithms.contains(&head.algorithm) {
            return Err(Flaw::Algorithm.into());
        }
        let key = self.key(&provider, &metadata, &head).await?;
        let demand = Demand {
            issuer: &registration.issuer,
            client_id: &registration.client_id,
            nonce_hash,
            now: self.clock.now(),
        };
        Ok(id_token::verify(token, &head, &key, &demand)?)
    }

    async fn exchange(
        &self,
        registration: &Registration,
        metadata: &Metadata,
        code: &str,
        verifier: &str,
    ) -> Result<String, OidcError> {
        #[derive(Deserialize)]
        struct Tokens {
            id_token: String,
        }
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &registration.redirect_uri),
            ("code_verifier", verifier),
        ];
        let mut authorization = None;
        match (&registration.client_secret, metadata.authentication(registration.client_secret.is_some())?) {
            (Some(secret), Authentication::Basic) => authorization = Some(basic(&registration.client_id, secret)?),
            (Some(secret), Authentication::Post) => {
                form.extend([("client_id", registration.client_id.as_str()), ("client_secret", secret)]);
            }
            _ => form.push(("client_id", &registration.client_id)),
        }
        let answer = self.outbound.post_form(&metadata.token_endpoint, &form, authorization).await?;
        if answer.status != StatusCode::OK {
            return Err(match serde_json::from_slice::<Refusal>(&answer.body) {
                Ok(refusal) => OidcError::CodeRefused(word(&refusal.error)),
                Err(_) => OidcError::Unusable("its token endpoint answers neither with tokens nor with an error"),
            });
        }
        serde_json::from_slice::<Tokens>(&answer.body)
            .map(|tokens| tokens.id_token)
            .map_err(|_| OidcError::Unusable("its token endpoint gave no ID token"))
    }

    fn provider(&self, issuer: &str) -> Result<Arc<Provider>, OidcError> {
        // Nothing is awaited under this lock, and a panic leaves a map that is still a map.
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = providers.get(issuer) {
            return Ok(known.clone());
        }
        let discovery = metadata::discovery(issuer)?;
        self.outbound.allows(&discovery)?;
        if providers.len() >= PROVIDERS {
            // Costs each of them two questions; simpler than a list by age, and as rare as a thousand partners.
            providers.clear();
        }
        let provider = Arc::new(Provider {
            discovery,
            metadata: Kept::for_at_most(METADATA_AGE),
            keys: Kept::for_at_most(KEYS_AGE),
        });
        providers.insert(issuer.to_owned(), provider.clone());
        Ok(provider)
    }

    async fn metadata_of(&self, provider: &Provider, issuer: &str) -> Result<Arc<Metadata>, OidcError> {
        let fetch = async || {
            let document = self.document(&provider.discovery, "it has no metadata at its well-known address").await?;
            Metadata::read(issuer, document, &self.outbound)
        };
        provider.metadata.get(&*self.clock, |_| true, fetch).await
    }

    /// The key that the token's header speaks of. Only `kid` and `alg` are read there: a key, or an address of keys,
    /// that a token brings itself is worth nothing.
    async fn key(&self, provider: &Provider, metadata: &Metadata, head: &Head) -> Result<Key, OidcError> {
        let fetch = async || {
            let document = self.document(&metadata.jwks_uri, "its key set is no key set").await?;
            Ok(KeySet::read(document))
        };
        let holds = |keys: &KeySet| keys.find(head).is_some();
        let keys = match provider.keys.get(&*self.clock, holds, fetch).await {
            // It was asked a moment ago and does not know the key.
            Err(OidcError::Resting) => return Err(Flaw::UnknownKey.into()),
            keys => keys?,
        };
        Ok(keys.find(head).ok_or(Flaw::UnknownKey)?.clone())
    }

    async fn document<T: DeserializeOwned>(&self, address: &Url, otherwise: &'static str) -> Result<T, OidcError> {
        let answer = self.outbound.get(address).await?;
        if answer.status != StatusCode::OK {
            return Err(OidcError::Unusable(otherwise));
        }
        serde_json::from_slice(&answer.body).map_err(|_| OidcError::Unusable(otherwise))
    }
}

/// RFC 6749, section 2.3.1: both parts are written as in a form before they are joined.
fn basic(client_id: &str, secret: &str) -> Result<HeaderValue, OidcError> {
    let written = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = STANDARD.encode(format!("{}:{}", written(client_id), written(secret)));
    let mut value = HeaderValue::try_from(format!("Basic {both}"))
        .map_err(|_| OidcError::Unusable("our name there cannot be written into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// An error code of OAuth, or "unknown": what somebody else sent goes into the log as a plain word only.
fn word(code: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = (1..=64).contains(&code.len()) && code.bytes().all(plain);
    if fits { code.to_owned() } else { "unknown".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_authentication_writes_both_parts_as_in_a_form() {
        // A colon in the name must not move the border, and a sign in the secret must not change it.
        let value = basic("client:1", "s+ecret/ü").unwrap();
        let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"client%3A1:s%2Becret%2F%C3%BC");
        assert!(value.is_sensitive());
    }

    #[test]
    fn only_plain_words_reach_the_log() {
        assert_eq!(word("access_denied"), "access_denied");
        for strange in ["", "a b", "x\nERROR forged", &"x".repeat(65), "拒绝"] {
            assert_eq!(word(strange), "unknown", "{strange}");
        }
    }
}
