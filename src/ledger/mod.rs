//! Where pieces truly exist: a ledger outside the business, asked to issue and to transfer.
//!
//! A ledger answers late, twice, or not at all. So [`Ledger::submit`] may be repeated under the same operation ID
//! without doing anything twice, and nothing is believed before [`Ledger::receipts`] says so. To add a ledger,
//! implement the trait and choose it in `app.rs`.

pub mod embedded;
pub mod evm;
pub mod model;
pub mod store;

use std::collections::HashMap;

use async_trait::async_trait;

use crate::ledger::model::{Account, LedgerKind, Operation, OperationId, Owner, Piece, Receipt};
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;

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
