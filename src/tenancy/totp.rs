//! One-time passwords of an authenticator app (RFC 6238), and recovery codes for when the phone is lost.
//!
//! These are the parameters that every app understands: SHA-1, steps of 30 seconds, six digits. Written over the HMAC
//! that is in the house already: it is a page of code with published vectors, where the crate `totp-rs` would bring a
//! second implementation of SHA-1 and HMAC, and neither takes the time from `platform::clock` nor says which step a code
//! was of, without which a code could be used twice.
//!
//! The caller keeps the secret sealed, and the last step that was accepted; see [`Secret::accept`]. Guessing is for
//! `platform::throttle` to slow down: of a million codes three are good at any time.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use chrono::{DateTime, Utc};
use data_encoding::BASE32_NOPAD;
use uuid::Uuid;

use crate::platform::randomness::Randomness;
use crate::platform::vault::SealingKey;

const STEP_SECONDS: i64 = 30;
const DIGITS: usize = 6;

/// How many steps early or late a code may be: clocks differ, and people type slowly.
const TOLERANCE: i64 = 1;

/// 160 bits, as long as the hash (RFC 4226, section 4, R6).
const SECRET_BYTES: usize = 20;

pub const RECOVERY_CODES: usize = 10;

/// No vowels but `a` and `e`, and nothing that is taken for something else: Crockford's.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What the app and the house both know.
#[derive(Clone)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    pub fn generate(randomness: &dyn Randomness) -> Self {
        Self(randomness.bytes())
    }

    /// Reads what [`Self::expose`] gave; `None` where it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The raw bytes, for sealing.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// For typing into an app that cannot scan.
    pub fn to_base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// What is shown as a QR code, in the form that Google Authenticator's wiki calls the Key URI Format.
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        // A colon separates the two in the label, even an encoded one.
        let (issuer, account) = (encode(&issuer.replace(':', " ")), encode(&account.replace(':', " ")));
        let secret = self.to_base32();
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
        )
    }

    /// The step that `code` is good for at this time, which the caller keeps as the next `last_step`, in the transaction
    /// in which it read the one given here. No code of that step or of one before it is accepted again (RFC 6238,
    /// section 5.2). Before the first acceptance `last_step` is 0.
    pub fn accept(&self, code: &str, now: DateTime<Utc>, last_step: i64) -> Option<i64> {
        let code: String = code.chars().filter(|character| !character.is_whitespace()).collect();
        let present = step_at(now);
        let mut accepted = None;
        // All of them are tried in any case, so that the time taken tells nothing.
        for step in present - TOLERANCE..=present + TOLERANCE {
            let right = constant_time::verify_slices_are_equal(self.code_of(step).as_bytes(), code.as_bytes()).is_ok();
            if right && step > last_step {
                accepted = Some(step);
            }
        }
        accepted
    }

    fn code_of(&self, step: i64) -> String {
        let number = truncated(&self.0, step.unsigned_abs()) % 10_u32.pow(DIGITS as u32);
        format!("{number:0DIGITS$}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

fn step_at(now: DateTime<Utc>) -> i64 {
    now.timestamp().div_euclid(STEP_SECONDS)
}

/// RFC 4226, section 5.3: 31 bits of the tag, from where its last four bits point to.
fn truncated(secret: &[u8], counter: u64) -> u32 {
    // SHA-1 is broken for signatures, not for this: HMAC does not rest on collisions being hard to find.
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret), &counter.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0xf);
    let word = [tag[offset], tag[offset + 1], tag[offset + 2], tag[offset + 3]];
    u32::from_be_bytes(word) & 0x7fff_ffff
}

/// RFC 3986's percent encoding of everything that is not unreserved.
fn encode(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}").expect("a String takes every write"),
        }
        encoded
    })
}

/// Ten codes, each good once in place of a one-time password. They are shown once; only [`hash_recovery_code`] is kept.
/// 80 bits each, beyond what NIST SP 800-63B lets be guessed without a throttle (64).
pub fn recovery_codes(randomness: &dyn Randomness) -> Vec<String> {
    let code = || {
        let bytes = randomness.bytes::<16>();
        let letters: Vec<u8> = bytes.iter().map(|byte| ALPHABET[usize::from(byte & 31)]).collect();
        let groups: Vec<_> = letters.chunks(4).map(String::from_utf8_lossy).collect();
        groups.join("-")
    };
    (0..RECOVERY_CODES).map(|_| code()).collect()
}

/// What is kept of an operator's recovery code: a keyed hash, so that the database alone tells nothing about it. However
/// it was typed: case, spaces, hyphens, and the letters that the alphabet leaves out make no difference.
pub fn hash_recovery_code(master_key: &SealingKey, operator: Uuid, code: &str) -> [u8; 32] {
    let code = code.chars().filter(char::is_ascii_alphanumeric).map(|letter| match letter.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    });
    let code: String = code.collect();
    master_key.derive("recovery codes").hash(&operator.simple().to_string(), code.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::platform::randomness::SeededRandomness;

    /// The secret of both RFCs' vectors.
    const PUBLISHED: &[u8; SECRET_BYTES] = b"12345678901234567890";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    // RFC 4226, appendix D.
    #[test]
    fn truncation_agrees_with_its_rfc() {
        let published = [
            1_284_755_224,
            1_094_287_082,
            137_359_152,
            1_726_969_429,
            1_640_338_314,
            868_254_676,
            1_918_287_922,
            82_162_583,
            673_399_871,
            645_520_489,
        ];
        for (counter, number) in published.into_iter().enumerate() {
            assert_eq!(truncated(PUBLISHED, counter as u64), number);
        }
    }

    // RFC 6238, appendix B, which has eight digits of the same number.
    #[test]
    fn codes_agree_with_their_rfc() {
        for (seconds, eight) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let step = step_at(at(seconds));
            assert_eq!(format!("{:08}", truncated(PUBLISHED, step.unsigned_abs()) % 100_000_000), eight);
            let secret = Secret(*PUBLISHED);
            assert_eq!(secret.accept(&eight[2..], at(seconds), 0), Some(step));
            assert_eq!(secret.accept(eight, at(seconds), 0), None, "it has six digits");
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_and_late_and_no_more() {
        let secret = Secret(*PUBLISHED);
        let (step, code) = (37_037_037, "050471");
        for (seconds, accepted) in [
            (1_111_111_079, None),
            (1_111_111_080, Some(step)),
            (1_111_111_139, Some(step)),
            (1_111_111_140, Some(step)),
            (1_111_111_169, Some(step)),
            (1_111_111_170, None),
        ] {
            assert_eq!(secret.accept(code, at(seconds), 0), accepted, "{seconds}");
        }
    }

    #[test]
    fn no_code_is_good_twice_nor_one_from_before() {
        let secret = Secret(*PUBLISHED);
        let (now, code) = (at(1_111_111_111), "050471");
        let step = secret.accept(code, now, 0).expect("it is of this step");
        assert_eq!(secret.accept(code, now, step), None);
        let before = secret.code_of(step - 1);
        assert_eq!(secret.accept(&before, now, 0), Some(step - 1));
        assert_eq!(secret.accept(&before, now, step), None);
        let next = secret.code_of(step + 1);
        assert_eq!(secret.accept(&next, now, step), Some(step + 1));
    }

    #[test]
    fn codes_may_be_typed_as_they_are_shown_and_nothing_else_passes() {
        let (secret, now) = (Secret(*PUBLISHED), at(1_111_111_111));
        assert!(secret.accept(" 050 471\n", now, 0).is_some());
        for wrong in ["", "50471", "050472", "0504710", "05047١", "-50471", "+50471"] {
            assert_eq!(secret.accept(wrong, now, 0), None, "{wrong}");
        }
    }

    #[test]
    fn the_address_is_what_authenticator_apps_read() {
        let secret = Secret(*b"Hello!\xde\xad\xbe\xef1234567890");
        assert_eq!(secret.to_base32(), "JBSWY3DPEHPK3PXPGEZDGNBVGY3TQOJQ");
        // As the Key URI Format's own example is made.
        assert_eq!(
            secret.uri("ACME Co", "john.doe@email.com"),
            "otpauth://totp/ACME%20Co:john.doe%40email.com?secret=JBSWY3DPEHPK3PXPGEZDGNBVGY3TQOJQ&issuer=ACME%20Co&algorithm=SHA1&digits=6&period=30"
        );
        let strange = secret.uri("造物:局&x=1", "a:b");
        let address = url::Url::parse(&strange).expect("it is an address");
        assert_eq!(address.path().matches(':').count(), 1);
        let queried: Vec<(String, String)> = address.query_pairs().into_owned().collect();
        assert_eq!(queried[1], ("issuer".to_owned(), "造物 局&x=1".to_owned()));
        assert_eq!(queried.len(), 5);
    }

    #[test]
    fn secrets_differ_come_back_and_are_not_printed() {
        let randomness: &dyn Randomness = &SeededRandomness::new(1);
        let (one, other) = (Secret::generate(randomness), Secret::generate(randomness));
        assert_ne!(one.expose(), other.expose());
        assert_eq!(Secret::from_bytes(one.expose()).expect("it has its length").expose(), one.expose());
        assert!(Secret::from_bytes(&one.expose()[1..]).is_none());
        assert!(!format!("{one:?}").contains(&one.to_base32()));
        assert_eq!(format!("{one:?}"), "Secret(…)");
    }

    #[test]
    fn recovery_codes_are_ten_and_found_however_they_are_typed() {
        let codes = recovery_codes(&SeededRandomness::new(1));
        assert_eq!(codes.iter().collect::<HashSet<_>>().len(), RECOVERY_CODES);
        for code in &codes {
            assert_eq!(code.len(), 19);
            assert!(
                code.split('-').all(|group| group.len() == 4 && group.bytes().all(|byte| ALPHABET.contains(&byte)))
            );
        }
        let (key, operator) = (SealingKey::new([1; 32]), Uuid::from_u128(1));
        let hash = |code: &str| hash_recovery_code(&key, operator, code);
        assert_eq!(hash("01ab-cdef-ghjk-mnpq"), hash(" OIAB CDEF GHJK MNPQ "));
        assert_eq!(hash("01ab-cdef-ghjk-mnpq"), hash("oLabcdefghjkmnpq"));
        assert_ne!(hash(&codes[0]), hash(&codes[1]));
        assert_ne!(
            hash(&codes[0]),
            hash_recovery_code(&key, Uuid::from_u128(2), &codes[0]),
            "each operator's are apart"
        );
        assert_ne!(hash(&codes[0]), hash_recovery_code(&SealingKey::new([2; 32]), operator, &codes[0]));
    }

    proptest! {
        #[test]
        fn only_the_three_codes_of_the_window_pass(bytes: [u8; SECRET_BYTES], seconds in 0i64..4_000_000_000, guess in 0u32..1_000_000) {
            let (secret, present) = (Secret(bytes), step_at(at(seconds)));
            let guess = format!("{guess:06}");
            let good: Vec<i64> = (present - 1..=present + 1).filter(|step| secret.code_of(*step) == guess).collect();
            prop_assert_eq!(secret.accept(&guess, at(seconds), -9), good.last().copied());
        }

        #[test]
        fn steps_only_rise(bytes: [u8; SECRET_BYTES], seconds in 60i64..4_000_000_000, offset in -1i64..=1, last in -3i64..=3) {
            let (secret, present) = (Secret(bytes), step_at(at(seconds)));
            let code = secret.code_of(present + offset);
            if let Some(step) = secret.accept(&code, at(seconds), present + last) {
                prop_assert!(step > present + last);
            }
        }
    }
}
