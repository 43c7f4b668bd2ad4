//! One person across enterprises.
//!
//! `persons` says at which enterprises somebody has proved a phone, by a hash under a key that no enterprise has. It is
//! written only where a code proved the phone there; that an enterprise vouches for somebody writes nothing, or it
//! could look into what they own elsewhere by naming their number. Nobody reads it but the person, who proves the phone
//! to the house.

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::scope::{PersonKey, TenantTx};
use crate::wallets::holder::Phone;
use crate::wallets::model::HolderId;
use crate::wallets::store::identities;

pub fn key(platform: &Platform, phone: &Phone) -> PersonKey {
    PersonKey(platform.master_key.derive("person").hash("phone", phone.digits().as_bytes()))
}

/// Notes that whoever has this phone has just proved so, as this holder.
pub async fn proved_in(platform: &Platform, tx: &TenantTx, phone: &Phone, holder: HolderId) -> Result<(), Fault> {
    identities::insert_person_in(tx, key(platform, phone), holder).await
}
