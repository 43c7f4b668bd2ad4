//! The envelope of a signed callback: what it says is encrypted, and signed by who knows the token.
//!
//! Follows WeChat's published scheme for messages (消息加解密, `WXBizMsgCrypt`): AES-256-CBC under the 32 bytes of an
//! EncodingAESKey, whose first 16 are the initial vector; inside, 16 random bytes, the length in 4 bytes, the message and
//! the receiver's ID; padded as PKCS#7 does, in blocks of 32 and not of 16. The signature is a digest of token, timestamp,
//! nonce and ciphertext, in the order of their bytes and with nothing between them.
//!
//! Nothing between them: a signature does not say where the nonce ends, and who changes that has an envelope that was
//! not seen before. Its ciphertext is another one then, or its timestamp, so it neither opens nor is fresh; a nonce has a
//! limit all the same.
//!
//! Two things are profiles of a connection, as platforms differ: the digest, and whether an ID stands behind the message.
//! They are configured and never found out from a message, or a sender could choose the weaker one.

use std::fmt;

use aes::Aes256;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::platform::randomness::Randomness;
use crate::platform::vault::hex;

/// An envelope is good for so long before and after its timestamp.
pub const FRESH: TimeDelta = TimeDelta::minutes(5);

const KEY_LETTERS: usize = 43;
const RANDOM: usize = 16;
const LENGTH: usize = 4;
const PADDED_TO: usize = 32;
const LONGEST_NONCE: usize = 128;

/// Real keys often set the two bits of their last letter that no byte is made of.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// What signatures are made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Digest {
    #[default]
    Sha1,
    Sha256,
}

/// What the two ends of a connection share.
#[derive(Clone)]
pub struct Keys {
    token: String,
    key: [u8; 32],
    trailing_id: String,
    digest: Digest,
}

/// Why keys cannot be used. The texts say what to do and hold nothing of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    #[error(
        "the token has to be 3 to 128 letters, digits or signs of ASCII, without spaces; copy it from the other side"
    )]
    Token,
    #[error(
        "the EncodingAESKey has to have 43 characters; this one has {0}. Copy it whole, without spaces and without `=`"
    )]
    KeyLength(usize),
    #[error("the EncodingAESKey has to be made of letters, digits, `+` and `/`; copy it again from the other side")]
    KeyLetters,
    #[error("the ID behind the message is empty; say that there is none, or give it")]
    TrailingId,
}

/// Why an envelope was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("the signature is not made with this token, or not in lower-case hexadecimal of the agreed digest")]
    BadSignature,
    #[error("the ID behind the message is not the agreed one")]
    BadTrailingId,
    #[error("the message is not encrypted as agreed: {0}")]
    Malformed(&'static str),
}

/// What makes each envelope another one. Good for one alone.
#[derive(Clone)]
pub struct Stamp {
    pub at: DateTime<Utc>,
    pub nonce: String,
    pub random: [u8; RANDOM],
}

/// The body of a callback, as it is sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Seconds since 1970.
    pub timestamp: String,
    pub nonce: String,
    pub signature: String,
    pub msg_encrypt: String,
}

impl Stamp {
    pub fn new(at: DateTime<Utc>, randomness: &dyn Randomness) -> Self {
        Self { at, nonce: hex(&randomness.bytes::<16>()), random: randomness.bytes() }
    }
}

impl Keys {
    /// Keys with SHA-1 and no ID behind the message.
    pub fn new(token: &str, encoding_aes_key: &str) -> Result<Self, BadKeys> {
        if !(3..=128).contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadKeys::Token);
        }
        let letters = encoding_aes_key.chars().count();
        if letters != KEY_LETTERS {
            return Err(BadKeys::KeyLength(letters));
        }
        let key = LENIENT.decode(encoding_aes_key).map_err(|_| BadKeys::KeyLetters)?;
        let key = key.try_into().map_err(|_| BadKeys::KeyLetters)?;
        Ok(Self { token: token.to_owned(), key, trailing_id: String::new(), digest: Digest::default() })
    }

    pub fn with_digest(self, digest: Digest) -> Self {
        Self { digest, ..self }
    }

    /// The receiver's ID, such as an AppID, stands behind each message and is demanded there.
    pub fn with_trailing_id(self, trailing_id: &str) -> Result<Self, BadKeys> {
        if trailing_id.is_empty() {
            return Err(BadKeys::TrailingId);
        }
        Ok(Self { trailing_id: trailing_id.to_owned(), ..self })
    }

    /// Encrypts and signs a message shorter than 4 GiB.
    pub fn seal(&self, stamp: &Stamp, message: &[u8]) -> Envelope {
        let length = u32::try_from(message.len()).expect("a message is shorter than 4 GiB");
        let mut text = [&stamp.random[..], &length.to_be_bytes(), message, self.trailing_id.as_bytes()].concat();
        let padding = PADDED_TO - text.len() % PADDED_TO;
        text.resize(text.len() + padding, padding as u8);
        let length = text.len();
        cbc::Encryptor::<Aes256>::new(&self.key.into(), &self.initial_vector().into())
            .encrypt_padded::<NoPadding>(&mut text, length)
            .expect("the text is whole blocks");
        let msg_encrypt = STANDARD.encode(&text);
        let timestamp = stamp.at.timestamp().to_string();
        let signature = self.sign(&timestamp, &stamp.nonce, &msg_encrypt);
        Envelope { timestamp, nonce: stamp.nonce.clone(), signature, msg_encrypt }
    }

    /// What an envelope says, if it comes from the other side unchanged. Whether it is [fresh](Envelope::is_fresh) and
    /// its nonce new is to be asked too: this alone lets an old envelope through again.
    pub fn open(&self, envelope: &Envelope) -> Result<Vec<u8>, OpenError> {
        let Envelope { timestamp, nonce, signature, msg_encrypt } = envelope;
        let own = self.sign(timestamp, nonce, msg_encrypt);
        verify_slices_are_equal(own.as_bytes(), signature.as_bytes()).map_err(|_| OpenError::BadSignature)?;
        if nonce.is_empty() || nonce.len() > LONGEST_NONCE {
            return Err(OpenError::Malformed("the nonce is empty or longer than 128 bytes"));
        }
        let text = self.decrypt(msg_encrypt)?;
        let (_, rest) = text.split_at_checked(RANDOM).ok_or(OpenError::Malformed("it is too short"))?;
        let (length, rest) = rest.split_first_chunk::<LENGTH>().ok_or(OpenError::Malformed("it is too short"))?;
        let (message, trailing_id) = usize::try_from(u32::from_be_bytes(*length))
            .ok()
            .and_then(|length| rest.split_at_checked(length))
            .ok_or(OpenError::Malformed("its length says more than there is"))?;
        if trailing_id != self.trailing_id.as_bytes() {
            return Err(OpenError::BadTrailingId);
        }
        Ok(message.to_vec())
    }

    fn decrypt(&self, msg_encrypt: &str) -> Result<Vec<u8>, OpenError> {
        let mut text = STANDARD.decode(msg_encrypt).map_err(|_| OpenError::Malformed("it is no base64"))?;
        if text.is_empty() || !text.len().is_multiple_of(PADDED_TO) {
            return Err(OpenError::Malformed("it is not whole blocks of 32 bytes"));
        }
        cbc::Decryptor::<Aes256>::new(&self.key.into(), &self.initial_vector().into())
            .decrypt_padded::<NoPadding>(&mut text)
            .map_err(|_| OpenError::Malformed("it is not whole blocks of 32 bytes"))?;
        // Only who knows the token gets as far as here, so an answer about the padding helps nobody to guess.
        let padding = text.last().copied().unwrap_or_default();
        let end = text.len().checked_sub(usize::from(padding)).filter(|_| (1..=PADDED_TO as u8).contains(&padding));
        let end = end.filter(|end| text[*end..].iter().all(|byte| *byte == padding));
        text.truncate(end.ok_or(OpenError::Malformed("its padding is not that of blocks of 32 bytes"))?);
        Ok(text)
    }

    fn sign(&self, timestamp: &str, nonce: &str, msg_encrypt: &str) -> String {
        let mut parts = [self.token.as_str(), timestamp, nonce, msg_encrypt];
        parts.sort_unstable();
        let algorithm = match self.digest {
            Digest::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Digest::Sha256 => &digest::SHA256,
        };
        hex(digest::digest(algorithm, parts.concat().as_bytes()).as_ref())
    }

    fn initial_vector(&self) -> [u8; 16] {
        std::array::from_fn(|at| self.key[at])
    }
}

impl Envelope {
    /// Whether it was made within [`FRESH`] of now. A timestamp in milliseconds, or one that is no number, is not fresh.
    pub fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        // As it would be written here: a zero in front could be taken from the nonce, and the signature would still hold.
        let seconds = self.timestamp.parse().ok().filter(|seconds: &i64| seconds.to_string() == self.timestamp);
        seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).is_some_and(|at| (now - at).abs() <= FRESH)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trailing_id, digest, .. } = self;
        let mut keys = formatter.debug_struct("Keys");
        keys.field("trailing_id", trailing_id).field("digest", digest).finish_non_exhaustive()
    }
}

/// Without what could be sent again.
impl fmt::Debug for Envelope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Envelope").field("timestamp", &self.timestamp).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
