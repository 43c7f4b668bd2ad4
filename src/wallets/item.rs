//! Items come into being with an issuance, in the enterprise's treasury.

use std::ops::Range;

use crate::catalog::model::CollectibleId;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantTx;
use crate::wallets::store;

/// Brings the items of these runs of serial numbers into being. Called once for each run, under its issuance's lock.
pub async fn mint_in(tx: &TenantTx, collectible: CollectibleId, runs: &[Range<i32>]) -> Result<(), Fault> {
    let serials: Vec<i32> = runs.iter().cloned().flatten().collect();
    if serials.is_empty() {
        return Ok(());
    }
    store::insert_items_in(tx, collectible, serials).await
}

/// A serial number as people read it: at least five digits.
pub fn serial_text(serial: i32) -> String {
    format!("#{serial:05}")
}
