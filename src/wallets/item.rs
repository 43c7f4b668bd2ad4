//! Items come into being with an issuance, in the enterprise's treasury.

use crate::catalog::model::CollectibleId;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantTx;
use crate::wallets::store;

/// Brings `count` items into being, from `first_serial` on. Called once for each range, under the collectible's lock.
pub async fn mint_in(tx: &TenantTx, collectible: CollectibleId, first_serial: i32, count: i32) -> Result<(), Fault> {
    store::insert_items_in(tx, collectible, first_serial, count).await
}

/// A serial number as people read it: at least five digits.
pub fn serial_text(serial: i32) -> String {
    format!("#{serial:05}")
}
