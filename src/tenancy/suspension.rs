//! The house stops an enterprise, lets it go on, or closes it for good.
//!
//! What that means is said once, where callers come in: `Standings` tells the gate the state, and each scope refuses
//! what the state does not admit. Work that is under way goes on: what was won or paid is delivered, and money that
//! comes in finds its order. Holders see what they own for ever.

use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::enterprise::announce_in;
use crate::tenancy::model::{Enterprise, EnterpriseErrorCode, EnterpriseId, EnterpriseKind, EnterpriseState};
use crate::tenancy::scope::{HouseScope, HouseTx};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::{self, enterprise_row};

/// What the house does to an enterprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Suspend,
    Resume,
    Close,
}

impl Step {
    fn target(self) -> EnterpriseState {
        match self {
            Self::Suspend => EnterpriseState::Suspended,
            Self::Resume => EnterpriseState::Active,
            Self::Close => EnterpriseState::Closed,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Suspend => "enterpriseSuspend",
            Self::Resume => "enterpriseResume",
            Self::Close => "enterpriseClose",
        }
    }
}

/// Takes the step, with the reason that the enterprise is told; going on needs none.
pub async fn take(
    platform: &Platform,
    standings: &Standings,
    house: &HouseScope,
    id: EnterpriseId,
    step: Step,
    reason: Option<&str>,
) -> Result<Enterprise, Refusal<EnterpriseErrorCode>> {
    house.require_decider()?;
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    if step != Step::Resume && reason.is_none_or(|reason| reason.chars().count() > 500) {
        return Err(Refusal::explained(
            "reason",
            EnterpriseErrorCode::InvalidInput,
            "请填写原因，1 到 500 个字符。",
            "A reason has 1 to 500 characters; the enterprise reads it.",
        ));
    }
    let not_found = || Refusal::at("id", EnterpriseErrorCode::NotFound);
    let across = HouseTx::read(&platform.database).await?;
    let found = store::enterprises_by_id(&across, &[id]).await?.remove(&id);
    drop(across);
    // The house does not stop itself.
    found.filter(|enterprise| enterprise.kind != EnterpriseKind::House).ok_or_else(not_found)?;

    let tx = house.write_within(&platform.database, id).await?;
    let before = enterprise_row::lock_in(&tx).await?.ok_or_else(not_found)?;
    // PENDING becomes ACTIVE by a review alone.
    if before.state == EnterpriseState::Pending || !before.state.may_become(step.target()) {
        return Err(Refusal::at("id", EnterpriseErrorCode::WrongState));
    }
    let after = enterprise_row::set_state_in(&tx, step.target(), reason).await?;
    let told = |enterprise: &Enterprise| (enterprise.state, enterprise.state_reason.clone());
    audit::record_in(&tx, step.action(), id.uuid(), Some(&told(&before)), &told(&after)).await?;
    announce_in(&tx, &after).await?;
    tx.commit().await?;
    standings.forget(id);
    Ok(after)
}
