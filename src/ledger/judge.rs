//! What can be true: a ledger that believes anything proves nothing. Pure.
//!
//! Operations are judged in the order in which they will stand, against what stands already and against those before
//! them in the same block.

use std::collections::{BTreeMap, HashMap};

use crate::catalog::model::CollectibleId;
use crate::ledger::model::{Content, Operation, OperationId, Owner, Piece};

/// To whom a piece belongs, and since which transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    pub owner: Owner,
    /// None while it has not left the treasury.
    pub since: Option<OperationId>,
}

impl Holding {
    pub const TREASURY: Self = Self { owner: Owner::Treasury, since: None };
}

/// As much of the ledger as the operations at hand touch.
#[derive(Debug, Default)]
pub struct Standing {
    /// Runs that were issued: where each begins, and the serial after its last. They do not overlap.
    runs: BTreeMap<(CollectibleId, i64), i64>,
    /// Pieces that have left the treasury.
    moved: HashMap<Piece, Holding>,
}

impl Standing {
    pub fn add_run(&mut self, collectible: CollectibleId, first_serial: i32, count: i32) {
        let first = i64::from(first_serial);
        self.runs.insert((collectible, first), first + i64::from(count));
    }

    pub fn add_holding(&mut self, piece: Piece, holding: Holding) {
        self.moved.insert(piece, holding);
    }

    /// Carries the operation out. Gives who held the piece before, for a transfer; or why it cannot be.
    pub fn judge(&mut self, operation: &Operation) -> Result<Option<Holding>, String> {
        match operation.content {
            Content::Issue { collectible_id, first_serial, count } => {
                let (first, end) = (i64::from(first_serial), i64::from(first_serial) + i64::from(count));
                if first < 0 || end <= first || end > i64::from(i32::MAX) + 1 {
                    return Err(format!("{count} pieces from serial number {first_serial} on are no run of pieces"));
                }
                // Of runs that do not overlap, the last that begins early enough is the only one that can reach in.
                if let Some((taken, until)) = self.run_before(collectible_id, end - 1)
                    && until > first
                {
                    let last = until - 1;
                    return Err(format!("serial numbers {taken} to {last} of {collectible_id} are issued already"));
                }
                self.runs.insert((collectible_id, first), end);
                Ok(None)
            }
            Content::Transfer { collectible_id, serial, from, to } => {
                let piece = Piece { collectible: collectible_id, serial };
                let issued = self.run_before(collectible_id, serial.into()).is_some_and(|(_, end)| end > serial.into());
                if !issued {
                    return Err(format!("serial number {serial} of {collectible_id} was never issued"));
                }
                let holding = self.moved.get(&piece).copied().unwrap_or(Holding::TREASURY);
                if holding.owner != from.map_or(Owner::Treasury, Owner::Holder) {
                    return Err(format!("serial number {serial} of {collectible_id} is not its giver's to give"));
                }
                self.moved.insert(piece, Holding { owner: Owner::Holder(to), since: Some(operation.id) });
                Ok(Some(holding))
            }
            // It says of no piece that anything is so.
            Content::Anchor { .. } => Ok(None),
        }
    }

    /// The run that begins last among those that begin at `serial` or before.
    fn run_before(&self, collectible: CollectibleId, serial: i64) -> Option<(i64, i64)> {
        let (key, end) = self.runs.range((collectible, i64::MIN)..=(collectible, serial)).next_back()?;
        Some((key.1, *end))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::tenancy::model::HolderId;

    fn collectible(number: u8) -> CollectibleId {
        CollectibleId::from_uuid(Uuid::from_u128(number.into()))
    }

    fn holder(number: u8) -> HolderId {
        HolderId::from_uuid(Uuid::from_u128(number.into()))
    }

    fn operation(id: u128, content: Content) -> Operation {
        Operation { id: Uuid::from_u128(id), content }
    }

    fn content() -> impl Strategy<Value = Content> {
        let giver = prop_oneof![Just(None), (0u8..3).prop_map(|number| Some(holder(number)))];
        prop_oneof![
            (0u8..2, -2i32..24, -1i32..9).prop_map(|(number, first_serial, count)| Content::Issue {
                collectible_id: collectible(number),
                first_serial,
                count
            }),
            (0u8..2, -1i32..26, giver, 0u8..3).prop_map(|(number, serial, from, to)| Content::Transfer {
                collectible_id: collectible(number),
                serial,
                from,
                to: holder(to)
            }),
            any::<[u8; 32]>().prop_map(|digest| Content::Anchor { digest }),
        ]
    }

    proptest! {
        /// Against a ledger that keeps every piece on its own.
        #[test]
        fn what_is_let_through_is_what_piece_by_piece_could_happen(contents in prop::collection::vec(content(), 0..60)) {
            let (mut standing, mut pieces) = (Standing::default(), HashMap::new());
            let mut issued = HashSet::new();
            for (id, content) in (1..).zip(contents) {
                let due = match content {
                    Content::Issue { collectible_id, first_serial, count } => {
                        let run: Vec<Piece> = (first_serial..first_serial.saturating_add(count))
                            .map(|serial| Piece { collectible: collectible_id, serial })
                            .collect();
                        let good = !run.is_empty() && first_serial >= 0 && run.iter().all(|piece| !issued.contains(piece));
                        if good {
                            issued.extend(run);
                        }
                        good.then_some(None)
                    }
                    Content::Anchor { .. } => Some(None),
                    Content::Transfer { collectible_id, serial, from, to } => {
                        let piece = Piece { collectible: collectible_id, serial };
                        let held: Option<(HolderId, Uuid)> = pieces.get(&piece).copied();
                        let good = issued.contains(&piece) && held.map(|(holder, _)| holder) == from;
                        good.then(|| {
                            pieces.insert(piece, (to, Uuid::from_u128(id)));
                            Some(held.map_or(Holding::TREASURY, |(holder, since)| Holding {
                                owner: Owner::Holder(holder),
                                since: Some(since),
                            }))
                        })
                    }
                };
                prop_assert_eq!(standing.judge(&operation(id, content.clone())).ok(), due, "{:?}", content);
            }
        }
    }

    #[test]
    fn serial_numbers_end_where_their_column_does() {
        let issue = |first_serial, count| {
            let content = Content::Issue { collectible_id: collectible(1), first_serial, count };
            Standing::default().judge(&operation(1, content))
        };
        assert_eq!(issue(i32::MAX, 1), Ok(None));
        assert!(issue(i32::MAX, 2).is_err());
        assert!(issue(i32::MIN, i32::MIN).is_err());
        assert!(issue(0, 0).is_err());
    }
}
