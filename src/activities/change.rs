//! How an activity changes: under lock, with an audit record and an event.

use serde_json::json;

use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityState};
use crate::activities::store;
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::scope::TenantTx;

/// The activity under lock, on its way to `next`. Takes the activity's turn to draw first, as a draw does: once a
/// change is committed, no draw decided before it is still to be recorded.
pub async fn lock_for_in(
    tx: &TenantTx,
    id: ActivityId,
    next: ActivityState,
) -> Result<Activity, Refusal<ActivityErrorCode>> {
    store::draws::lock_lane_in(tx, id).await?;
    let activity = find_locked_in(tx, id).await?;
    if !activity.state.may_become(next) {
        return Err(Refusal::at("id", ActivityErrorCode::WrongState));
    }
    Ok(activity)
}

/// The activity under lock, or the refusal that says it is not there.
pub async fn find_locked_in(tx: &TenantTx, id: ActivityId) -> Result<Activity, Refusal<ActivityErrorCode>> {
    store::lock_activity_in(tx, id).await?.ok_or_else(|| Refusal::at("id", ActivityErrorCode::NotFound))
}

/// The new state, its audit record and its event.
pub async fn move_in(
    tx: &TenantTx,
    before: &Activity,
    state: ActivityState,
    review_remark: Option<String>,
    action: &'static str,
) -> Result<Activity, Fault> {
    let after = store::set_state_in(tx, before.id, state, review_remark).await?;
    audit::record_in(tx, action, after.id.uuid(), Some(before), &after).await?;
    announce_in(tx, &after).await?;
    Ok(after)
}

/// Tells the world where an activity stands.
pub async fn announce_in(tx: &TenantTx, activity: &Activity) -> Result<(), Fault> {
    let data = json!({
        "activityId": activity.id,
        "kind": activity.kind,
        "state": activity.state,
        "opensAt": activity.opens_at,
        "closesAt": activity.closes_at,
    });
    outbox::emit_in(tx, NewEvent::new(EventType::ActivityChanged, activity.id.uuid(), activity.version, data)?).await
}
