//! An activity that is over is settled: from then on its seed is public, and every draw can be computed again.

use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityKind, ActivityPhase, ActivityState};
use crate::activities::{change, force, store};
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;

/// Settles an activity whose window has closed or that was ended. Claims stay open until their own deadlines.
pub async fn settle(
    platform: &Platform,
    scope: &TenantScope,
    id: ActivityId,
) -> Result<Activity, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = change::lock_for_in(&tx, id, ActivityState::Settled).await?;
    if !matches!(before.window().phase(), ActivityPhase::Closed | ActivityPhase::Ended) {
        return Err(Refusal::at("id", ActivityErrorCode::NotOver));
    }
    let remark = before.review_remark.clone();
    let mut after = change::move_in(&tx, &before, ActivityState::Settled, remark, "activitySettle").await?;
    if before.kind == ActivityKind::Draw && before.seed_commitment.is_some() {
        let seed = force::seed(platform, &tx, id).await?;
        after = store::reveal_seed_in(&tx, id, &seed).await?;
    }
    tx.commit().await?;
    Ok(after)
}
