//! What bytes really are. Sees bytes and nothing else, so that hostile ones can be tried on it by the thousand.

use bytes::Bytes;
use sm3::{Digest, Sm3};

use super::model::{MediaErrorCode, largest};
use super::picture::{self, Unreadable};
use crate::platform::media::{self, MediaType};
use crate::platform::vault::sha256;

/// What a file was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub media_type: MediaType,
    pub sha256: [u8; 32],
    /// GB/T 32905-2016: what Chinese ledgers know a work by.
    pub sm3: [u8; 32],
    /// Width and height of a picture.
    pub pixels: Option<(i32, i32)>,
}

/// What was announced, as far as bytes can keep to it.
#[derive(Clone, Debug)]
pub struct Announced {
    pub media_type: MediaType,
    pub size: i64,
    pub sha256: Option<Vec<u8>>,
}

/// Reads all of a file. Takes a while for a large one, so it is no work for a task that others wait for.
pub fn examine(bytes: &Bytes, announced: &Announced) -> Result<Found, MediaErrorCode> {
    let digest = sha256(bytes);
    let is_size = i64::try_from(bytes.len()).is_ok_and(|size| size == announced.size);
    if !is_size || announced.sha256.as_deref().is_some_and(|said| said != digest) {
        return Err(MediaErrorCode::UploadDiffers);
    }
    let media_type = media::sniff(bytes).filter(|kind| largest(*kind).is_some());
    let media_type = media_type.ok_or(MediaErrorCode::UnsupportedType)?;
    if media_type != announced.media_type {
        return Err(MediaErrorCode::TypeDiffers);
    }
    if !media::is_whole(media_type, bytes) {
        return Err(MediaErrorCode::Damaged);
    }
    let pixels = if media_type.is_image() {
        Some(picture::pixels(media_type, bytes).map_err(|unreadable| match unreadable {
            Unreadable::TooLarge => MediaErrorCode::TooManyPixels,
            Unreadable::Damaged => MediaErrorCode::Damaged,
        })?)
    } else {
        None
    };
    Ok(Found { media_type, sha256: digest, sm3: sm3(bytes), pixels })
}

/// SM3 of some bytes.
pub fn sm3(bytes: &[u8]) -> [u8; 32] {
    Sm3::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::vault::hex;

    // The two examples that GB/T 32905-2016 gives in its annex.
    #[test]
    fn sm3_is_the_standards() {
        assert_eq!(hex(&sm3(b"abc")), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
        let long = b"abcd".repeat(16);
        assert_eq!(hex(&sm3(&long)), "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732");
    }
}
