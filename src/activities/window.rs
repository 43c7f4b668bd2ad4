//! Whether an activity is open, by the database's time.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};

use crate::activities::model::{Activity, ActivityId, ActivityKind, ActivityState};
use crate::platform::fault::Fault;
use crate::schema::activities;
use crate::tenancy::scope::TenantTx;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyClosed {
    NotFound,
    NotPublished,
    NotYetOpen,
    Closed,
    Paused,
}

/// The activity, if it is of this kind and open now. Its window is half-open.
pub async fn open_in(tx: &TenantTx, id: ActivityId, kind: ActivityKind) -> Result<Result<Activity, WhyClosed>, Fault> {
    let query = activities::table
        .filter(activities::tenant_id.eq(tx.tenant()))
        .filter(activities::id.eq(id))
        .filter(activities::kind.eq(kind))
        .select((
            Activity::as_select(),
            diesel::dsl::sql::<diesel::sql_types::Bool>("opens_at <= now()"),
            diesel::dsl::sql::<diesel::sql_types::Bool>("closes_at <= now()"),
        ));
    let Some((activity, begun, over)) = tx.optional::<(Activity, bool, bool), _, _>(query).await? else {
        return Ok(Err(WhyClosed::NotFound));
    };
    use ActivityState::*;
    Ok(match activity.state {
        Draft | InReview | Approved | Rejected => Err(WhyClosed::NotPublished),
        Ended | Settled | Archived | Terminated => Err(WhyClosed::Closed),
        Published | Paused if over => Err(WhyClosed::Closed),
        Published | Paused if !begun => Err(WhyClosed::NotYetOpen),
        Paused => Err(WhyClosed::Paused),
        Published => Ok(activity),
    })
}

/// The activity, locked until the transaction ends.
pub async fn lock_in(tx: &TenantTx, id: ActivityId) -> Result<Option<Activity>, Fault> {
    tx.optional(
        activities::table
            .filter(activities::tenant_id.eq(tx.tenant()))
            .filter(activities::id.eq(id))
            .select(Activity::as_select())
            .for_no_key_update(),
    )
    .await
}
