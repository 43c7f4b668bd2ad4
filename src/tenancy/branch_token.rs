//! Somebody of a partner acts for one of its branches: a short token for the branch, with no more than they may do
//! themselves.
//!
//! The token names the partner and who acts, so the branch's audit log does too. It ends with the session or the
//! client's secret that it was made under, with the branch and with the partner: `Standings` asks after all of them at
//! each request. One that the partner disables the branch under stays refused when the branch is enabled again.

use chrono::{DateTime, TimeDelta, Utc};

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::branch::{locate, not_found};
use crate::tenancy::model::{ApiClientId, BranchErrorCode, BranchState, Enterprise, OperatorId};
use crate::tenancy::permission::{Permission, Permissions};
use crate::tenancy::scope::{ActorKind, TenantScope};
use crate::tenancy::store::enterprise_row;
use crate::tenancy::token::{Identity, Tokens};

const LIFE: TimeDelta = TimeDelta::minutes(15);

pub struct BranchToken {
    pub token: String,
    pub expires_at: DateTime<Utc>,
    pub scopes: Permissions,
    pub branch: Enterprise,
}

/// A token for the branch, with these permissions, or with all that there can be.
pub async fn create(
    platform: &Platform,
    tokens: &Tokens,
    scope: &TenantScope,
    corp_open_id: &str,
    asked: Option<Permissions>,
) -> Result<BranchToken, Refusal<BranchErrorCode>> {
    scope.require(Permission::BranchAct)?;
    let possible: Permissions =
        scope.permissions().iter().filter(|permission| permission.may_act_within_a_branch()).collect();
    let scopes = asked.unwrap_or(possible);
    if scopes.is_empty() || !scopes.is_within(possible) {
        return Err(Refusal::at("scopes", BranchErrorCode::ScopeNotYours));
    }
    let id = locate(platform, scope, corp_open_id).await?;
    let tx = scope.within_branch(id).write(&platform.database).await?;
    let branch = enterprise_row::lock_in(&tx).await?.ok_or_else(not_found)?;
    if BranchState::of(&branch, platform.clock.now()) != BranchState::Active {
        return Err(Refusal::at("corpOpenId", BranchErrorCode::NotActive));
    }
    let (partner, disabled) = (scope.tenant(), branch.times_disabled);
    let identity = match (scope.actor().kind, scope.secret()) {
        (ActorKind::Operator, _) => {
            Identity::Partner { partner, actor: OperatorId::from_uuid(scope.actor().id), scope: scopes, disabled }
        }
        (ActorKind::Client, Some(secret)) => {
            let client = ApiClientId::from_uuid(scope.actor().id);
            Identity::PartnerClient { partner, client, secret, scope: scopes, disabled }
        }
        _ => return Err(Fault::wrong_caller("合作方自己的令牌", "a token of the partner's own").into()),
    };
    audit::record_in(&tx, "branchTokenCreate", id.uuid(), None, &scopes).await?;
    tx.commit().await?;
    let (token, expires_at) = tokens.mint(id, identity, scope.session(), LIFE)?;
    let expires_at = DateTime::from_timestamp(expires_at, 0).unwrap_or_default();
    Ok(BranchToken { token, expires_at, scopes, branch })
}
