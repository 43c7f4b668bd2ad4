//! A published activity is held, and goes on.

use crate::activities::change;
use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityState};
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;

/// Holds a published activity. Its window runs on.
pub async fn pause(
    platform: &Platform,
    scope: &TenantScope,
    id: ActivityId,
) -> Result<Activity, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = change::lock_for_in(&tx, id, ActivityState::Paused).await?;
    let remark = before.review_remark.clone();
    let after = change::move_in(&tx, &before, ActivityState::Paused, remark, "activityPause").await?;
    tx.commit().await?;
    Ok(after)
}

/// Lets a held activity go on.
pub async fn resume(
    platform: &Platform,
    scope: &TenantScope,
    id: ActivityId,
) -> Result<Activity, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = change::lock_for_in(&tx, id, ActivityState::Published).await?;
    if before.state != ActivityState::Paused {
        // An approved activity may become published too, but by publication alone, which sets its stock aside.
        return Err(Refusal::at("id", ActivityErrorCode::WrongState));
    }
    let remark = before.review_remark.clone();
    let after = change::move_in(&tx, &before, ActivityState::Published, remark, "activityResume").await?;
    tx.commit().await?;
    Ok(after)
}
