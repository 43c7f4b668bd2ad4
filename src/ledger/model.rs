//! Operations on a ledger, and the blocks of the embedded one.

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalog::model::CollectibleId;
use crate::platform::vault::sha256;
use crate::schema::ledger_blocks;
use crate::tenancy::model::HolderId;
use crate::words;

/// The name of one operation, the same for each try of it.
pub type OperationId = Uuid;

words! {
    /// Which ledger keeps a collectible's pieces. It is chosen when the issuance starts and never changes.
    pub enum LedgerKind {
        /// The hash chain in the house's own database.
        Embedded = "EMBEDDED",
        /// An ERC-1155 contract on an EVM chain.
        Evm = "EVM",
    }
}

words! {
    /// What an operation does.
    pub enum OperationKind {
        /// Brings the pieces of a collectible into being, in the enterprise's treasury.
        Issue = "ISSUE",
        /// Moves one piece to a holder.
        Transfer = "TRANSFER",
    }
}

/// What an operation says. Its JSON, fields in this order, is what the chain is built over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Content {
    #[serde(rename_all = "camelCase")]
    Issue { collectible_id: CollectibleId, first_serial: i32, count: i32 },
    #[serde(rename_all = "camelCase")]
    Transfer { collectible_id: CollectibleId, serial: i32, from: Option<HolderId>, to: HolderId },
}

impl Content {
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Issue { .. } => OperationKind::Issue,
            Self::Transfer { .. } => OperationKind::Transfer,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Operation {
    pub id: OperationId,
    pub content: Content,
}

/// One numbered piece, as a ledger knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Piece {
    pub collectible: CollectibleId,
    pub serial: i32,
}

/// To whom a piece belongs, as the business knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The enterprise that issued it.
    Treasury,
    Holder(HolderId),
}

/// How a ledger writes an owner down: a chain's address, for example. It cannot be read back into one, only compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account(pub String);

/// What the ledger says of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The ledger never heard of it: it may be submitted again.
    Unknown,
    /// Accepted, not yet in a block that stays.
    Pending,
    /// Refused for good: it was not and will not be carried out. The reason is for the enterprise's operators.
    Refused { reason: String },
    /// In a block, for good.
    Confirmed(Place),
}

/// Where an operation stands on its ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub block: i64,
    /// Among the operations of the block.
    pub position: i32,
    /// The chain's own name for the transaction, where it has one.
    pub transaction: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = ledger_blocks)]
pub struct Block {
    pub number: i64,
    pub previous_hash: Vec<u8>,
    pub operations_hash: Vec<u8>,
    pub hash: Vec<u8>,
    pub operation_count: i32,
    pub sealed_at: DateTime<Utc>,
}

/// The hash before the first block.
pub const GENESIS: [u8; 32] = [0; 32];

impl Block {
    /// Binds operations, in order, to the chain. Each hash covers lengths too, so that no two lists read the same.
    pub fn seal(previous: Option<&Block>, operations: &[(OperationId, String)], sealed_at: DateTime<Utc>) -> Self {
        let number = previous.map_or(1, |block| block.number + 1);
        let previous_hash = previous.map_or(GENESIS.to_vec(), |block| block.hash.clone());
        let mut list = Vec::new();
        for (id, payload) in operations {
            list.extend_from_slice(id.as_bytes());
            list.extend_from_slice(&(payload.len() as u64).to_be_bytes());
            list.extend_from_slice(payload.as_bytes());
        }
        let operations_hash = sha256(&list).to_vec();
        let mut block = Self {
            number,
            previous_hash,
            operations_hash,
            hash: Vec::new(),
            operation_count: operations.len() as i32,
            sealed_at,
        };
        block.hash = block.computed_hash();
        block
    }

    pub fn computed_hash(&self) -> Vec<u8> {
        let mut head = b"minthouse/block/1".to_vec();
        head.extend_from_slice(&self.number.to_be_bytes());
        head.extend_from_slice(&self.previous_hash);
        head.extend_from_slice(&self.operations_hash);
        head.extend_from_slice(&self.operation_count.to_be_bytes());
        head.extend_from_slice(&self.sealed_at.timestamp_micros().to_be_bytes());
        sha256(&head).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_changes_the_hash_and_lists_do_not_run_together() {
        let at = DateTime::from_timestamp_micros(1_700_000_000_000_000).unwrap();
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = Block::seal(None, &[(a, "one".into()), (b, "two".into())], at);
        assert_eq!(first.number, 1);
        assert_eq!(first.hash, first.computed_hash());
        let second = Block::seal(Some(&first), &[], at);
        assert_eq!((second.number, &second.previous_hash), (2, &first.hash));

        let swapped = Block::seal(None, &[(b, "two".into()), (a, "one".into())], at);
        assert_ne!(swapped.hash, first.hash);
        let run_together = Block::seal(None, &[(a, "onetwo".into()), (b, "".into())], at);
        assert_ne!(run_together.operations_hash, first.operations_hash);
        let mut later = first.clone();
        later.sealed_at += chrono::TimeDelta::microseconds(1);
        assert_ne!(later.computed_hash(), first.hash);
    }
}
