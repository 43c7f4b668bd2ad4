//! An activity that is over is settled: from then on its seed is public, and every draw can be computed again. Its
//! enterprise settles it, or the house does a while later: nobody can keep a seed back.

use std::sync::Arc;

use async_trait::async_trait;

use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityKind, ActivityPhase, ActivityState};
use crate::activities::{change, force, store};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::worker::Job;

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
        store::participation::delete_origins_in(&tx, id).await?;
        store::custom_rules::delete_consultations_in(&tx, id).await?;
        let seed = force::seed(platform, &tx, id).await?;
        after = store::reveal_seed_in(&tx, id, &seed).await?;
        store::anchors::look_now_in(&tx, id).await?;
    }
    tx.commit().await?;
    Ok(after)
}

/// How many draws one step settles.
const A_STEP: i64 = 20;

/// Settles draws that were over for an hour and that nobody has settled.
pub struct SettlementJob {
    pub platform: Arc<Platform>,
}

#[async_trait]
impl Job for SettlementJob {
    fn name(&self) -> &'static str {
        "settlement"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        store::tenants_settling(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let scope = TenantScope::of_system(tenant);
        let due = store::due_for_settlement(&scope.read(&self.platform.database).await?, A_STEP).await?;
        let mut failed = None;
        for id in due {
            match settle(&self.platform, &scope, id).await {
                // Its enterprise was quicker, where it is refused.
                Ok(_) | Err(Refusal::Problems(_)) => {}
                // One that cannot be settled holds up no other.
                Err(Refusal::Fault(fault)) => failed = Some(fault),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
