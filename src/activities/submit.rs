//! A draft goes to the house, and the house decides.

use crate::activities::change;
use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityState};
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::ReviewSubject;
use crate::tenancy::permission::Permission;
use crate::tenancy::review::{self, Decision};
use crate::tenancy::scope::{TenantScope, TenantTx};

/// Hands a draft to the house. From here on it is frozen.
pub async fn submit(
    platform: &Platform,
    scope: &TenantScope,
    id: ActivityId,
) -> Result<Activity, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = change::lock_for_in(&tx, id, ActivityState::InReview).await?;
    review::open_in(&tx, ReviewSubject::Activity, id.uuid()).await?;
    let after = change::move_in(&tx, &before, ActivityState::InReview, None, "activitySubmit").await?;
    tx.commit().await?;
    Ok(after)
}

/// The house has decided; called in the transaction of the decision.
pub async fn decided_in(tx: &TenantTx, id: ActivityId, decision: &Decision) -> Result<(), Refusal<ActivityErrorCode>> {
    let next = if decision.approved { ActivityState::Approved } else { ActivityState::Rejected };
    let before = change::lock_for_in(tx, id, next).await?;
    change::move_in(tx, &before, next, decision.remark.clone(), "activityReview").await?;
    Ok(())
}
