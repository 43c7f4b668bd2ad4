//! Provable fairness: how numbers and records come about, byte by byte, so that an outsider can compute them again.
//!
//! Before an activity opens, its 32-byte server seed is chosen and `SHA-256(seed)` published as the commitment; the
//! seed itself is revealed at settlement. `‖` joins bytes; integers are big-endian; an ID is its UUID's 16 bytes (the
//! 26 characters after an ID's underscore are that UUID in Crockford's base 32); texts are UTF-8; a moment is its
//! microseconds since 1970 (i64).
//!
//! **Participant.** Records name nobody. A holder takes part in an activity under an alias that they can compute and
//! that leads nobody back to them: the first 16 bytes of
//! `SHA-256("minthouse/participant/2" ‖ activity (16) ‖ holder (16))`.
//!
//! **Numbers.** A draw has a stream of numbers of its own. For counter = 0, 1, …:
//!
//! ```text
//! block = HMAC-SHA256(key = seed,
//!     "minthouse/numbers/2" ‖ activity (16) ‖ terms version (u32) ‖ participant (16) ‖ ordinal (u64) ‖ index (u32)
//!     ‖ counter (u32) ‖ client seed (the rest))
//! ```
//!
//! is read as eight u32 words, each used once, in order. A number below n is the first word below the greatest multiple
//! of n that 2³² holds, modulo n; larger words are passed over, so that every number is equally likely. The ordinal
//! counts the participant's own draws in the activity from 1, the index the draws of one multi-draw from 0. So a
//! participant's draws have the same numbers whoever else draws, and in whatever order requests arrive.
//!
//! **Terms.** What numbers lead to is written in the terms (`terms`), a JSON document of which every version is
//! public; `engine` says how it is read.
//!
//! **Chain.** The records of an activity hang together. Its first head is
//! `SHA-256("minthouse/lane/2" ‖ activity (16) ‖ commitment (32))`. Terms that come into force, and each draw in the
//! order of sequence, which counts from 1 without a gap, give the next:
//!
//! ```text
//! head = SHA-256("minthouse/terms/2" ‖ previous head (32) ‖ version (u32) ‖ SHA-256(the document) (32) ‖ moment (i64))
//!
//! head = SHA-256("minthouse/draw/2" ‖ previous head (32) ‖ terms version (u32) ‖ sequence (u64) ‖ participant (16)
//!     ‖ ordinal (u64) ‖ index (u32) ‖ moment (i64) ‖ plans open to the participant (u64, bit by place in the terms)
//!     ‖ length of client seed (u32) ‖ client seed
//!     ‖ number of steps (u32) ‖ for each step: plan's place (u32) ‖ cause (u8) ‖ number (u32)
//!         ‖ picked prize (16, zeros for none) ‖ why it was withheld (u8, 0 where it was not)
//!     ‖ awarded prize (16, zeros for none) ‖ lot's place (u32) ‖ serial (u32; both 0xFFFFFFFF for none)
//!     ‖ number of lots (u32) ‖ for each lot of the terms in order: pieces left after this draw (u32)
//!     ‖ where the enterprise's endpoint has ruled: 1, 2 or 3 (u8), levels bit by bit, 0, or the level (u128))
//! ```
//!
//! An endpoint rules that only some levels may be won (1), that nothing is (2), or that a prize of a level is (3). Where it
//! leaves the draw to us, and where none is asked, nothing stands there.
//!
//! Nothing but draws takes pieces out of a draw's lots, so what is left follows from the terms and the draws before.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::activities::model::{ActivityId, PrizeId};
use crate::activities::ruling::Ruling;
use crate::platform::vault::{hmac_sha256, sha256};
use crate::wallets::model::HolderId;

pub type Hash = [u8; 32];
pub type Seed = [u8; 32];

const PARTICIPANT: &[u8] = b"minthouse/participant/2";
const NUMBERS: &[u8] = b"minthouse/numbers/2";
const LANE: &[u8] = b"minthouse/lane/2";
const TERMS: &[u8] = b"minthouse/terms/2";
const DRAW: &[u8] = b"minthouse/draw/2";

/// Under which name a holder takes part in one activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Participant(pub [u8; 16]);

impl Participant {
    pub fn of(activity: ActivityId, holder: HolderId) -> Self {
        let hash = sha256(&[PARTICIPANT, activity.uuid().as_bytes(), holder.uuid().as_bytes()].concat());
        let mut alias = [0; 16];
        alias.copy_from_slice(&hash[..16]);
        Self(alias)
    }
}

/// What a draw's numbers depend on beside the seed.
#[derive(Clone, Copy, Debug)]
pub struct NumbersOf<'a> {
    pub activity: ActivityId,
    pub version: u32,
    pub participant: Participant,
    pub ordinal: u64,
    pub index: u32,
    pub client_seed: &'a str,
}

pub fn commitment(seed: &Seed) -> Hash {
    sha256(seed)
}

/// One draw's stream of numbers.
pub struct Numbers<'a> {
    seed: &'a Seed,
    of: NumbersOf<'a>,
    counter: u32,
    words: [u32; 8],
    used: usize,
}

impl<'a> Numbers<'a> {
    pub fn new(seed: &'a Seed, of: NumbersOf<'a>) -> Self {
        Self { seed, of, counter: 0, words: [0; 8], used: 8 }
    }

    /// 0 to `bound` − 1, each equally likely.
    pub fn below(&mut self, bound: u32) -> u32 {
        debug_assert!(bound > 0, "there is no number below 0");
        loop {
            if let Some(number) = fair(self.word(), bound) {
                return number;
            }
        }
    }

    fn word(&mut self) -> u32 {
        if self.used == self.words.len() {
            let block = self.block();
            let (words, _) = block.as_chunks::<4>();
            for (place, word) in self.words.iter_mut().zip(words) {
                *place = u32::from_be_bytes(*word);
            }
            self.counter += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    fn block(&self) -> Hash {
        hmac_sha256(
            self.seed,
            &[
                NUMBERS,
                self.of.activity.uuid().as_bytes(),
                &self.of.version.to_be_bytes(),
                &self.of.participant.0,
                &self.of.ordinal.to_be_bytes(),
                &self.of.index.to_be_bytes(),
                &self.counter.to_be_bytes(),
                self.of.client_seed.as_bytes(),
            ],
        )
    }
}

/// `None`: the word would favour low numbers.
fn fair(word: u32, bound: u32) -> Option<u32> {
    let words = 1_u64 << 32;
    let fair_below = words - words % u64::from(bound);
    (u64::from(word) < fair_below).then_some(word % bound)
}

/// Which of the shares, laid side by side in order, a number falls on.
pub fn pick(shares: impl IntoIterator<Item = u32>, number: u32) -> Option<usize> {
    let mut end = 0;
    shares.into_iter().position(|share| {
        end += share;
        number < end
    })
}

/// The head before the first draw: the commitment, and on it the terms that come into force first.
pub fn beginning(activity: ActivityId, commitment: &Hash, version: u32, document: &str, since: DateTime<Utc>) -> Hash {
    terms_hash(&first_head(activity, commitment), version, document, since)
}

pub fn first_head(activity: ActivityId, commitment: &Hash) -> Hash {
    sha256(&[LANE, activity.uuid().as_bytes(), commitment].concat())
}

/// The head once terms have come into force.
pub fn terms_hash(previous: &Hash, version: u32, document: &str, at: DateTime<Utc>) -> Hash {
    let digest = sha256(document.as_bytes());
    sha256(&[TERMS, previous, &version.to_be_bytes(), &digest, &at.timestamp_micros().to_be_bytes()].concat())
}

/// A step that a draw took to its end, as the record has it.
#[derive(Clone, Copy, Debug)]
pub struct StepOf {
    pub plan: u32,
    pub cause: u8,
    pub number: u32,
    pub picked: Option<PrizeId>,
    pub withheld: u8,
}

/// What was given.
#[derive(Clone, Copy, Debug)]
pub struct AwardOf {
    pub prize: PrizeId,
    /// Of a prize that comes in numbered pieces.
    pub piece: Option<PieceOf>,
}

#[derive(Clone, Copy, Debug)]
pub struct PieceOf {
    pub lot: u32,
    pub serial: u32,
}

/// What a record binds beside what its numbers depended on.
#[derive(Clone, Debug)]
pub struct RecordOf<'a> {
    pub numbers: NumbersOf<'a>,
    pub sequence: u64,
    pub at: DateTime<Utc>,
    pub open_plans: u64,
    pub steps: &'a [StepOf],
    pub awarded: Option<AwardOf>,
    pub left: &'a [u32],
    pub ruling: Ruling,
}

pub fn record_hash(previous: &Hash, record: &RecordOf<'_>) -> Hash {
    let id = |prize: Option<PrizeId>| prize.map_or(Uuid::nil(), PrizeId::uuid).into_bytes();
    let length = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
    let NumbersOf { activity: _, version, participant, ordinal, index, client_seed } = record.numbers;
    let piece = record.awarded.and_then(|awarded| awarded.piece);
    let mut bytes = Vec::with_capacity(192 + client_seed.len() + 26 * record.steps.len() + 4 * record.left.len());
    bytes.extend_from_slice(DRAW);
    bytes.extend_from_slice(previous);
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&record.sequence.to_be_bytes());
    bytes.extend_from_slice(&participant.0);
    bytes.extend_from_slice(&ordinal.to_be_bytes());
    bytes.extend_from_slice(&index.to_be_bytes());
    bytes.extend_from_slice(&record.at.timestamp_micros().to_be_bytes());
    bytes.extend_from_slice(&record.open_plans.to_be_bytes());
    bytes.extend_from_slice(&length(client_seed.len()));
    bytes.extend_from_slice(client_seed.as_bytes());
    bytes.extend_from_slice(&length(record.steps.len()));
    for step in record.steps {
        bytes.extend_from_slice(&step.plan.to_be_bytes());
        bytes.push(step.cause);
        bytes.extend_from_slice(&step.number.to_be_bytes());
        bytes.extend_from_slice(&id(step.picked));
        bytes.push(step.withheld);
    }
    bytes.extend_from_slice(&id(record.awarded.map(|awarded| awarded.prize)));
    bytes.extend_from_slice(&piece.map_or(u32::MAX, |piece| piece.lot).to_be_bytes());
    bytes.extend_from_slice(&piece.map_or(u32::MAX, |piece| piece.serial).to_be_bytes());
    bytes.extend_from_slice(&length(record.left.len()));
    for left in record.left {
        bytes.extend_from_slice(&left.to_be_bytes());
    }
    if let Some(ruling) = record.ruling.bytes() {
        bytes.extend_from_slice(&ruling);
    }
    sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::vault::hex;
    use proptest::prelude::*;

    fn activity(number: u128) -> ActivityId {
        ActivityId::from_uuid(Uuid::from_u128(number))
    }

    fn numbers_of(ordinal: u64, index: u32, client_seed: &str) -> NumbersOf<'_> {
        let participant = Participant::of(activity(1), HolderId::from_uuid(Uuid::from_u128(2)));
        NumbersOf { activity: activity(1), version: 1, participant, ordinal, index, client_seed }
    }

    // Computed from the layout above with Python's hmac and hashlib: what is published must not change by accident.
    #[test]
    fn an_outsider_computes_the_same() {
        let seed = [7; 32];
        let of = numbers_of(3, 2, "幸运");
        assert_eq!(hex(&of.participant.0), "0d4280411de6789da903f4a685487a44");
        let mut numbers = Numbers::new(&seed, of);
        let half = (1 << 31) + 1; // nearly every other word is passed over, so the second block is reached
        let bounds = [1_000_000, 1_000_000, 3, half, half, half, half, half, half, 7];
        assert_eq!(
            bounds.map(|bound| numbers.below(bound)),
            [
                513_101,
                565_166,
                2,
                957_463_212,
                1_016_045_444,
                948_453_215,
                1_825_882_267,
                1_011_144_807,
                362_938_783,
                2
            ]
        );
        assert!(numbers.counter > 1, "more than one block was read");

        let head = first_head(of.activity, &commitment(&seed));
        assert_eq!(hex(&head), "3826c9bd3f07bc3d0cd5e82bed009a105011cfdfc55241a28e677ac73cad3c81");
        let at = DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("a moment");
        let head = terms_hash(&head, 1, r#"{"a":1}"#, at);
        assert_eq!(hex(&head), "6a3823bd855ed16caea807c804a580c36999a5829175e524131ece3f9b821e4f");
        assert_eq!(beginning(of.activity, &commitment(&seed), 1, r#"{"a":1}"#, at), head);

        let prize = |number: u128| PrizeId::from_uuid(Uuid::from_u128(number));
        let withheld = StepOf { plan: 0, cause: 1, number: 5, picked: Some(prize(8)), withheld: 1 };
        let given = StepOf { plan: 0, cause: 4, number: 0, picked: Some(prize(9)), withheld: 0 };
        let awarded = Some(AwardOf { prize: prize(9), piece: Some(PieceOf { lot: 1, serial: 12 }) });
        let record = RecordOf {
            numbers: of,
            sequence: 5,
            at,
            open_plans: 5,
            steps: &[withheld, given],
            awarded,
            left: &[4, 0],
            ruling: Ruling::Free,
        };
        assert_eq!(
            hex(&record_hash(&head, &record)),
            "41c1190965ef004197b2c40255266a20110beb6f780c2ffd965025d6ccd552ff"
        );
        let missed = StepOf { plan: 1, cause: 1, number: 999_999, picked: None, withheld: 0 };
        let record = RecordOf { steps: &[missed], awarded: None, ..record };
        assert_eq!(
            hex(&record_hash(&head, &record)),
            "35c9632a91e5508cef024c058c5e8f24b34492572b1e1f7cbf3c6f7eef4c0a61"
        );
    }

    #[test]
    fn a_million_numbers_are_uniform() {
        const BINS: usize = 200;
        const NUMBERS: u64 = 1_000_000;
        let mut counts = [0_u32; BINS];
        let seed = sha256(b"a fixed seed");
        for ordinal in 0..NUMBERS {
            let number = Numbers::new(&seed, numbers_of(ordinal, 0, "")).below(1_000_000);
            counts[number as usize * BINS / 1_000_000] += 1;
        }
        let expected = NUMBERS as f64 / BINS as f64;
        let chi_square: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        // 199 degrees of freedom: a fair die stays within these bounds in all but one of a million runs.
        assert!((115.0..310.0).contains(&chi_square), "{chi_square}");
    }

    #[test]
    fn words_that_would_favour_low_numbers_are_passed_over() {
        assert_eq!(fair(4_293_999_999, 1_000_000), Some(999_999));
        assert_eq!(fair(4_294_000_000, 1_000_000), None);
        assert_eq!(fair(u32::MAX, 1), Some(0), "every word is fair where there is one number");
        assert_eq!(fair(u32::MAX, 1 << 16), Some(0xffff), "and where the bound is a power of two");
        assert_eq!(fair(u32::MAX, u32::MAX), None);
        assert_eq!(fair(u32::MAX - 1, u32::MAX), Some(u32::MAX - 1));
    }

    #[test]
    fn whatever_goes_into_a_number_can_change_it() {
        let seed = [1; 32];
        let base = numbers_of(1, 0, "a");
        let somebody_else = Participant::of(activity(1), HolderId::from_uuid(Uuid::from_u128(3)));
        let others = [
            NumbersOf { activity: activity(77), ..base },
            NumbersOf { version: 2, ..base },
            NumbersOf { participant: somebody_else, ..base },
            NumbersOf { ordinal: 2, ..base },
            NumbersOf { index: 1, ..base },
            NumbersOf { client_seed: "b", ..base },
        ];
        let block = |seed: &Seed, of: NumbersOf<'_>| Numbers::new(seed, of).block();
        for other in others {
            assert_ne!(block(&seed, base), block(&seed, other), "{other:?}");
        }
        assert_ne!(block(&seed, base), block(&[2; 32], base));
        let mut second = Numbers::new(&seed, base);
        second.counter = 1;
        assert_ne!(block(&seed, base), second.block());
    }

    #[test]
    fn an_alias_is_of_one_person_in_one_activity() {
        let holder = |number| HolderId::from_uuid(Uuid::from_u128(number));
        let alias = Participant::of(activity(1), holder(1));
        assert_eq!(alias, Participant::of(activity(1), holder(1)));
        assert_ne!(alias, Participant::of(activity(2), holder(1)), "no activity tells who was in another");
        assert_ne!(alias, Participant::of(activity(1), holder(2)));
    }

    proptest! {
        /// Each prize owns exactly its share of the million, and the shares lie side by side.
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
        }

        #[test]
        fn a_number_stays_below_its_bound(seed: [u8; 32], ordinal: u64, client_seed in ".{0,64}", bounds in proptest::collection::vec(1_u32.., 1..20)) {
            let of = numbers_of(ordinal, 0, &client_seed);
            let (mut first, mut again) = (Numbers::new(&seed, of), Numbers::new(&seed, of));
            for bound in bounds {
                let number = first.below(bound);
                prop_assert!(number < bound);
                prop_assert_eq!(number, again.below(bound));
            }
        }
    }
}
