//! The relying party (`bridges::oidc`) against a certified provider, and against one that does not keep to the rules.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use minthouse::bridges::oidc::{Attempt, Callback, Flaw, IdToken, OidcError, Registration, RelyingParty, Start};
use minthouse::platform::clock::{Clock, ScriptedClock, SystemClock};
use minthouse::platform::outbound::OutboundError;
use minthouse::platform::randomness::SystemRandomness;
use minthouse::platform::vault::sha256;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::identity_provider::{IdentityProvider, browse, outbound};

/// What a provider may be asked again after.
const REST: TimeDelta = TimeDelta::seconds(5);

struct Party {
    party: RelyingParty,
    clock: ScriptedClock,
}

impl Party {
    /// Its clock stands still, at the time of the provider's.
    fn new() -> Self {
        let clock = ScriptedClock::at(SystemClock.now());
        Self { party: RelyingParty::new(outbound(), Arc::new(clock.clone()), Arc::new(SystemRandomness)), clock }
    }

    /// As far as the browser's return.
    async fn go(&self, registration: &Registration, user: &str) -> (Attempt, Callback) {
        let start = self.party.start(registration, Some(user)).await.unwrap();
        let back = browse(&start.address).await;
        assert_eq!(back.state, start.state);
        (attempt(&start), back.callback)
    }

    async fn sign_in(&self, registration: &Registration, user: &str) -> Result<IdToken, OidcError> {
        let (attempt, callback) = self.go(registration, user).await;
        self.party.finish(registration, &attempt, &callback).await
    }

    /// Signs alice in at a provider whose answer carries the token that `forge` makes of the nonce.
    async fn sign_in_with(
        &self,
        provider: &IdentityProvider,
        forge: impl Fn(&str) -> String,
    ) -> Result<IdToken, OidcError> {
        let registration = provider.registration();
        let start = self.party.start(&registration, Some("alice")).await.unwrap();
        let back = browse(&start.address).await;
        provider.control(json!({"nextIdToken": forge(&start.nonce)})).await;
        self.party.finish(&registration, &attempt(&start), &back.callback).await
    }

    /// Claims that would be good, were they the provider's.
    fn claims(&self, provider: &IdentityProvider, nonce: &str) -> Value {
        let now = self.clock.now().timestamp();
        json!({"iss": provider.issuer, "sub": "alice", "aud": "us", "nonce": nonce, "iat": now, "exp": now + 300})
    }
}

fn attempt(start: &Start) -> Attempt {
    Attempt { verifier: start.verifier.clone(), nonce_hash: sha256(start.nonce.as_bytes()) }
}

#[track_caller]
fn assert_flaw(outcome: Result<IdToken, OidcError>, expected: Flaw) {
    match outcome {
        Err(OidcError::Token(flaw)) => assert_eq!(flaw, expected),
        other => panic!("not an ID token with a flaw: {other:?}"),
    }
}

#[rstest]
#[case::rsa("RS256")]
#[case::rsa_pss("PS256")]
#[case::elliptic_curve("ES256")]
#[case::edwards_curve("EdDSA")]
#[tokio::test]
async fn somebody_signs_in_and_their_claims_arrive(#[case] algorithm: &str) {
    let provider = IdentityProvider::with(json!({ "algorithm": algorithm })).await;
    let party = Party::new();
    let token = party.sign_in(&provider.registration(), "alice").await.unwrap();
    assert_eq!((token.issuer.as_str(), token.subject.as_str()), (provider.issuer.as_str(), "alice"));
    assert_eq!(token.text("name"), Some("爱丽丝"));
    assert_eq!(token.text("corp_open_id"), Some("corp-1"));
    assert_eq!(token.texts("roles"), ["ADMIN", "FINANCE"]);
    assert_eq!(token.expires_at - token.issued_at, TimeDelta::seconds(300));

    let token = party.sign_in(&provider.registration(), "bob").await.unwrap();
    assert_eq!((token.subject.as_str(), token.texts("roles")), ("bob", vec!["AUDITOR"]));
    let asked = provider.asked().await;
    assert_eq!((asked.metadata, asked.keys, asked.token), (1, 1, 2), "metadata and keys are kept");
}

#[rstest]
#[case("client_secret_post")]
#[case("none")]
#[tokio::test]
async fn a_client_shows_who_it_is_as_the_provider_wants_it(#[case] authentication: &str) {
    let provider = IdentityProvider::with(json!({ "authentication": authentication })).await;
    let party = Party::new();
    let mut registration = provider.registration();
    registration.client_secret = registration.client_secret.filter(|_| authentication != "none");
    assert_eq!(party.sign_in(&registration, "alice").await.unwrap().subject, "alice");
}

#[tokio::test]
async fn a_wrong_secret_and_a_stranger_are_refused_by_the_provider() {
    let provider = IdentityProvider::start().await;
    let party = Party::new();
    let wrong = Registration { client_secret: Some("guess".into()), ..provider.registration() };
    let outcome = party.sign_in(&wrong, "alice").await;
    assert!(matches!(&outcome, Err(OidcError::CodeRefused(code)) if code == "invalid_client"), "{outcome:?}");
    let outcome = party.sign_in(&provider.registration(), "nobody").await;
    assert!(matches!(&outcome, Err(OidcError::Denied(code)) if code == "access_denied"), "{outcome:?}");
}

#[tokio::test]
async fn new_keys_are_learned_and_old_ones_forgotten() {
    let provider = IdentityProvider::start().await;
    let party = Party::new();
    let registration = provider.registration();
    party.sign_in(&registration, "alice").await.unwrap();

    provider.control(json!({"rotateKeys": true})).await;
    assert_flaw(party.sign_in(&registration, "alice").await, Flaw::UnknownKey);
    assert_eq!(provider.asked().await.keys, 1, "who was asked a moment ago is not asked again");
    party.clock.advance(REST);
    party.sign_in(&registration, "alice").await.unwrap();
    assert_eq!(provider.asked().await.keys, 2);

    // Without a token that needs them, new keys are asked for when the old ones are of age.
    provider.control(json!({"rotateKeys": true})).await;
    party.clock.advance(TimeDelta::minutes(15));
    provider.control(json!({"idTokenSeconds": 3600})).await;
    party.sign_in(&registration, "alice").await.unwrap();
    assert_eq!(provider.asked().await.keys, 3);
}

#[tokio::test]
async fn a_code_is_good_once_and_with_its_verifier_only() {
    let provider = IdentityProvider::start().await;
    let party = Party::new();
    let registration = provider.registration();
    let refused = |outcome: Result<IdToken, OidcError>| {
        assert!(matches!(&outcome, Err(OidcError::CodeRefused(code)) if code == "invalid_grant"), "{outcome:?}");
    };

    let (attempt, callback) = party.go(&registration, "alice").await;
    party.party.finish(&registration, &attempt, &callback).await.unwrap();
    refused(party.party.finish(&registration, &attempt, &callback).await);

    // Alice's code, slipped into the sign-in that bob's browser began: the verifier is bob's.
    let (_, stolen) = party.go(&registration, "alice").await;
    let (bobs, _) = party.go(&registration, "bob").await;
    refused(party.party.finish(&registration, &bobs, &stolen).await);

    // And a code that was given to another client.
    let (theirs, callback) = party.go(&provider.registration_of("them"), "alice").await;
    refused(party.party.finish(&registration, &theirs, &callback).await);
}

#[tokio::test]
async fn a_token_for_another_client_or_another_sign_in_is_refused() {
    let provider = IdentityProvider::start().await;
    let party = Party::new();
    // Real tokens, signed with the provider's key: caught on their way to where they belong.
    let caught = async |client_id: &str| {
        let registration = provider.registration_of(client_id);
        let start = party.party.start(&registration, Some("alice")).await.unwrap();
        let back = browse(&start.address).await;
        (id_token(&registration, &start, &back.callback).await, start)
    };
    let (theirs, start) = caught("them").await;
    let nonce_hash = sha256(start.nonce.as_bytes());
    let verified = party.party.verify(&provider.registration_of("them"), &theirs, &nonce_hash).await;
    assert_eq!(verified.unwrap().subject, "alice", "it is a good token for its own client");
    assert_flaw(party.party.verify(&provider.registration(), &theirs, &nonce_hash).await, Flaw::Audience);
    assert_flaw(party.sign_in_with(&provider, |_| theirs.clone()).await, Flaw::Audience);

    let (ours, _) = caught("us").await;
    assert_flaw(party.sign_in_with(&provider, |_| ours.clone()).await, Flaw::Nonce);
}

/// Exchanges a code as the client would, and gives the token unseen.
async fn id_token(registration: &Registration, start: &Start, callback: &Callback) -> String {
    let address = url::Url::parse(&format!("{}/token", registration.issuer)).unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", callback.code.as_deref().unwrap()),
        ("redirect_uri", &registration.redirect_uri),
        ("code_verifier", &start.verifier),
    ];
    let name: String = url::form_urlencoded::byte_serialize(registration.client_id.as_bytes()).collect();
    let secret: String =
        url::form_urlencoded::byte_serialize(registration.client_secret.as_deref().unwrap().as_bytes()).collect();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{secret}"));
    let authorization = http::HeaderValue::try_from(format!("Basic {basic}")).unwrap();
    let answer = outbound().post_form(&address, &form, Some(authorization)).await.unwrap();
    let tokens: Value = serde_json::from_slice(&answer.body).unwrap();
    tokens["id_token"].as_str().unwrap_or_else(|| panic!("no ID token in {tokens}")).to_owned()
}

#[tokio::test]
async fn a_token_that_has_expired_or_is_not_yet_valid_is_refused() {
    let provider = IdentityProvider::start().await;
    provider.control(json!({"idTokenSeconds": 1})).await;
    let party = Party::new();
    let registration = provider.registration();
    party.sign_in(&registration, "alice").await.unwrap();
    // Beyond its second, and the minute by which clocks may differ.
    party.clock.advance(TimeDelta::seconds(90));
    assert_flaw(party.sign_in(&registration, "alice").await, Flaw::Expired);
    party.clock.advance(TimeDelta::seconds(-180));
    assert_flaw(party.sign_in(&registration, "alice").await, Flaw::NotYet);
}

#[tokio::test]
async fn an_answer_of_another_provider_is_not_taken_for_this_ones() {
    let (honest, evil) = (IdentityProvider::start().await, IdentityProvider::start().await);
    let party = Party::new();
    let registration = honest.registration();
    // The browser was led astray: it comes back to the sign-in at the honest provider with the other one's answer.
    let (attempt, _) = party.go(&registration, "alice").await;
    let (_, strayed) = party.go(&evil.registration(), "alice").await;
    let before = honest.asked().await.token;
    let mixed_up = |outcome: Result<IdToken, OidcError>| {
        assert!(matches!(outcome, Err(OidcError::MixedUp)), "{outcome:?}");
    };
    mixed_up(party.party.finish(&registration, &attempt, &strayed).await);
    // This provider says that it names itself, so an answer without a name is not its own either.
    mixed_up(party.party.finish(&registration, &attempt, &Callback { iss: None, ..strayed.clone() }).await);
    // Nor is an error believed whose sender is unknown.
    let error = Callback { code: None, error: Some("access_denied".into()), ..strayed };
    mixed_up(party.party.finish(&registration, &attempt, &error).await);
    assert_eq!(honest.asked().await.token, before, "no code of the other one's was shown to it");
}

#[tokio::test]
async fn a_provider_cannot_speak_for_another_issuer() {
    let provider = IdentityProvider::start().await;
    // The same provider under another name of the same machine.
    let elsewhere =
        Registration { issuer: provider.issuer.replace("127.0.0.1", "localhost"), ..provider.registration() };
    let outcome = Party::new().party.start(&elsewhere, None).await.map(|_| ());
    assert!(matches!(outcome, Err(OidcError::OtherIssuer)), "{outcome:?}");
    let slash = Registration { issuer: format!("{}/", provider.issuer), ..provider.registration() };
    let outcome = Party::new().party.start(&slash, None).await.map(|_| ());
    assert!(matches!(outcome, Err(OidcError::OtherIssuer)), "{outcome:?}");
    // And what it says may not lead us to what we would not call.
    provider.control(json!({"nextMetadata": {"jwks_uri": "file:///etc/passwd"}})).await;
    let outcome = Party::new().party.start(&provider.registration(), None).await.map(|_| ());
    assert!(matches!(outcome, Err(OidcError::Unreachable(OutboundError::BadAddress(_)))), "{outcome:?}");
    // A token of the issuer's own that names another one.
    let party = Party::new();
    let other = IdentityProvider::start().await;
    let strange = other.registration();
    let start = party.party.start(&strange, Some("alice")).await.unwrap();
    let back = browse(&start.address).await;
    let token = id_token(&strange, &start, &back.callback).await;
    assert_flaw(party.sign_in_with(&provider, |_| token.clone()).await, Flaw::UnknownKey);
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let provider = IdentityProvider::start().await;
    let party = Party::new();
    let keys = provider.keys().await;
    let rsa = keys.iter().find(|key| key["kty"] == "RSA").expect("there is an RSA key");
    let kid = rsa["kid"].as_str().unwrap();
    party.sign_in(&provider.registration(), "alice").await.unwrap();

    let unsigned = |header: Value, nonce: &str| {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(header), part(party.claims(&provider, nonce)))
    };
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let forge = |nonce: &str| unsigned(json!({"alg": name, "kid": kid}), nonce);
        assert_flaw(party.sign_in_with(&provider, forge).await, Flaw::Algorithm);
    }
    let forge = |nonce: &str| unsigned(json!({"alg": "RS256", "kid": kid}), nonce);
    assert_flaw(party.sign_in_with(&provider, forge).await, Flaw::Signature);

    // HS256 with what everybody can read of the provider's key as the secret, and with the client's own secret.
    let published = rsa.to_string();
    let modulus = rsa["n"].as_str().unwrap();
    for secret in [published.as_bytes(), modulus.as_bytes(), crate::support::identity_provider::SECRET.as_bytes()] {
        let forge = |nonce: &str| {
            let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
            encode(&header, &party.claims(&provider, nonce), &EncodingKey::from_secret(secret)).unwrap()
        };
        assert_flaw(party.sign_in_with(&provider, forge).await, Flaw::Algorithm);
    }
    assert_eq!(provider.asked().await.keys, 2, "ours and this test's: no forgery made us ask for keys");
}

#[tokio::test]
async fn a_token_cannot_bring_its_own_key() {
    let provider = IdentityProvider::start().await;
    let party = Party::new();
    let keys = provider.keys().await;
    let edwards = keys.iter().find(|key| key["kty"] == "OKP").expect("there is an Ed25519 key");
    let theirs = edwards["kid"].as_str().unwrap();
    party.sign_in(&provider.registration(), "alice").await.unwrap();
    let asked = provider.asked().await.keys;

    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let own = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key()), "kid": "own"});
    let sign = |header: Value, nonce: &str| {
        let header: Header = serde_json::from_value(header).unwrap();
        encode(&header, &party.claims(&provider, nonce), &EncodingKey::from_ed_der(pkcs8.as_ref())).unwrap()
    };
    let address = format!("{}/jwks", provider.issuer);
    for (header, flaw) in [
        (json!({"alg": "EdDSA", "kid": "own", "jwk": own}), Flaw::UnknownKey),
        (json!({"alg": "EdDSA", "kid": "own", "jku": address, "x5u": address}), Flaw::UnknownKey),
        (json!({"alg": "EdDSA", "kid": "../../../../dev/null"}), Flaw::UnknownKey),
        (json!({"alg": "EdDSA", "kid": "' OR 1=1 --"}), Flaw::UnknownKey),
        (json!({"alg": "EdDSA", "kid": ""}), Flaw::UnknownKey),
        (json!({"alg": "EdDSA", "kid": theirs, "jwk": own}), Flaw::Signature),
        (json!({"alg": "EdDSA", "kid": theirs}), Flaw::Signature),
        // Without an ID, the one key of the kind is tried.
        (json!({"alg": "EdDSA", "jwk": own}), Flaw::Signature),
    ] {
        assert_flaw(party.sign_in_with(&provider, |nonce| sign(header.clone(), nonce)).await, flaw);
    }
    assert_eq!(provider.asked().await.keys, asked, "invented keys are not asked for as long as the clock stands still");
    party.clock.advance(REST);
    for _ in 0..3 {
        let forge = |nonce: &str| sign(json!({"alg": "EdDSA", "kid": "own"}), nonce);
        assert_flaw(party.sign_in_with(&provider, forge).await, Flaw::UnknownKey);
    }
    assert_eq!(provider.asked().await.keys, asked + 1, "and once afterwards");
}

#[tokio::test]
async fn a_provider_that_is_down_is_left_in_peace_for_a_while() {
    let provider = IdentityProvider::start().await;
    let party = Party::new();
    let registration = provider.registration();
    provider.control(json!({"nextMetadata": {"issuer": "http://127.0.0.1:1"}})).await;
    let begin = async || party.party.start(&registration, None).await.map(|_| ());
    assert!(matches!(begin().await, Err(OidcError::OtherIssuer)));
    assert!(matches!(begin().await, Err(OidcError::Resting)));
    assert_eq!(provider.asked().await.metadata, 1);
    party.clock.advance(REST);
    begin().await.unwrap();
    assert_eq!(provider.asked().await.metadata, 2);
}
