//! The keys of a provider (RFC 7517), and the algorithms that we accept.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::id_token::Head;

/// More keys than that are not looked at.
const MAXIMUM: usize = 100;

/// Every algorithm that we accept, by the name of RFC 7518 and RFC 8037. Signatures by a key pair alone: with HS256 the
/// "key" would be a secret that both sides know, or, worse, a public key that was mistaken for one.
pub(super) const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// A key set as it comes. Keys that we do not understand are passed over, not held against the others.
#[derive(Deserialize)]
pub(super) struct Document {
    keys: Vec<Value>,
}

pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    /// The one algorithm that the key is for, if the provider says so.
    algorithm: Option<KeyAlgorithm>,
    kind: Kind,
    pub decoding: DecodingKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeySet {
    pub fn read(document: Document) -> Self {
        Self { keys: document.keys.into_iter().take(MAXIMUM).filter_map(Key::read).collect() }
    }

    /// The key of that ID, or, where the token names none, the only key that it can be.
    pub fn find(&self, head: &Head) -> Option<&Key> {
        let mut fitting = self.keys.iter().filter(|key| key.fits(head.algorithm));
        match &head.key_id {
            Some(id) => fitting.find(|key| key.id.as_ref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Kind::Rsa,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Kind::P256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => Kind::P384,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Kind::Ed25519,
            _ => return None,
        };
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let decoding = DecodingKey::from_jwk(&jwk).ok().filter(|_| signs)?;
        Some(Self { id: jwk.common.key_id, algorithm: jwk.common.key_algorithm, kind, decoding })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::ES256 => Kind::P256,
            Algorithm::ES384 => Kind::P384,
            Algorithm::EdDSA => Kind::Ed25519,
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => Kind::Rsa,
            Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => Kind::Rsa,
            _ => return false,
        };
        self.kind == kind && self.algorithm.is_none_or(|own| own == KeyAlgorithm::from(algorithm))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // The Ed25519 key of RFC 8037, appendix A.2.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn found(keys: Value, id: Option<&str>, algorithm: Algorithm) -> bool {
        let keys = KeySet::read(serde_json::from_value(json!({ "keys": keys })).unwrap());
        keys.find(&Head { algorithm, key_id: id.map(str::to_owned) }).is_some()
    }

    #[test]
    fn a_key_serves_its_own_id_and_kind_only() {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "1", "use": "sig"});
        assert!(found(json!([key]), Some("1"), Algorithm::EdDSA));
        assert!(!found(json!([key]), Some("2"), Algorithm::EdDSA));
        assert!(!found(json!([key]), Some(""), Algorithm::EdDSA));
        for other in [Algorithm::HS256, Algorithm::RS256, Algorithm::PS256, Algorithm::ES256] {
            assert!(!found(json!([key]), Some("1"), other), "{other:?}");
        }
        assert!(found(json!([key]), None, Algorithm::EdDSA), "the only one there is");
        let second = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "2"});
        assert!(!found(json!([key, second]), None, Algorithm::EdDSA), "which of the two is anybody's guess");
    }

    #[test]
    fn keys_for_other_ends_are_passed_over() {
        let good = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "good"});
        let strange = json!({"kty": "AKP", "kid": "1", "pub": "AA"});
        let secret = json!({"kty": "oct", "kid": "1", "k": "c2VjcmV0", "alg": "HS256"});
        let encrypts = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "1", "use": "enc"});
        let wraps = json!({"kty": "OKP", "crv": "Ed25519", "x": X, "kid": "1", "key_ops": ["wrapKey"]});
        let broken = json!({"kty": "RSA", "kid": "1", "n": "*", "e": "AQAB"});
        let keys = json!([strange, secret, encrypts, wraps, broken, 7, good]);
        for algorithm in [Algorithm::HS256, Algorithm::EdDSA, Algorithm::RS256] {
            assert!(!found(keys.clone(), Some("1"), algorithm), "{algorithm:?}");
        }
        assert!(found(keys, Some("good"), Algorithm::EdDSA));
    }

    #[test]
    fn a_key_that_names_its_algorithm_serves_no_other() {
        let e = "AQAB";
        let n = format!("{}w", "u".repeat(341));
        let keys = json!([{"kty": "RSA", "kid": "1", "n": n, "e": e, "alg": "PS256"}]);
        assert!(found(keys.clone(), Some("1"), Algorithm::PS256));
        assert!(!found(keys, Some("1"), Algorithm::RS256));
    }

    #[test]
    fn no_symmetric_algorithm_has_a_name_here() {
        for name in ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "rs256"] {
            assert_eq!(algorithm(name), None, "{name}");
        }
        assert_eq!(algorithm("RS256"), Some(Algorithm::RS256));
    }
}
