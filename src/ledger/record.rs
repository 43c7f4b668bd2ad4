//! What the chain is built over: each operation as a line of JSON, which names its place and no person. Pure.
//!
//! The text of the line is the leaf of its block's tree, byte for byte; nobody who checks a proof has to write JSON as we
//! do. Holders stand in it as commitments: `SHA-256("minthouse/account/1\n" holder "\n" salt "\n")`, with a salt of
//! their own for each time that a piece reaches somebody. So a piece's history hangs together (each giver is the
//! receiver before), and whoever reads it learns nothing of a holder whose salt they were not given.

use serde::{Deserialize, Serialize};

use crate::catalog::model::CollectibleId;
use crate::ledger::judge::Holding;
use crate::ledger::merkle::{self, Hash};
use crate::ledger::model::{Content, Operation, OperationId, OperationKind, Owner};
use crate::platform::vault::{SealingKey, hex, hmac_sha256, sha256};
use crate::tenancy::model::{EnterpriseId, HolderId};

pub const FORMAT: &str = "minthouse/operation/1";

/// How the treasury stands in a record.
pub const TREASURY: &str = "treasury";

/// One operation in its place. Its JSON, fields in this order, is the leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    pub format: String,
    pub enterprise: EnterpriseId,
    pub block: i64,
    pub position: i32,
    pub operation: OperationId,
    pub kind: OperationKind,
    /// The pieces; none of an anchor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collectible: Option<CollectibleId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_serial: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
    /// Of a transfer: `treasury`, or the commitment to the giver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Of a transfer: the commitment to the receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Of an anchor: what it binds, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// What the salts of one enterprise's commitments are made with.
pub struct Salts(SealingKey);

impl Salts {
    pub fn new(master_key: &SealingKey, tenant: EnterpriseId) -> Self {
        Self(master_key.derive(&format!("ledger salts/{tenant}")))
    }

    /// The salt of whoever got a piece by this transfer.
    pub fn of(&self, transfer: OperationId) -> Hash {
        hmac_sha256(self.0.expose(), &[transfer.as_bytes()])
    }

    /// How the holding stands in records.
    pub fn write(&self, holding: Holding) -> String {
        match (holding.owner, holding.since) {
            (Owner::Holder(holder), Some(transfer)) => commitment(holder, &self.of(transfer)),
            _ => TREASURY.to_owned(),
        }
    }
}

/// What a record says of a holder. Only who is told the salt can say whom it means.
pub fn commitment(holder: HolderId, salt: &Hash) -> String {
    let salt = hex(salt);
    hex(&sha256(format!("minthouse/account/1\n{holder}\n{salt}\n").as_bytes()))
}

impl Record {
    /// The operation in its place; `before` is who held the piece, for a transfer.
    pub fn new(
        salts: &Salts,
        tenant: EnterpriseId,
        (block, position): (i64, i32),
        operation: &Operation,
        before: Option<Holding>,
    ) -> Self {
        let (first_serial, count, to, digest) = match operation.content {
            Content::Issue { first_serial, count, .. } => (Some(first_serial), Some(count), None, None),
            Content::Transfer { serial, to, .. } => (Some(serial), Some(1), Some(to), None),
            Content::Anchor { digest } => (None, None, None, Some(hex(&digest))),
        };
        let after = to.map(|to| Holding { owner: Owner::Holder(to), since: Some(operation.id) });
        Self {
            format: FORMAT.to_owned(),
            enterprise: tenant,
            block,
            position,
            operation: operation.id,
            kind: operation.content.kind(),
            collectible: operation.content.collectible(),
            first_serial,
            count,
            from: before.map(|before| salts.write(before)),
            to: after.map(|after| salts.write(after)),
            digest,
        }
    }

    /// The leaf's text.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a record holds nothing that JSON cannot say")
    }
}

/// The hash of a record's text.
pub fn leaf(text: &str) -> Hash {
    merkle::leaf(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_record_names_nobody_and_hangs_together() {
        let (tenant, salts) = (
            EnterpriseId::from_uuid(Uuid::from_u128(1)),
            Salts::new(&SealingKey::new([7; 32]), EnterpriseId::from_uuid(Uuid::from_u128(1))),
        );
        let (first, second) = (HolderId::from_uuid(Uuid::from_u128(5)), HolderId::from_uuid(Uuid::from_u128(6)));
        let collectible_id = CollectibleId::from_uuid(Uuid::from_u128(3));
        let transfer = |id: u128, from: Option<HolderId>, to| Operation {
            id: Uuid::from_u128(id),
            content: Content::Transfer { collectible_id, serial: 4, from, to },
        };
        let (out, on, back) = (transfer(10, None, first), transfer(11, Some(first), second), transfer(12, None, first));
        let held =
            |holder, operation: &Operation| Some(Holding { owner: Owner::Holder(holder), since: Some(operation.id) });
        let one = Record::new(&salts, tenant, (1, 0), &out, Some(Holding::TREASURY));
        let two = Record::new(&salts, tenant, (1, 1), &on, held(first, &out));
        assert_eq!(one.from.as_deref(), Some(TREASURY));
        assert_eq!(two.from, one.to, "the giver is the receiver before");
        assert_eq!(one.to, Some(commitment(first, &salts.of(out.id))));
        // The same person by another transfer, or at another enterprise, looks like somebody else.
        let three = Record::new(&salts, tenant, (1, 2), &back, Some(Holding::TREASURY));
        assert_ne!(three.to, one.to);
        let elsewhere = Salts::new(&SealingKey::new([7; 32]), EnterpriseId::from_uuid(Uuid::from_u128(2)));
        assert_ne!(elsewhere.of(out.id), salts.of(out.id));
        for record in [one, two] {
            let text = record.text();
            for holder in [first, second] {
                assert!(!text.contains(&holder.to_string()) && !text.contains(&holder.uuid().to_string()), "{text}");
            }
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        }
    }

    #[test]
    fn each_kind_of_operation_says_what_concerns_it_and_no_more() {
        let tenant = EnterpriseId::from_uuid(Uuid::from_u128(1));
        let salts = Salts::new(&SealingKey::new([7; 32]), tenant);
        let text = |content| {
            let operation = Operation { id: Uuid::from_u128(2), content };
            Record::new(&salts, tenant, (3, 4), &operation, None).text()
        };
        let begins = |kind: &str| {
            format!(
                r#"{{"format":"minthouse/operation/1","enterprise":"{tenant}","block":3,"position":4,"operation":"00000000-0000-0000-0000-000000000002","kind":"{kind}","#
            )
        };
        let collectible_id = CollectibleId::from_uuid(Uuid::from_u128(3));
        assert_eq!(
            text(Content::Issue { collectible_id, first_serial: 5, count: 6 }),
            format!(r#"{}"collectible":"{collectible_id}","firstSerial":5,"count":6}}"#, begins("ISSUE"))
        );
        let digest = format!(r#""digest":"{}"}}"#, "09".repeat(32));
        assert_eq!(text(Content::Anchor { digest: [9; 32] }), begins("ANCHOR") + &digest);
    }
}
