//! Devices that somebody has signed in with before.
//!
//! A successful sign-in gives a device token, and the next one hands it back. It opens nothing: it only says that this
//! device knew the password once, so that its attempts are counted apart from strangers' guesses at the same name, who
//! therefore cannot keep the owner out (OWASP's "device cookies"). It is a keyed MAC over the name and a random ID; there
//! is no table, and one of another name is worth as much as none.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::platform::Platform;

const PREFIX: &str = "mhd_";
const ID_BYTES: usize = 16;

pub type DeviceId = [u8; ID_BYTES];

/// A token for a device that nobody has seen before.
pub fn issue(platform: &Platform, sign_in: &str) -> String {
    let id: DeviceId = platform.randomness.bytes();
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&id[..], &tag(platform, sign_in, &id)].concat()))
}

/// The device that a token was issued to under this name.
pub fn known(platform: &Platform, sign_in: &str, token: &str) -> Option<DeviceId> {
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
    let (id, given) = bytes.split_first_chunk::<ID_BYTES>()?;
    verify_slices_are_equal(&tag(platform, sign_in, id), given).is_ok().then_some(*id)
}

fn tag(platform: &Platform, sign_in: &str, id: &DeviceId) -> [u8; 32] {
    platform.master_key.derive("device").hash("sign-in", &[&id[..], sign_in.as_bytes()].concat())
}
