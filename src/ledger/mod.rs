//! Where pieces truly exist: a ledger outside the business, asked to issue and to transfer.
//!
//! A ledger answers late, twice, or not at all. So [`Ledger::submit`] may be repeated under the same operation ID
//! without doing anything twice, and nothing is believed before [`Ledger::receipts`] says so. To add a ledger,
//! implement the trait, let `tests/suite/ledgers/conformance.rs` judge it, and choose it in `app.rs`. Anchors are the
//! embedded ledger's alone, which every house has; another need not take them, and says so when it is handed one.
//!
//! The embedded ledger proves what it says: `record.rs` and `merkle.rs` say what is hashed, `checkpoint.rs` what is
//! signed, `proof.rs` what a holder takes home and `verify.rs` how it is checked there; `audit.rs` looks at every row.

pub mod audit;
pub mod checkpoint;
pub mod embedded;
pub mod evm;
pub mod graphql;
pub mod judge;
pub mod ledgers;
pub mod merkle;
pub mod model;
pub mod proof;
pub mod record;
pub mod simulator;
pub mod store;
pub mod verify;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::ledger::model::{Account, LedgerKind, Operation, OperationId, Owner, Piece, Receipt};
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;

/// How long a ledger may take to answer one call before it counts as silent.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Gives a call up that takes too long. What it did meanwhile is found out by asking for receipts.
pub async fn in_time<T>(call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(ANSWERS_WITHIN, call).await.unwrap_or(Err(Fault::TimedOut))
}

#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    fn kind(&self) -> LedgerKind;

    /// Hands operations over, in their order. An operation that the ledger has already is left as it is. After an
    /// error nobody knows which of them it has: ask for receipts before anything else.
    async fn submit(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault>;

    /// What became of operations. One that the ledger never heard of is [`Receipt::Unknown`].
    async fn receipts(&self, tenant: EnterpriseId, ids: &[OperationId])
    -> Result<HashMap<OperationId, Receipt>, Fault>;

    /// How this ledger writes the owner down.
    fn account(&self, tenant: EnterpriseId, owner: Owner) -> Account;

    /// To whom pieces belong by what is confirmed. A piece that was not issued is left out.
    async fn owners(&self, tenant: EnterpriseId, pieces: &[Piece]) -> Result<HashMap<Piece, Account>, Fault>;
}
