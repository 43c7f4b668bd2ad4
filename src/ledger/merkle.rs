//! Merkle trees as RFC 9162 (section 2.1) has them: leaves and nodes are hashed apart, so that neither passes for the other.
//!
//! A tree over a list that only grows never changes what it has: a subtree that is full stays. [`Peaks`] holds the full
//! subtrees that a list is made of at the moment, which is all that the next leaf and the root need.

use crate::platform::vault::sha256;

pub type Hash = [u8; 32];

/// Of one leaf.
pub fn leaf(data: &[u8]) -> Hash {
    sha256(&[&[0], data].concat())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    sha256(&bytes)
}

/// Of the whole tree over these leaves; of none, it is the hash of nothing.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut peaks = Peaks::default();
    for leaf in leaves {
        peaks.push(*leaf);
    }
    peaks.root()
}

/// What proves that the leaf at `index` stands in the tree: its sisters, from the bottom to the top.
pub fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    sisters(index as u64, leaves.len() as u64)
        .into_iter()
        .map(|run| root(&leaves[run.start as usize..(run.start + run.length) as usize]))
        .collect()
}

/// The root of a tree of `size` leaves that has this leaf at `index`, if the path leads there; `None` where a path of
/// that length can belong to no such tree.
pub fn climb(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, leaf);
    for sister in path {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            hash = node(sister, &hash);
            // The last one of an uneven row goes up alone.
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, sister);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

/// Neighbouring leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub start: u64,
    pub length: u64,
}

/// A full subtree: the one of 2^`level` leaves of which the last is the `end`th, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subtree {
    pub end: u64,
    pub level: u32,
}

impl Run {
    /// The full subtrees that it is made of, the largest first. It must begin where a subtree of its size may.
    pub fn subtrees(self) -> Vec<Subtree> {
        let mut end = self.start;
        (0..u64::BITS)
            .rev()
            .filter(|level| self.length >> level & 1 == 1)
            .map(|level| {
                end += 1 << level;
                Subtree { end, level }
            })
            .collect()
    }
}

/// Whose hashes the path of the leaf at `index` consists of, from the bottom to the top.
pub fn sisters(index: u64, size: u64) -> Vec<Run> {
    let (mut start, mut length, mut runs) = (0, size, Vec::new());
    while length > 1 {
        // The largest power of two below the length.
        let left = 1 << (length - 1).ilog2();
        let (here, sister) = (Run { start, length: left }, Run { start: start + left, length: length - left });
        let (own, other) = if index < start + left { (here, sister) } else { (sister, here) };
        runs.push(other);
        (start, length) = (own.start, own.length);
    }
    runs.reverse();
    runs
}

/// The root over full subtrees side by side, the largest first.
pub fn join(subtrees: &[Hash]) -> Hash {
    let mut rising = subtrees.iter().rev();
    match rising.next() {
        Some(last) => rising.fold(*last, |right, left| node(left, &right)),
        None => sha256(&[]),
    }
}

/// The full subtrees of a tree, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    size: u64,
    hashes: Vec<Hash>,
}

impl Peaks {
    /// Picked up where a tree of this size was left; `None` where it has not so many.
    pub fn of(size: u64, hashes: Vec<Hash>) -> Option<Self> {
        (hashes.len() == size.count_ones() as usize).then_some(Self { size, hashes })
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, and gives the subtrees that end with it, from pairs upwards.
    pub fn push(&mut self, leaf: Hash) -> Vec<Hash> {
        let (mut hash, mut full) = (leaf, Vec::new());
        for _ in 0..self.size.trailing_ones() {
            let left = self.hashes.pop().expect("there is a peak for each one in the size");
            hash = node(&left, &hash);
            full.push(hash);
        }
        self.hashes.push(hash);
        self.size += 1;
        full
    }

    pub fn root(&self) -> Hash {
        join(&self.hashes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::platform::vault::hex;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|number| leaf(&number.to_be_bytes())).collect()
    }

    /// Straight from the definition, for comparison.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node(&defined(left), &defined(right))
            }
        }
    }

    // The trees of Certificate Transparency's reference tests.
    #[test]
    fn known_trees_have_their_roots() {
        let data: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaves = data.map(leaf);
        for (size, root) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(hex(&super::root(&leaves[..size])), root, "{size} leaves");
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_proves_itself_and_nothing_else() {
        for size in 0..70 {
            let leaves = leaves(size);
            let whole = root(&leaves);
            assert_eq!(whole, defined(&leaves), "{size} leaves");
            for index in 0..size {
                let path = path(&leaves, index as usize);
                assert_eq!(climb(leaves[index as usize], index, size, &path), Some(whole), "{index} of {size}");
                for other in (0..size).filter(|other| *other != index) {
                    assert_ne!(climb(leaves[index as usize], other, size, &path), Some(whole), "{index} of {size}");
                }
                assert_eq!(climb(leaves[index as usize], size, size, &path), None);
                let longer = [&path[..], &[whole]].concat();
                assert_ne!(climb(leaves[index as usize], index, size, &longer), Some(whole));
                if let Some((_, shorter)) = path.split_last() {
                    assert_ne!(climb(leaves[index as usize], index, size, shorter), Some(whole));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_leaf_proves_and_any_flipped_bit_does_not(size in 1u64..700, at in any::<u64>(), bit in any::<usize>()) {
            let leaves = leaves(size);
            let (index, whole) = (at % size, root(&leaves));
            let own = leaves[index as usize];
            let path = path(&leaves, index as usize);
            prop_assert_eq!(climb(own, index, size, &path), Some(whole));
            // Every bit of the leaf, of the path and of the root has the same chance of being the one.
            let mut parts = [&[own][..], &path, &[whole]].concat();
            let bit = bit % (parts.len() * 256);
            parts[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
            let (own, path, whole) = (parts[0], &parts[1..parts.len() - 1], parts[parts.len() - 1]);
            prop_assert_ne!(climb(own, index, size, path), Some(whole));
        }

        #[test]
        fn what_is_kept_of_a_growing_tree_gives_each_root_and_each_path(size in 1u64..600, at in any::<u64>(), seen in any::<u64>()) {
            let leaves = leaves(size);
            let (mut peaks, mut kept) = (Peaks::default(), HashMap::new());
            for (number, leaf) in (1..).zip(&leaves) {
                kept.insert(Subtree { end: number, level: 0 }, *leaf);
                for (level, hash) in (1..).zip(peaks.push(*leaf)) {
                    kept.insert(Subtree { end: number, level }, hash);
                }
                prop_assert_eq!(peaks.root(), root(&leaves[..number as usize]));
            }
            let of = |run: Run| run.subtrees().iter().map(|subtree| kept[subtree]).collect::<Vec<_>>();
            // Any size that it ever had can be told again and gone on from: what was signed then still holds.
            let earlier = seen % (size + 1);
            let mut again = Peaks::of(earlier, of(Run { start: 0, length: earlier })).expect("so many peaks");
            prop_assert_eq!(again.root(), root(&leaves[..earlier as usize]));
            for leaf in &leaves[earlier as usize..] {
                again.push(*leaf);
            }
            prop_assert_eq!(&again, &peaks);
            let index = at % size;
            let path: Vec<Hash> = sisters(index, size).into_iter().map(|run| join(&of(run))).collect();
            prop_assert_eq!(path, super::path(&leaves, index as usize));
        }
    }
}
