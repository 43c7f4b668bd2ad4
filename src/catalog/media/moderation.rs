//! Moderation: whether what a file shows may be shown.
//!
//! A [`Moderator`] says PASS, REVIEW or BLOCK. What is in REVIEW waits in the house's queue with everything else that it
//! reviews; an approval there is PASS, a rejection BLOCK. What has passed can be blocked by the house at any time, and
//! what it blocked can be let pass again.

use async_trait::async_trait;
use bytes::Bytes;

use super::model::{Media, MediaErrorCode as Code, MediaId, MediaState, Moderation};
use super::store;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::media::MediaType;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::review::{self, Decision};
use crate::tenancy::scope::{HouseScope, TenantTx};

/// What a moderator gets to see.
pub struct Exhibit {
    pub media_type: MediaType,
    pub bytes: Bytes,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// Never PENDING: where there is no opinion yet, [`Moderator::judge`] fails and is asked again.
    pub verdict: Moderation,
    /// What the enterprise is told of it.
    pub remark: Option<String>,
}

/// Looks at what came in. It is asked outside of any transaction, and again until it has answered, so asking twice about
/// one file must do no harm.
#[async_trait]
pub trait Moderator: Send + Sync + 'static {
    async fn judge(&self, exhibit: &Exhibit) -> Result<Opinion, Fault>;
}

/// Has no eyes: lets everything pass, or leaves everything to the house.
pub struct Blind {
    verdict: Moderation,
}

impl Blind {
    pub fn passes_all() -> Self {
        Self { verdict: Moderation::Pass }
    }

    pub fn leaves_all_to_the_house() -> Self {
        Self { verdict: Moderation::Review }
    }
}

#[async_trait]
impl Moderator for Blind {
    async fn judge(&self, _: &Exhibit) -> Result<Opinion, Fault> {
        Ok(Opinion { verdict: self.verdict, remark: None })
    }
}

/// The house has decided on what was in REVIEW; called in the transaction of the decision.
pub async fn decided_in(tx: &TenantTx, id: MediaId, decision: &Decision) -> Result<(), Fault> {
    let before = store::lock_in(tx, id).await?.ok_or(Fault::NotFound)?;
    let moderation = if decision.approved { Moderation::Pass } else { Moderation::Block };
    let after = store::set_moderation_in(tx, id, moderation, decision.remark.clone()).await?;
    audit::record_in(tx, "mediaReview", id.uuid(), Some(&before.about()), &after.about()).await
}

/// The house takes a medium out of sight, or lets one be seen again that it blocked.
pub async fn overrule(
    platform: &Platform,
    house: &HouseScope,
    enterprise: EnterpriseId,
    id: MediaId,
    decision: &Decision,
) -> Result<Media, Refusal<Code>> {
    house.require_decider()?;
    let reason = decision.remark.clone().ok_or_else(|| Refusal::at("reason", Code::ReasonRequired))?;
    let tx = house.write_within(&platform.database, enterprise).await?;
    let before = store::lock_in(&tx, id).await?.ok_or_else(|| Refusal::at("id", Code::MediaNotFound))?;
    let from = if decision.approved { Moderation::Block } else { Moderation::Pass };
    // What waits in the queue is decided there.
    let waits = review::open_of(&tx, id.uuid()).await?.is_some();
    if before.state != MediaState::Stored || before.moderation != from || waits {
        return Err(Refusal::at("id", Code::WrongState));
    }
    let moderation = if decision.approved { Moderation::Pass } else { Moderation::Block };
    let after = store::set_moderation_in(&tx, id, moderation, Some(reason)).await?;
    audit::record_in(&tx, "mediaModerate", id.uuid(), Some(&before.about()), &after.about()).await?;
    tx.commit().await?;
    Ok(after)
}
