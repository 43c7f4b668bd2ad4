//! The rules of an ID token (OpenID Connect Core 1.0, section 3.1.3.7). No I/O.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, Validation, decode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::keys::{Key, algorithm};
use crate::platform::vault::sha256;

/// How far a provider's clock and ours may lie apart.
pub(super) const LEEWAY: TimeDelta = TimeDelta::seconds(60);
const MAXIMUM_BYTES: usize = 16 * 1024;

/// What is wrong with an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("it is no signed JWT")]
    Form,
    #[error("it is signed in a way that is not accepted")]
    Algorithm,
    #[error("its key is not the provider's")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it lacks a claim that it must have, or one is of the wrong kind")]
    Claims,
    #[error("it is another issuer's")]
    Issuer,
    #[error("it is for somebody else")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
    #[error("it answers another sign-in")]
    Nonce,
}

/// Who signed in, as their provider vouches for it.
#[derive(Clone, Debug)]
pub struct IdToken {
    pub issuer: String,
    /// The person's ID with this issuer, for good; unlike their name or address.
    pub subject: String,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    claims: Map<String, Value>,
}

impl IdToken {
    /// Whether the provider says anything under that name, of whatever kind.
    pub fn has(&self, claim: &str) -> bool {
        self.claims.contains_key(claim)
    }

    /// A claim that is a text.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// A claim that is a text or a list of texts. What else stands in a list is passed over.
    pub fn texts(&self, claim: &str) -> Vec<&str> {
        match self.claims.get(claim) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// What of a token's header is believed, which is what chooses among the keys that we fetched ourselves.
#[derive(Debug)]
pub(super) struct Head {
    pub algorithm: Algorithm,
    pub key_id: Option<String>,
}

impl Head {
    pub fn of(token: &str) -> Result<Self, Flaw> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
            kid: Option<String>,
            typ: Option<String>,
            crit: Option<Value>,
        }
        if token.len() > MAXIMUM_BYTES {
            return Err(Flaw::Form);
        }
        let (header, _) = token.split_once('.').ok_or(Flaw::Form)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| Flaw::Form)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| Flaw::Form)?;
        // RFC 8725, section 3.11: other kinds of JWT say so here. What is critical is nothing that we know.
        if header.crit.is_some() || header.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(Flaw::Form);
        }
        Ok(Self { algorithm: algorithm(&header.alg).ok_or(Flaw::Algorithm)?, key_id: header.kid })
    }
}

pub(super) struct Demand<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce_hash: &'a [u8; 32],
    pub now: DateTime<Utc>,
}

/// The signature first: nothing that is not signed is looked at.
pub(super) fn verify(token: &str, head: &Head, key: &Key, demand: &Demand<'_>) -> Result<IdToken, Flaw> {
    let mut signature_only = Validation::new(head.algorithm);
    // The library reads the machine's clock and accepts lists where one issuer must stand: the claims are judged below.
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    signature_only.required_spec_claims.clear();
    let claims =
        decode::<Map<String, Value>>(token, &key.decoding, &signature_only).map_err(|_| Flaw::Signature)?.claims;
    judge(claims, demand)
}

fn judge(claims: Map<String, Value>, demand: &Demand<'_>) -> Result<IdToken, Flaw> {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str).ok_or(Flaw::Claims);
    if text("iss")? != demand.issuer {
        return Err(Flaw::Issuer);
    }
    judge_audience(&claims, demand.client_id)?;

    let issued_at = moment(claims.get("iat").ok_or(Flaw::Claims)?)?;
    let expires_at = moment(claims.get("exp").ok_or(Flaw::Claims)?)?;
    let not_before = claims.get("nbf").map(moment).transpose()?;
    if demand.now >= expires_at + LEEWAY {
        return Err(Flaw::Expired);
    }
    if demand.now + LEEWAY < issued_at || not_before.is_some_and(|start| demand.now + LEEWAY < start) {
        return Err(Flaw::NotYet);
    }

    // Of equal length and unknown to the sender, so how long the comparison takes says nothing.
    if sha256(text("nonce").map_err(|_| Flaw::Nonce)?.as_bytes()) != *demand.nonce_hash {
        return Err(Flaw::Nonce);
    }
    let subject = text("sub")?.to_owned();
    if !(1..=255).contains(&subject.len()) {
        return Err(Flaw::Claims);
    }
    Ok(IdToken { issuer: demand.issuer.to_owned(), subject, issued_at, expires_at, claims })
}

/// For us, and where it is for others too, handed to us: `azp` says to whom.
fn judge_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), Flaw> {
    let (ours, others) = match claims.get("aud") {
        Some(Value::String(audience)) => (audience == client_id, false),
        Some(Value::Array(audiences)) => {
            let ours = audiences.iter().filter(|audience| audience.as_str() == Some(client_id)).count();
            (ours > 0, ours < audiences.len())
        }
        _ => return Err(Flaw::Claims),
    };
    let handed = match claims.get("azp") {
        Some(party) => party.as_str() == Some(client_id),
        None => !others,
    };
    if ours && handed { Ok(()) } else { Err(Flaw::Audience) }
}

/// Seconds since 1970, perhaps with a fraction (RFC 7519).
fn moment(value: &Value) -> Result<DateTime<Utc>, Flaw> {
    #[expect(clippy::cast_possible_truncation, reason = "a float that is out of range becomes the nearest integer")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64)).ok_or(Flaw::Claims)?;
    // A year of five digits and more would overflow what is added to it.
    DateTime::from_timestamp(seconds, 0).filter(|moment| moment.timestamp().abs() < 253_402_300_800).ok_or(Flaw::Claims)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::super::keys::KeySet;
    use super::*;

    const NOW: i64 = 1_780_000_000;

    struct Signer {
        pkcs8: Vec<u8>,
        x: String,
    }

    impl Signer {
        fn new() -> Self {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
            let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
            Self { x: URL_SAFE_NO_PAD.encode(pair.public_key()), pkcs8: pkcs8.as_ref().to_vec() }
        }

        fn sign(&self, claims: &Value) -> String {
            let header = Header { kid: Some("1".into()), ..Header::new(Algorithm::EdDSA) };
            encode(&header, claims, &EncodingKey::from_ed_der(&self.pkcs8)).unwrap()
        }

        /// Judges a token with this signer's key.
        fn verify(&self, token: &str, now: i64) -> Result<IdToken, Flaw> {
            let key = json!({"kty": "OKP", "crv": "Ed25519", "x": self.x, "kid": "1"});
            let keys = KeySet::read(serde_json::from_value(json!({ "keys": [key] })).unwrap());
            let head = Head::of(token)?;
            let key = keys.find(&head).ok_or(Flaw::UnknownKey)?;
            let demand = Demand {
                issuer: "https://id.example.com",
                client_id: "us",
                nonce_hash: &sha256(b"nonce"),
                now: DateTime::from_timestamp(now, 0).unwrap(),
            };
            verify(token, &head, key, &demand)
        }

        /// A good token but for the changes; null takes a claim away.
        fn outcome(&self, changes: Value) -> Option<Flaw> {
            let mut claims = json!({
                "iss": "https://id.example.com", "sub": "person-1", "aud": "us", "nonce": "nonce",
                "iat": NOW - 1, "exp": NOW + 300, "roles": ["admin", 7, "auditor"], "name": "某人",
            });
            for (claim, value) in changes.as_object().unwrap() {
                claims[claim] = value.clone();
                if value.is_null() {
                    claims.as_object_mut().unwrap().remove(claim);
                }
            }
            self.verify(&self.sign(&claims), NOW).err()
        }
    }

    #[test]
    fn a_good_token_tells_who_signed_in() {
        let signer = Signer::new();
        let claims = json!({
            "iss": "https://id.example.com", "sub": "person-1", "aud": ["us"], "azp": "us", "nonce": "nonce",
            "iat": NOW, "nbf": NOW, "exp": NOW as f64 + 300.5, "roles": ["admin", 7, "auditor"], "name": "某人",
        });
        let token = signer.verify(&signer.sign(&claims), NOW).unwrap();
        assert_eq!((token.issuer.as_str(), token.subject.as_str()), ("https://id.example.com", "person-1"));
        assert_eq!((token.issued_at.timestamp(), token.expires_at.timestamp()), (NOW, NOW + 300));
        assert_eq!((token.text("name"), token.text("roles"), token.text("none")), (Some("某人"), None, None));
        assert_eq!(token.texts("roles"), ["admin", "auditor"]);
        assert_eq!(token.texts("name"), ["某人"]);
    }

    #[test]
    fn each_claim_is_judged() {
        let signer = Signer::new();
        assert_eq!(signer.outcome(json!({})), None);
        for (changes, flaw) in [
            (json!({"iss": "https://id.example.com/"}), Flaw::Issuer),
            (json!({"iss": ["https://id.example.com"]}), Flaw::Claims),
            (json!({"iss": null}), Flaw::Claims),
            (json!({"aud": "them"}), Flaw::Audience),
            (json!({"aud": []}), Flaw::Audience),
            (json!({"aud": ["them"]}), Flaw::Audience),
            (json!({"aud": ["us", "them"]}), Flaw::Audience),
            (json!({"aud": ["us", "them"], "azp": "them"}), Flaw::Audience),
            (json!({"azp": "them"}), Flaw::Audience),
            (json!({"azp": 7}), Flaw::Audience),
            (json!({"aud": "them", "azp": "us"}), Flaw::Audience),
            (json!({"aud": null}), Flaw::Claims),
            (json!({"exp": NOW - 60}), Flaw::Expired),
            (json!({"exp": null}), Flaw::Claims),
            (json!({"exp": "soon"}), Flaw::Claims),
            (json!({"exp": i64::MAX}), Flaw::Claims),
            (json!({"exp": 1e300}), Flaw::Claims),
            (json!({"iat": NOW + 61}), Flaw::NotYet),
            (json!({"iat": null}), Flaw::Claims),
            (json!({"nbf": NOW + 61}), Flaw::NotYet),
            (json!({"nbf": "now"}), Flaw::Claims),
            (json!({"nonce": "another"}), Flaw::Nonce),
            (json!({"nonce": ""}), Flaw::Nonce),
            (json!({"nonce": null}), Flaw::Nonce),
            (json!({"sub": ""}), Flaw::Claims),
            (json!({"sub": null}), Flaw::Claims),
            (json!({"sub": "x".repeat(256)}), Flaw::Claims),
        ] {
            assert_eq!(signer.outcome(changes.clone()), Some(flaw), "{changes}");
        }
        for allowed in [
            json!({"aud": ["us", "them"], "azp": "us"}),
            json!({"exp": NOW - 59}),
            json!({"iat": NOW + 60}),
            json!({"nbf": NOW + 60}),
        ] {
            assert_eq!(signer.outcome(allowed.clone()), None, "{allowed}");
        }
    }

    #[test]
    fn a_token_that_was_changed_or_signed_by_another_is_refused() {
        let (signer, stranger) = (Signer::new(), Signer::new());
        let claims = json!({
            "iss": "https://id.example.com", "sub": "person-1", "aud": "us", "nonce": "nonce", "iat": NOW, "exp": NOW + 300,
        });
        let good = signer.sign(&claims);
        assert!(signer.verify(&good, NOW).is_ok());
        assert_eq!(signer.verify(&stranger.sign(&claims), NOW).unwrap_err(), Flaw::Signature);
        let [header, _, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        let mut other = claims.clone();
        other["sub"] = json!("person-2");
        let payload = URL_SAFE_NO_PAD.encode(other.to_string());
        assert_eq!(signer.verify(&format!("{header}.{payload}.{signature}"), NOW).unwrap_err(), Flaw::Signature);
    }

    #[test]
    fn only_headers_that_we_understand_are_accepted() {
        let head = |header: Value| Head::of(&format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header.to_string())));
        assert!(head(json!({"alg": "RS256", "kid": "1", "typ": "jwt", "jku": "https://evil.example"})).is_ok());
        for name in ["none", "HS256", "HS512", "", "rs256", "ES512"] {
            assert_eq!(head(json!({ "alg": name })).unwrap_err(), Flaw::Algorithm, "{name}");
        }
        for strange in [
            json!({}),
            json!({"alg": 7}),
            json!({"alg": "RS256", "kid": 7}),
            json!({"alg": "RS256", "typ": "at+jwt"}),
            json!({"alg": "RS256", "typ": "logout+jwt"}),
            json!({"alg": "RS256", "crit": ["b64"], "b64": false}),
        ] {
            assert_eq!(head(strange.clone()).unwrap_err(), Flaw::Form, "{strange}");
        }
        for strange in ["", "x", "..", "{}.{}.", &"x.".repeat(MAXIMUM_BYTES)] {
            assert_eq!(Head::of(strange).unwrap_err(), Flaw::Form, "{strange}");
        }
    }
}
