//! By what an enterprise's own system may know a holder.

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::enterprise;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::{HolderId, IdentityKind};
use crate::wallets::store::{identities, personal};
use crate::wallets::{holder, identify};

/// In clear: it goes to the enterprise whose holder it is, and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub enum Contact {
    /// Eleven digits.
    Mobile(String),
    /// The enterprise's own customer number.
    Partner(String),
    Unknown,
}

/// Locks the holder until the transaction ends: what is done with one person goes on one at a time.
pub async fn of_locked_in(platform: &Platform, tx: &TenantTx, id: HolderId) -> Result<Contact, Fault> {
    let known = personal::lock_in(tx, id).await?.ok_or(Fault::NotFound)?;
    let data_key = enterprise::data_key(platform, tx).await?;
    let open = |purpose: &str, sealed: &[u8]| {
        let clear = data_key.open(purpose, sealed).map_err(Fault::internal)?;
        String::from_utf8(clear).map_err(|_| Fault::internal(anyhow::anyhow!("what was sealed is no text")))
    };
    if let Some(sealed) = known.phone_sealed {
        return open(holder::PURPOSE, &sealed).map(Contact::Mobile);
    }
    match identities::sealed_name(tx, id, IdentityKind::Partner).await? {
        Some(sealed) => open(identify::PURPOSE, &sealed).map(Contact::Partner),
        None => Ok(Contact::Unknown),
    }
}
