//! Assertions: a partner's server says who its user is, in a JWT signed with the partner's own private key. No I/O.
//!
//! | claim | what |
//! |---|---|
//! | header `kid` | the registered key's ID |
//! | `iss`, `aud` | the enterprise's ID; this service's public address, or `minthouse` |
//! | `sub` | the partner's own ID for the user, for good |
//! | `iat`, `nbf`, `exp` | `exp` at most five minutes ahead; `nbf` may be left out |
//! | `jti` | good once |
//! | `nonce` | what the page will show, 16 to 200 characters |
//! | `origin` | the page that the console is embedded in; must be registered |
//! | `role`, `name`, `corpOpenId` | may be left out |
//!
//! The algorithm is the key's own, decided when it was registered. What the header says of it must agree and chooses
//! nothing, so neither `none` nor a public key that is taken for a secret gets anywhere (RFC 8725, section 3.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::platform::refusal::Refusal;
use crate::tenancy::model::{EnterpriseId, SsoKeyId};
use crate::tenancy::sso::model::SignOnError;

/// The audience that every house answers to, beside its own address.
pub const AUDIENCE: &str = "minthouse";
/// How far a partner's clock and ours may lie apart.
pub const LEEWAY: TimeDelta = TimeDelta::seconds(30);
const LONGEST: TimeDelta = TimeDelta::minutes(5);
const MAXIMUM_BYTES: usize = 8 * 1024;

/// Why a JWK is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFlaw {
    /// It holds the private half, or is a shared secret.
    Private,
    /// Of another kind than Ed25519, P-256 and RSA, or for another algorithm than theirs.
    Kind,
    /// An RSA key that is too short or oddly made.
    Weak,
    /// Its members do not have their form.
    Form,
}

/// A partner's public key, and the one algorithm that it is for.
#[derive(Clone)]
pub struct PublicKey {
    pub algorithm: Algorithm,
    /// The members that count, as they are stored and shown.
    pub jwk: Value,
    decoding: DecodingKey,
}

impl PublicKey {
    pub fn read(jwk: &Value) -> Result<Self, KeyFlaw> {
        let members = jwk.as_object().ok_or(KeyFlaw::Form)?;
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|secret| members.contains_key(*secret)) {
            return Err(KeyFlaw::Private);
        }
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|used| used != "sig") {
            return Err(KeyFlaw::Kind);
        }
        let part = |name: &str| -> Result<(&str, Vec<u8>), KeyFlaw> {
            let text = text(name).ok_or(KeyFlaw::Form)?;
            Ok((text, URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyFlaw::Form)?))
        };
        let of_length = |(text, bytes): (&str, Vec<u8>), length: usize| match bytes.len() == length {
            true => Ok(text.to_owned()),
            false => Err(KeyFlaw::Form),
        };
        let named = text("alg");
        let is_for = |name: &str| named.is_none_or(|named| named == name);
        match (text("kty").ok_or(KeyFlaw::Form)?, text("crv")) {
            ("OKP", Some("Ed25519")) if is_for("EdDSA") || is_for("Ed25519") => {
                let x = of_length(part("x")?, 32)?;
                let decoding = DecodingKey::from_ed_components(&x).map_err(|_| KeyFlaw::Form)?;
                let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x});
                Ok(Self { algorithm: Algorithm::EdDSA, jwk, decoding })
            }
            ("EC", Some("P-256")) if is_for("ES256") => {
                let (x, y) = (of_length(part("x")?, 32)?, of_length(part("y")?, 32)?);
                let decoding = DecodingKey::from_ec_components(&x, &y).map_err(|_| KeyFlaw::Form)?;
                let jwk = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y});
                Ok(Self { algorithm: Algorithm::ES256, jwk, decoding })
            }
            ("RSA", None) if is_for("RS256") || is_for("PS256") => {
                let (n, modulus) = part("n")?;
                let (e, exponent) = part("e")?;
                let length = modulus.len();
                let bits = length * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
                if !(2048..=8192).contains(&bits) || exponent != [1, 0, 1] {
                    return Err(KeyFlaw::Weak);
                }
                let decoding = DecodingKey::from_rsa_components(n, e).map_err(|_| KeyFlaw::Form)?;
                let algorithm = if named == Some("PS256") { Algorithm::PS256 } else { Algorithm::RS256 };
                let name = if algorithm == Algorithm::PS256 { "PS256" } else { "RS256" };
                Ok(Self { algorithm, jwk: json!({"kty": "RSA", "alg": name, "n": n, "e": e}), decoding })
            }
            _ => Err(KeyFlaw::Kind),
        }
    }
}

/// Whose word it is said to be. Good for finding the key, and for nothing else before that one has verified it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub enterprise: EnterpriseId,
    pub key: SsoKeyId,
}

/// The two names in an assertion that say where its key lies. Both must be IDs in their form.
pub fn claimed(assertion: &str) -> Option<Claimed> {
    #[derive(Deserialize)]
    struct Header {
        kid: String,
        typ: Option<String>,
        crit: Option<Value>,
    }
    #[derive(Deserialize)]
    struct Body {
        iss: String,
    }
    if assertion.len() > MAXIMUM_BYTES {
        return None;
    }
    let mut parts = assertion.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header: Header = serde_json::from_slice(&parts.next()??).ok()?;
    let body: Body = serde_json::from_slice(&parts.next()??).ok()?;
    // Other kinds of JWT say so (RFC 8725, section 3.11); what is critical is nothing that we know.
    if header.crit.is_some() || header.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return None;
    }
    Some(Claimed { enterprise: body.iss.parse().ok()?, key: header.kid.parse().ok()? })
}

/// What a verified assertion says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub subject: String,
    pub name: Option<String>,
    pub roles: Vec<String>,
    pub corp_open_id: Option<String>,
    pub origin: Option<String>,
    pub nonce: String,
    /// What makes it one of its kind.
    pub id: String,
    /// From when on nobody would believe it any more.
    pub worthless_at: DateTime<Utc>,
}

/// What an assertion must be to be believed.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    pub enterprise: EnterpriseId,
    /// Our own address.
    pub audience: &'a str,
    pub now: DateTime<Utc>,
}

/// The signature first: nothing that is not signed is judged.
pub fn verify(assertion: &str, key: &PublicKey, demand: &Demand<'_>) -> Result<Statement, Refusal<SignOnError>> {
    let mut signature_only = Validation::new(key.algorithm);
    // The library reads the machine's clock, and accepts more than one form: the claims are judged below.
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    signature_only.required_spec_claims.clear();
    let claims = decode::<Map<String, Value>>(assertion, &key.decoding, &signature_only);
    let claims = claims.map_err(|_| Refusal::code(SignOnError::InvalidAssertion))?.claims;
    if claims.get("iss").and_then(Value::as_str) != Some(&demand.enterprise.to_string()) {
        return Err(Refusal::code(SignOnError::InvalidAssertion));
    }
    let for_us = |audience: &Value| audience.as_str().is_some_and(|name| name == AUDIENCE || name == demand.audience);
    let audience = claims.get("aud").ok_or_else(|| SignOnError::about_claim("aud"))?;
    if !for_us(audience) && !audience.as_array().is_some_and(|audiences| audiences.iter().any(for_us)) {
        return Err(Refusal::at("aud", SignOnError::WrongAudience));
    }
    let worthless_at = judge_times(&claims, demand.now)?;
    let subject = text(&claims, "sub", 1..=255)?.ok_or_else(|| SignOnError::about_claim("sub"))?;
    Ok(Statement {
        subject,
        name: text(&claims, "name", 0..=400)?,
        roles: words(&claims, "role")?,
        corp_open_id: text(&claims, "corpOpenId", 1..=128)?,
        origin: text(&claims, "origin", 1..=255)?,
        nonce: text(&claims, "nonce", 16..=200)?.ok_or_else(|| SignOnError::about_claim("nonce"))?,
        id: text(&claims, "jti", 8..=128)?.ok_or_else(|| SignOnError::about_claim("jti"))?,
        worthless_at,
    })
}

fn judge_times(claims: &Map<String, Value>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal<SignOnError>> {
    let exp = moment(claims, "exp")?.ok_or_else(|| SignOnError::about_claim("exp"))?;
    let iat = moment(claims, "iat")?.ok_or_else(|| SignOnError::about_claim("iat"))?;
    let nbf = moment(claims, "nbf")?.unwrap_or(iat);
    if now >= exp + LEEWAY {
        return Err(Refusal::at("exp", SignOnError::Expired));
    }
    if exp > now + LONGEST + LEEWAY {
        return Err(Refusal::at("exp", SignOnError::TooLong));
    }
    if iat > now + LEEWAY || nbf > now + LEEWAY {
        return Err(Refusal::at("nbf", SignOnError::NotYetValid));
    }
    Ok(exp + LEEWAY)
}

/// A claim that may be left out and otherwise is a text of so many bytes. Empty where that is allowed counts as left out.
fn text(
    claims: &Map<String, Value>,
    claim: &'static str,
    length: std::ops::RangeInclusive<usize>,
) -> Result<Option<String>, Refusal<SignOnError>> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) if length.contains(&text.len()) => Ok(Some(text.clone())),
        Some(_) => Err(SignOnError::about_claim(claim)),
    }
}

fn words(claims: &Map<String, Value>, claim: &'static str) -> Result<Vec<String>, Refusal<SignOnError>> {
    match claims.get(claim) {
        None => Ok(Vec::new()),
        Some(Value::String(word)) => Ok(vec![word.clone()]),
        Some(Value::Array(list)) => {
            let words = list.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>();
            words.ok_or_else(|| SignOnError::about_claim(claim))
        }
        Some(_) => Err(SignOnError::about_claim(claim)),
    }
}

/// Seconds since 1970, perhaps with a fraction (RFC 7519).
fn moment(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<DateTime<Utc>>, Refusal<SignOnError>> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "a float that is out of range becomes the nearest integer")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64));
    // A year of five digits and more would overflow what is added to it.
    let moment = seconds.filter(|seconds| seconds.abs() < 253_402_300_800);
    let moment = moment.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    moment.map(Some).ok_or_else(|| SignOnError::about_claim(claim))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use jsonwebtoken::{EncodingKey, Header, encode};

    use super::*;

    const NOW: i64 = 1_780_000_000;
    const US: &str = "https://house.example";

    struct Signer {
        pkcs8: Vec<u8>,
        key: PublicKey,
        enterprise: EnterpriseId,
        id: SsoKeyId,
    }

    impl Signer {
        fn new() -> Self {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
            let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
            let x = URL_SAFE_NO_PAD.encode(pair.public_key());
            let key = PublicKey::read(&json!({"kty": "OKP", "crv": "Ed25519", "x": x})).unwrap();
            let (enterprise, id) = (EnterpriseId::generate(), SsoKeyId::generate());
            Self { pkcs8: pkcs8.as_ref().to_vec(), key, enterprise, id }
        }

        /// A good assertion, with other claims; one that is null is left out.
        fn sign(&self, change: Value) -> String {
            let mut claims = json!({
                "iss": self.enterprise, "aud": AUDIENCE, "sub": "u-1", "iat": NOW, "exp": NOW + 300,
                "jti": "assertion-1", "nonce": "0123456789abcdef",
            });
            let claims = claims.as_object_mut().unwrap();
            claims.extend(change.as_object().unwrap().clone());
            claims.retain(|_, value| !value.is_null());
            let header = Header { kid: Some(self.id.to_string()), ..Header::new(Algorithm::EdDSA) };
            encode(&header, claims, &EncodingKey::from_ed_der(&self.pkcs8)).unwrap()
        }

        fn judge(&self, change: Value) -> Result<Statement, SignOnError> {
            let now = DateTime::from_timestamp(NOW, 0).unwrap();
            let demand = Demand { enterprise: self.enterprise, audience: US, now };
            verify(&self.sign(change), &self.key, &demand).map_err(|refusal| match refusal {
                Refusal::Problems(problems) => problems[0].code,
                Refusal::Fault(fault) => panic!("{fault}"),
            })
        }
    }

    #[test]
    fn what_an_assertion_says_arrives() {
        let signer = Signer::new();
        let said = json!({"aud": ["other", US], "name": "爱丽丝", "role": ["staff", "boss"], "corpOpenId": "corp-1", "origin": "https://a.example"});
        let statement = signer.judge(said).unwrap();
        assert_eq!(statement.subject, "u-1");
        assert_eq!(statement.name.as_deref(), Some("爱丽丝"));
        assert_eq!(statement.roles, ["staff", "boss"]);
        assert_eq!(statement.corp_open_id.as_deref(), Some("corp-1"));
        assert_eq!(statement.origin.as_deref(), Some("https://a.example"));
        assert_eq!(signer.judge(json!({"role": "staff"})).unwrap().roles, ["staff"]);
        assert_eq!(claimed(&signer.sign(json!({}))), Some(Claimed { enterprise: signer.enterprise, key: signer.id }));
    }

    #[test]
    fn every_claim_is_judged() {
        use SignOnError::*;
        let signer = Signer::new();
        for (change, expected) in [
            (json!({"iss": EnterpriseId::generate()}), InvalidAssertion),
            (json!({"iss": null}), InvalidAssertion),
            (json!({"aud": "minthouse-api"}), WrongAudience),
            (json!({"aud": []}), WrongAudience),
            (json!({"aud": null}), InvalidClaim),
            (json!({"sub": ""}), InvalidClaim),
            (json!({"sub": "x".repeat(256)}), InvalidClaim),
            (json!({"sub": 7}), InvalidClaim),
            (json!({"exp": NOW - 30}), Expired),
            (json!({"exp": NOW + 331}), TooLong),
            (json!({"exp": i64::MAX}), InvalidClaim),
            (json!({"exp": 1e300}), InvalidClaim),
            (json!({"exp": "soon"}), InvalidClaim),
            (json!({"exp": null}), InvalidClaim),
            (json!({"iat": NOW + 31}), NotYetValid),
            (json!({"iat": null}), InvalidClaim),
            (json!({"nbf": NOW + 31}), NotYetValid),
            (json!({"jti": null}), InvalidClaim),
            (json!({"jti": "short"}), InvalidClaim),
            (json!({"nonce": null}), InvalidClaim),
            (json!({"nonce": "too short"}), InvalidClaim),
            (json!({"role": {"boss": true}}), InvalidClaim),
            (json!({"role": ["staff", 7]}), InvalidClaim),
            (json!({"corpOpenId": ""}), InvalidClaim),
            (json!({"corpOpenId": 7}), InvalidClaim),
            (json!({"origin": false}), InvalidClaim),
        ] {
            assert_eq!(signer.judge(change.clone()), Err(expected), "{change}");
        }
        for good in [
            json!({"exp": NOW - 29}),
            json!({"exp": NOW + 330}),
            json!({"exp": NOW as f64 + 0.5}),
            json!({"iat": NOW + 30}),
            json!({"nbf": NOW + 30}),
        ] {
            assert!(signer.judge(good.clone()).is_ok(), "{good}");
        }
    }

    #[test]
    fn an_assertion_is_remembered_for_as_long_as_it_is_believed() {
        let statement = Signer::new().judge(json!({"exp": NOW + 100})).unwrap();
        assert_eq!(statement.worthless_at.timestamp(), NOW + 130);
    }

    #[test]
    fn where_the_key_lies_is_read_from_ids_alone() {
        let signer = Signer::new();
        let body = URL_SAFE_NO_PAD.encode(json!({"iss": signer.enterprise}).to_string());
        let of = |header: Value| claimed(&format!("{}.{body}.x", URL_SAFE_NO_PAD.encode(header.to_string())));
        assert!(of(json!({"kid": signer.id})).is_some());
        for header in [
            json!({}),
            json!({"kid": "../../etc/passwd"}),
            json!({"kid": "' OR 1=1 --"}),
            json!({"kid": signer.enterprise}),
            json!({"kid": [signer.id]}),
            json!({"kid": signer.id, "crit": ["exp"]}),
            json!({"kid": signer.id, "typ": "at+jwt"}),
        ] {
            assert_eq!(of(header.clone()), None, "{header}");
        }
        for garbage in ["", ".", "..", "a.b.c", &"x".repeat(9_000)] {
            assert_eq!(claimed(garbage), None);
        }
    }

    #[test]
    fn a_key_is_public_and_of_a_kind_that_is_known() {
        let (x, y) = (URL_SAFE_NO_PAD.encode([1; 32]), URL_SAFE_NO_PAD.encode([2; 32]));
        let n = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        let flaw = |jwk: Value| PublicKey::read(&jwk).map(|key| key.algorithm).map_err(|flaw| (flaw, jwk));
        for (jwk, algorithm) in [
            (json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "own", "use": "sig"}), Algorithm::EdDSA),
            (json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256"}), Algorithm::ES256),
            (json!({"kty": "RSA", "n": n(256), "e": "AQAB"}), Algorithm::RS256),
            (json!({"kty": "RSA", "n": n(256), "e": "AQAB", "alg": "PS256"}), Algorithm::PS256),
        ] {
            assert_eq!(flaw(jwk), Ok(algorithm));
        }
        for (jwk, expected) in [
            (json!({"kty": "OKP", "crv": "Ed25519", "x": x, "d": x}), KeyFlaw::Private),
            (json!({"kty": "RSA", "n": n(256), "e": "AQAB", "d": "AA", "p": "AA"}), KeyFlaw::Private),
            (json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "d": ""}), KeyFlaw::Private),
            (json!({"kty": "oct", "k": x}), KeyFlaw::Private),
            (json!({"kty": "oct"}), KeyFlaw::Kind),
            (json!({"kty": "EC", "crv": "secp256k1", "x": x, "y": y}), KeyFlaw::Kind),
            (json!({"kty": "OKP", "crv": "X25519", "x": x}), KeyFlaw::Kind),
            (json!({"kty": "RSA", "n": n(256), "e": "AQAB", "alg": "HS256"}), KeyFlaw::Kind),
            (json!({"kty": "RSA", "n": n(256), "e": "AQAB", "use": "enc"}), KeyFlaw::Kind),
            (json!({"kty": "RSA", "n": n(128), "e": "AQAB"}), KeyFlaw::Weak),
            (json!({"kty": "RSA", "n": n(256), "e": "AQ"}), KeyFlaw::Weak),
            (json!({"kty": "RSA", "n": "", "e": "AQAB"}), KeyFlaw::Weak),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), KeyFlaw::Form),
            (json!({"kty": "OKP", "crv": "Ed25519"}), KeyFlaw::Form),
            (json!("-----BEGIN PUBLIC KEY-----"), KeyFlaw::Form),
            (json!({"keys": []}), KeyFlaw::Form),
        ] {
            assert_eq!(flaw(jwk.clone()), Err((expected, jwk)));
        }
    }
}
