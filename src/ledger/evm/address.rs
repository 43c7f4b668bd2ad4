//! How the business's names are written on the chain. Everybody who knows the names can compute them again.
//!
//! Accounts of treasuries and holders are the last 20 bytes of a hash that begins with a domain of our own. There is
//! no private key to them, as nobody can find one whose public key hashes to the same: pieces are moved by the
//! contract's operators alone. What is hashed are random IDs, so an address tells nothing of the person.

use alloy::primitives::{Address, B256, U256, keccak256};

use crate::catalog::model::CollectibleId;
use crate::ledger::model::{OperationId, Owner};
use crate::tenancy::model::EnterpriseId;

const TREASURY: &[u8] = b"minthouse/evm/treasury/1";
const HOLDER: &[u8] = b"minthouse/evm/holder/1";
const OPERATION: &[u8] = b"minthouse/evm/operation/1";

/// Of one owner within one enterprise: who is known to two enterprises has two.
pub fn account(tenant: EnterpriseId, owner: Owner) -> Address {
    let hash = match owner {
        Owner::Treasury => hash(TREASURY, &[tenant.uuid().as_bytes()]),
        Owner::Holder(holder) => hash(HOLDER, &[tenant.uuid().as_bytes(), holder.uuid().as_bytes()]),
    };
    Address::from_word(hash)
}

/// The collectible's UUID in the upper half, the serial number in the lower. What is no serial number becomes one that
/// the contract never issues.
pub fn token(collectible: CollectibleId, serial: i64) -> U256 {
    let serial = i32::try_from(serial).ok().and_then(|serial| u128::try_from(serial).ok()).unwrap_or(u128::MAX);
    (U256::from(collectible.uuid().as_u128()) << 128) | U256::from(serial)
}

/// The operation's name on the chain. The enterprise is part of it, so that none can take another's.
pub fn operation(tenant: EnterpriseId, id: OperationId) -> B256 {
    hash(OPERATION, &[tenant.uuid().as_bytes(), id.as_bytes()])
}

/// Domains are told apart by their text, and what follows each has one length.
fn hash(domain: &[u8], parts: &[&[u8; 16]]) -> B256 {
    let mut preimage = domain.to_vec();
    for part in parts {
        preimage.extend_from_slice(*part);
    }
    keccak256(preimage)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::tenancy::model::HolderId;

    #[test]
    fn names_on_the_chain_never_change() {
        let tenant = EnterpriseId::from_uuid(Uuid::from_u128(1));
        let holder = Owner::Holder(HolderId::from_uuid(Uuid::from_u128(2)));
        // Computed apart from this code, by npm's viem.
        assert_eq!(account(tenant, Owner::Treasury).to_checksum(None), "0x07Ab98CF3a71DBcc188404dc62735426F9128CcA");
        assert_eq!(account(tenant, holder).to_checksum(None), "0x30c56C4150884F996A43c71c3c554b8776b4d40f");
        assert_eq!(
            operation(tenant, Uuid::from_u128(3)).to_string(),
            "0x8f968108a2fb0f3796bd6181a79bc8407d9247135164dca6eb7e76a17acb77c2"
        );
        let token = token(CollectibleId::from_uuid(Uuid::from_u128(5)), 7);
        assert_eq!(token.to_string(), "1701411834604692317316873037158841057287");
    }

    #[test]
    fn what_is_no_serial_number_is_no_piece() {
        let collectible = CollectibleId::from_uuid(Uuid::from_u128(5));
        let token = |serial| token(collectible, serial);
        assert_ne!(token(-1), token(0));
        for serial in [-1, i64::MIN, i64::from(i32::MAX) + 1, i64::MAX] {
            assert_eq!(token(serial) - token(0), U256::from(u128::MAX), "{serial}");
        }
    }
}
