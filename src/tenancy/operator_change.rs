//! Changing operators: their name and role, whether they may come in, and their sessions.
//!
//! Two rules hold everywhere here and are judged under the enterprise's lock, by what the database says of the actor now
//! and not by what their token said: an owner is made and changed by owners alone, and one active owner always remains.
//! Whoever loses something by a change loses their sessions with it, and what they invited is taken back.

use serde::Serialize;
use serde_json::json;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::model::operators::{OperatorErrorCode, may_touch};
use crate::tenancy::model::{
    Operator, OperatorId, OperatorState, Session, SessionErrorCode, SessionId, SessionSubject,
};
use crate::tenancy::permission::{Permission, Role};
use crate::tenancy::scope::{ActorKind, TenantScope, TenantTx};
use crate::tenancy::session::{self, Own};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::operators::{self, Change};
use crate::tenancy::store::sessions;

/// What is to be different; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct OperatorChange {
    pub name: Option<String>,
    pub role: Option<Role>,
}

/// What the audit log is told of an operator. No name: who knows the rest could find it in the digest by trying names.
/// That something changed is in the version.
#[derive(Serialize)]
struct Record {
    role: Role,
    state: OperatorState,
    version: i32,
}

impl Record {
    fn of(operator: &Operator) -> Self {
        Self { role: operator.role, state: operator.state, version: operator.version }
    }
}

pub async fn update(
    platform: &Platform,
    standings: &Standings,
    scope: &TenantScope,
    id: OperatorId,
    change: &OperatorChange,
) -> Result<Operator, Refusal<OperatorErrorCode>> {
    scope.require(Permission::OperatorManage)?;
    if let Some(name) = &change.name {
        check_name(name)?;
    }
    let tx = scope.write(&platform.database).await?;
    let before = lock_to_change_in(&tx, id, change.role).await?;
    let role = change.role.unwrap_or(before.role);
    if before.role == Role::Owner && role != Role::Owner {
        keep_an_owner_in(&tx, &before).await?;
    }
    let name = change.name.as_deref().map_or(before.name.as_str(), str::trim);
    let after = operators::change_in(&tx, id, &Change { name, role, state: before.state }).await?;
    if after.role != before.role {
        cut_off_in(&tx, id, "ROLE_CHANGED").await?;
    }
    audit::record_in(&tx, "operatorUpdate", id.uuid(), Some(&Record::of(&before)), &Record::of(&after)).await?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(after)
}

/// Keeps an operator out, at once and until they are enabled again.
pub async fn disable(
    platform: &Platform,
    standings: &Standings,
    scope: &TenantScope,
    id: OperatorId,
) -> Result<Operator, Refusal<OperatorErrorCode>> {
    scope.require(Permission::OperatorManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = lock_to_change_in(&tx, id, None).await?;
    if before.state == OperatorState::Disabled {
        return Ok(before);
    }
    if before.role == Role::Owner {
        keep_an_owner_in(&tx, &before).await?;
    }
    let change = Change { name: &before.name, role: before.role, state: OperatorState::Disabled };
    let after = operators::change_in(&tx, id, &change).await?;
    cut_off_in(&tx, id, "OPERATOR_DISABLED").await?;
    audit::record_in(&tx, "operatorDisable", id.uuid(), Some(&Record::of(&before)), &Record::of(&after)).await?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(after)
}

/// Lets an operator in again, with the password that they had.
pub async fn enable(
    platform: &Platform,
    scope: &TenantScope,
    id: OperatorId,
) -> Result<Operator, Refusal<OperatorErrorCode>> {
    scope.require(Permission::OperatorManage)?;
    let tx = scope.write(&platform.database).await?;
    let before = lock_to_change_in(&tx, id, None).await?;
    if before.state == OperatorState::Active {
        return Ok(before);
    }
    let change = Change { name: &before.name, role: before.role, state: OperatorState::Active };
    let after = operators::change_in(&tx, id, &change).await?;
    audit::record_in(&tx, "operatorEnable", id.uuid(), Some(&Record::of(&before)), &Record::of(&after)).await?;
    tx.commit().await?;
    Ok(after)
}

/// Ends every session of an operator. Of one's own the present one stays, and no permission is needed.
pub async fn end_sessions(
    platform: &Platform,
    standings: &Standings,
    scope: &TenantScope,
    id: OperatorId,
) -> Result<usize, Refusal<OperatorErrorCode>> {
    let own = scope.operator().is_ok_and(|own| own == id);
    if !own {
        scope.require(Permission::OperatorManage)?;
    }
    let tx = scope.write(&platform.database).await?;
    if !own {
        lock_to_change_in(&tx, id, None).await?;
    }
    let except = if own { scope.session() } else { None };
    let because = if own { "SIGNED_OUT" } else { "ENDED_BY_ADMINISTRATOR" };
    let ended = session::end_all_in(&tx, id.uuid(), except, because).await?;
    audit::record_in(&tx, "operatorSessionsEnd", id.uuid(), None, &json!({ "ended": ended })).await?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(ended)
}

/// Ends one session: the caller's present one, another of theirs, or with `OPERATOR_MANAGE` another operator's.
pub async fn end_session(
    platform: &Platform,
    standings: &Standings,
    scope: &TenantScope,
    id: Option<SessionId>,
) -> Result<Session, Refusal<SessionErrorCode>> {
    let not_found = || Refusal::at("id", SessionErrorCode::NotFound);
    let tx = scope.read(&platform.database).await?;
    let asked = match id {
        Some(id) => Some(sessions::find(&tx, id).await?.ok_or_else(not_found)?),
        None => None,
    };
    drop(tx);
    let of_another = asked.filter(|session| Some(session.subject_id) != scope.operator().ok().map(OperatorId::uuid));
    let Some(session) = of_another else {
        return session::end_own(platform, standings, Own::Operator(scope), id).await;
    };
    // To whom it is not given, it is not there.
    if session.subject_kind != SessionSubject::Operator || scope.require(Permission::OperatorManage).is_err() {
        return Err(not_found());
    }
    let tx = scope.write(&platform.database).await?;
    let operator = OperatorId::from_uuid(session.subject_id);
    lock_to_change_in(&tx, operator, None).await.map_err(|refusal| match refusal {
        Refusal::Fault(fault) => Refusal::Fault(fault),
        Refusal::Problems(_) => Refusal::at("id", SessionErrorCode::OwnersOnly),
    })?;
    let ended = session::end_in(&tx, &[session.id], "ENDED_BY_ADMINISTRATOR").await?;
    let what = json!({ "session": session.id, "ended": ended });
    audit::record_in(&tx, "operatorSessionEnd", operator.uuid(), None, &what).await?;
    let session = sessions::find(&tx, session.id).await?.ok_or_else(not_found)?;
    tx.commit().await?;
    standings.forget(scope.tenant());
    Ok(session)
}

/// The operator, locked, with the actor's right to change them judged under the lock.
pub async fn lock_to_change_in(
    tx: &TenantTx,
    id: OperatorId,
    role: Option<Role>,
) -> Result<Operator, Refusal<OperatorErrorCode>> {
    operators::lock_staff_in(tx).await?;
    let by = present_role_in(tx).await?;
    let before = operators::lock_in(tx, id).await?.ok_or_else(|| Refusal::at("id", OperatorErrorCode::NotFound))?;
    if !may_touch(by, &[before.role, role.unwrap_or(before.role)]) {
        return Err(Refusal::at(if role.is_some() { "role" } else { "id" }, OperatorErrorCode::OwnersOnly));
    }
    Ok(before)
}

/// The actor's role as it is now. A token may be a few seconds older than a change; workers and provisioning act for the
/// owner.
pub async fn present_role_in(tx: &TenantTx) -> Result<Option<Role>, Fault> {
    match tx.actor().kind {
        ActorKind::System => Ok(Some(Role::Owner)),
        ActorKind::Operator => {
            let actor = operators::lock_in(tx, OperatorId::from_uuid(tx.actor().id)).await?;
            match actor {
                Some(actor) if actor.state == OperatorState::Active => Ok(Some(actor.role)),
                Some(_) => Err(Fault::unauthenticated("该操作员已停用", "the operator was disabled")),
                None => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

async fn keep_an_owner_in(tx: &TenantTx, leaving: &Operator) -> Result<(), Refusal<OperatorErrorCode>> {
    let counts = leaving.state == OperatorState::Active;
    match !counts || operators::has_other_owner(tx, leaving.id).await? {
        true => Ok(()),
        false => Err(Refusal::at("id", OperatorErrorCode::LastOwner)),
    }
}

/// Ends what somebody could still do with what they had.
async fn cut_off_in(tx: &TenantTx, id: OperatorId, because: &'static str) -> Result<(), Fault> {
    session::end_all_in(tx, id.uuid(), None, because).await?;
    operators::revoke_invitations_by_in(tx, id).await.map(drop)
}

pub fn check_name(name: &str) -> Result<(), Refusal<OperatorErrorCode>> {
    if (1..=80).contains(&name.trim().chars().count()) {
        return Ok(());
    }
    let (chinese, english) = ("姓名须为 1 到 80 个字符。", "A name has 1 to 80 characters.");
    Err(Refusal::explained("name", OperatorErrorCode::InvalidInput, chinese, english))
}
