//! The draw decision, pure: wishes in, outcomes out. Everything that it reads was locked before, and everything that
//! it decides is written after, in one transaction.

use std::collections::HashMap;

use crate::activities::fairness::{self, Hash, RecordOf, RollOf, Seed};
use crate::activities::model::{ActivityId, PrizeId};
use crate::catalog::model::{AllotmentId, CollectibleId};
use crate::wallets::model::HolderId;

/// A prize as a draw sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedPrize {
    pub id: PrizeId,
    pub odds_per_million: u32,
    pub collectible: CollectibleId,
    pub allotment: AllotmentId,
}

/// What does not change while an activity is published. Prizes stand in the order of their positions.
#[derive(Clone, Debug)]
pub struct Terms {
    pub activity: ActivityId,
    pub plan_version: u32,
    pub prizes: Vec<PlannedPrize>,
    pub seed: Seed,
}

/// What is left of one prize, and the serial number that goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    pub left: u32,
    pub next_serial: i32,
}

/// The end of the chain of draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub next_sequence: i64,
    pub hash: Hash,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub sequence: i64,
    pub roll: i32,
    /// The place of what the roll fell on among the terms' prizes.
    pub picked: Option<usize>,
    /// The place and the serial number of what was given.
    pub awarded: Option<(usize, i32)>,
    pub record_hash: Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoChanceLeft;

/// An activity's turn: its state under lock, moved on draw by draw.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    terms: &'a Terms,
    pub head: Head,
    /// Beside the terms' prizes.
    stock: Vec<Stock>,
    /// How often each holder may still draw.
    chances: HashMap<HolderId, i32>,
}

impl<'a> Turn<'a> {
    pub fn new(terms: &'a Terms, head: Head, stock: Vec<Stock>, chances: HashMap<HolderId, i32>) -> Self {
        debug_assert_eq!(terms.prizes.len(), stock.len());
        Self { terms, head, stock, chances }
    }

    /// One draw. A refused one moves nothing, not even the sequence.
    pub fn draw(&mut self, holder: HolderId, client_seed: &str) -> Result<Decided, NoChanceLeft> {
        let chances = self.chances.get_mut(&holder).filter(|left| **left > 0).ok_or(NoChanceLeft)?;
        *chances -= 1;

        let rolled = RollOf {
            activity: self.terms.activity,
            plan_version: self.terms.plan_version,
            holder,
            sequence: self.head.next_sequence.unsigned_abs(),
            client_seed,
        };
        let roll = fairness::roll(&self.terms.seed, &rolled);
        let picked = fairness::pick(self.terms.prizes.iter().map(|prize| prize.odds_per_million), roll);
        let awarded = picked.filter(|place| self.stock[*place].left > 0).map(|place| {
            let stock = &mut self.stock[place];
            stock.left -= 1;
            stock.next_serial += 1;
            (place, stock.next_serial - 1)
        });

        let id = |place: usize| self.terms.prizes[place].id;
        let left: Vec<u32> = self.stock.iter().map(|stock| stock.left).collect();
        let record = RecordOf {
            rolled,
            roll,
            picked: picked.map(id),
            awarded: awarded.map(|(place, _)| id(place)),
            serial: awarded.map(|(_, serial)| serial.unsigned_abs()),
            left: &left,
        };
        let sequence = self.head.next_sequence;
        let record_hash = fairness::record_hash(&self.head.hash, &record);
        self.head = Head { next_sequence: sequence + 1, hash: record_hash };
        Ok(Decided { sequence, roll: roll.cast_signed(), picked, awarded, record_hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn holder(number: u128) -> HolderId {
        HolderId::from_uuid(Uuid::from_u128(number))
    }

    fn terms(odds: &[u32]) -> Terms {
        let prize = |(place, odds): (usize, &u32)| PlannedPrize {
            id: PrizeId::from_uuid(Uuid::from_u128(place as u128 + 1)),
            odds_per_million: *odds,
            collectible: CollectibleId::from_uuid(Uuid::from_u128(1)),
            allotment: AllotmentId::from_uuid(Uuid::from_u128(place as u128 + 1)),
        };
        Terms {
            activity: ActivityId::from_uuid(Uuid::from_u128(1)),
            plan_version: 1,
            prizes: odds.iter().enumerate().map(prize).collect(),
            seed: [3; 32],
        }
    }

    fn stock(left: &[u32]) -> Vec<Stock> {
        left.iter()
            .enumerate()
            .map(|(place, left)| Stock { left: *left, next_serial: 1000 * place as i32 + 1 })
            .collect()
    }

    const START: Head = Head { next_sequence: 1, hash: [0; 32] };

    #[test]
    fn what_is_gone_is_picked_and_not_awarded() {
        let terms = terms(&[1_000_000]);
        let mut turn = Turn::new(&terms, START, stock(&[2]), HashMap::from([(holder(1), 9)]));
        let drawn: Vec<Decided> = (0..3).map(|_| turn.draw(holder(1), "").expect("a chance is left")).collect();
        let awards: Vec<_> = drawn.iter().map(|draw| draw.awarded).collect();
        assert_eq!(awards, [Some((0, 1)), Some((0, 2)), None], "numbers go out in order, and end with the stock");
        assert!(drawn.iter().all(|draw| draw.picked == Some(0)));
    }

    #[test]
    fn who_has_no_chance_left_moves_nothing() {
        let terms = terms(&[500_000]);
        let mut turn = Turn::new(&terms, START, stock(&[9]), HashMap::from([(holder(1), 1)]));
        assert!(turn.draw(holder(1), "").is_ok());
        let head = turn.head;
        assert_eq!(turn.draw(holder(1), ""), Err(NoChanceLeft));
        assert_eq!(turn.draw(holder(2), ""), Err(NoChanceLeft), "a stranger has none");
        assert_eq!(turn.head, head);
    }

    proptest! {
        /// Cut into batches anyhow, the same wishes in the same order have the same outcomes and the same chain.
        #[test]
        fn batches_decide_nothing(
            wishes in proptest::collection::vec((0_u128..5, "[a-z]{0,3}"), 1..60),
            cut in 0_usize..60,
            left in proptest::collection::vec(0_u32..6, 3),
        ) {
            let terms = terms(&[300_000, 100_000, 400_000]);
            let chances: HashMap<_, _> = (0..5).map(|number| (holder(number), 8)).collect();
            let mut whole = Turn::new(&terms, START, stock(&left), chances.clone());
            let once: Vec<_> = wishes.iter().map(|(who, seed)| whole.draw(holder(*who), seed)).collect();

            let mut part = Turn::new(&terms, START, stock(&left), chances);
            let mut twice = Vec::new();
            for batch in [&wishes[..cut.min(wishes.len())], &wishes[cut.min(wishes.len())..]] {
                // What the database would give back between two batches.
                part = Turn::new(&terms, part.head, part.stock.clone(), part.chances.clone());
                twice.extend(batch.iter().map(|(who, seed)| part.draw(holder(*who), seed)));
            }
            prop_assert_eq!(once, twice);
            prop_assert_eq!(whole.head, part.head);
        }

        /// What others do before decides which sequence a wish gets, never what that sequence yields.
        #[test]
        fn a_sequence_yields_the_same_whoever_came_before(others in proptest::collection::vec(1_u128..9, 0..20)) {
            let terms = terms(&[300_000, 100_000]);
            let chances: HashMap<_, _> = (0..9).map(|number| (holder(number), 99)).collect();
            let mut turn = Turn::new(&terms, START, stock(&[99, 99]), chances.clone());
            for other in &others {
                prop_assert!(turn.draw(holder(*other), "x").is_ok());
            }
            let mine = turn.draw(holder(0), "mine").map(|draw| (draw.sequence, draw.roll, draw.picked));
            let alone = Head { next_sequence: others.len() as i64 + 1, hash: [9; 32] };
            let again = Turn::new(&terms, alone, stock(&[99, 99]), chances).draw(holder(0), "mine");
            prop_assert_eq!(mine, again.map(|draw| (draw.sequence, draw.roll, draw.picked)));
        }

        /// Pieces are neither lost nor doubled, and no number is given twice.
        #[test]
        fn stock_and_numbers_add_up(count in 0_usize..80, left in proptest::collection::vec(0_u32..10, 2)) {
            let terms = terms(&[600_000, 300_000]);
            let mut turn = Turn::new(&terms, START, stock(&left), HashMap::from([(holder(1), 80)]));
            let mut given = Vec::new();
            for _ in 0..count {
                let drawn = turn.draw(holder(1), "");
                prop_assert!(drawn.is_ok());
                given.extend(drawn.into_iter().filter_map(|draw| draw.awarded));
            }
            for (place, before) in left.iter().enumerate() {
                let numbers: Vec<i32> = given.iter().filter(|award| award.0 == place).map(|award| award.1).collect();
                prop_assert_eq!(turn.stock[place].left as usize + numbers.len(), *before as usize);
                let first = 1000 * place as i32 + 1;
                prop_assert_eq!(numbers.clone(), (first..first + numbers.len() as i32).collect::<Vec<_>>());
            }
        }
    }
}
