//! Qualifications (发行资质): the licences, filings and proofs that an enterprise shows before it may issue.
//!
//! Each is a number and the document that shows it. Handing one in opens the house's review; one that was approved
//! expires when its day has come.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::{
    Document, DocumentId, DocumentState, EnterpriseId, Qualification, QualificationErrorCode, QualificationId,
    QualificationKind, QualificationState, ReviewSubject,
};
use crate::tenancy::permission::Permission;
use crate::tenancy::review::Decision;
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::store::qualifications::{self, NewQualification};
use crate::tenancy::store::{documents, enterprise_row};
use crate::tenancy::worker::Job;
use crate::tenancy::{audit, filing, review};

#[derive(Clone, Debug)]
pub struct QualificationRequest {
    pub kind: QualificationKind,
    pub number: String,
    pub document: DocumentId,
    /// When it ends to be good, if it does.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Hands one in, for the house to look at.
pub async fn create(
    platform: &Platform,
    scope: &TenantScope,
    request: &QualificationRequest,
) -> Result<(Qualification, Document), Refusal<QualificationErrorCode>> {
    scope.require(Permission::EnterpriseManage)?;
    let number = filing::normalise(request.kind, &request.number).ok_or_else(|| {
        let (chinese, english) = filing::form(request.kind);
        Refusal::explained("number", QualificationErrorCode::InvalidInput, chinese, english)
    })?;
    let tx = scope.write(&platform.database).await?;
    if request.expires_at.is_some_and(|end| end <= platform.clock.now()) {
        return Err(Refusal::explained(
            "expiresAt",
            QualificationErrorCode::InvalidInput,
            "有效期须晚于当前时间。",
            "A qualification that has expired already proves nothing; hand in the present one.",
        ));
    }
    // Two who hand in the same number at once come one after the other here.
    enterprise_row::lock_in(&tx).await?.ok_or(Fault::NotFound)?;
    let document = documents::lock_in(&tx, request.document)
        .await?
        .ok_or_else(|| Refusal::at("documentId", QualificationErrorCode::DocumentNotFound))?;
    if document.state != DocumentState::Stored {
        return Err(Refusal::at("documentId", QualificationErrorCode::NotUploaded));
    }
    if qualifications::is_handed_in(&tx, request.kind, &number).await? {
        return Err(Refusal::at("number", QualificationErrorCode::AlreadyHandedIn));
    }
    let new =
        NewQualification { kind: request.kind, number: &number, document: document.id, expires_at: request.expires_at };
    let qualification = qualifications::insert_in(&tx, &new).await?;
    review::open_in(&tx, ReviewSubject::Qualification, qualification.id.uuid()).await?;
    audit::record_in(&tx, "qualificationCreate", qualification.id.uuid(), None, &qualification).await?;
    outbox::emit_in(&tx, event(&qualification)?).await?;
    tx.commit().await?;
    Ok((qualification, document))
}

/// Hears the house's word on one.
pub async fn decided_in(tx: &TenantTx, id: QualificationId, decision: &Decision) -> Result<(), Fault> {
    let state = if decision.approved { QualificationState::Approved } else { QualificationState::Rejected };
    let after = qualifications::decide_in(tx, id, state, decision.remark.as_deref()).await?;
    audit::record_in(tx, "qualificationReview", id.uuid(), None, &after).await?;
    outbox::emit_in(tx, event(&after)?).await
}

fn event(qualification: &Qualification) -> Result<NewEvent, Fault> {
    let data = json!({
        "qualificationId": qualification.id,
        "kind": qualification.kind,
        "state": qualification.state,
        "remark": qualification.review_remark,
        "expiresAt": qualification.expires_at,
    });
    NewEvent::new(EventType::QualificationChanged, qualification.id.uuid(), qualification.version, data)
}

/// How many one step expires.
const A_STEP: i64 = 200;

/// Qualifications whose day has come are good no more.
pub struct QualificationExpiryJob {
    pub platform: Arc<Platform>,
}

#[async_trait]
impl Job for QualificationExpiryJob {
    fn name(&self) -> &'static str {
        "qualification expiry"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        qualifications::tenants_expiring(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        let due = qualifications::lock_expiring_in(&tx, A_STEP).await?;
        let expired = if due.is_empty() { Vec::new() } else { qualifications::expire_in(&tx, &due).await? };
        if expired.len() != due.len() {
            let (due, expired) = (due.len(), expired.len());
            return Err(Fault::internal(anyhow::anyhow!("{due} qualifications were to expire, {expired} did")));
        }
        for qualification in &expired {
            audit::record_in(&tx, "qualificationExpire", qualification.id.uuid(), None, qualification).await?;
        }
        let events = expired.iter().map(event).collect::<Result<Vec<_>, _>>()?;
        outbox::emit_all_in(&tx, &events).await?;
        tx.commit().await
    }
}
