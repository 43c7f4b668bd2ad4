//! Secrets and what is done with them: sealing personal data, hashing it for search, deriving keys.
//!
//! One master key (32 bytes, never in the database) wraps a data key for each tenant; personal data is sealed under
//! the data key. Losing the master key loses the personal data; a database dump alone tells nothing.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};

use crate::platform::randomness::Randomness;

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// Reads what [`hex`] writes of a SHA-256, in either case.
pub fn read_sha256(text: &str) -> Option<[u8; 32]> {
    let digits = text.trim().as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs: Option<Vec<u8>> =
        digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect();
    pairs?.try_into().ok()
}

pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    })
}

/// The bytes of lower-case hexadecimal, as [`hex`] writes it and in no other form.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| (digit as char).to_digit(16).filter(|_| !digit.is_ascii_uppercase());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?) as u8)).collect()
}

/// A sealed text could not be opened: it was sealed under another key or for another purpose, or was changed.
#[derive(Debug, thiserror::Error)]
#[error("sealed data does not open under this key; was the master key exchanged?")]
pub struct WrongKey;

/// A 256-bit key that seals bytes for a named purpose. The purpose is bound in: what was sealed for one cannot be
/// opened as another.
#[derive(Clone)]
pub struct SealingKey(Arc<[u8; 32]>);

impl SealingKey {
    pub fn new(key: [u8; 32]) -> Self {
        Self(Arc::new(key))
    }

    /// A key of its own for one purpose (HMAC-SHA256 as the derivation).
    pub fn derive(&self, purpose: &str) -> SealingKey {
        Self::new(hmac_sha256(&self.0[..], &[b"minthouse/derive/", purpose.as_bytes()]))
    }

    /// A keyed hash, for equality search over what is sealed.
    pub fn hash(&self, purpose: &str, value: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.derive(purpose).0[..], &[value])
    }

    /// `nonce (12) | ciphertext | tag (16)`, AES-256-GCM.
    pub fn seal(&self, randomness: &dyn Randomness, purpose: &str, clear: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = randomness.bytes();
        let mut sealed = clear.to_vec();
        self.cipher()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose), &mut sealed)
            .expect("AES-GCM seals any text that fits into memory");
        [&nonce[..], &sealed].concat()
    }

    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, WrongKey> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(WrongKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| WrongKey)?;
        let mut body = body.to_vec();
        let clear = self.cipher().open_in_place(nonce, Aad::from(purpose), &mut body).map_err(|_| WrongKey)?;
        Ok(clear.to_vec())
    }

    /// The raw bytes, for wrapping under another key.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0[..]).expect("the key has AES-256's length"))
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealingKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::randomness::SeededRandomness;

    #[test]
    fn a_sha256_is_64_hexadecimal_digits() {
        let digits = "00ff".repeat(16);
        assert_eq!(read_sha256(&digits.to_uppercase()).map(Vec::from), Some([0, 255].repeat(16)));
        for refused in ["", &digits[1..], &digits[2..], &"0g".repeat(32), &"é".repeat(32)] {
            assert_eq!(read_sha256(refused), None, "{refused}");
        }
    }

    #[test]
    fn what_is_sealed_opens_only_for_its_purpose_and_unchanged() {
        let randomness: &dyn Randomness = &SeededRandomness::new(7);
        let key = SealingKey::new([7; 32]);
        let mut sealed = key.seal(randomness, "phone", "13800000000".as_bytes());
        assert_eq!(key.open("phone", &sealed).unwrap(), b"13800000000");
        assert!(key.open("name", &sealed).is_err());
        assert!(SealingKey::new([8; 32]).open("phone", &sealed).is_err());
        *sealed.last_mut().unwrap() ^= 1;
        assert!(key.open("phone", &sealed).is_err());
        assert!(key.open("phone", &sealed[..5]).is_err());
    }

    #[test]
    fn two_seals_of_one_text_differ_and_its_hashes_do_not() {
        let randomness: &dyn Randomness = &SeededRandomness::new(7);
        let key = SealingKey::new([7; 32]);
        assert_ne!(key.seal(randomness, "phone", b"1"), key.seal(randomness, "phone", b"1"));
        assert_eq!(key.hash("phone", b"1"), key.hash("phone", b"1"));
        assert_ne!(key.hash("phone", b"1"), key.hash("name", b"1"));
    }

    #[test]
    fn hexadecimal_is_read_as_it_is_written() {
        assert_eq!(unhex("00ff"), Some(vec![0, 255]));
        for bad in ["0", "0g", "FF", "é"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    // RFC 4231, test case 2.
    #[test]
    fn hmac_agrees_with_its_rfc() {
        let tag = hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
