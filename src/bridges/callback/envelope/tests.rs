use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::platform::randomness::SystemRandomness;

const TOKEN: &str = "spamtest";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const DIGESTS: [Digest; 2] = [Digest::Sha1, Digest::Sha256];

fn keys() -> Keys {
    Keys::new(TOKEN, KEY).unwrap()
}

fn stamp() -> Stamp {
    Stamp { at: at(1_721_383_573), nonce: "1320562132".to_owned(), random: *b"0123456789abcdef" }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// The file of the folder in `MINTHOUSE_VECTORS`, or of `tests/vectors`.
fn vectors() -> Value {
    let folder = std::env::var_os("MINTHOUSE_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"), PathBuf::from);
    let path = folder.join("a_msg_crypt.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The members of a section, which has some.
fn section<'a>(vectors: &'a Value, name: &str) -> &'a [Value] {
    let members = vectors[name].as_array().unwrap_or_else(|| panic!("a list of {name}"));
    assert!(!members.is_empty(), "there are no {name}");
    members
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} of {}", case["name"]))
}

fn keys_of(case: &Value) -> Keys {
    let keys = Keys::new(text(case, "token"), text(case, "encoding_aes_key")).unwrap();
    match text(case, "app_id") {
        "" => keys,
        app_id => keys.with_trailing_id(app_id).unwrap(),
    }
}

fn envelope_of(case: &Value, signature: &str) -> Envelope {
    Envelope {
        timestamp: text(case, "timestamp").to_owned(),
        nonce: text(case, "nonce").to_owned(),
        signature: text(case, signature).to_owned(),
        msg_encrypt: text(case, "msg_encrypt").to_owned(),
    }
}

#[test]
fn every_section_of_the_vectors_has_a_reader() {
    let vectors = vectors();
    for (name, value) in vectors.as_object().unwrap() {
        let known = ["cases", "negative", "published_samples"].contains(&&**name);
        assert!(known || !value.is_array(), "nobody reads {name}");
    }
}

#[test]
fn every_vector_of_the_envelope_holds() {
    for case in section(&vectors(), "cases") {
        let name = &case["name"];
        let keys = keys_of(case);
        assert_eq!(hex(&keys.key), text(case, "aes_key_hex"), "{name}");
        assert_eq!(hex(&keys.initial_vector()), text(case, "iv_hex"), "{name}");
        let message = text(case, "plaintext").as_bytes();
        let seconds = text(case, "timestamp").parse().unwrap();
        let random = text(case, "random16").as_bytes().try_into().unwrap();
        let stamp = Stamp { at: at(seconds), nonce: text(case, "nonce").to_owned(), random };
        for (digest, signature) in DIGESTS.into_iter().zip(["signature_sha1", "signature_sha256_variant"]) {
            let keys = keys.clone().with_digest(digest);
            let envelope = envelope_of(case, signature);
            assert_eq!(keys.seal(&stamp, message), envelope, "{name}");
            assert_eq!(keys.open(&envelope).as_deref(), Ok(message), "{name}");
            let other = DIGESTS.into_iter().find(|other| *other != digest).unwrap();
            assert_eq!(keys.with_digest(other).open(&envelope), Err(OpenError::BadSignature), "{name}");
        }
        if case["request_body"].is_object() {
            let sent = serde_json::to_value(keys.seal(&stamp, message)).unwrap();
            assert_eq!(sent, case["request_body"], "{name}");
            let received: Envelope = serde_json::from_value(case["request_body"].clone()).unwrap();
            assert_eq!(keys.open(&received).as_deref(), Ok(message), "{name}");
        }
    }
}

#[test]
fn every_negative_vector_of_the_envelope_is_refused() {
    for case in section(&vectors(), "negative") {
        let outcome = keys_of(case).open(&envelope_of(case, "signature"));
        match text(case, "expect") {
            "ok" => assert!(outcome.is_ok(), "{} {outcome:?}", case["name"]),
            "bad_signature" => assert_eq!(outcome, Err(OpenError::BadSignature), "{}", case["name"]),
            "bad_app_id" => assert_eq!(outcome, Err(OpenError::BadTrailingId), "{}", case["name"]),
            "reject" => assert!(outcome.is_err(), "{}", case["name"]),
            other => panic!("{}: nobody knows what {other} is", case["name"]),
        }
    }
}

#[test]
fn every_published_vector_of_the_envelope_opens() {
    for case in section(&vectors(), "published_samples") {
        let opened = keys_of(case).open(&envelope_of(case, "signature"));
        assert_eq!(opened.as_deref(), Ok(text(case, "plaintext").as_bytes()), "{}", case["name"]);
    }
}

#[test]
fn keys_say_what_is_wrong_with_them_and_show_nothing() {
    for token in ["", "ab", &"a".repeat(129), "with space", "中文中文"] {
        assert_eq!(Keys::new(token, KEY).unwrap_err(), BadKeys::Token, "{token}");
    }
    for (key, expected) in [
        (format!("{KEY}="), BadKeys::KeyLength(44)),
        (String::new(), BadKeys::KeyLength(0)),
        (KEY.replace('a', "-"), BadKeys::KeyLetters),
        (KEY.replace('a', "="), BadKeys::KeyLetters),
        ("密".repeat(43), BadKeys::KeyLetters),
    ] {
        assert_eq!(Keys::new(TOKEN, &key).unwrap_err(), expected, "{key}");
    }
    assert_eq!(keys().with_trailing_id("").unwrap_err(), BadKeys::TrailingId);
    let keys = keys().with_trailing_id("wx1").unwrap();
    assert_eq!(format!("{keys:?}"), r#"Keys { trailing_id: "wx1", digest: Sha1, .. }"#);
    let envelope = keys.seal(&stamp(), b"{}");
    assert_eq!(format!("{envelope:?}"), r#"Envelope { timestamp: "1721383573", .. }"#);
}

#[test]
fn two_letters_that_differ_in_spare_bits_make_one_key() {
    let (clean, spare) = (format!("{}E", &KEY[..42]), format!("{}G", &KEY[..42]));
    assert_eq!(Keys::new(TOKEN, &clean).unwrap().key, Keys::new(TOKEN, &spare).unwrap().key);
}

#[test]
fn an_envelope_is_fresh_for_five_minutes_before_and_after() {
    let mut envelope = keys().seal(&stamp(), b"{}");
    for (off, fresh) in
        [(0, true), (300, true), (-300, true), (301, false), (-301, false), (i64::from(u32::MAX), false)]
    {
        assert_eq!(envelope.is_fresh(at(1_721_383_573 + off)), fresh, "{off}");
    }
    for timestamp in ["", "now", "1721383573000", "+1721383573", "-1", " 1721383573", "1721383573.0", &"9".repeat(40)] {
        envelope.timestamp = timestamp.to_owned();
        assert!(!envelope.is_fresh(at(1_721_383_573)), "{timestamp}");
    }
}

/// An envelope whose text is padded, or not, by whoever asks.
fn encrypted(text: &[u8]) -> Envelope {
    let (mut text, keys) = (text.to_vec(), keys());
    let length = text.len();
    cbc::Encryptor::<Aes256>::new(&keys.key.into(), &keys.initial_vector().into())
        .encrypt_padded::<NoPadding>(&mut text, length)
        .unwrap();
    signed(STANDARD.encode(text))
}

fn signed(msg_encrypt: String) -> Envelope {
    let (timestamp, nonce) = ("1721383573".to_owned(), "1".to_owned());
    let signature = keys().sign(&timestamp, &nonce, &msg_encrypt);
    Envelope { timestamp, nonce, signature, msg_encrypt }
}

#[test]
fn whoever_knows_the_keys_can_still_be_wrong() {
    let keys = keys();
    let block = |padding: &[u8]| {
        let clear = [&[0; 20][..], &[1; 12]].concat();
        [&clear[..32 - padding.len()], padding].concat()
    };
    let good = block(&[12; 12]);
    assert_eq!(keys.open(&encrypted(&good)).as_deref(), Ok(&b""[..]));
    for (text, why) in [
        (block(&[0]), "padding of nothing"),
        (block(&[33; 12]), "padding beyond a block"),
        (block(&[2, 12]), "padding of two kinds"),
        (vec![32; 32], "nothing but padding"),
        (vec![16; 16], "padding of blocks of 16"),
        ([&[0; 32][..], &[16; 16]].concat(), "whole blocks of 16"),
        ([&[0; 10][..], &[22; 22]].concat(), "too short for its random bytes"),
        ([&[0; 18][..], &[14; 14]].concat(), "too short for its length"),
        ([&[255; 20][..], &[12; 12]].concat(), "a length of 4 GiB"),
    ] {
        assert!(matches!(keys.open(&encrypted(&text)), Err(OpenError::Malformed(_))), "{why}");
    }
    for text in ["", "=", "AAA", "not base64", "AAAA AAAA", &"A".repeat(1_000)] {
        assert!(matches!(keys.open(&signed(text.to_owned())), Err(OpenError::Malformed(_))), "{text}");
    }
    let long = Stamp { nonce: "1".repeat(129), ..stamp() };
    assert!(matches!(keys.open(&keys.seal(&long, b"{}")), Err(OpenError::Malformed(_))));
}

#[test]
fn stamps_are_never_the_same() {
    let randomness: &dyn Randomness = &SystemRandomness;
    let [first, second] = [0, 0].map(|seconds| Stamp::new(at(seconds), randomness));
    assert_eq!(first.nonce.len(), 32);
    assert!(first.nonce != second.nonce && first.random != second.random);
}

fn profiles() -> impl Strategy<Value = Keys> {
    (prop::option::of("[a-z0-9]{1,40}"), any::<bool>()).prop_map(|(id, longer)| {
        let keys = keys().with_digest(DIGESTS[usize::from(longer)]);
        match id {
            Some(id) => keys.with_trailing_id(&id).unwrap(),
            None => keys,
        }
    })
}

/// Puts another letter in one place.
fn flip(text: &mut String, at: prop::sample::Index, letter: char) -> bool {
    let at = at.index(text.len());
    let changed = !text[at..].starts_with(letter);
    text.replace_range(at..=at, &letter.to_string());
    changed
}

proptest! {
    #[test]
    fn whatever_is_sealed_opens_as_it_was(keys in profiles(), message in any::<Vec<u8>>(), random in any::<[u8; 16]>()) {
        let envelope = keys.seal(&Stamp { random, ..stamp() }, &message);
        prop_assert_eq!(keys.open(&envelope), Ok(message));
        prop_assert!(envelope.is_fresh(stamp().at));
    }

    #[test]
    fn one_changed_letter_closes_it(
        keys in profiles(),
        message in any::<Vec<u8>>(),
        field in 0..4_usize,
        at in any::<prop::sample::Index>(),
        letter in "[ -~]".prop_map(|text| text.chars().next().unwrap()),
    ) {
        let mut envelope = keys.seal(&stamp(), &message);
        let Envelope { timestamp, nonce, signature, msg_encrypt } = &mut envelope;
        let changed = flip([timestamp, nonce, signature, msg_encrypt][field], at, letter);
        prop_assume!(changed);
        prop_assert_eq!(keys.open(&envelope), Err(OpenError::BadSignature));
    }

    #[test]
    fn an_id_is_not_taken_for_another(message in any::<Vec<u8>>(), id in "[a-z]{1,20}", other in "[a-z]{0,20}") {
        prop_assume!(id != other);
        let envelope = keys().with_trailing_id(&id).unwrap().seal(&stamp(), &message);
        let reader = if other.is_empty() { keys() } else { keys().with_trailing_id(&other).unwrap() };
        prop_assert_eq!(reader.open(&envelope), Err(OpenError::BadTrailingId));
    }

    #[test]
    fn signed_garbage_is_refused_in_peace(bytes in prop::collection::vec(any::<u8>(), 0..200), whole in any::<bool>()) {
        let mut bytes = bytes;
        if whole {
            bytes.resize(bytes.len().next_multiple_of(32), 0);
        }
        prop_assert!(keys().open(&signed(STANDARD.encode(bytes))).is_err());
    }

    #[test]
    fn garbage_is_refused_in_peace(fields in any::<[String; 4]>(), now in any::<i32>()) {
        let [timestamp, nonce, signature, msg_encrypt] = fields;
        let envelope = Envelope { timestamp, nonce, signature, msg_encrypt };
        prop_assert!(keys().open(&envelope).is_err());
        let _ = envelope.is_fresh(at(now.into()));
    }
}
