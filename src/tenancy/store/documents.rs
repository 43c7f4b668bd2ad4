//! SQL over documents. Their bytes lie in the object store.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, delete, insert_into, update};

use crate::platform::fault::Fault;
use crate::schema::documents;
use crate::tenancy::model::{Document, DocumentId, DocumentState};
use crate::tenancy::scope::TenantTx;

pub struct NewDocument<'a> {
    pub id: DocumentId,
    pub name: &'a str,
    pub size: i64,
    pub sha256: Vec<u8>,
}

pub async fn insert_in(tx: &TenantTx, new: &NewDocument<'_>) -> Result<Document, Fault> {
    let row = (
        documents::tenant_id.eq(tx.tenant()),
        documents::id.eq(new.id),
        documents::name.eq(new.name.to_owned()),
        documents::size.eq(Some(new.size)),
        documents::sha256.eq(Some(new.sha256.clone())),
    );
    tx.one(insert_into(documents::table).values(row).returning(Document::as_returning())).await
}

/// The bytes are there: nothing of the document changes any more.
pub async fn set_stored_in(tx: &TenantTx, id: DocumentId, media_type: &str) -> Result<Document, Fault> {
    let statement = update(documents::table)
        .filter(documents::tenant_id.eq(tx.tenant()))
        .filter(documents::id.eq(id))
        .filter(documents::state.eq(DocumentState::Awaited))
        .set((documents::state.eq(DocumentState::Stored), documents::media_type.eq(Some(media_type.to_owned()))))
        .returning(Document::as_returning());
    tx.one(statement).await
}

/// The document, locked.
pub async fn lock_in(tx: &TenantTx, id: DocumentId) -> Result<Option<Document>, Fault> {
    tx.optional(
        documents::table
            .filter(documents::tenant_id.eq(tx.tenant()))
            .filter(documents::id.eq(id))
            .select(Document::as_select())
            .for_no_key_update(),
    )
    .await
}

/// Those that still wait for their bytes and were announced before a moment, locked, the oldest first.
pub async fn lock_awaited_in(tx: &TenantTx, before: DateTime<Utc>, limit: i64) -> Result<Vec<DocumentId>, Fault> {
    tx.load(
        documents::table
            .filter(documents::tenant_id.eq(tx.tenant()))
            .filter(documents::state.eq(DocumentState::Awaited))
            .filter(documents::created_at.lt(before))
            .order(documents::id)
            .limit(limit)
            .select(documents::id)
            .for_update(),
    )
    .await
}

pub async fn delete_in(tx: &TenantTx, ids: &[DocumentId]) -> Result<(), Fault> {
    let statement = delete(documents::table)
        .filter(documents::tenant_id.eq(tx.tenant()))
        .filter(documents::id.eq_any(ids.to_vec()));
    tx.execute_exactly(ids.len(), statement).await
}

pub async fn by_id(tx: &TenantTx, ids: &[DocumentId]) -> Result<HashMap<DocumentId, Document>, Fault> {
    let rows: Vec<Document> = tx
        .load(
            documents::table
                .filter(documents::tenant_id.eq(tx.tenant()))
                .filter(documents::id.eq_any(ids.to_vec()))
                .select(Document::as_select()),
        )
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub async fn count(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(documents::table.filter(documents::tenant_id.eq(tx.tenant())).count()).await
}
