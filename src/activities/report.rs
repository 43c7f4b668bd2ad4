//! What an activity came to, over time.
//!
//! Nothing is computed from draws when somebody asks: what happens is counted in the transaction in which it happens
//! ([`count_in`]), by the minute and by the hour, so a report is exact and reads few rows however many people came. A year
//! of days is read from hours: Shanghai's midnight is one.
//!
//! To count something new, add it to [`Counts`] and to its table, and call [`count_in`] where it happens.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use uuid::Uuid;

use crate::activities::model::{Activity, ActivityId, ActivityState, Claim};
use crate::activities::store;
use crate::activities::store::reports::{self, Counts, Span};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::language::Text;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::words;

/// Draws are counted here, one batch at a time under the lane's lock.
pub const LANE: i32 = 0;
/// Beside it, the rows among which everything else is spread that comes in many transactions at once.
const SHARDS: i32 = 8;
/// Days are those of Shanghai, in seconds ahead of UTC.
const SHANGHAI: i64 = 8 * 3600;

/// Where something with this ID is counted. The end of an ID is random.
pub fn shard_of(id: Uuid) -> i32 {
    1 + i32::from(id.as_bytes()[15]) % SHARDS
}

/// Counts what the transaction does at this moment. Rows that others count in are locked from here on, so this comes last.
pub async fn count_in(
    tx: &TenantTx,
    activity: ActivityId,
    at: DateTime<Utc>,
    shard: i32,
    more: &Counts,
) -> Result<(), Fault> {
    let stretches =
        [(Span::Minute, ReportGranularity::Minute.start_of(at)), (Span::Hour, ReportGranularity::Hour.start_of(at))];
    reports::add_in(tx, activity, shard, stretches, more).await
}

/// A claim was taken up.
pub async fn count_claim_in(tx: &TenantTx, claim: &Claim, at: DateTime<Utc>) -> Result<(), Fault> {
    let more = Counts { claims: 1, ..Counts::default() };
    count_in(tx, claim.activity_id, at, shard_of(claim.id.uuid()), &more).await
}

words! {
    /// How long the buckets of a report are.
    pub enum ReportGranularity {
        /// A minute; over 24 hours at most.
        Minute = "MINUTE",
        /// An hour; over 31 days at most.
        Hour = "HOUR",
        /// A day in Shanghai; over 366 days at most.
        Day = "DAY",
    }
}

impl ReportGranularity {
    fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 24 * 3600,
        }
    }

    fn longest(self) -> TimeDelta {
        match self {
            Self::Minute => TimeDelta::hours(24),
            Self::Hour => TimeDelta::days(31),
            Self::Day => TimeDelta::days(366),
        }
    }

    fn too_long(self) -> Text {
        match self {
            Self::Minute => Text::new(
                "按 MINUTE 统计的时间范围最长为 24 小时，请缩短范围，或改用 HOUR、DAY。",
                "a report by MINUTE covers 24 hours at most; ask for less, or by HOUR or DAY",
            ),
            Self::Hour => Text::new(
                "按 HOUR 统计的时间范围最长为 31 天，请缩短范围，或改用 DAY。",
                "a report by HOUR covers 31 days at most; ask for less, or by DAY",
            ),
            Self::Day => Text::new(
                "按 DAY 统计的时间范围最长为 366 天，请缩短范围。",
                "a report by DAY covers 366 days at most; ask for less",
            ),
        }
    }

    /// The beginning of the bucket that a moment falls into.
    pub fn start_of(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let seconds = at.timestamp();
        moment(seconds - (seconds + SHANGHAI).rem_euclid(self.seconds()))
    }

    /// What is read for buckets of this length.
    fn span(self) -> Span {
        match self {
            Self::Minute => Span::Minute,
            Self::Hour | Self::Day => Span::Hour,
        }
    }
}

fn moment(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

/// Whole buckets from one moment on, until another that is no longer within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    granularity: ReportGranularity,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Period {
    /// Widened at both ends until the buckets are whole. Where that cannot be reported on: why, and what can.
    pub fn new(from: DateTime<Utc>, until: DateTime<Utc>, granularity: ReportGranularity) -> Result<Self, Text> {
        if from.year() < 1970 || until.year() > 9999 {
            return Err(Text::new(
                "`from` 与 `until` 须在 1970 年至 9999 年之间。",
                "`from` and `until` lie between the years 1970 and 9999",
            ));
        }
        if from >= until {
            return Err(Text::new("`from` 必须早于 `until`。", "`from` must be earlier than `until`"));
        }
        if until - from > granularity.longest() {
            return Err(granularity.too_long());
        }
        let mut end = granularity.start_of(until);
        if end < until {
            end += TimeDelta::seconds(granularity.seconds());
        }
        Ok(Self { granularity, from: granularity.start_of(from), until: end })
    }

    pub fn from(&self) -> DateTime<Utc> {
        self.from
    }

    pub fn until(&self) -> DateTime<Utc> {
        self.until
    }

    pub fn granularity(&self) -> ReportGranularity {
        self.granularity
    }

    /// Every bucket in order, also those in which nothing happened.
    fn buckets(&self, counted: &[(DateTime<Utc>, Counts)]) -> Vec<Bucket> {
        let (first, length) = (self.from.timestamp(), self.granularity.seconds());
        let starts = (first..self.until.timestamp()).step_by(usize::try_from(length).unwrap_or(1));
        let mut buckets: Vec<Bucket> =
            starts.map(|start| Bucket { at: moment(start), counts: Counts::default() }).collect();
        for (at, counts) in counted {
            let place = usize::try_from((at.timestamp() - first).div_euclid(length));
            if let Some(bucket) = place.ok().and_then(|place| buckets.get_mut(place)) {
                bucket.counts = bucket.counts.and(counts);
            }
        }
        buckets
    }
}

/// One stretch of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its beginning.
    pub at: DateTime<Utc>,
    pub counts: Counts,
}

impl Counts {
    fn and(&self, more: &Self) -> Self {
        Self {
            views: self.views + more.views,
            viewers: self.viewers + more.viewers,
            participants: self.participants + more.participants,
            draws: self.draws + more.draws,
            wins: self.wins + more.wins,
            claims: self.claims + more.claims,
        }
    }

    /// Rises with whatever is counted: people come only with views and draws, wins only with draws.
    pub fn version(&self) -> i64 {
        self.views + self.draws + self.claims
    }
}

/// What came of an activity within a period.
#[derive(Clone, Debug)]
pub struct Report {
    pub totals: Counts,
    pub series: Vec<Bucket>,
}

pub async fn report(tx: &TenantTx, activity: ActivityId, period: &Period) -> Result<Report, Fault> {
    let counted = reports::stretches(tx, activity, period.granularity.span(), period.from..period.until).await?;
    let series = period.buckets(&counted);
    let totals = series.iter().fold(Counts::default(), |sum, bucket| sum.and(&bucket.counts));
    Ok(Report { totals, series })
}

/// How an activity stands at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub totals: Counts,
    pub at: DateTime<Utc>,
    /// It is settled, or was stopped for good: nobody draws any more.
    pub over: bool,
}

pub async fn standing(platform: &Platform, scope: &TenantScope, id: ActivityId) -> Result<Standing, Fault> {
    scope.require(Permission::ActivityRead)?;
    let tx = scope.read(&platform.database).await?;
    // The state first: once it is over, the totals that are read after it miss no draw.
    let activity = store::activities_by_id(&tx, &[id]).await?.remove(&id).ok_or(Fault::NotFound)?;
    let totals = reports::totals(&tx, id).await?;
    Ok(Standing { totals, at: activity.read_at, over: is_over(&activity) })
}

fn is_over(activity: &Activity) -> bool {
    matches!(activity.state, ActivityState::Settled | ActivityState::Archived | ActivityState::Terminated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [ReportGranularity; 3] = [ReportGranularity::Minute, ReportGranularity::Hour, ReportGranularity::Day];

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn a_day_begins_at_midnight_in_shanghai() {
        let day = |at: &str| ReportGranularity::Day.start_of(time(at));
        assert_eq!(day("2026-03-01T15:59:59.999999Z"), time("2026-02-28T16:00:00Z"));
        assert_eq!(day("2026-03-01T16:00:00Z"), time("2026-03-01T16:00:00Z"));
        assert_eq!(day("1970-01-01T00:00:00Z"), time("1969-12-31T16:00:00Z"));
        let (from, until) = (time("2026-03-01T00:00:00+08:00"), time("2026-03-03T00:00:00+08:00"));
        let period = Period::new(from, until, ReportGranularity::Day).expect("two days");
        assert_eq!((period.from(), period.until(), period.buckets(&[]).len()), (from, until, 2));
    }

    #[test]
    fn buckets_are_whole_and_none_is_left_out() {
        let period = Period::new(time("2026-03-01T10:30:30Z"), time("2026-03-01T12:00:00.5Z"), ReportGranularity::Hour);
        let period = period.expect("less than a day");
        let one = Counts { views: 1, ..Counts::default() };
        let buckets = period.buckets(&[(time("2026-03-01T12:59:59Z"), one), (time("2026-03-01T10:00:00Z"), one)]);
        let starts: Vec<_> = buckets.iter().map(|bucket| (bucket.at, bucket.counts.views)).collect();
        let due = [("2026-03-01T10:00:00Z", 1), ("2026-03-01T11:00:00Z", 0), ("2026-03-01T12:00:00Z", 1)];
        assert_eq!(starts, due.map(|(at, views)| (time(at), views)));
    }

    #[test]
    fn a_period_has_an_order_a_length_and_a_place_in_time() {
        let start = time("2026-03-01T00:00:30Z");
        for granularity in ALL {
            let new = |length: TimeDelta| Period::new(start, start + length, granularity);
            assert!(new(TimeDelta::zero()).is_err() && new(TimeDelta::seconds(-1)).is_err());
            assert!(new(TimeDelta::nanoseconds(1)).is_ok_and(|period| period.buckets(&[]).len() == 1));
            assert!(new(granularity.longest()).is_ok());
            assert_eq!(new(granularity.longest() + TimeDelta::nanoseconds(1)), Err(granularity.too_long()));
            assert!(Period::new(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, granularity).is_err());
            assert!(Period::new(start, DateTime::<Utc>::MAX_UTC, granularity).is_err());
        }
    }

    fn counts() -> impl Strategy<Value = Counts> {
        proptest::array::uniform6(0_i64..1_000_000).prop_map(|[views, viewers, participants, draws, wins, claims]| {
            Counts { views, viewers, participants, draws, wins, claims }
        })
    }

    proptest! {
        #[test]
        fn the_series_adds_up_to_what_was_counted(
            granularity in proptest::sample::select(ALL.to_vec()),
            from in 0_i64..4_000_000_000,
            length in 1_i64..=1_000_000,
            happened in proptest::collection::vec((0_i64..1_000_000, counts()), 0..50),
        ) {
            let from = DateTime::from_timestamp_millis(from * 1000 + 7).expect("a time");
            let part = |whole: TimeDelta, millionths: i64| TimeDelta::milliseconds(whole.num_milliseconds() * millionths / 1_000_000);
            let until = from + part(granularity.longest(), length);
            let period = Period::new(from, until, granularity).expect("it is no longer than may be");
            prop_assert!(period.from() <= from && period.until() >= until);
            let whole = period.until() - period.from();
            let happened: Vec<_> = happened
                .into_iter()
                .map(|(place, counts)| (period.from() + part(whole, place), counts))
                .collect();
            let series = period.buckets(&happened);
            let sum = series.iter().fold(Counts::default(), |sum, bucket| sum.and(&bucket.counts));
            prop_assert_eq!(sum, happened.iter().fold(Counts::default(), |sum, (_, counts)| sum.and(counts)));
            for bucket in &series {
                prop_assert_eq!(granularity.start_of(bucket.at), bucket.at);
                let own = happened.iter().filter(|(at, _)| granularity.start_of(*at) == bucket.at);
                prop_assert_eq!(bucket.counts, own.fold(Counts::default(), |sum, (_, counts)| sum.and(counts)));
            }
        }

        #[test]
        fn an_hour_lies_within_one_day_and_a_minute_within_one_hour(seconds in -10_000_000_000_i64..250_000_000_000) {
            let at = moment(seconds);
            let [minute, hour, day] = ALL.map(|granularity| granularity.start_of(at));
            prop_assert!(day <= hour && hour <= minute && minute <= at);
            prop_assert_eq!(ReportGranularity::Hour.start_of(minute), hour);
            prop_assert_eq!(ReportGranularity::Day.start_of(hour), day);
        }
    }
}
