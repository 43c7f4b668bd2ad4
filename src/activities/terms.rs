//! The terms of a draw: what may be won, by whom and under which odds. Pure.
//!
//! Once it comes into force a version never changes, and its JSON is public, byte for byte: records bind its digest, and
//! whoever verifies draws reads the odds from it. What is nobody's business stands elsewhere: whom a personal plan is
//! for, and how chances are earned.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};

use crate::activities::model::{ActivityId, PrizeId, PrizeKind, PrizePlan, PrizePlanId};
use crate::activities::ruling::Ruling;
use crate::catalog::model::CollectibleId;
use crate::{stored_words, words};

pub const MILLION: u32 = 1_000_000;
/// Records say in one word of 64 bits which plans were open.
pub const MAXIMUM_PLANS: usize = 64;

words! {
    /// What becomes of a draw whose picked prize cannot be given: it is gone, held back for later, or the holder has had
    /// their share of it.
    pub enum Exhaustion {
        /// It wins nothing.
        ToNoPrize = "TO_NO_PRIZE",
        /// It wins the plan's fallback prize, while that lasts.
        ToFallback = "TO_FALLBACK",
        /// It wins one of the prizes that can be given, in proportion to their odds.
        Renormalise = "RENORMALISE",
        /// It draws once more, over all the odds.
        RedrawOnce = "REDRAW_ONCE",
        /// It wins nothing, and once nothing at all is left of the plan the activity ends.
        CloseActivity = "CLOSE_ACTIVITY",
    }
}

stored_words! {
    /// What the enterprise's own endpoint has to say in draws.
    pub enum Rulings {
        /// Nothing: chance decides.
        None = "NONE",
        /// It may decide a draw, or leave it to chance.
        Allowed = "ALLOWED",
        /// It decides each draw.
        Decisive = "DECISIVE",
    }
}

impl Rulings {
    fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Whether a draw may have been ruled so.
    pub fn admits(self, ruling: Ruling) -> bool {
        match self {
            Self::None => ruling == Ruling::Free,
            Self::Allowed => true,
            Self::Decisive => matches!(ruling, Ruling::NoPrize | Ruling::Won(_)),
        }
    }
}

fn no_rulings() -> Rulings {
    Rulings::None
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    pub activity: ActivityId,
    pub version: u32,
    pub opens_at: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
    /// How many draws one request may make.
    pub draws_at_once: u32,
    /// How often somebody may draw on one day, in Shanghai.
    pub draws_per_day: Option<u32>,
    /// How often somebody may win. Fallback prizes do not count.
    pub wins_per_holder: Option<u32>,
    pub wins_per_day: Option<u32>,
    /// Left out where chance decides.
    #[serde(default = "no_rulings", skip_serializing_if = "Rulings::is_none")]
    pub rulings: Rulings,
    pub plans: Vec<Plan>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    pub id: PrizePlanId,
    /// Only for people whom the enterprise has chosen.
    pub for_chosen: bool,
    /// Half-open; where either is left out, as long as the activity.
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub priority: i32,
    /// A draw that this plan has no prize for goes on to the next open plan.
    pub overlays: bool,
    /// Once nothing is left of it, it is as if it were not there.
    pub falls_through: bool,
    pub exhaustion: Exhaustion,
    /// In the order in which they share the million.
    pub prizes: Vec<Prize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prize {
    pub id: PrizeId,
    pub name_chinese: String,
    pub name_english: String,
    pub level: u32,
    pub odds_per_million: u32,
    pub wins_per_holder: Option<u32>,
    /// By all together, on one day in Shanghai.
    pub wins_per_day: Option<u32>,
    /// Given out hour by hour over the activity's window, what an hour leaves over going to the next.
    pub paced: bool,
    /// What [`Exhaustion::ToFallback`] gives; one a plan.
    pub fallback: bool,
    /// Left out for a collectible.
    #[serde(default, skip_serializing_if = "PrizeKind::is_collectible")]
    pub kind: PrizeKind,
    /// Where several have pieces left, each piece is equally likely (a blind box). Where there are none at all, the prize
    /// is nothing: a draw that falls on it has won nothing, and the plan's policy has no say.
    pub lots: Vec<Lot>,
}

/// Numbered pieces, given out in order: of one collectible, or of what the prize is itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lot {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collectible: Option<CollectibleId>,
    pub first_serial: u32,
    pub quantity: u32,
}

impl From<&PrizePlan> for Plan {
    /// Without its prizes.
    fn from(row: &PrizePlan) -> Self {
        Self {
            id: row.id,
            for_chosen: row.for_chosen,
            from: row.starts_at,
            until: row.ends_at,
            priority: row.priority,
            overlays: row.overlays,
            falls_through: row.falls_through,
            exhaustion: row.exhaustion,
            prizes: Vec::new(),
        }
    }
}

/// Two plans neither of which goes before the other, though both may be open to somebody at once.
pub fn tie(plans: &[Plan]) -> Option<(usize, usize)> {
    let pairs = (0..plans.len()).flat_map(|one| (one + 1..plans.len()).map(move |other| (one, other)));
    pairs.into_iter().find(|(one, other)| {
        let (one, other) = (&plans[*one], &plans[*other]);
        one.precedence() == other.precedence() && one.meets(other)
    })
}

impl Plan {
    fn is_timed(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }

    pub fn covers(&self, at: DateTime<Utc>) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }

    /// User and time before user before time before neither, then the higher priority.
    fn precedence(&self) -> (bool, bool, i32) {
        (self.for_chosen, self.is_timed(), self.priority)
    }

    /// Whether there is a moment that both cover.
    fn meets(&self, other: &Self) -> bool {
        let begins_before_end = |begins: Option<DateTime<Utc>>, ends: Option<DateTime<Utc>>| match (begins, ends) {
            (Some(begins), Some(ends)) => begins < ends,
            _ => true,
        };
        begins_before_end(self.from, other.until) && begins_before_end(other.from, self.until)
    }
}

/// Years that an activity's window may lie in.
pub const YEARS: RangeInclusive<i32> = 2000..=2200;

impl Prize {
    pub fn quantity(&self) -> u32 {
        self.lots.iter().map(|lot| lot.quantity).sum()
    }
}

impl Terms {
    /// The plans' places, first the one that goes before all others.
    pub fn by_precedence(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.plans.len()).collect();
        places.sort_by_key(|place| std::cmp::Reverse(self.plans[*place].precedence()));
        places
    }

    /// Whether these can be terms at all. Whoever reads a document from elsewhere asks this before anything is drawn by it.
    pub fn check(&self) -> Result<(), &'static str> {
        let holds = |holds: bool, why| if holds { Ok(()) } else { Err(why) };
        let moments = self.plans.iter().flat_map(|plan| [plan.from, plan.until]).flatten();
        for moment in moments.chain([self.opens_at, self.closes_at]) {
            holds(YEARS.contains(&moment.year()), "a moment lies far off")?;
            holds(is_whole(moment), "a moment is finer than a microsecond")?;
        }
        holds(self.opens_at < self.closes_at, "they close before they open")?;
        holds((1..=MAXIMUM_PLANS).contains(&self.plans.len()), "they have no plans, or too many")?;
        holds(tie(&self.plans).is_none(), "two plans tie")?;
        for plan in &self.plans {
            holds((1..=100).contains(&plan.prizes.len()), "a plan has no prizes, or too many")?;
            let odds: u64 = plan.prizes.iter().map(|prize| u64::from(prize.odds_per_million)).sum();
            holds(odds <= u64::from(MILLION), "the odds of a plan add up to more than a million")?;
        }
        let prizes = || self.plans.iter().flat_map(|plan| &plan.prizes);
        let ids: HashSet<PrizeId> = prizes().map(|prize| prize.id).collect();
        holds(ids.len() == prizes().count(), "a prize stands in them twice")?;
        let lots = || prizes().flat_map(|prize| &prize.lots);
        let nothing = prizes().all(|prize| (prize.kind == PrizeKind::Nothing) == prize.lots.is_empty());
        holds(nothing, "a prize has no pieces, or nothing has some")?;
        let collectibles = prizes().all(|prize| {
            prize.lots.iter().all(|lot| (prize.kind == PrizeKind::Collectible) == lot.collectible.is_some())
        });
        holds(collectibles, "a piece is of no collectible, or of one that it should not be of")?;
        let pieces: u64 = lots().map(|lot| u64::from(lot.quantity)).sum();
        holds(pieces <= u64::from(u32::MAX), "there are more pieces than can be counted")?;
        let serials = lots().all(|lot| u64::from(lot.first_serial) + u64::from(lot.quantity) <= i32::MAX as u64);
        holds(serials, "a serial number is too high")
    }

    /// Which plans are open at a moment, bit by place, to somebody for whom those of `chosen` are meant.
    pub fn open_plans(&self, at: DateTime<Utc>, chosen: u64) -> u64 {
        let open = |(place, plan): (usize, &Plan)| {
            let meant = !plan.for_chosen || chosen & (1 << place) != 0;
            u64::from(plan.covers(at) && meant) << place
        };
        self.plans.iter().enumerate().map(open).sum()
    }

    /// How much of a prize's pieces may have been given out at a moment: an hour's share more with every hour that has
    /// begun.
    pub fn released(&self, quantity: u32, at: DateTime<Utc>) -> u32 {
        let hour = 3600;
        let whole = (self.closes_at - self.opens_at).num_seconds().max(1).unsigned_abs().div_ceil(hour);
        let begun = (at - self.opens_at).num_seconds().max(0).unsigned_abs() / hour + 1;
        u32::try_from(u64::from(quantity) * begun.min(whole) / whole).unwrap_or(quantity)
    }
}

/// Records bind microseconds.
pub fn is_whole(moment: DateTime<Utc>) -> bool {
    moment.timestamp_subsec_nanos().is_multiple_of(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn plan(for_chosen: bool, hours: Option<(i64, i64)>, priority: i32) -> Plan {
        Plan {
            id: PrizePlanId::generate(),
            for_chosen,
            from: hours.map(|(from, _)| at(from)),
            until: hours.map(|(_, until)| at(until)),
            priority,
            overlays: false,
            falls_through: false,
            exhaustion: Exhaustion::ToNoPrize,
            prizes: Vec::new(),
        }
    }

    #[test]
    fn what_may_be_ruled_is_what_the_terms_say() {
        let all = [Ruling::Free, Ruling::Levels(1), Ruling::NoPrize, Ruling::Won(0)];
        let admitted = |rulings: Rulings| all.map(|ruling| rulings.admits(ruling));
        assert_eq!(admitted(Rulings::None), [true, false, false, false]);
        assert_eq!(admitted(Rulings::Allowed), [true; 4]);
        assert_eq!(admitted(Rulings::Decisive), [false, false, true, true]);
        let document = serde_json::to_string(&terms(Vec::new())).expect("JSON");
        assert!(!document.contains("rulings"), "where nobody rules, nothing is said");
        assert_eq!(serde_json::from_str::<Terms>(&document).expect("terms").rulings, Rulings::None);
    }

    fn terms(plans: Vec<Plan>) -> Terms {
        Terms {
            activity: ActivityId::generate(),
            version: 1,
            opens_at: at(0),
            closes_at: at(10),
            draws_at_once: 1,
            draws_per_day: None,
            wins_per_holder: None,
            wins_per_day: None,
            rulings: Rulings::None,
            plans,
        }
    }

    #[test]
    fn the_more_personal_plan_goes_before_then_the_higher_priority() {
        let terms = terms(vec![
            plan(false, None, 99),
            plan(false, Some((1, 2)), 1),
            plan(true, None, 0),
            plan(true, Some((1, 2)), -5),
            plan(false, Some((1, 2)), 2),
        ]);
        assert_eq!(terms.by_precedence(), [3, 2, 4, 1, 0]);
        assert_eq!(tie(&terms.plans), None);
    }

    #[test]
    fn plans_that_may_both_be_open_must_not_tie() {
        let pair = |one, other| tie(&[one, other]);
        assert_eq!(pair(plan(false, None, 0), plan(false, None, 0)), Some((0, 1)));
        assert_eq!(pair(plan(false, None, 0), plan(false, None, 1)), None);
        assert_eq!(pair(plan(true, Some((1, 3)), 0), plan(true, Some((2, 4)), 0)), Some((0, 1)));
        assert_eq!(pair(plan(true, Some((1, 2)), 0), plan(true, Some((2, 4)), 0)), None, "half-open: they only touch");
        let open_ended = Plan { until: None, ..plan(true, Some((3, 0)), 0) };
        assert_eq!(pair(plan(true, Some((1, 4)), 0), open_ended.clone()), Some((0, 1)));
        assert_eq!(pair(plan(true, Some((1, 3)), 0), open_ended), None);
    }

    #[test]
    fn a_plan_is_open_in_its_time_to_whom_it_is_meant_for() {
        let terms = terms(vec![plan(false, None, 0), plan(false, Some((1, 2)), 0), plan(true, Some((1, 2)), 0)]);
        assert_eq!(terms.open_plans(at(0), 0b111), 0b001);
        assert_eq!(terms.open_plans(at(1), 0b000), 0b011);
        assert_eq!(terms.open_plans(at(1), 0b100), 0b111);
        assert_eq!(terms.open_plans(at(2), 0b100), 0b001);
    }

    proptest! {
        /// What is released only grows, is never more than there is, and is everything in the last hour.
        #[test]
        fn pacing_releases_everything_in_the_end(quantity in 0_u32..=10_000_000, minutes in 1_i64..100_000, moments in proptest::collection::vec(0_i64..7_000_000, 2..20)) {
            let terms = Terms { closes_at: at(0) + TimeDelta::minutes(minutes), ..terms(Vec::new()) };
            let mut moments = moments;
            moments.sort_unstable();
            let released: Vec<u32> =
                moments.iter().map(|second| terms.released(quantity, at(0) + TimeDelta::seconds(*second))).collect();
            prop_assert!(released.is_sorted());
            prop_assert!(released.iter().all(|count| *count <= quantity));
            let last = terms.closes_at - TimeDelta::seconds(1);
            prop_assert_eq!(terms.released(quantity, last), quantity);
            let hours = u32::try_from(minutes).expect("a few").div_ceil(60);
            prop_assert_eq!(terms.released(quantity, at(0)), quantity / hours);
        }
    }
}
