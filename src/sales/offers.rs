//! The offers of a sale.

use crate::activities::model::ActivityId;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantTx;

/// Sets the stock of a sale's offers aside, in the transaction that publishes it. `false`: some offer's is not left.
#[expect(clippy::unused_async, reason = "the signature that offers with stock will need")]
pub async fn allot_in(_: &TenantTx, _: ActivityId) -> Result<bool, Fault> {
    Ok(true)
}
