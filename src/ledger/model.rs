//! Operations on a ledger, and the blocks of the embedded one.

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalog::model::CollectibleId;
use crate::ledger::merkle::Hash;
use crate::platform::vault::{hex, sha256};
use crate::schema::ledger_blocks;
use crate::tenancy::model::{EnterpriseId, HolderId};
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
        /// Binds the digest of something outside of the ledger, which is thereby shown to have been there by then.
        Anchor = "ANCHOR",
    }
}

/// What an operation says. Its JSON is how it waits for a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Content {
    #[serde(rename_all = "camelCase")]
    Issue {
        collectible_id: CollectibleId,
        first_serial: i32,
        count: i32,
    },
    #[serde(rename_all = "camelCase")]
    Transfer {
        collectible_id: CollectibleId,
        serial: i32,
        from: Option<HolderId>,
        to: HolderId,
    },
    Anchor {
        digest: Hash,
    },
}

impl Content {
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Issue { .. } => OperationKind::Issue,
            Self::Transfer { .. } => OperationKind::Transfer,
            Self::Anchor { .. } => OperationKind::Anchor,
        }
    }

    /// Of whose pieces it speaks, if of any.
    pub fn collectible(&self) -> Option<CollectibleId> {
        match self {
            Self::Issue { collectible_id, .. } | Self::Transfer { collectible_id, .. } => Some(*collectible_id),
            Self::Anchor { .. } => None,
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
    /// Among the operations of the block; [`Place::SOMEWHERE`] where the ledger knows the block alone.
    pub position: i32,
    /// The chain's own name for the transaction, where it has one.
    pub transaction: Option<String>,
}

impl Place {
    /// A position that nobody can tell any more.
    pub const SOMEWHERE: i32 = -1;
}

/// One block of the embedded ledger's chain.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = ledger_blocks)]
pub struct Block {
    pub number: i64,
    pub previous_hash: Vec<u8>,
    /// Of the Merkle tree over its operations.
    pub operations_root: Vec<u8>,
    pub operation_count: i32,
    pub sealed_at: DateTime<Utc>,
    pub hash: Vec<u8>,
    /// Of the tree over the chain's blocks: the full subtrees that end with this one, from pairs upwards.
    pub subtrees: Vec<u8>,
}

/// The hash before the first block.
pub const GENESIS: Hash = [0; 32];

impl Block {
    /// What the hash is taken of. The enterprise is named, so that one's chain is of no use as another's.
    pub fn head(&self, tenant: EnterpriseId) -> String {
        let (previous, root) = (hex(&self.previous_hash), hex(&self.operations_root));
        let (number, count, micros) = (self.number, self.operation_count, self.sealed_at.timestamp_micros());
        format!("minthouse/block/1\n{tenant}\n{number}\n{previous}\n{root}\n{count}\n{micros}\n")
    }

    pub fn computed_hash(&self, tenant: EnterpriseId) -> Hash {
        sha256(self.head(tenant).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_blocks_head_counts() {
        type Change = fn(&mut Block);
        let tenant = EnterpriseId::from_uuid(Uuid::from_u128(1));
        let block = Block {
            number: 2,
            previous_hash: vec![1; 32],
            operations_root: vec![2; 32],
            operation_count: 3,
            sealed_at: DateTime::from_timestamp_micros(1_790_000_000_000_001).unwrap(),
            hash: Vec::new(),
            subtrees: Vec::new(),
        };
        let changes: [Change; 5] = [
            |block| block.number = 3,
            |block| block.previous_hash[31] = 0,
            |block| block.operations_root[0] = 0,
            |block| block.operation_count = 2,
            |block| block.sealed_at += chrono::TimeDelta::microseconds(1),
        ];
        for (place, change) in changes.iter().enumerate() {
            let mut changed = block.clone();
            change(&mut changed);
            assert_ne!(changed.computed_hash(tenant), block.computed_hash(tenant), "change {place}");
        }
        let other = EnterpriseId::from_uuid(Uuid::from_u128(2));
        assert_ne!(block.computed_hash(other), block.computed_hash(tenant));
    }
}
