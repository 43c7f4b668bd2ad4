//! Access tokens: JWTs signed with Ed25519, short-lived, verified against pinned algorithm, issuer and audience.
//!
//! A token says who somebody was when it was made. Whether that still holds (the session, the enterprise, the client)
//! is for `standing.rs` to say, at every request.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::platform::clock::Clock;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::platform::secrets::Secrets;
use crate::tenancy::model::{ApiClientId, ApiClientSecretId, EnterpriseId, HolderId, OperatorId, SessionId};
use crate::tenancy::permission::{Permissions, Role};
use crate::tenancy::scope::PersonKey;

pub const ISSUER: &str = "minthouse";
pub const AUDIENCE: &str = "minthouse-api";

/// How far two machines' clocks may lie apart.
const LEEWAY_SECONDS: i64 = 5;

/// No access token lives longer. A session that was revoked longer ago than this needs no watching any more.
pub const LONGEST_LIFE: TimeDelta = TimeDelta::hours(1);

/// Whom a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Identity {
    Operator {
        operator: OperatorId,
        role: Role,
    },
    Holder {
        holder: HolderId,
    },
    House {
        operator: OperatorId,
        role: Role,
    },
    /// A machine of the enterprise. The secret that it showed is named, so that revoking that one ends its tokens.
    Client {
        client: ApiClientId,
        secret: ApiClientSecretId,
        scope: Permissions,
    },
    /// Somebody of the partner, acting for the branch that the token is for.
    Partner {
        partner: EnterpriseId,
        /// The partner's operator.
        actor: OperatorId,
        scope: Permissions,
        /// How often the branch had been disabled when the token was made: the next time ends it for good.
        disabled: i32,
    },
    /// The same for a machine of the partner.
    PartnerClient {
        partner: EnterpriseId,
        client: ApiClientId,
        secret: ApiClientSecretId,
        scope: Permissions,
        disabled: i32,
    },
    /// One person across enterprises. The token is for no enterprise: `tenant` is the nil ID.
    Person {
        #[serde(with = "person_key")]
        person: PersonKey,
    },
}

mod person_key {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::tenancy::scope::PersonKey;

    pub fn serialize<S: Serializer>(key: &PersonKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(key.0))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PersonKey, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(&*text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(PersonKey).ok_or_else(|| serde::de::Error::custom("that is no person's key"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    pub sub: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    pub jti: Uuid,
    /// The enterprise.
    pub tenant: EnterpriseId,
    /// The session that it was made in, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    #[serde(flatten)]
    pub identity: Identity,
}

impl Identity {
    /// A machine's token says what the machine might do when it was made; `present` is what it may do today.
    pub fn narrow_to(&mut self, present: Permissions) {
        if let Self::Client { scope, .. } | Self::PartnerClient { scope, .. } = self {
            *scope = scope.and(present);
        }
    }
}

/// Signs and verifies.
pub struct Tokens {
    clock: Arc<dyn Clock>,
    signing: (String, EncodingKey),
    verifying: HashMap<String, DecodingKey>,
    jwks: Value,
}

impl Tokens {
    pub fn new(secrets: &Secrets, clock: Arc<dyn Clock>) -> Result<Self> {
        let mut signing = None;
        let (mut verifying, mut keys) = (HashMap::new(), Vec::new());
        for key in &secrets.signing_keys {
            let pkcs8 = key.pkcs8()?;
            let pair =
                Ed25519KeyPair::from_pkcs8(&pkcs8).ok().context("a signing key in the secrets is no Ed25519 key")?;
            let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
            verifying.insert(key.kid.clone(), DecodingKey::from_ed_components(&x)?);
            keys.push(json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid, "x": x}));
            signing.get_or_insert((key.kid.clone(), EncodingKey::from_ed_der(&pkcs8)));
        }
        let signing = signing.context("the secrets hold no signing key")?;
        Ok(Self { clock, signing, verifying, jwks: json!({ "keys": keys }) })
    }

    /// The public keys, as `/.well-known/jwks.json` shows them (RFC 7517, RFC 8037).
    pub fn jwks(&self) -> &Value {
        &self.jwks
    }

    /// The time that tokens are made and judged by.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A token for `life`, at most [`LONGEST_LIFE`]. Gives the token and when it ends.
    pub fn mint(
        &self,
        tenant: EnterpriseId,
        identity: Identity,
        session: Option<SessionId>,
        life: TimeDelta,
    ) -> Result<(String, i64), Fault> {
        let (now, life) = (self.clock.now().timestamp(), life.min(LONGEST_LIFE));
        let sub = match &identity {
            Identity::Operator { operator, .. } | Identity::House { operator, .. } => operator.to_string(),
            Identity::Holder { holder } => holder.to_string(),
            Identity::Client { client, .. } | Identity::PartnerClient { client, .. } => client.to_string(),
            Identity::Partner { actor, .. } => actor.to_string(),
            Identity::Person { person } => URL_SAFE_NO_PAD.encode(&person.0[..16]),
        };
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub,
            iat: now,
            nbf: now,
            exp: now + life.num_seconds(),
            jti: id::generate(),
            tenant,
            sid: session,
            identity,
        };
        let header = Header { kid: Some(self.signing.0.clone()), ..Header::new(Algorithm::EdDSA) };
        let token = encode(&header, &claims, &self.signing.1).map_err(Fault::internal)?;
        Ok((token, claims.exp))
    }

    pub fn verify(&self, token: &str) -> Result<Claims, Fault> {
        let header =
            decode_header(token).map_err(|_| Fault::unauthenticated("令牌不是 JWT", "the token is not a JWT"))?;
        let kid = header.kid.ok_or(Fault::unauthenticated("令牌未指明密钥", "the token names no key"))?;
        let key = self
            .verifying
            .get(&kid)
            .ok_or(Fault::unauthenticated("令牌的密钥不属于本服务", "the token's key is not ours"))?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        // The library reads the machine's clock; ours can be scripted, so the times are judged below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = decode::<Claims>(token, key, &validation)
            .map_err(|_| {
                Fault::unauthenticated(
                    "令牌的签名、签发方或受众不正确",
                    "the token's signature, issuer or audience is wrong",
                )
            })?
            .claims;
        let now = self.clock.now().timestamp();
        if now >= claims.exp + LEEWAY_SECONDS {
            return Err(Fault::unauthenticated("令牌已过期", "the token has expired"));
        }
        if now + LEEWAY_SECONDS < claims.nbf {
            return Err(Fault::unauthenticated("令牌尚未生效", "the token is not valid yet"));
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::clock::ScriptedClock;
    use crate::platform::randomness::SeededRandomness;

    fn tokens() -> (Tokens, ScriptedClock, Secrets) {
        let secrets = Secrets::generate(&SeededRandomness::new(1)).unwrap();
        let clock = ScriptedClock::at("2026-01-01T00:00:00Z".parse().unwrap());
        (Tokens::new(&secrets, Arc::new(clock.clone())).unwrap(), clock, secrets)
    }

    fn holder() -> Identity {
        Identity::Holder { holder: HolderId::generate() }
    }

    #[test]
    fn a_token_lives_as_long_as_it_says() {
        let (tokens, clock, _) = tokens();
        let tenant = EnterpriseId::generate();
        let (token, _) = tokens.mint(tenant, holder(), None, TimeDelta::minutes(10)).unwrap();
        assert_eq!(tokens.verify(&token).unwrap().tenant, tenant);
        clock.advance(TimeDelta::seconds(604));
        assert!(tokens.verify(&token).is_ok());
        clock.advance(TimeDelta::seconds(1));
        assert!(
            matches!(tokens.verify(&token), Err(Fault::Unauthenticated(why)) if why.english == "the token has expired")
        );
    }

    #[test]
    fn a_token_from_tomorrow_is_refused() {
        let (tokens, clock, _) = tokens();
        clock.advance(TimeDelta::days(1));
        let (token, _) = tokens.mint(EnterpriseId::generate(), holder(), None, TimeDelta::minutes(9)).unwrap();
        clock.advance(TimeDelta::days(-1));
        assert!(
            matches!(tokens.verify(&token), Err(Fault::Unauthenticated(why)) if why.english == "the token is not valid yet")
        );
    }

    #[test]
    fn other_keys_algorithms_and_audiences_are_refused() {
        let (tokens, _, secrets) = tokens();
        let (stranger, _, _) = self::tokens();
        let (foreign, _) = stranger.mint(EnterpriseId::generate(), holder(), None, TimeDelta::minutes(1)).unwrap();
        assert!(tokens.verify(&foreign).is_err());

        let (good, _) = tokens.mint(EnterpriseId::generate(), holder(), None, TimeDelta::minutes(1)).unwrap();
        let claims: Claims = tokens.verify(&good).unwrap();
        let kid = secrets.signing_keys[0].kid.clone();

        // HS256 with the public key as its secret, the classic confusion.
        let x = tokens.jwks()["keys"][0]["x"].as_str().unwrap().to_owned();
        let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
        let confused = encode(&header, &claims, &EncodingKey::from_secret(x.as_bytes())).unwrap();
        assert!(tokens.verify(&confused).is_err());

        let none = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"none","kid":"{kid}"}}"#)),
            good.split('.').nth(1).unwrap()
        );
        assert!(tokens.verify(&none).is_err());

        let key = EncodingKey::from_ed_der(&secrets.signing_keys[0].pkcs8().unwrap());
        for (iss, aud) in [("elsewhere", AUDIENCE), (ISSUER, "other-api")] {
            let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
            let wrong = Claims { iss: iss.into(), aud: aud.into(), ..claims.clone() };
            assert!(tokens.verify(&encode(&header, &wrong, &key).unwrap()).is_err(), "{iss} {aud}");
        }
    }
}
