//! What clients see of what an activity came to, as it stands and as it changes.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{ComplexObject, Context, InputObject, Object, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures_util::Stream;

use super::mutations::ActivityPayload;
use super::objects::ActivityObject;
use crate::activities::model::{Activity, ActivityId, ActivityUserError};
use crate::activities::report::{self, Bucket, Period, Report, ReportGranularity, Standing};
use crate::activities::store::reports::Counts;
use crate::activities::view::{self, Views};
use crate::api::context::{ContextExt, read};
use crate::api::payload;
use crate::api::transport::raise;
use crate::platform::fault::Fault;
use crate::tenancy::permission::Permission;

/// How often totals are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How often things happened. Each is counted in the transaction in which it happens, so that these agree with the
/// draws and claims themselves.
#[derive(SimpleObject)]
#[graphql(name = "ActivityCounts")]
pub struct ActivityCountsObject {
    /// Views (`activityView`). Somebody who looks again within the same minute is not counted again.
    pub views: i64,
    /// People whose first view of this activity it was. Over all time: how many people looked.
    pub viewers: i64,
    /// People whose first draw in this activity it was. Over all time: how many people drew.
    pub participants: i64,
    /// Draws, each of a multi-draw by itself.
    pub draws: i64,
    /// Draws that won something, fallback prizes included.
    pub wins: i64,
    /// Claims taken up, counted when their holder did so; also those of an airdrop.
    pub claims: i64,
}

impl From<Counts> for ActivityCountsObject {
    fn from(counts: Counts) -> Self {
        let Counts { views, viewers, participants, draws, wins, claims } = counts;
        Self { views, viewers, participants, draws, wins, claims }
    }
}

/// A minute, an hour or a day of a report.
#[derive(SimpleObject)]
#[graphql(name = "ActivityReportBucket")]
pub struct ActivityReportBucketObject {
    /// When it begins.
    pub at: DateTime<Utc>,
    #[graphql(flatten)]
    pub counts: ActivityCountsObject,
}

/// What came of an activity within a range of time (活动统计).
#[derive(SimpleObject)]
#[graphql(name = "ActivityReport", complex)]
pub struct ActivityReportObject {
    #[graphql(skip)]
    pub activity: Activity,
    /// The beginning of the first bucket.
    pub from: DateTime<Utc>,
    /// The end of the last bucket; that moment is no longer within.
    pub until: DateTime<Utc>,
    /// How long the buckets are.
    pub granularity: ReportGranularity,
    /// The sums of the series.
    pub totals: ActivityCountsObject,
    /// Every bucket in order, also those in which nothing happened.
    pub series: Vec<ActivityReportBucketObject>,
}

#[ComplexObject]
impl ActivityReportObject {
    /// The activity.
    async fn activity(&self) -> ActivityObject {
        ActivityObject(self.activity.clone())
    }
}

impl ActivityReportObject {
    fn new(activity: Activity, period: &Period, report: Report) -> Self {
        let bucket = |bucket: Bucket| ActivityReportBucketObject { at: bucket.at, counts: bucket.counts.into() };
        Self {
            activity,
            from: period.from(),
            until: period.until(),
            granularity: period.granularity(),
            totals: report.totals.into(),
            series: report.series.into_iter().map(bucket).collect(),
        }
    }
}

/// Everything that has come of an activity so far.
#[derive(SimpleObject)]
#[graphql(name = "ActivityReportChange")]
pub struct ActivityReportChangeObject {
    /// The activity's ID.
    pub id: ActivityId,
    /// Rises with every change, the same for everybody: of two of these, the one with the higher version is the newer.
    pub version: i64,
    /// The database's time when it was looked at.
    pub at: DateTime<Utc>,
    /// Whether the activity is settled or was stopped for good: nobody draws any more, and no further change is sent.
    pub over: bool,
    /// Since the activity began.
    pub totals: ActivityCountsObject,
}

impl ActivityReportChangeObject {
    fn new(id: ActivityId, standing: Standing) -> Self {
        let Standing { totals, at, over } = standing;
        Self { id, version: totals.version(), at, over, totals: totals.into() }
    }
}

/// A view.
#[derive(InputObject)]
pub struct ActivityViewInput {
    /// A published activity of the caller's enterprise, whether it runs or not.
    pub activity_id: ActivityId,
}

#[derive(Default)]
pub struct ReportQuery;

#[Object]
impl ReportQuery {
    /// What came of an activity between two moments, ready for a chart: by minutes over 24 hours at most, by hours over 31
    /// days, by days in Shanghai over 366. Needs `ACTIVITY_READ`.
    async fn activity_report(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The activity.")] id: ActivityId,
        #[graphql(desc = "From when on. The first bucket is the one that this falls into, the whole of it.")]
        from: DateTime<Utc>,
        #[graphql(desc = "Until when, not included. A bucket that this falls into is given whole.")] until: DateTime<
            Utc,
        >,
        #[graphql(desc = "How long the buckets are.")] granularity: ReportGranularity,
    ) -> Result<Option<ActivityReportObject>> {
        let scope = ctx.request().enterprise().map_err(raise)?;
        scope.require(Permission::ActivityRead).map_err(raise)?;
        let period = Period::new(from, until, granularity)
            .map_err(|why| raise(Fault::BadRequest(why.in_language(ctx.language()).to_owned())))?;
        let Some(activity) = ctx.loaders().one(id).await.map_err(raise)? else { return Ok(None) };
        let tx = read(ctx).await?;
        let report = report::report(&tx, id, &period).await.map_err(raise)?;
        Ok(Some(ActivityReportObject::new(activity, &period, report)))
    }
}

#[derive(Default)]
pub struct ViewMutation;

#[Object]
impl ViewMutation {
    /// Counts that the caller looks at an activity: send it when its page opens. It may be sent again, as within one minute
    /// a person is counted once. For holders.
    async fn activity_view(&self, ctx: &Context<'_>, input: ActivityViewInput) -> Result<ActivityPayload> {
        let scope = ctx.request().holder().map_err(raise)?;
        let views = ctx.data_unchecked::<Arc<Views>>();
        let outcome =
            payload::run(ctx, ActivityUserError::from_problem, || view::view(views, scope, input.activity_id)).await?;
        Ok(ActivityPayload::from(outcome))
    }
}

#[derive(Default)]
pub struct ReportSubscription;

#[Subscription]
impl ReportSubscription {
    /// What has come of an activity: as it stands, then again once it has changed, at most once a second, each with its
    /// `version`, until the activity is settled. Claims that are taken up later are in `activityReport`. Needs
    /// `ACTIVITY_READ`.
    async fn activity_report_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The activity.")] id: ActivityId,
    ) -> Result<impl Stream<Item = Result<ActivityReportChangeObject>>> {
        let scope = ctx.request().enterprise().map_err(raise)?.clone();
        let platform = ctx.platform().clone();
        let mut seen = report::standing(&platform, &scope, id).await.map_err(raise)?;
        Ok(async_stream::try_stream! {
            yield ActivityReportChangeObject::new(id, seen);
            while !seen.over {
                tokio::time::sleep(LOOK_AGAIN).await;
                let now = report::standing(&platform, &scope, id).await.map_err(raise)?;
                if now.over || now.totals.version() > seen.totals.version() {
                    seen = now;
                    yield ActivityReportChangeObject::new(id, seen);
                }
            }
        })
    }
}
