//! Provable fairness: how a roll and a record come about, byte by byte, so that an outsider can compute them again.
//!
//! Before an activity opens, its 32-byte server seed is chosen and `SHA-256(seed)` published as the commitment; the
//! seed itself is revealed at settlement. `‖` joins bytes; integers are big-endian; an ID is its UUID's 16 bytes (the
//! 26 characters after an ID's underscore are that UUID in Crockford's base 32); texts are UTF-8.
//!
//! **Roll.** For counter = 0, 1, …:
//!
//! ```text
//! block = HMAC-SHA256(key = seed,
//!     "minthouse/roll/1" ‖ activity (16) ‖ plan version (u32) ‖ holder (16) ‖ sequence (u64) ‖ index (u32, 0)
//!     ‖ counter (u32) ‖ client seed (the rest))
//! ```
//!
//! is read as eight u32 words. The first word below 4,294,000,000 (the greatest multiple of a million that a u32 holds)
//! gives `roll = word mod 1,000,000`; larger words are passed over, so that every roll is equally likely. Where all
//! eight are passed over, the next counter's block is read.
//!
//! **Pick.** The prizes of the plan, in the order of their positions, own runs of `odds_per_million` rolls one after
//! the other, from 0 on. A roll behind the last run is no prize. A picked prize whose stock is gone is not awarded.
//!
//! **Chain.** `head₀ = SHA-256("minthouse/lane/1" ‖ activity (16) ‖ commitment (32))`, and for each draw in the order
//! of sequence, which counts from 1 without a gap:
//!
//! ```text
//! head = record hash = SHA-256("minthouse/record/1" ‖ previous head (32) ‖ activity (16) ‖ plan version (u32)
//!     ‖ sequence (u64) ‖ holder (16) ‖ length of client seed (u32) ‖ client seed ‖ roll (u32)
//!     ‖ picked prize (16, zeros for none) ‖ awarded prize (16, zeros for none) ‖ serial (u32, 0xFFFFFFFF for none)
//!     ‖ number of prizes (u32) ‖ for each prize by position: pieces left after this draw (u32))
//! ```
//!
//! Nothing but draws takes pieces from a draw's prizes, so what is left follows from the prizes' quantities and the
//! draws before.

use uuid::Uuid;

use crate::activities::model::{ActivityId, PrizeId};
use crate::platform::vault::{hmac_sha256, sha256};
use crate::wallets::model::HolderId;

pub type Hash = [u8; 32];
pub type Seed = [u8; 32];

const ROLL: &[u8] = b"minthouse/roll/1";
const LANE: &[u8] = b"minthouse/lane/1";
const RECORD: &[u8] = b"minthouse/record/1";

pub const MILLION: u32 = 1_000_000;
const FAIR_BELOW: u32 = u32::MAX - u32::MAX % MILLION;

/// What a roll depends on beside the seed.
#[derive(Clone, Copy, Debug)]
pub struct RollOf<'a> {
    pub activity: ActivityId,
    pub plan_version: u32,
    pub holder: HolderId,
    pub sequence: u64,
    pub client_seed: &'a str,
}

pub fn commitment(seed: &Seed) -> Hash {
    sha256(seed)
}

/// 0 to 999,999, each equally likely.
pub fn roll(seed: &Seed, of: &RollOf<'_>) -> u32 {
    // A block without a fair word comes about once in 10^29.
    (0..=u32::MAX).find_map(|counter| fair_word(&block(seed, of, counter))).unwrap_or(MILLION - 1)
}

fn block(seed: &Seed, of: &RollOf<'_>, counter: u32) -> Hash {
    hmac_sha256(
        seed,
        &[
            ROLL,
            of.activity.uuid().as_bytes(),
            &of.plan_version.to_be_bytes(),
            of.holder.uuid().as_bytes(),
            &of.sequence.to_be_bytes(),
            &0_u32.to_be_bytes(),
            &counter.to_be_bytes(),
            of.client_seed.as_bytes(),
        ],
    )
}

fn fair_word(block: &Hash) -> Option<u32> {
    let (words, _) = block.as_chunks::<4>();
    words.iter().map(|word| u32::from_be_bytes(*word)).find(|word| *word < FAIR_BELOW).map(|word| word % MILLION)
}

/// Which of the odds, in order, a roll falls on.
pub fn pick(odds_per_million: impl IntoIterator<Item = u32>, roll: u32) -> Option<usize> {
    let mut end = 0;
    odds_per_million.into_iter().position(|odds| {
        end += odds;
        roll < end
    })
}

pub fn first_head(activity: ActivityId, commitment: &Hash) -> Hash {
    sha256(&[LANE, activity.uuid().as_bytes(), commitment].concat())
}

/// What a record binds beside what its roll depended on.
#[derive(Clone, Debug)]
pub struct RecordOf<'a> {
    pub rolled: RollOf<'a>,
    pub roll: u32,
    pub picked: Option<PrizeId>,
    pub awarded: Option<PrizeId>,
    pub serial: Option<u32>,
    pub left: &'a [u32],
}

pub fn record_hash(previous: &Hash, record: &RecordOf<'_>) -> Hash {
    let id = |prize: Option<PrizeId>| prize.map_or(Uuid::nil(), PrizeId::uuid).into_bytes();
    let length = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
    let RollOf { activity, plan_version, holder, sequence, client_seed } = record.rolled;
    let mut bytes = Vec::with_capacity(192 + client_seed.len() + 4 * record.left.len());
    bytes.extend_from_slice(RECORD);
    bytes.extend_from_slice(previous);
    bytes.extend_from_slice(activity.uuid().as_bytes());
    bytes.extend_from_slice(&plan_version.to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(holder.uuid().as_bytes());
    bytes.extend_from_slice(&length(client_seed.len()));
    bytes.extend_from_slice(client_seed.as_bytes());
    bytes.extend_from_slice(&record.roll.to_be_bytes());
    bytes.extend_from_slice(&id(record.picked));
    bytes.extend_from_slice(&id(record.awarded));
    bytes.extend_from_slice(&record.serial.unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&length(record.left.len()));
    for left in record.left {
        bytes.extend_from_slice(&left.to_be_bytes());
    }
    sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::vault::hex;
    use proptest::prelude::*;

    fn rolled(sequence: u64, client_seed: &str) -> RollOf<'_> {
        RollOf {
            activity: ActivityId::from_uuid(Uuid::from_u128(1)),
            plan_version: 1,
            holder: HolderId::from_uuid(Uuid::from_u128(2)),
            sequence,
            client_seed,
        }
    }

    // Computed from the layout above with Python's hmac and hashlib: what is published must not change by accident.
    #[test]
    fn an_outsider_computes_the_same() {
        let seed = [7; 32];
        let of = rolled(3, "幸运");
        assert_eq!(roll(&seed, &of), 809_346);
        let head = first_head(of.activity, &commitment(&seed));
        assert_eq!(hex(&head), "2037cd4dcd2ca60a474df6623b4537d49588c353f1dfaa8177f1fb833bafba12");
        let prize = PrizeId::from_uuid(Uuid::from_u128(9));
        let won = RecordOf {
            rolled: of,
            roll: 5,
            picked: Some(prize),
            awarded: Some(prize),
            serial: Some(12),
            left: &[4, 0],
        };
        assert_eq!(hex(&record_hash(&head, &won)), "7bd8268ccdb3ae30040128235a909edbd0f0c183715edeec8960d17cbf50e54a");
        let missed = RecordOf { awarded: None, serial: None, ..won };
        assert_eq!(
            hex(&record_hash(&head, &missed)),
            "994e43fad66103e77277931e013858954511b7c0219332506ec712771e9029d0"
        );
    }

    #[test]
    fn a_million_rolls_are_uniform() {
        const BINS: usize = 200;
        const ROLLS: u64 = 1_000_000;
        let mut counts = [0_u32; BINS];
        let seed = sha256(b"a fixed seed");
        for sequence in 0..ROLLS {
            counts[roll(&seed, &rolled(sequence, "")) as usize * BINS / MILLION as usize] += 1;
        }
        let expected = ROLLS as f64 / BINS as f64;
        let chi_square: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        // 199 degrees of freedom: a fair die stays within these bounds in all but one of a million runs.
        assert!((115.0..310.0).contains(&chi_square), "{chi_square}");
    }

    #[test]
    fn words_that_would_favour_low_rolls_are_passed_over() {
        assert_eq!(FAIR_BELOW, 4_294_000_000);
        let mut block = [0xff; 32];
        assert_eq!(fair_word(&block), None);
        block[4..8].copy_from_slice(&FAIR_BELOW.to_be_bytes());
        assert_eq!(fair_word(&block), None);
        block[28..].copy_from_slice(&(FAIR_BELOW - 1).to_be_bytes());
        assert_eq!(fair_word(&block), Some(999_999));
        block[8..12].copy_from_slice(&2_000_017_u32.to_be_bytes());
        assert_eq!(fair_word(&block), Some(17), "the first fair word counts");
    }

    #[test]
    fn whatever_goes_into_a_roll_can_change_it() {
        let seed = [1; 32];
        let base = rolled(1, "a");
        let others = [
            RollOf { activity: ActivityId::from_uuid(Uuid::from_u128(77)), ..base },
            RollOf { plan_version: 2, ..base },
            RollOf { holder: HolderId::from_uuid(Uuid::from_u128(77)), ..base },
            RollOf { sequence: 2, ..base },
            RollOf { client_seed: "b", ..base },
        ];
        for other in &others {
            assert_ne!(block(&seed, &base, 0), block(&seed, other, 0), "{other:?}");
        }
        assert_ne!(block(&seed, &base, 0), block(&[2; 32], &base, 0));
        assert_ne!(block(&seed, &base, 0), block(&seed, &base, 1));
    }

    proptest! {
        /// Each prize owns exactly its share of the million rolls, and the runs lie side by side.
        #[test]
        fn odds_end_where_they_say(odds in proptest::collection::vec(0_u32..=20_000, 1..50)) {
            let mut start = 0;
            for (position, share) in odds.iter().copied().enumerate() {
                if share > 0 {
                    prop_assert_eq!(pick(odds.iter().copied(), start), Some(position));
                    prop_assert_eq!(pick(odds.iter().copied(), start + share - 1), Some(position));
                }
                start += share;
            }
            prop_assert_eq!(pick(odds.iter().copied(), start), None);
            prop_assert_eq!(pick(odds.iter().copied(), MILLION - 1).is_some(), start == MILLION);
        }

        #[test]
        fn the_same_inputs_have_the_same_outcome(seed: [u8; 32], sequence: u64, client_seed in ".{0,64}") {
            let first = roll(&seed, &rolled(sequence, &client_seed));
            prop_assert!(first < MILLION);
            prop_assert_eq!(first, roll(&seed, &rolled(sequence, &client_seed)));
        }
    }
}
