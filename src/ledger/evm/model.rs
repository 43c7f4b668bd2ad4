//! The states of operations and transactions on their way onto the chain, as the database keeps them.

use alloy::primitives::{Address, B256};
use uuid::Uuid;

use crate::ledger::evm::fee::Fee;
use crate::ledger::model::{Operation, OperationId};
use crate::stored_words;
use crate::tenancy::model::EnterpriseId;

/// How many transactions that carried an operation the chain may take back before the operation is refused: the one it
/// shared with others, then two that carried it alone.
pub const MOST_REVERTS: i32 = 3;

stored_words! {
    /// Where an operation is.
    pub enum OperationState {
        /// In no transaction yet.
        Waiting = "WAITING",
        /// In a transaction.
        Bundled = "BUNDLED",
        /// Carried out, in a block that stays.
        Confirmed = "CONFIRMED",
        /// Refused, in a block that stays.
        Refused = "REFUSED",
    }
}

stored_words! {
    /// Where a transaction is.
    pub enum TransactionState {
        /// Without a nonce yet.
        Waiting = "WAITING",
        /// With a nonce: to be sent, sent, or lost.
        Sent = "SENT",
        /// In a block that may still be replaced.
        Mined = "MINED",
        /// In a block that stays; its operations know what became of them.
        Settled = "SETTLED",
        /// In a block that stays and without effect; its operations wait again.
        Reverted = "REVERTED",
        /// Given up before it stood in a block; its operations wait again.
        Withdrawn = "WITHDRAWN",
    }
}

/// A transaction of one enterprise, known by both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionKey {
    pub tenant: EnterpriseId,
    pub id: Uuid,
}

/// A transaction with a nonce that is not settled yet.
#[derive(Clone, Debug)]
pub struct OpenTransaction {
    pub key: TransactionKey,
    pub contract: Address,
    pub gas_limit: u64,
    pub nonce: u64,
    /// Where it was seen last, if it was.
    pub mined: Option<Mined>,
    /// Its nonce has been spent for so long, in seconds, without a sign of it.
    pub missing_for: Option<f64>,
    /// In the order of being made.
    pub attempts: Vec<Attempt>,
}

/// A block in which a transaction was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mined {
    pub block_number: u64,
    pub block_hash: B256,
    pub transaction_hash: B256,
}

/// One form in which a transaction was sent under its present nonce.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub hash: B256,
    pub fee: Fee,
    /// Seconds since it was sent for the first time, and for the last.
    pub age: f64,
    pub silent_for: f64,
}

/// An operation that waits for a transaction.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub operation: Operation,
    pub reverts: i32,
}

/// What has become of one operation, for good.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub operation: OperationId,
    pub refusal: Option<String>,
    pub block_number: u64,
    /// Where it was told, if anybody still knows.
    pub told: Option<Told>,
}

/// The log that told of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub log_index: i32,
    pub transaction_hash: B256,
}

/// How many of the waiting operations, from the first, go into one transaction. One whose transaction was taken back
/// goes alone, so that it cannot take others with it again.
pub fn bundle(waiting: &[Waiting], most: usize, gas_limit: u64, gas_of: impl Fn(&Waiting) -> u64) -> usize {
    let Some(first) = waiting.first() else { return 0 };
    if first.reverts > 0 {
        return 1;
    }
    let mut gas = 0;
    let fits = |operation: &&Waiting| {
        gas += gas_of(operation);
        operation.reverts == 0 && gas <= gas_limit
    };
    // What is too large for any transaction is sent alone: the chain may see it otherwise.
    waiting.iter().take(most).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::model::CollectibleId;
    use crate::ledger::model::Content;

    fn waiting(reverts: &[i32]) -> Vec<Waiting> {
        let content = Content::Issue { collectible_id: CollectibleId::generate(), first_serial: 1, count: 1 };
        let operation = Operation { id: Uuid::nil(), content };
        reverts.iter().map(|&reverts| Waiting { operation: operation.clone(), reverts }).collect()
    }

    #[test]
    fn a_bundle_keeps_to_its_bounds_and_leaves_the_suspicious_alone() {
        let size = |reverts: &[i32], most, limit| bundle(&waiting(reverts), most, limit, |_| 10);
        assert_eq!(size(&[], 5, 100), 0);
        assert_eq!(size(&[0; 9], 5, 100), 5);
        assert_eq!(size(&[0; 9], 9, 35), 3);
        assert_eq!(size(&[0; 9], 9, 5), 1);
        assert_eq!(size(&[1, 0, 0], 9, 100), 1);
        assert_eq!(size(&[0, 0, 1, 0], 9, 100), 2);
    }
}
