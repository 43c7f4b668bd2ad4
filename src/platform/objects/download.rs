//! Leave to fetch one object for a short while, in words that only this house can have written.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

use super::{Key, NoTicket, Objects};
use crate::platform::media::MediaType;
use crate::platform::vault::SealingKey;

const TAG_BYTES: usize = 32;

/// The longest text that [`read`] looks at: far more than any has.
const LONGEST: usize = 512;

/// Who was given it may fetch the object. It names the type that was found in the bytes, under which alone they are
/// served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    pub key: Key,
    pub media_type: MediaType,
    pub expires_at: DateTime<Utc>,
}

impl Objects {
    /// The path at which the object can be fetched until the leave expires.
    pub fn download_path(&self, download: &Download) -> String {
        format!("/downloads/{}", write(&self.tickets, download))
    }

    /// Reads what [`Self::download_path`] wrote.
    pub fn read_download(&self, text: &str, now: DateTime<Utc>) -> Result<Download, NoTicket> {
        read(&self.tickets, text, now)
    }
}

/// base64url of `HMAC-SHA256 (32 bytes) | key, space, media type, space, expiry in Unix seconds`.
fn write(key: &SealingKey, download: &Download) -> String {
    let body = format!("{} {} {}", download.key, download.media_type.as_str(), download.expires_at.timestamp());
    URL_SAFE_NO_PAD.encode([&tag(key, body.as_bytes())[..], body.as_bytes()].concat())
}

fn read(key: &SealingKey, text: &str, now: DateTime<Utc>) -> Result<Download, NoTicket> {
    let bytes = (text.len() <= LONGEST).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten().ok_or(NoTicket::Forged)?;
    let (given, body) = bytes.split_at_checked(TAG_BYTES).ok_or(NoTicket::Forged)?;
    aws_lc_rs::constant_time::verify_slices_are_equal(given, &tag(key, body)).map_err(|_| NoTicket::Forged)?;
    let download = parse(body).ok_or(NoTicket::Forged)?;
    if download.expires_at <= now { Err(NoTicket::Expired) } else { Ok(download) }
}

// Another purpose than an upload's ticket: neither can be used as the other.
fn tag(key: &SealingKey, body: &[u8]) -> [u8; TAG_BYTES] {
    key.hash("download", body)
}

fn parse(body: &[u8]) -> Option<Download> {
    let mut words = std::str::from_utf8(body).ok()?.split(' ');
    let (key, media_type, expiry) = (words.next()?, words.next()?, words.next()?);
    let expires_at = DateTime::from_timestamp(expiry.parse().ok()?, 0)?;
    Some(Download { key: Key::parse(key)?, media_type: MediaType::parse(media_type)?, expires_at })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::ticket::{self, Ticket};
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).expect("a time")
    }

    fn download() -> Download {
        let key = Key::new("document", Uuid::from_u128(1), Uuid::from_u128(2));
        Download { key, media_type: MediaType::Pdf, expires_at: at(60) }
    }

    #[test]
    fn it_is_good_until_it_expires_and_no_other_house_can_write_it() {
        let key = SealingKey::new([1; 32]);
        let text = write(&key, &download());
        assert_eq!(read(&key, &text, at(59)), Ok(download()));
        assert_eq!(read(&key, &text, at(60)), Err(NoTicket::Expired));
        assert_eq!(read(&SealingKey::new([2; 32]), &text, at(0)), Err(NoTicket::Forged));
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let key = SealingKey::new([1; 32]);
        let bytes = URL_SAFE_NO_PAD.decode(write(&key, &download())).expect("it is base64url");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&key, &URL_SAFE_NO_PAD.encode(changed), at(0)), Err(NoTicket::Forged), "bit {bit}");
        }
    }

    #[test]
    fn leave_to_upload_is_no_leave_to_fetch() {
        let key = SealingKey::new([1; 32]);
        let Download { key: object, expires_at, .. } = download();
        let upload = ticket::write(&key, &Ticket { key: object, max_bytes: 10, sha256: None, expires_at });
        assert_eq!(read(&key, &upload, at(0)), Err(NoTicket::Forged));
        assert_eq!(ticket::read(&key, &write(&key, &download()), at(0)), Err(NoTicket::Forged));
    }
}
