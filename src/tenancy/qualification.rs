//! Qualifications (发行资质): the licences, filings and proofs that an enterprise shows before it may issue.

use crate::platform::fault::Fault;
use crate::tenancy::audit;
use crate::tenancy::model::{QualificationId, QualificationState};
use crate::tenancy::review::Decision;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::store::qualifications;

/// Hears the house's word on one.
pub async fn decided_in(tx: &TenantTx, id: QualificationId, decision: &Decision) -> Result<(), Fault> {
    let state = if decision.approved { QualificationState::Approved } else { QualificationState::Rejected };
    qualifications::decide_in(tx, id, state, decision.remark.as_deref()).await?;
    audit::record_in(tx, "qualificationReview", id.uuid(), None, &state).await
}
