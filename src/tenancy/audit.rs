//! The audit log: who did what, with digests of before and after. The server's role can add to it and read it, nothing
//! else.
//!
//! A record is written in the transaction of the change itself, and waits there. Numbering it at once would queue all of
//! an enterprise's changes behind one another; so a job ([`job::AuditChainJob`]) numbers and links what waits, without a
//! gap, a moment later. [`chain`] says what a link covers and how a chain is followed; [`check`] follows the one in the
//! database. Somebody who owns the database could write a whole new chain: an export that lies elsewhere, or no more
//! than its last hash, shows that.

pub mod chain;
pub mod check;
pub mod job;

use serde::Serialize;
use uuid::Uuid;

use crate::platform::fault::Fault;
use crate::platform::vault::sha256;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::store::audit::{self as store, NewRecord};

/// Writes one record in the transaction of the change itself. `before` is `None` for what is new.
pub async fn record_in<T: Serialize>(
    tx: &TenantTx,
    action: &str,
    subject: Uuid,
    before: Option<&T>,
    after: &T,
) -> Result<(), Fault> {
    let digest = |value: &T| serde_json::to_vec(value).map(|json| sha256(&json).to_vec()).map_err(Fault::internal);
    let (before, after) = (before.map(digest).transpose()?, digest(after)?);
    store::insert_in(tx, NewRecord { action, subject, before, after }).await
}
