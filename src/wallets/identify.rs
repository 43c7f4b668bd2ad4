//! Holders by what others know them by: a WeChat identity, the enterprise's own customer number.

use crate::platform::Platform;
use crate::tenancy::enterprise::DataKey;
use crate::wallets::model::IdentityKind;
use crate::wallets::store::identities::Identity;

/// What identities are sealed for.
pub const PURPOSE: &str = "holder identity";

/// An identity, ready to be looked for and to be kept. `realm` is what the name is unique within: an openId is within
/// one app.
pub fn identity(platform: &Platform, data_key: &DataKey, kind: IdentityKind, realm: &str, name: &str) -> Identity {
    let whole = format!("{}/{realm}/{name}", kind.as_str());
    Identity {
        kind,
        hash: data_key.hash(PURPOSE, whole.as_bytes()).to_vec(),
        sealed: data_key.seal(&*platform.randomness, PURPOSE, name.as_bytes()),
    }
}
