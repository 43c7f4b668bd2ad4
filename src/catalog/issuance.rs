//! One collectible's way onto its ledger: the plan of batches, and what follows from what the ledger says.

use diesel::{Queryable, Selectable};

use crate::catalog::model::{CollectibleId, CollectibleState};
use crate::ledger::model::{Content, LedgerKind, Operation, OperationId};
use crate::platform::vault::sha256;
use crate::schema::{issuance_batches, issuances};
use crate::stored_words;

/// How many pieces one operation on a ledger brings into being at most.
pub const BATCH_SIZE: i32 = 1_000;

stored_words! {
    /// Where a batch stands.
    pub enum BatchState {
        /// The ledger was never told of it under its present name.
        Waiting = "WAITING",
        /// The ledger may have it: written down before it is told, so that from here on it is asked.
        Handed = "HANDED",
        /// The ledger has confirmed it and its items exist.
        Confirmed = "CONFIRMED",
        /// The ledger will never carry it out.
        Refused = "REFUSED",
    }
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = issuances)]
pub struct Issuance {
    pub collectible_id: CollectibleId,
    pub ledger: LedgerKind,
    pub operation_id: OperationId,
    pub batch_count: i32,
    pub confirmed_count: i32,
    pub failure: Option<String>,
    pub attempts: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = issuance_batches)]
pub struct Batch {
    pub collectible_id: CollectibleId,
    pub number: i32,
    pub operation_id: OperationId,
    pub first_serial: i32,
    pub count: i32,
    pub refusals: i32,
    pub state: BatchState,
}

impl Batch {
    /// The whole supply in batches, none of them handed over.
    pub fn plan(issuance: OperationId, collectible: CollectibleId, first_serial: i32, supply: i32) -> Vec<Self> {
        (0..)
            .map(|number| (number, number * BATCH_SIZE))
            .take_while(|(_, offset)| *offset < supply)
            .map(|(number, offset)| Self {
                collectible_id: collectible,
                number,
                operation_id: operation_id(issuance, number, 0),
                first_serial: first_serial + offset,
                count: (supply - offset).min(BATCH_SIZE),
                refusals: 0,
                state: BatchState::Waiting,
            })
            .collect()
    }

    /// A refused one, to be tried anew: for its ledger that is another operation.
    pub fn anew(self, issuance: OperationId) -> Self {
        let refusals = self.refusals + 1;
        let operation_id = operation_id(issuance, self.number, refusals);
        Self { operation_id, refusals, state: BatchState::Waiting, ..self }
    }

    pub fn operation(&self) -> Operation {
        let content =
            Content::Issue { collectible_id: self.collectible_id, first_serial: self.first_serial, count: self.count };
        Operation { id: self.operation_id, content }
    }
}

/// A batch's name, from its issuance's name alone. It is a UUIDv7 with the issuance's time, and sorts by its number
/// where there are not more than 4,096 of them.
fn operation_id(issuance: OperationId, number: i32, refusals: i32) -> OperationId {
    let mut text = b"minthouse/issuance-batch/1".to_vec();
    text.extend_from_slice(issuance.as_bytes());
    text.extend_from_slice(&number.to_be_bytes());
    text.extend_from_slice(&refusals.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sha256(&text)[..16]);
    bytes[..6].copy_from_slice(&issuance.as_bytes()[..6]);
    let [.., high, low] = number.to_be_bytes();
    (bytes[6], bytes[7]) = (0x70 | (high & 0x0f), low);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    OperationId::from_bytes(bytes)
}

/// How many batches of an issuance stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub waiting: i64,
    pub handed: i64,
    pub confirmed: i64,
    pub refused: i64,
}

impl Tally {
    /// Where the collectible stands by it. `heard`: the ledger has answered, and knew of all that was handed over.
    pub fn state(self, heard: bool) -> CollectibleState {
        match self {
            Self { waiting: 0, handed: 0, refused: 0, .. } => CollectibleState::Issued,
            // What is under way is followed to its end first, so that an issuance that has failed stands still.
            Self { handed: 0, refused: 1.., .. } => CollectibleState::Failed,
            Self { handed: 1.., .. } if !heard => CollectibleState::Unknown,
            Self { handed: 0, confirmed: 0, .. } => CollectibleState::Submitted,
            _ => CollectibleState::Confirming,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::platform::id;

    proptest! {
        #[test]
        fn a_plan_has_each_serial_once_and_each_name_once(first in 0..=1, supply in 1..=50_000) {
            let issuance = id::generate();
            let plan = Batch::plan(issuance, CollectibleId::generate(), first, supply);
            let mut next = first;
            for (number, batch) in plan.iter().enumerate() {
                prop_assert_eq!((batch.number, batch.first_serial), (number as i32, next));
                prop_assert!((1..=BATCH_SIZE).contains(&batch.count));
                next += batch.count;
            }
            prop_assert_eq!(next, first + supply);
            let names: HashSet<_> = plan.iter().map(|batch| batch.operation_id).collect();
            prop_assert_eq!(names.len(), plan.len());
            prop_assert!(plan.is_sorted_by_key(|batch| batch.operation_id));
        }
    }

    #[test]
    fn a_name_follows_from_the_issuance_and_is_new_after_each_refusal() {
        let (issuance, collectible) = (id::generate(), CollectibleId::generate());
        let plan = Batch::plan(issuance, collectible, 1, 2_500);
        assert_eq!(plan, Batch::plan(issuance, collectible, 1, 2_500));
        assert_ne!(plan[0].operation_id, Batch::plan(id::generate(), collectible, 1, 1)[0].operation_id);
        assert_eq!(plan[0].operation_id.get_version_num(), 7);
        assert_eq!(plan[0].operation_id.get_variant(), uuid::Variant::RFC4122);
        let anew = plan[1].clone().anew(issuance);
        let again = anew.clone().anew(issuance);
        assert_eq!((anew.first_serial, anew.count), (plan[1].first_serial, plan[1].count));
        let names = [plan[0].operation_id, plan[1].operation_id, anew.operation_id, again.operation_id];
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 4);
    }

    #[test]
    fn a_failed_issuance_stands_still() {
        let tally = |waiting, handed, confirmed, refused| Tally { waiting, handed, confirmed, refused };
        for (tally, heard, state) in [
            (tally(5, 0, 0, 0), true, CollectibleState::Submitted),
            (tally(5, 0, 0, 0), false, CollectibleState::Submitted),
            (tally(3, 2, 0, 0), true, CollectibleState::Confirming),
            (tally(3, 2, 0, 0), false, CollectibleState::Unknown),
            (tally(4, 0, 1, 0), true, CollectibleState::Confirming),
            (tally(2, 1, 1, 1), true, CollectibleState::Confirming),
            (tally(2, 1, 1, 1), false, CollectibleState::Unknown),
            (tally(3, 0, 1, 1), false, CollectibleState::Failed),
            (tally(0, 0, 5, 0), true, CollectibleState::Issued),
        ] {
            assert_eq!(tally.state(heard), state, "{tally:?}");
        }
    }
}
