//! Whether something may be done in an activity just now, judged by the database's time.

use crate::activities::model::{Activity, ActivityId, ActivityKind, WhyClosed};
use crate::activities::store;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantTx;

/// The activity, if it is of this kind and runs as this transaction begins. It is not locked: what begins before a
/// pause commits may still end after it. One of another kind is not found.
pub async fn open_in(tx: &TenantTx, id: ActivityId, kind: ActivityKind) -> Result<Result<Activity, WhyClosed>, Fault> {
    Ok(judge(store::activities_by_id(tx, &[id]).await?.remove(&id), kind))
}

/// The same under lock, for what is seldom: nothing changes the activity before this transaction ends.
pub async fn hold_open_in(
    tx: &TenantTx,
    id: ActivityId,
    kind: ActivityKind,
) -> Result<Result<Activity, WhyClosed>, Fault> {
    Ok(judge(store::lock_activity_in(tx, id).await?, kind))
}

fn judge(found: Option<Activity>, kind: ActivityKind) -> Result<Activity, WhyClosed> {
    let activity = found.filter(|activity| activity.kind == kind).ok_or(WhyClosed::NotFound)?;
    activity.window().judge().map(|()| activity)
}

/// The activity, locked until the transaction ends, whatever its state: for who prepares something beside it.
pub async fn lock_in(tx: &TenantTx, id: ActivityId) -> Result<Option<Activity>, Fault> {
    store::lock_activity_in(tx, id).await
}
