//! Leaves a part in peace that fails again and again: whoever depends on it is answered at once instead of after a
//! timeout, and it is not kept from recovering.
//!
//! A breaker is closed, and everything passes. After so many failures in a row it opens, and nothing passes for a pause.
//! Then one call passes as a probe: if it goes well the breaker closes, otherwise it opens again for twice as long, up to
//! a longest pause. A probe that nobody reports on is given up after a while, and another one passes.
//!
//! [`Breaker`] is one of them and pure; [`Breakers`] holds one for each key. The time is given by the caller. Each server
//! has breakers of its own: what they know is worth no row in the database.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// When breakers open, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// So many failures in a row open it; at least one.
    pub failures: u32,
    pub first_pause: TimeDelta,
    pub longest_pause: TimeDelta,
    /// How long a probe may take before it counts for nothing.
    pub probe: TimeDelta,
}

impl Policy {
    /// The usual one for a call of a few seconds: five failures, then 5 s, 10 s and so on up to five minutes.
    pub const CALLS: Policy = Policy {
        failures: 5,
        first_pause: TimeDelta::seconds(5),
        longest_pause: TimeDelta::minutes(5),
        probe: TimeDelta::seconds(30),
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { since: DateTime<Utc>, pause: TimeDelta },
    Probing { since: DateTime<Utc>, pause: TimeDelta },
}

/// The right to one call, whose outcome is to be reported.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the outcome of the call is to be reported"]
pub struct Pass {
    /// When the probe began, if it is one.
    probe: Option<DateTime<Utc>>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    Go(Pass),
    /// Nothing passes for so long; while a probe is under way, at most.
    Rest(TimeDelta),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed,
}

/// What a report has changed, for a log line or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Opened,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    state: State,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed { failures: 0 } }
    }
}

impl Breaker {
    pub fn admit(&mut self, policy: &Policy, now: DateTime<Utc>) -> Admission {
        let (since, wait, pause) = match self.state {
            State::Closed { .. } => return Admission::Go(Pass { probe: None }),
            State::Open { since, pause } => (since, pause, pause),
            State::Probing { since, pause } => (since, policy.probe, pause),
        };
        // A clock that was set back must not make the wait longer than it is.
        let left = (wait - (now - since)).min(wait);
        if left > TimeDelta::zero() {
            return Admission::Rest(left);
        }
        self.state = State::Probing { since: now, pause };
        Admission::Go(Pass { probe: Some(now) })
    }

    /// What a call that began before the breaker opened has come to says nothing any more.
    pub fn report(&mut self, policy: &Policy, pass: Pass, outcome: Outcome, now: DateTime<Utc>) -> Option<Change> {
        let (state, change) = match (self.state, pass.probe, outcome) {
            (State::Closed { .. }, None, Outcome::Succeeded) => (State::Closed { failures: 0 }, None),
            (State::Closed { failures }, None, Outcome::Failed) if failures + 1 < policy.failures => {
                (State::Closed { failures: failures + 1 }, None)
            }
            (State::Closed { .. }, None, Outcome::Failed) => {
                (State::Open { since: now, pause: policy.first_pause }, Some(Change::Opened))
            }
            (State::Probing { since, .. }, Some(probe), Outcome::Succeeded) if probe == since => {
                (State::Closed { failures: 0 }, Some(Change::Closed))
            }
            (State::Probing { since, pause }, Some(probe), Outcome::Failed) if probe == since => {
                let pause = pause.checked_mul(2).map_or(policy.longest_pause, |pause| pause.min(policy.longest_pause));
                (State::Open { since: now, pause }, None)
            }
            (state, ..) => (state, None),
        };
        self.state = state;
        change
    }

    /// Whether calls are refused, but for a probe.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    /// Whether it knows nothing that a new one would not.
    fn is_new(&self) -> bool {
        self.state == State::Closed { failures: 0 }
    }
}

/// A breaker for each key. Those that are well take no room; beyond `most` troubled ones, a further one is not watched.
pub struct Breakers<K> {
    policy: Policy,
    most: usize,
    troubled: Mutex<HashMap<K, Breaker>>,
}

impl<K: Clone + Eq + Hash> Breakers<K> {
    pub fn new(policy: Policy, most: usize) -> Self {
        Self { policy, most, troubled: Mutex::default() }
    }

    pub fn admit(&self, key: &K, now: DateTime<Utc>) -> Admission {
        match self.troubled().get_mut(key) {
            Some(breaker) => breaker.admit(&self.policy, now),
            None => Admission::Go(Pass { probe: None }),
        }
    }

    pub fn report(&self, key: &K, pass: Pass, outcome: Outcome, now: DateTime<Utc>) -> Option<Change> {
        let mut troubled = self.troubled();
        let mut breaker = troubled.get(key).cloned().unwrap_or_default();
        let change = breaker.report(&self.policy, pass, outcome, now);
        if breaker.is_new() {
            troubled.remove(key);
        } else if troubled.len() < self.most || troubled.contains_key(key) {
            troubled.insert(key.clone(), breaker);
        } else {
            return None;
        }
        change
    }

    pub fn is_open(&self, key: &K) -> bool {
        self.troubled().get(key).is_some_and(Breaker::is_open)
    }

    /// Forgets what is known under a key, such as when its address has changed.
    pub fn forget(&self, key: &K) {
        self.troubled().remove(key);
    }

    fn troubled(&self) -> MutexGuard<'_, HashMap<K, Breaker>> {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: Policy = Policy {
        failures: 3,
        first_pause: TimeDelta::seconds(5),
        longest_pause: TimeDelta::seconds(15),
        probe: TimeDelta::seconds(30),
    };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).expect("a time")
    }

    fn go(admission: Admission) -> Pass {
        match admission {
            Admission::Go(pass) => pass,
            Admission::Rest(left) => panic!("it rests for {left}"),
        }
    }

    fn rest(seconds: i64) -> Admission {
        Admission::Rest(TimeDelta::seconds(seconds))
    }

    fn call(breaker: &mut Breaker, outcome: Outcome, now: i64) -> Option<Change> {
        let pass = go(breaker.admit(&POLICY, at(now)));
        breaker.report(&POLICY, pass, outcome, at(now))
    }

    fn open() -> Breaker {
        let mut breaker = Breaker::default();
        assert_eq!([0, 0, 0].map(|now| call(&mut breaker, Outcome::Failed, now)), [None, None, Some(Change::Opened)]);
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let mut breaker = Breaker::default();
        for outcome in [Outcome::Failed, Outcome::Failed, Outcome::Succeeded, Outcome::Failed, Outcome::Failed] {
            assert_eq!(call(&mut breaker, outcome, 0), None);
        }
        assert_eq!(call(&mut breaker, Outcome::Failed, 0), Some(Change::Opened));
        assert_eq!((breaker.admit(&POLICY, at(0)), breaker.admit(&POLICY, at(4))), (rest(5), rest(1)));
    }

    #[test]
    fn one_probe_passes_after_the_pause_and_pauses_double_to_their_bound() {
        let mut breaker = open();
        let mut now = 0;
        for pause in [5, 10, 15, 15] {
            assert_eq!(breaker.admit(&POLICY, at(now + pause - 1)), rest(1));
            now += pause;
            let probe = go(breaker.admit(&POLICY, at(now)));
            assert_eq!(breaker.admit(&POLICY, at(now)), rest(30), "only one");
            assert_eq!(breaker.report(&POLICY, probe, Outcome::Failed, at(now)), None);
        }
        assert_eq!(call(&mut breaker, Outcome::Succeeded, now + 15), Some(Change::Closed));
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn a_probe_that_is_lost_makes_room_for_another_and_has_no_say_any_more() {
        let mut breaker = open();
        let lost = go(breaker.admit(&POLICY, at(5)));
        assert_eq!(breaker.admit(&POLICY, at(34)), rest(1));
        let second = go(breaker.admit(&POLICY, at(35)));
        assert_eq!(breaker.report(&POLICY, lost, Outcome::Succeeded, at(36)), None);
        assert!(breaker.is_open());
        assert_eq!(breaker.report(&POLICY, second, Outcome::Succeeded, at(36)), Some(Change::Closed));
    }

    #[test]
    fn calls_that_began_before_it_opened_have_no_say() {
        let mut breaker = Breaker::default();
        let [early, late] = [0, 0].map(|now| go(breaker.admit(&POLICY, at(now))));
        for _ in 0..3 {
            let _ = call(&mut breaker, Outcome::Failed, 0);
        }
        assert_eq!(breaker.report(&POLICY, early, Outcome::Succeeded, at(1)), None);
        let probe = go(breaker.admit(&POLICY, at(5)));
        assert_eq!(breaker.report(&POLICY, late, Outcome::Succeeded, at(5)), None);
        assert!(breaker.is_open());
        assert_eq!(breaker.report(&POLICY, probe, Outcome::Succeeded, at(5)), Some(Change::Closed));
    }

    #[test]
    fn a_clock_that_is_set_back_lengthens_nothing() {
        let mut breaker = open();
        assert_eq!(breaker.admit(&POLICY, at(-1_000)), rest(5));
    }

    #[test]
    fn keys_are_apart_and_only_troubled_ones_take_room() {
        let breakers = Breakers::new(POLICY, 2);
        let call = |key: &'static str, outcome| {
            let pass = go(breakers.admit(&key, at(0)));
            breakers.report(&key, pass, outcome, at(0))
        };
        for key in ["a", "b", "c"] {
            assert_eq!(call(key, Outcome::Succeeded), None);
        }
        assert_eq!(breakers.troubled().len(), 0);
        assert_eq!([0; 3].map(|_| call("a", Outcome::Failed)), [None, None, Some(Change::Opened)]);
        assert_eq!((breakers.admit(&"a", at(0)), breakers.is_open(&"b")), (rest(5), false));
        assert_eq!(call("b", Outcome::Failed), None);
        // There is no more room: `c` is let through, however often it fails.
        for _ in 0..5 {
            assert_eq!(call("c", Outcome::Failed), None);
        }
        assert_eq!(breakers.troubled().len(), 2);
        assert!(!breakers.is_open(&"c"));
        breakers.forget(&"a");
        assert!(!breakers.is_open(&"a"));
    }

    proptest! {
        /// However calls come and end: an open breaker lets one through a pause, and it never rests longer than it may.
        #[test]
        fn an_open_breaker_lets_few_through(
            steps in proptest::collection::vec((0_i64..8, any::<bool>(), any::<bool>()), 1..200),
        ) {
            let mut breaker = Breaker::default();
            let (mut now, mut under_way, mut last_probe) = (0, Vec::new(), None);
            for (later, succeeds, ends_first) in steps {
                now += later;
                if ends_first && !under_way.is_empty() {
                    let outcome = if succeeds { Outcome::Succeeded } else { Outcome::Failed };
                    let _ = breaker.report(&POLICY, under_way.remove(0), outcome, at(now));
                }
                let was_open = breaker.is_open();
                match breaker.admit(&POLICY, at(now)) {
                    Admission::Go(pass) => {
                        prop_assert_eq!(pass.probe.is_some(), was_open);
                        if was_open {
                            prop_assert!(last_probe.is_none_or(|last| now - last >= 5));
                            last_probe = Some(now);
                        }
                        under_way.push(pass);
                    }
                    Admission::Rest(left) => {
                        prop_assert!(was_open && left > TimeDelta::zero() && left <= POLICY.probe);
                    }
                }
            }
        }

        #[test]
        fn what_works_again_is_let_through_again(failures in 1_usize..40) {
            let mut breaker = Breaker::default();
            let mut now = 0;
            for _ in 0..failures {
                let pass = match breaker.admit(&POLICY, at(now)) {
                    Admission::Go(pass) => pass,
                    Admission::Rest(left) => {
                        now += left.num_seconds();
                        go(breaker.admit(&POLICY, at(now)))
                    }
                };
                let _ = breaker.report(&POLICY, pass, Outcome::Failed, at(now));
            }
            now += POLICY.longest_pause.num_seconds();
            prop_assert!(matches!(breaker.admit(&POLICY, at(now)), Admission::Go(_)));
        }
    }
}
