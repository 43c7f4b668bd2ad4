//! A published activity is ended before its window closes.

use crate::activities::change;
use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityState};
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;

/// Ends an activity for good. What was won stays owed; what was not stays set aside until settlement.
pub async fn end(
    platform: &Platform,
    scope: &TenantScope,
    id: ActivityId,
) -> Result<Activity, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = change::lock_for_in(&tx, id, ActivityState::Ended).await?;
    let remark = before.review_remark.clone();
    let after = change::move_in(&tx, &before, ActivityState::Ended, remark, "activityEnd").await?;
    tx.commit().await?;
    Ok(after)
}
