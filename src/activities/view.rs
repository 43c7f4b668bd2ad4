//! A holder looks at an activity.
//!
//! A campaign's page is opened by everybody at once, so views of one activity that wait together are counted in one
//! transaction. Somebody who opens it again within the same minute is not counted again: a phone may ask twice when an
//! answer was lost, and nobody makes a crowd of themselves. A view has no audit record: it changes nothing but a count.

use std::sync::Arc;

use uuid::Uuid;

use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityState};
use crate::activities::report::{self, ReportGranularity};
use crate::activities::store;
use crate::activities::store::reports::{self, Counts};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::platform::refusal::Refusal;
use crate::platform::together::Together;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HolderScope, TenantScope};
use crate::wallets::model::HolderId;

const ATTEMPTS: u32 = 3;

/// The activity that was looked at; none where holders see none.
type Seen = Option<Activity>;

/// The views that wait on this server.
pub struct Views(Together<(EnterpriseId, ActivityId), HolderId, Seen>);

impl Views {
    pub fn new(platform: Arc<Platform>) -> Self {
        // Of its own choosing, so that servers seldom wait for one another.
        let server = id::generate();
        Self(Together::new(move |(tenant, activity), holders: Vec<HolderId>| {
            let platform = platform.clone();
            async move {
                for _ in 1..ATTEMPTS {
                    match batch(&platform, tenant, activity, server, &holders).await {
                        Err(Fault::Contended(cause)) => {
                            tracing::debug!(%activity, "lost a race, trying again: {cause:#}")
                        }
                        done => return done,
                    }
                }
                batch(&platform, tenant, activity, server, &holders).await
            }
        }))
    }
}

/// Counts a view, once a minute for each holder, and answers once that is certain.
pub async fn view(
    views: &Views,
    scope: &HolderScope,
    activity: ActivityId,
) -> Result<Activity, Refusal<ActivityErrorCode>> {
    scope.require_active()?; // the views are counted for the enterprise, which would be asked nothing
    let seen = views.0.serve((scope.tenant(), activity), scope.holder()).await?;
    seen.ok_or_else(|| Refusal::at("activityId", ActivityErrorCode::NotFound))
}

/// Counts views of one activity in one transaction.
pub async fn batch(
    platform: &Platform,
    tenant: EnterpriseId,
    activity: ActivityId,
    server: Uuid,
    holders: &[HolderId],
) -> Result<Seen, Fault> {
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    let found = store::activities_by_id(&tx, &[activity]).await?.remove(&activity);
    let Some(seen) = found.filter(|activity| is_public(activity.state)) else { return Ok(None) };

    let mut holders = holders.to_vec();
    holders.sort_unstable();
    holders.dedup();
    let minute = ReportGranularity::Minute.start_of(seen.read_at);
    let noted = reports::note_viewers_in(&tx, activity, &holders, minute).await?;
    if !noted.is_empty() {
        let viewers = noted.iter().filter(|&&views| views == 1).count();
        let more = Counts { views: number(noted.len())?, viewers: number(viewers)?, ..Counts::default() };
        report::count_in(&tx, activity, seen.read_at, report::shard_of(server), &more).await?;
    }
    tx.commit().await?;
    Ok(Some(seen))
}

fn number(count: usize) -> Result<i64, Fault> {
    i64::try_from(count).map_err(Fault::internal)
}

/// Whether holders see it.
fn is_public(state: ActivityState) -> bool {
    use ActivityState::*;
    !matches!(state, Draft | InReview | Approved | Rejected)
}
