//! Anchors: what is bound on the ledger of an activity's chain of draws, byte by byte. Pure.
//!
//! The chain is cut into stretches of at most [`MOST`] draws that follow one another. Of each stretch the ledger binds
//!
//! ```text
//! digest = SHA-256("minthouse/anchor/1" ‖ activity (16) ‖ the chain's beginning (32) ‖ first sequence (u64)
//!     ‖ last sequence (u64) ‖ head after the last (32) ‖ root (32))
//! ```
//!
//! in the notation of [`crate::activities::fairness`]. The beginning is the head once the first terms have come into
//! force: so commitment and terms are bound as well. The root is that of the Merkle tree over the stretch's record hashes
//! ([`crate::ledger::merkle`], RFC 9162), each a leaf's data, so that a path of twelve hashes at most leads from one draw
//! to the ledger.

use crate::activities::fairness::Hash;
use crate::activities::model::ActivityId;
use crate::ledger::merkle;
use crate::platform::vault::sha256;
use crate::words;

/// A proof reads its draw's whole stretch: this is some 130 kB of hashes, and a few milliseconds.
pub const MOST: i64 = 4096;

const ANCHOR: &[u8] = b"minthouse/anchor/1";

words! {
    /// How far the ledger has come with an anchor.
    pub enum AnchorState {
        /// The ledger was told of it, or is about to be.
        Submitted = "SUBMITTED",
        /// It stands in a block, for good.
        Confirmed = "CONFIRMED",
    }
}

/// What is bound of one stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub activity: ActivityId,
    pub beginning: Hash,
    pub from: u64,
    pub to: u64,
    pub head: Hash,
    pub root: Hash,
}

impl Anchor {
    pub fn digest(&self) -> Hash {
        let Self { activity, beginning, from, to, head, root } = self;
        let (from, to) = (from.to_be_bytes(), to.to_be_bytes());
        sha256(&[ANCHOR, activity.uuid().as_bytes(), beginning, &from, &to, head, root].concat())
    }

    /// Whether the draw of this sequence and hash stands in the stretch, by its path.
    pub fn holds(&self, sequence: u64, record: &Hash, path: &[Hash]) -> bool {
        let place = || {
            let index = sequence.checked_sub(self.from)?;
            let size = self.to.checked_sub(self.from)?.checked_add(1)?;
            merkle::climb(merkle::leaf(record), index, size, path)
        };
        // The last of a stretch is its head.
        place() == Some(self.root) && (sequence != self.to || *record == self.head)
    }
}

/// Over a stretch's record hashes, in order.
pub fn root(records: &[Hash]) -> Hash {
    merkle::root(&leaves(records))
}

/// What leads from the record at `index` to the root.
pub fn path(records: &[Hash], index: usize) -> Vec<Hash> {
    merkle::path(&leaves(records), index)
}

fn leaves(records: &[Hash]) -> Vec<Hash> {
    records.iter().map(|record| merkle::leaf(record)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::platform::vault::hex;

    fn anchor(from: u64, records: &[Hash]) -> Anchor {
        let activity = ActivityId::from_uuid(Uuid::from_u128(1));
        let head = *records.last().expect("a stretch has draws");
        Anchor { activity, beginning: [3; 32], from, to: from + records.len() as u64 - 1, head, root: root(records) }
    }

    fn records(count: u64) -> Vec<Hash> {
        (0..count).map(|number| sha256(&number.to_be_bytes())).collect()
    }

    // Computed from the layout above with Python's hashlib: what is published must not change by accident.
    #[test]
    fn an_outsider_computes_the_same() {
        let anchor = anchor(11, &records(5));
        assert_eq!(hex(&anchor.root), "aa33f608b3c7398a5230804ae5bf2cbe372e3e517eab55ef21d7e8a1318b00d9");
        assert_eq!(hex(&anchor.digest()), "d306e783833720c1f1b728ed2d5b30646687bd91487a842f04b364e5c1175c3e");
        let path: Vec<String> = path(&records(5), 2).iter().map(|hash| hex(hash)).collect();
        assert_eq!(
            path,
            [
                "7d243575fe426706e03d2fbaedc5d5758060864046d6396a908f556db8ef4bc1",
                "839757d78394f8ad59bc4621831d92396f5d3556fe0059846463a32a21dc9e04",
                "1dd18a67014a2f7f605953bcde923137e4b0d66bdee5b22202e765382ba49f5d"
            ]
        );
    }

    #[test]
    fn every_draw_of_every_small_stretch_stands_where_it_does_and_nowhere_else() {
        for size in 1..=70 {
            let records = records(size);
            let anchor = anchor(1000, &records);
            for (index, record) in records.iter().enumerate() {
                let (sequence, path) = (1000 + index as u64, path(&records, index));
                assert!(anchor.holds(sequence, record, &path), "{index} of {size}");
                for other in (990..1080).filter(|other| *other != sequence) {
                    assert!(!anchor.holds(other, record, &path), "{index} of {size} at {other}");
                }
                assert!(!anchor.holds(sequence, &[0; 32], &path));
                assert!(!anchor.holds(sequence, record, &[&path[..], &[[0; 32]]].concat()));
            }
            let other_head = Anchor { head: [0; 32], ..anchor };
            assert!(!other_head.holds(anchor.to, &records[size as usize - 1], &path(&records, size as usize - 1)));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_bound_can_change_the_digest(change in 0..6, at in 0..32_usize) {
            let whole = anchor(7, &records(9));
            let mut other = whole;
            match change {
                0 => other.activity = ActivityId::from_uuid(Uuid::from_u128(1 << (at * 4) ^ 1)),
                1 => other.beginning[at] ^= 1,
                2 => other.from ^= 1 << at,
                3 => other.to ^= 1 << at,
                4 => other.head[at] ^= 1,
                _ => other.root[at] ^= 1,
            }
            prop_assert!(other == whole || other.digest() != whole.digest());
        }
    }
}
