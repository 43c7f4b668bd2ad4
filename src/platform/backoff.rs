//! How long to wait before asking again, for work whose answer comes from elsewhere.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(30);

/// The pause after so many turns in a row that brought nothing: none before the first, then twice as long each time.
pub fn pause(attempts: i32) -> Duration {
    match u32::try_from(attempts) {
        Ok(0) | Err(_) => Duration::ZERO,
        Ok(attempts) => FIRST.saturating_mul(1 << (attempts - 1).min(20)).min(LONGEST),
    }
}

/// Cuts what is due into groups of one, two, four and so on: what has failed before is tried alone first, and the more
/// goes well the more is dared at once. So a rotten one among many is soon by itself, and no other waits for it long.
pub fn growing<T>(mut due: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut size = 1;
    std::iter::from_fn(move || {
        let rest = due.split_off(size.min(due.len()));
        let group = std::mem::replace(&mut due, rest);
        size *= 2;
        (!group.is_empty()).then_some(group)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_begin_at_once() {
        let pauses: Vec<_> = (0..40).map(pause).collect();
        assert_eq!((pauses[0], pauses[1], pauses[2]), (Duration::ZERO, FIRST, FIRST * 2));
        assert!(pauses.is_sorted() && pauses[39] == LONGEST, "{pauses:?}");
        assert_eq!((pause(i32::MAX), pause(-1)), (LONGEST, Duration::ZERO));
    }

    #[test]
    fn groups_grow_and_leave_nobody_out() {
        let groups: Vec<Vec<i32>> = growing((0..10).collect()).collect();
        assert_eq!(groups, [vec![0], vec![1, 2], vec![3, 4, 5, 6], vec![7, 8, 9]]);
        assert_eq!(growing(Vec::<i32>::new()).count(), 0);
    }

    #[test]
    fn a_rotten_one_is_found_in_few_turns() {
        // A turn ends with the first group that fails; its members come again later, those before it have passed.
        for rotten in 0..500 {
            let (mut left, mut turns): (Vec<i32>, _) = ((0..500).collect(), 0);
            while left != [rotten] {
                left = growing(left).find(|group| group.contains(&rotten)).expect("it is in some group");
                turns += 1;
                assert!(turns <= 9, "{rotten}: {left:?}");
            }
        }
    }
}
