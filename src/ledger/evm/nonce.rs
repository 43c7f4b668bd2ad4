//! Which nonces are given out next: the lowest that the chain expects and no transaction under way has.
//!
//! A gap below transactions under way (their fellow was dropped and settled otherwise, or a fork that stayed took it
//! back) holds all of them up, so it is filled first: by what waits, or else by the transaction with the highest nonce.

use std::collections::BTreeSet;

/// The lowest `want` free nonces. `chain` is how many transactions of the account stand in blocks.
pub fn free(chain: u64, taken: &BTreeSet<u64>, want: usize) -> Vec<u64> {
    (chain..).filter(|nonce| !taken.contains(nonce)).take(want).collect()
}

/// The lowest gap below transactions under way.
pub fn gap(chain: u64, taken: &BTreeSet<u64>) -> Option<u64> {
    let highest = *taken.last()?;
    (chain..highest).find(|nonce| !taken.contains(nonce))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_come_first_and_nothing_is_given_out_twice() {
        let taken = BTreeSet::from([3, 5, 6, 9]);
        assert_eq!(free(5, &taken, 4), [7, 8, 10, 11], "what is below the chain's count is spent");
        assert_eq!(free(0, &BTreeSet::new(), 2), [0, 1]);
        assert_eq!(gap(5, &taken), Some(7));
        assert_eq!(gap(5, &BTreeSet::from([5, 6])), None);
        assert_eq!(gap(7, &BTreeSet::from([5, 6])), None, "both stand in blocks by now");
        assert_eq!(gap(5, &BTreeSet::new()), None, "nobody waits above it");
    }
}
