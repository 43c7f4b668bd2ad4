//! SQL over qualifications. Each comes with its document, so that whoever lists them asks once.

use chrono::{DateTime, Utc};
use diesel::sql_types::Bool;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, QueryDsl, SelectableHelper, dsl::sql, insert_into, update,
};

use crate::paged;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{documents, qualifications};
use crate::tenancy::model::{
    Document, DocumentId, EnterpriseId, Qualification, QualificationId, QualificationKind, QualificationState,
};
use crate::tenancy::scope::{HouseTx, TenantTx};

diesel::allow_tables_to_appear_in_same_query!(documents, qualifications);

/// Spelled out, so that the partial index serves it.
const APPROVED: &str = "qualifications.state = 'APPROVED'";

pub struct NewQualification<'a> {
    pub kind: QualificationKind,
    pub number: &'a str,
    pub document: DocumentId,
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct QualificationFilter {
    pub kind: Option<QualificationKind>,
    pub state: Option<QualificationState>,
}

pub async fn insert_in(tx: &TenantTx, new: &NewQualification<'_>) -> Result<Qualification, Fault> {
    let row = (
        qualifications::tenant_id.eq(tx.tenant()),
        qualifications::id.eq(QualificationId::generate()),
        qualifications::kind.eq(new.kind),
        qualifications::number.eq(new.number.to_owned()),
        qualifications::document_id.eq(new.document),
        qualifications::expires_at.eq(new.expires_at),
    );
    tx.one(insert_into(qualifications::table).values(row).returning(Qualification::as_returning())).await
}

/// Whether this very qualification waits already, or was approved and is still good.
pub async fn is_handed_in(tx: &TenantTx, kind: QualificationKind, number: &str) -> Result<bool, Fault> {
    let found: i64 = tx
        .one(
            qualifications::table
                .filter(qualifications::tenant_id.eq(tx.tenant()))
                .filter(qualifications::kind.eq(kind))
                .filter(qualifications::number.eq(number.to_owned()))
                .filter(qualifications::state.eq_any([QualificationState::Pending, QualificationState::Approved]))
                .count(),
        )
        .await?;
    Ok(found > 0)
}

/// Whether one of this kind waits or was approved.
pub async fn has_one(tx: &TenantTx, kind: QualificationKind) -> Result<bool, Fault> {
    let found: i64 = tx
        .one(
            qualifications::table
                .filter(qualifications::tenant_id.eq(tx.tenant()))
                .filter(qualifications::kind.eq(kind))
                .filter(qualifications::state.eq_any([QualificationState::Pending, QualificationState::Approved]))
                .count(),
        )
        .await?;
    Ok(found > 0)
}

/// Whether the house has approved one of this kind that is still good.
pub async fn is_approved(tx: &TenantTx, kind: QualificationKind) -> Result<bool, Fault> {
    let found: i64 = tx
        .one(
            qualifications::table
                .filter(qualifications::tenant_id.eq(tx.tenant()))
                .filter(qualifications::kind.eq(kind))
                .filter(qualifications::state.eq(QualificationState::Approved))
                .filter(qualifications::expires_at.is_null().or(qualifications::expires_at.gt(diesel::dsl::now)))
                .count(),
        )
        .await?;
    Ok(found > 0)
}

pub async fn find(tx: &TenantTx, id: QualificationId) -> Result<Option<(Qualification, Document)>, Fault> {
    tx.optional(
        qualifications::table
            .inner_join(documents::table.on(
                documents::tenant_id.eq(qualifications::tenant_id).and(documents::id.eq(qualifications::document_id)),
            ))
            .filter(qualifications::tenant_id.eq(tx.tenant()))
            .filter(qualifications::id.eq(id))
            .select((Qualification::as_select(), Document::as_select())),
    )
    .await
}

pub async fn list(
    tx: &TenantTx,
    filter: QualificationFilter,
    page: &Page<QualificationId>,
) -> Result<Vec<(Qualification, Document)>, Fault> {
    let query =
        qualifications::table
            .inner_join(documents::table.on(
                documents::tenant_id.eq(qualifications::tenant_id).and(documents::id.eq(qualifications::document_id)),
            ))
            .filter(qualifications::tenant_id.eq(tx.tenant()))
            .select((Qualification::as_select(), Document::as_select()));
    let mut query = paged!(query, qualifications::id, page);
    if let Some(kind) = filter.kind {
        query = query.filter(qualifications::kind.eq(kind));
    }
    if let Some(state) = filter.state {
        query = query.filter(qualifications::state.eq(state));
    }
    tx.load(query).await
}

pub async fn count(tx: &TenantTx, filter: QualificationFilter) -> Result<i64, Fault> {
    let mut query = qualifications::table.filter(qualifications::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(kind) = filter.kind {
        query = query.filter(qualifications::kind.eq(kind));
    }
    if let Some(state) = filter.state {
        query = query.filter(qualifications::state.eq(state));
    }
    tx.one(query).await
}

pub async fn decide_in(
    tx: &TenantTx,
    id: QualificationId,
    state: QualificationState,
    remark: Option<&str>,
) -> Result<Qualification, Fault> {
    let statement = update(qualifications::table)
        .filter(qualifications::tenant_id.eq(tx.tenant()))
        .filter(qualifications::id.eq(id))
        .filter(qualifications::state.eq(QualificationState::Pending))
        .set((
            qualifications::state.eq(state),
            qualifications::review_remark.eq(remark.map(str::to_owned)),
            qualifications::version.eq(qualifications::version + 1),
        ))
        .returning(Qualification::as_returning());
    tx.one(statement).await
}

/// Which enterprises have qualifications whose day has come.
pub async fn tenants_expiring(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    tx.load(
        qualifications::table
            .filter(sql::<Bool>(APPROVED))
            .filter(qualifications::expires_at.le(diesel::dsl::now))
            .select(qualifications::tenant_id)
            .distinct(),
    )
    .await
}

/// Those whose day has come, locked; what another worker holds is passed over.
pub async fn lock_expiring_in(tx: &TenantTx, limit: i64) -> Result<Vec<QualificationId>, Fault> {
    tx.load(
        qualifications::table
            .filter(qualifications::tenant_id.eq(tx.tenant()))
            .filter(sql::<Bool>(APPROVED))
            .filter(qualifications::expires_at.le(diesel::dsl::now))
            .order((qualifications::expires_at, qualifications::id))
            .limit(limit)
            .select(qualifications::id)
            .for_no_key_update()
            .skip_locked(),
    )
    .await
}

pub async fn expire_in(tx: &TenantTx, ids: &[QualificationId]) -> Result<Vec<Qualification>, Fault> {
    let statement = update(qualifications::table)
        .filter(qualifications::tenant_id.eq(tx.tenant()))
        .filter(qualifications::id.eq_any(ids.to_vec()))
        .filter(qualifications::state.eq(QualificationState::Approved))
        .set((
            qualifications::state.eq(QualificationState::Expired),
            qualifications::version.eq(qualifications::version + 1),
        ))
        .returning(Qualification::as_returning());
    tx.load(statement).await
}
