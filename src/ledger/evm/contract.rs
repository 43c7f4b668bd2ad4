//! The contract's words: what is sent to it and what it says, see `contracts/MinthouseCollectibles.sol`.

use std::collections::HashMap;
use std::sync::LazyLock;

use alloy::primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy::sol_types::{SolCall, SolEvent, SolValue};
use anyhow::{Context, Result};
use serde::Deserialize;

use crate::bridges::ethereum::Log;
use crate::ledger::evm::address;
use crate::ledger::model::{Content, Operation, Owner};
use crate::tenancy::model::EnterpriseId;

mod words {
    alloy::sol! {
        /// An operation, as the contract's `Operation`.
        #[derive(Debug)]
        struct Step {
            bytes32 id;
            uint8 kind;
            uint256 first;
            uint256 count;
            address from;
            address to;
        }

        #[derive(Debug)]
        struct Outcome {
            uint8 status;
            uint8 reason;
            uint64 blockNumber;
            bytes22 digest;
        }

        event OperationDone(bytes32 indexed id);
        event OperationRefused(bytes32 indexed id, uint8 reason);

        function execute(Step[] steps) external;
        function outcomesOf(bytes32[] ids) external view returns (Outcome[] outcomes);
        function ownersOf(uint256[] tokens) external view returns (address[] owners);
        function hasRole(bytes32 role, address account) external view returns (bool has);
    }
}

use words::{OperationDone, OperationRefused, executeCall, hasRoleCall, outcomesOfCall, ownersOfCall};
pub use words::{Outcome, Step};

const ISSUE: u8 = 0;
const TRANSFER: u8 = 1;
const DONE: u8 = 1;
const REFUSED: u8 = 2;

/// What the contract says of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// By the contract's own number, see [`reason`].
    Refused(u8),
}

/// What `make contracts` has compiled.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    bytecode: Bytes,
    deployed_bytecode: Bytes,
}

static ARTIFACT: LazyLock<Artifact> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../contracts/out/MinthouseCollectibles.json"))
        .expect("the suite compiles the artefact again")
});

/// The transaction data that makes the contract.
pub fn deployment(admin: Address, operators: &[Address], uri: &str) -> Vec<u8> {
    let arguments = (admin, operators.to_vec(), uri.to_owned()).abi_encode_params();
    [ARTIFACT.bytecode.as_ref(), &arguments].concat()
}

/// Whether code that stands on a chain is this contract's.
pub fn is_ours(code: &[u8]) -> bool {
    code == ARTIFACT.deployed_bytecode.as_ref()
}

pub fn step(tenant: EnterpriseId, operation: &Operation) -> Step {
    let id = address::operation(tenant, operation.id);
    let account = |owner| address::account(tenant, owner);
    match operation.content {
        Content::Issue { collectible_id, first_serial, count } => {
            let (first, last) = (i64::from(first_serial), i64::from(first_serial) + i64::from(count) - 1);
            // The contract has room beyond our serial numbers: a run that would end there is sent as one that begins there.
            let first = if last > i64::from(i32::MAX) { last } else { first };
            Step {
                id,
                kind: ISSUE,
                first: address::token(collectible_id, first),
                count: U256::from(count.max(0).unsigned_abs()),
                from: Address::ZERO,
                to: account(Owner::Treasury),
            }
        }
        Content::Transfer { collectible_id, serial, from, to } => Step {
            id,
            kind: TRANSFER,
            first: address::token(collectible_id, serial.into()),
            count: U256::ONE,
            from: account(from.map_or(Owner::Treasury, Owner::Holder)),
            to: account(Owner::Holder(to)),
        },
        Content::Anchor { .. } => unreachable!("it is not taken in"),
    }
}

pub fn execute(steps: Vec<Step>) -> Vec<u8> {
    executeCall { steps }.abi_encode()
}

/// Gas that a transaction of these operations cannot exceed, from what was measured (docs/ledgers/evm.md) and a tenth
/// more. What is not used is not paid. It is not estimated by the node: that would judge an operation by a state in
/// which those before it have not happened, and refusals are cheap.
pub fn gas<'a>(operations: impl IntoIterator<Item = &'a Content>) -> u64 {
    operations.into_iter().fold(GAS_OF_A_TRANSACTION, |sum, content| sum + gas_of(content))
}

pub const GAS_OF_A_TRANSACTION: u64 = 50_000;

/// Of one operation among others.
pub fn gas_of(content: &Content) -> u64 {
    match content {
        Content::Issue { count, .. } => 130_000 + 760 * u64::from(count.clamp(&0, &1000).unsigned_abs()),
        Content::Transfer { .. } => 85_000,
        Content::Anchor { .. } => 0,
    }
}

pub fn outcomes_of(ids: Vec<B256>) -> Vec<u8> {
    outcomesOfCall { ids }.abi_encode()
}

/// Each with the block that it stands in; `None` where the contract never heard of the operation.
pub fn read_outcomes(answer: &[u8]) -> Result<Vec<Option<(Verdict, Outcome)>>> {
    let outcomes = outcomesOfCall::abi_decode_returns(answer).context("the contract's outcomes cannot be read")?;
    Ok(outcomes
        .into_iter()
        .map(|outcome| match outcome.status {
            DONE => Some((Verdict::Done, outcome)),
            REFUSED => Some((Verdict::Refused(outcome.reason), outcome)),
            _ => None,
        })
        .collect())
}

/// What the contract keeps of an operation's words.
pub fn digest(step: &Step) -> [u8; 22] {
    let mut digest = [0; 22];
    digest.copy_from_slice(&keccak256(step.abi_encode())[..22]);
    digest
}

pub fn owners_of(tokens: Vec<U256>) -> Vec<u8> {
    ownersOfCall { tokens }.abi_encode()
}

/// `None` where the piece does not exist.
pub fn read_owners(answer: &[u8]) -> Result<Vec<Option<Address>>> {
    let owners = ownersOfCall::abi_decode_returns(answer).context("the contract's owners cannot be read")?;
    Ok(owners.into_iter().map(|owner| (owner != Address::ZERO).then_some(owner)).collect())
}

pub fn has_operator_role(account: Address) -> Vec<u8> {
    hasRoleCall { role: keccak256("OPERATOR_ROLE"), account }.abi_encode()
}

pub fn read_has_role(answer: &[u8]) -> Result<bool> {
    hasRoleCall::abi_decode_returns(answer).context("the contract's answer about a role cannot be read")
}

/// The topics under which the contract tells of operations; the second topic is the operation's name.
pub fn verdict_topics() -> [B256; 2] {
    [OperationDone::SIGNATURE_HASH, OperationRefused::SIGNATURE_HASH]
}

/// What the logs of `contract` say of operations, and where: the log's place in its block.
pub fn verdicts(contract: Address, logs: &[Log]) -> HashMap<B256, (Verdict, &Log)> {
    let of = |log: &Log| match log.topics[..] {
        [OperationDone::SIGNATURE_HASH, id] => Some((id, Verdict::Done)),
        [OperationRefused::SIGNATURE_HASH, id] => Some((id, Verdict::Refused(log.data.last().copied()?))),
        _ => None,
    };
    let ours = logs.iter().filter(|log| log.address == contract);
    ours.filter_map(|log| of(log).map(|(id, verdict)| (id, (verdict, log)))).collect()
}

/// The contract's `Reason` in words, for an enterprise's operators.
pub fn reason(number: u8) -> &'static str {
    match number {
        1 => "the run of serial numbers is empty, too long or out of range",
        2 => "a piece of the run exists already",
        3 => "the collectible's pieces belong into another enterprise's treasury",
        4 => "the piece was never issued",
        5 => "the piece does not belong to who gives it",
        6 => "the receiver's address cannot receive pieces",
        _ => "the contract gives a reason that this version does not know",
    }
}

/// For messages: 0x and hexadecimal digits.
pub fn hash_text(hash: &[u8]) -> String {
    hex::encode_prefixed(hash)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::catalog::model::CollectibleId;

    #[test]
    fn the_artefact_is_read_and_the_gas_of_the_largest_operation_fits_a_transaction() {
        assert!(is_ours(&ARTIFACT.deployed_bytecode) && !is_ours(&[]));
        assert!(deployment(Address::ZERO, &[], "").len() > ARTIFACT.deployed_bytecode.len());
        let collectible_id = CollectibleId::from_uuid(Uuid::from_u128(1));
        let largest = Content::Issue { collectible_id, first_serial: 1, count: 1000 };
        assert_eq!(gas([&largest]), 50_000 + 130_000 + 760_000);
        // A count that the contract will refuse costs no more.
        let absurd = Content::Issue { collectible_id, first_serial: 1, count: i32::MAX };
        assert_eq!(gas_of(&absurd), gas_of(&largest));
    }
}
