//! The audit log: who did what, with digests of before and after. The server's role can add to it and read it, nothing else.

use diesel::{ExpressionMethods, insert_into};
use serde::Serialize;
use uuid::Uuid;

use crate::platform::fault::Fault;
use crate::platform::vault::sha256;
use crate::schema::audit_records;
use crate::tenancy::model::AuditRecordId;
use crate::tenancy::scope::TenantTx;

/// Writes one record in the transaction of the change itself. `before` is `None` for what is new.
pub async fn record_in<T: Serialize>(
    tx: &TenantTx,
    action: &str,
    subject: Uuid,
    before: Option<&T>,
    after: &T,
) -> Result<(), Fault> {
    let digest = |value: &T| serde_json::to_vec(value).map(|json| sha256(&json).to_vec()).map_err(Fault::internal);
    let (before, after) = (before.map(digest).transpose()?, digest(after)?);
    let row = (
        audit_records::tenant_id.eq(tx.tenant()),
        audit_records::id.eq(AuditRecordId::generate()),
        audit_records::actor_kind.eq(tx.actor().kind),
        audit_records::actor_id.eq(tx.actor().id),
        audit_records::action.eq(action.to_owned()),
        audit_records::subject_id.eq(subject),
        audit_records::before_digest.eq(before),
        audit_records::after_digest.eq(after),
        audit_records::request_id.eq(tx.request_id().to_owned()),
    );
    tx.execute_exactly(1, insert_into(audit_records::table).values(row)).await
}
