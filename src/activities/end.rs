//! A published activity is ended before its window closes: by its enterprise, or as nothing is left to be won.

use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityState};
use crate::activities::{change, store};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};

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

/// The last piece is won, and the terms end the activity with that; called under its lane's lock.
pub async fn all_is_gone_in(tx: &TenantTx, id: ActivityId) -> Result<(), Fault> {
    let before = store::lock_activity_in(tx, id).await?.ok_or(Fault::NotFound)?;
    let remark = before.review_remark.clone();
    change::move_in(tx, &before, ActivityState::Ended, remark, "activityExhausted").await.map(drop)
}
