//! Devices that somebody has signed in with before.
//!
//! A successful sign-in gives a device token, and the next one hands it back. It opens nothing: it only says that this
//! device knew the password once, so that its attempts are counted apart from strangers' guesses at the same name, who
//! therefore cannot keep the owner out (OWASP's "device cookies"). It is a keyed MAC over the name, a random ID and the
//! day it was issued on; there is no table, and one of another name, or one that is older than half a year, is worth
//! as much as none; the sign-in that it comes with gives a new one.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;

use crate::platform::Platform;

const PREFIX: &str = "mhd_";
const ID_BYTES: usize = 16;
const LIFE: TimeDelta = TimeDelta::days(180);

/// The day that it was issued on, in four bytes, and twelve at random.
pub type DeviceId = [u8; ID_BYTES];

/// A token for a device that somebody has just signed in with.
pub fn issue(platform: &Platform, sign_in: &str) -> String {
    let random: [u8; 12] = platform.randomness.bytes();
    let mut id: DeviceId = [0; ID_BYTES];
    id[..4].copy_from_slice(&today(platform).to_be_bytes());
    id[4..].copy_from_slice(&random);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&id[..], &tag(platform, sign_in, &id)].concat()))
}

/// Days since 1970.
fn today(platform: &Platform) -> u32 {
    u32::try_from(platform.clock.now().timestamp() / 86_400).unwrap_or_default()
}

/// The device that a token was issued to under this name.
pub fn known(platform: &Platform, sign_in: &str, token: &str) -> Option<DeviceId> {
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
    let (id, given) = bytes.split_first_chunk::<ID_BYTES>()?;
    let issued = u32::from_be_bytes([id[0], id[1], id[2], id[3]]);
    let young = i64::from(today(platform).saturating_sub(issued)) <= LIFE.num_days();
    let ours = verify_slices_are_equal(&tag(platform, sign_in, id), given).is_ok();
    (ours && young).then_some(*id)
}

fn tag(platform: &Platform, sign_in: &str, id: &DeviceId) -> [u8; 32] {
    platform.master_key.derive("device").hash("sign-in", &[&id[..], sign_in.as_bytes()].concat())
}
