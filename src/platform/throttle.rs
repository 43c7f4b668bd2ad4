//! How long somebody who keeps guessing has to wait. Pure rules; who counts, and where, is not known here.
//!
//! Two shapes serve everybody. [`Growth`] lets a few attempts go at once and then makes each wait twice as long as the
//! one before, up to a longest wait: a person who mistypes hardly notices, a program gets nowhere, and nobody is ever
//! locked out for good. [`Window`] admits so many in a stretch of time and no more. A new kind of attempt picks one and
//! names its own numbers.

use chrono::{DateTime, TimeDelta, Utc};

/// What has been counted under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    pub count: u32,
    /// When the first of these attempts was made, and the last.
    pub began_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
}

/// When a tally begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// Once there has been no attempt for so long.
    AfterQuiet(TimeDelta),
    /// So long after the first attempt, however many have come since.
    AfterStart(TimeDelta),
}

/// Attempts that are free, then waits that double.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// How many attempts go without a wait.
    pub free: u32,
    /// The wait before the first attempt that is not free.
    pub first: TimeDelta,
    pub longest: TimeDelta,
    pub forgotten: Forgotten,
}

/// At most `limit` within each `length`, which begins with the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub limit: u32,
    pub length: TimeDelta,
}

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait(TimeDelta);

impl Wait {
    pub fn of(time: TimeDelta) -> Self {
        Self(time)
    }

    /// In whole seconds, and never none: whoever waits for so long may try.
    pub fn seconds(self) -> i64 {
        let whole = self.0.num_seconds();
        (if self.0 > TimeDelta::seconds(whole) { whole + 1 } else { whole }).max(1)
    }
}

impl Forgotten {
    pub fn is_due(self, tally: &Tally, now: DateTime<Utc>) -> bool {
        match self {
            Self::AfterQuiet(length) => tally.last_at + length <= now,
            Self::AfterStart(length) => tally.began_at + length <= now,
        }
    }
}

impl Growth {
    /// The usual one for passwords and codes: five are free, then 1 s, 2 s, 4 s and so on up to a quarter of an hour.
    pub const GUESSES: Growth = Growth {
        free: 5,
        first: TimeDelta::seconds(1),
        longest: TimeDelta::minutes(15),
        forgotten: Forgotten::AfterQuiet(TimeDelta::hours(1)),
    };

    /// The wait that follows the attempt with this number, counted from one.
    pub fn wait_after(&self, count: u32) -> TimeDelta {
        let Some(doublings) = count.checked_sub(self.free) else { return TimeDelta::zero() };
        let factor = 1_i32.checked_shl(doublings).filter(|factor| *factor > 0);
        factor.and_then(|factor| self.first.checked_mul(factor)).map_or(self.longest, |wait| wait.min(self.longest))
    }

    /// The waits after the first attempt, the second and so on, until they grow no more: what comes later waits as the
    /// last of them.
    pub fn waits(&self) -> Vec<TimeDelta> {
        let longest = (1..).find(|count| self.wait_after(*count) >= self.longest).unwrap_or(1);
        (1..=longest).map(|count| self.wait_after(count)).collect()
    }

    /// Whether an attempt has to wait, and for how long.
    pub fn wait(&self, tally: &Tally, now: DateTime<Utc>) -> Option<Wait> {
        let left = tally.last_at + self.wait_after(tally.count) - now;
        (left > TimeDelta::zero() && !self.forgotten.is_due(tally, now)).then_some(Wait(left))
    }
}

impl Window {
    /// Whether one more has to wait, and for how long.
    pub fn wait(&self, tally: &Tally, now: DateTime<Utc>) -> Option<Wait> {
        let left = tally.began_at + self.length - now;
        (left > TimeDelta::zero() && tally.count >= self.limit).then_some(Wait(left))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).expect("a time")
    }

    fn tally(count: u32, began: i64, last: i64) -> Tally {
        Tally { count, began_at: at(began), last_at: at(last) }
    }

    #[test]
    fn five_are_free_and_then_each_waits_twice_as_long_up_to_a_quarter_of_an_hour() {
        let seconds: Vec<i64> = Growth::GUESSES.waits().iter().map(TimeDelta::num_seconds).collect();
        assert_eq!(seconds, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]);
        assert_eq!(Growth::GUESSES.wait_after(u32::MAX), TimeDelta::minutes(15));
    }

    #[test]
    fn who_waits_as_long_as_told_may_try() {
        let guessed = tally(7, 0, 10);
        assert_eq!(Growth::GUESSES.wait(&guessed, at(10)).map(Wait::seconds), Some(4));
        assert_eq!(Growth::GUESSES.wait(&guessed, at(13)).map(Wait::seconds), Some(1));
        assert_eq!(Growth::GUESSES.wait(&guessed, at(14)), None);
        assert_eq!(Wait::of(TimeDelta::milliseconds(1001)).seconds(), 2);
        assert_eq!(Wait::of(TimeDelta::milliseconds(1)).seconds(), 1);
    }

    #[test]
    fn a_quiet_hour_makes_good() {
        let patient = Growth { longest: TimeDelta::hours(9), ..Growth::GUESSES };
        let guessed = tally(30, 0, 10);
        assert!(patient.wait(&guessed, at(10 + 3599)).is_some());
        assert_eq!(patient.wait(&guessed, at(10 + 3600)), None);
        let from_start = Growth { forgotten: Forgotten::AfterStart(TimeDelta::hours(1)), ..patient };
        assert!(from_start.wait(&guessed, at(3599)).is_some());
        assert_eq!(from_start.wait(&guessed, at(3600)), None);
    }

    #[test]
    fn a_window_admits_so_many_until_it_ends() {
        let window = Window { limit: 3, length: TimeDelta::minutes(10) };
        assert_eq!(window.wait(&tally(2, 0, 5), at(5)), None);
        assert_eq!(window.wait(&tally(3, 0, 5), at(5)).map(Wait::seconds), Some(595));
        assert_eq!(window.wait(&tally(3, 0, 5), at(600)), None);
    }

    proptest! {
        #[test]
        fn waits_never_shrink_and_never_pass_the_longest(free in 0u32..50, first in 1i64..100, longest in 1i64..100_000, count: u32) {
            let growth = Growth {
                free,
                first: TimeDelta::seconds(first),
                longest: TimeDelta::seconds(longest),
                forgotten: Forgotten::AfterQuiet(TimeDelta::hours(1)),
            };
            let (this, next) = (growth.wait_after(count), growth.wait_after(count.saturating_add(1)));
            prop_assert!(this <= next && next <= growth.longest);
            prop_assert_eq!(growth.waits().last().copied(), Some(growth.longest));
        }
    }
}
