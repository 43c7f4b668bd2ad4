//! Tickets: what somebody may upload, in words that only this house can have written.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

use super::Key;
use crate::platform::vault::SealingKey;

const TAG_BYTES: usize = 32;

/// The longest text that [`read`] looks at: far more than any ticket has.
const LONGEST: usize = 512;

/// Leave to put one object under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub key: Key,
    pub max_bytes: u64,
    /// What the object must be, where that was announced.
    pub sha256: Option<[u8; 32]>,
    pub expires_at: DateTime<Utc>,
}

/// Why a text is no ticket that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTicket {
    #[error("the ticket was not written by this house, or was changed")]
    Forged,
    #[error("the ticket has expired")]
    Expired,
}

/// base64url of `HMAC-SHA256 (32 bytes) | key, space, size, space, expiry in Unix seconds`, and where the object was
/// announced `space, base64url of its SHA-256`.
pub fn write(key: &SealingKey, ticket: &Ticket) -> String {
    let announced = ticket.sha256.map(|sha256| format!(" {}", URL_SAFE_NO_PAD.encode(sha256))).unwrap_or_default();
    let body = format!("{} {} {}{announced}", ticket.key, ticket.max_bytes, ticket.expires_at.timestamp());
    URL_SAFE_NO_PAD.encode([&tag(key, body.as_bytes())[..], body.as_bytes()].concat())
}

pub fn read(key: &SealingKey, text: &str, now: DateTime<Utc>) -> Result<Ticket, NoTicket> {
    let bytes = (text.len() <= LONGEST).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten().ok_or(NoTicket::Forged)?;
    let (given, body) = bytes.split_at_checked(TAG_BYTES).ok_or(NoTicket::Forged)?;
    aws_lc_rs::constant_time::verify_slices_are_equal(given, &tag(key, body)).map_err(|_| NoTicket::Forged)?;
    // From here on it is our own writing.
    let ticket = parse(body).ok_or(NoTicket::Forged)?;
    if ticket.expires_at <= now { Err(NoTicket::Expired) } else { Ok(ticket) }
}

fn tag(key: &SealingKey, body: &[u8]) -> [u8; TAG_BYTES] {
    key.hash("ticket", body)
}

fn parse(body: &[u8]) -> Option<Ticket> {
    let mut words = std::str::from_utf8(body).ok()?.split(' ');
    let (key, max_bytes, expiry) = (words.next()?, words.next()?, words.next()?);
    let expires_at = DateTime::from_timestamp(expiry.parse().ok()?, 0)?;
    let sha256 = match words.next() {
        None => None,
        Some(announced) => Some(URL_SAFE_NO_PAD.decode(announced).ok()?.try_into().ok()?),
    };
    Some(Ticket { key: Key::parse(key)?, max_bytes: max_bytes.parse().ok()?, sha256, expires_at })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).expect("a time")
    }

    fn ticket() -> Ticket {
        let key = Key::new("documents", Uuid::from_u128(1), Uuid::from_u128(2));
        Ticket { key, max_bytes: 10, sha256: None, expires_at: at(60) }
    }

    #[test]
    fn a_ticket_is_good_until_it_expires() {
        let key = SealingKey::new([1; 32]);
        let text = write(&key, &ticket());
        assert_eq!(read(&key, &text, at(0)), Ok(ticket()));
        assert_eq!(read(&key, &text, at(59)), Ok(ticket()));
        assert_eq!(read(&key, &text, at(60)), Err(NoTicket::Expired));
    }

    #[test]
    fn no_other_house_can_write_one() {
        let text = write(&SealingKey::new([2; 32]), &ticket());
        assert_eq!(read(&SealingKey::new([1; 32]), &text, at(0)), Err(NoTicket::Forged));
        // A keyed hash of the same words for another purpose is none either.
        let key = SealingKey::new([1; 32]);
        let body = format!("{} 10 {}", ticket().key, at(60).timestamp());
        let foreign = [&key.hash("phone", body.as_bytes())[..], body.as_bytes()].concat();
        assert_eq!(read(&key, &URL_SAFE_NO_PAD.encode(foreign), at(0)), Err(NoTicket::Forged));
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let key = SealingKey::new([1; 32]);
        let bytes = URL_SAFE_NO_PAD.decode(write(&key, &ticket())).expect("it is base64url");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&key, &URL_SAFE_NO_PAD.encode(changed), at(0)), Err(NoTicket::Forged), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_forged_and_never_panics(text in ".{0,600}", now in 0i64..1000) {
            prop_assert_eq!(read(&SealingKey::new([1; 32]), &text, at(now)), Err(NoTicket::Forged));
        }

        #[test]
        fn what_was_written_is_read(owner: u128, object: u128, max_bytes: u64, sha256: Option<[u8; 32]>, life in 1i64..1_000_000) {
            let key = Key::new("media", Uuid::from_u128(owner), Uuid::from_u128(object));
            let ticket = Ticket { key, max_bytes, sha256, expires_at: at(life) };
            let secret = SealingKey::new([1; 32]);
            prop_assert_eq!(read(&secret, &write(&secret, &ticket), at(0)), Ok(ticket));
        }
    }
}
