//! Where media can be fetched: for good what is public, for a short while what is not.

use chrono::{DateTime, TimeDelta, Utc};

use super::model::{Media, MediaState, Moderation};
use super::{media_key, thumbnail_key};
use crate::platform::Platform;
use crate::platform::media::MediaType;
use crate::platform::objects::{Download, Key};
use crate::platform::vault::hex;

/// How long the address of what is not public is good: as long as somebody looks at a page.
const LIFE: TimeDelta = TimeDelta::minutes(15);

pub struct Address {
    pub path: String,
    /// Nothing where it is for good.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Of the file itself, once it is stored. For whoever may see the medium.
pub fn of_file(platform: &Platform, media: &Media) -> Option<Address> {
    address(platform, media, "", media_key(media.tenant_id, media.id), media.kind()?)
}

/// Of its thumbnail, once there is one.
pub fn of_thumbnail(platform: &Platform, media: &Media) -> Option<Address> {
    let key = thumbnail_key(media.tenant_id, media.id);
    address(platform, media, "/thumbnail", key, media.thumbnail.media_type()?)
}

fn address(platform: &Platform, media: &Media, suffix: &str, key: Key, media_type: MediaType) -> Option<Address> {
    if media.state != MediaState::Stored || media.moderation == Moderation::Block {
        return None;
    }
    if media.is_public() {
        let hash = hex(media.sha256.as_deref()?);
        return Some(Address { path: format!("/media/{}/{hash}{suffix}", media.tenant_id), expires_at: None });
    }
    Some(signed(platform, key, media_type))
}

/// For the house, which has to look at what it blocked, too.
pub fn for_the_house(platform: &Platform, media: &Media) -> Option<Address> {
    let media_type = media.kind().filter(|_| media.state == MediaState::Stored)?;
    Some(signed(platform, media_key(media.tenant_id, media.id), media_type))
}

fn signed(platform: &Platform, key: Key, media_type: MediaType) -> Address {
    let expires_at = platform.clock.now() + LIFE;
    let download = Download { key, media_type, expires_at };
    Address { path: platform.objects.download_path(&download), expires_at: Some(expires_at) }
}
