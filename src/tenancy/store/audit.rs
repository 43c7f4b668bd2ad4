//! SQL over the audit log and its chain.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Timestamptz, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, insert_into};
use uuid::Uuid;

use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{audit_links, audit_records, audit_waiting, enterprises};
use crate::tenancy::model::audit::{AuditFilter, AuditLink, AuditRecord};
use crate::tenancy::model::{AuditRecordId, EnterpriseId};
use crate::tenancy::scope::{HouseTx, TenantTx};

/// What a record says; who did it and in which request the transaction knows.
pub struct NewRecord<'a> {
    pub action: &'a str,
    pub subject: Uuid,
    pub before: Option<Vec<u8>>,
    pub after: Vec<u8>,
}

/// Writes a record, and lets it wait for its place in the chain.
pub async fn insert_in(tx: &TenantTx, new: NewRecord<'_>) -> Result<(), Fault> {
    let id = AuditRecordId::generate();
    let record = (
        audit_records::tenant_id.eq(tx.tenant()),
        audit_records::id.eq(id),
        audit_records::actor_kind.eq(tx.actor().kind),
        audit_records::actor_id.eq(tx.actor().id),
        audit_records::action.eq(new.action.to_owned()),
        audit_records::subject_id.eq(new.subject),
        audit_records::before_digest.eq(new.before),
        audit_records::after_digest.eq(new.after),
        audit_records::request_id.eq(tx.request_id().to_owned()),
    );
    let waiting = (audit_waiting::tenant_id.eq(tx.tenant()), audit_waiting::record_id.eq(id));
    futures_util::try_join!(
        tx.execute_exactly(1, insert_into(audit_records::table).values(record)),
        tx.execute_exactly(1, insert_into(audit_waiting::table).values(waiting)),
    )?;
    Ok(())
}

pub async fn tenants_waiting(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    tx.load(audit_waiting::table.select(audit_waiting::tenant_id).distinct()).await
}

/// The tenant's turn to link, or `false` where another server has it. The enterprise's row is locked for it, since the
/// server may not lock what it may not change; `FOR NO KEY UPDATE` lets foreign keys go on looking at it.
pub async fn take_turn_in(tx: &TenantTx) -> Result<bool, Fault> {
    let row: Option<EnterpriseId> = tx
        .optional(
            enterprises::table
                .filter(enterprises::tenant_id.eq(tx.tenant()))
                .select(enterprises::tenant_id)
                .for_no_key_update()
                .skip_locked(),
        )
        .await?;
    Ok(row.is_some())
}

/// Records that wait, oldest first.
pub async fn waiting(tx: &TenantTx, limit: i64) -> Result<Vec<AuditRecord>, Fault> {
    tx.load(
        statement(
            "SELECT record.* FROM audit_waiting AS waiting
               JOIN audit_records AS record ON record.tenant_id = waiting.tenant_id AND record.id = waiting.record_id
              WHERE waiting.tenant_id = $1 AND record.tenant_id = $1 ORDER BY waiting.record_id LIMIT $2",
        )
        .bind::<SqlUuid, _>(tx.tenant())
        .bind::<BigInt, _>(limit),
    )
    .await
}

/// How many records wait, and how many of them are there.
pub async fn count_waiting(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(audit_waiting::table.filter(audit_waiting::tenant_id.eq(tx.tenant())).count()).await
}

/// The end of the chain.
pub async fn last_link(tx: &TenantTx) -> Result<Option<AuditLink>, Fault> {
    tx.optional(
        audit_links::table
            .filter(audit_links::tenant_id.eq(tx.tenant()))
            .order(audit_links::sequence.desc())
            .limit(1)
            .select(AuditLink::as_select()),
    )
    .await
}

/// Adds links to the chain and takes their records off the waiting list. A place that is taken already is contention:
/// somebody else had the turn after all.
pub async fn link_in(tx: &TenantTx, links: &[AuditLink], at: DateTime<Utc>) -> Result<(), Fault> {
    let records: Vec<AuditRecordId> = links.iter().map(|link| link.record_id).collect();
    let insert = statement(
        "INSERT INTO audit_links (tenant_id, sequence, record_id, hash, created_at)
         SELECT $1, row.sequence, row.record_id, row.hash, $5 FROM unnest($2, $3, $4) AS row (sequence, record_id, hash)
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<BigInt>, _>(links.iter().map(|link| link.sequence).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(records.clone())
    .bind::<Array<Binary>, _>(links.iter().map(|link| link.hash.clone()).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(at);
    let delete = diesel::delete(
        audit_waiting::table
            .filter(audit_waiting::tenant_id.eq(tx.tenant()))
            .filter(audit_waiting::record_id.eq_any(records)),
    );
    let (linked, left) = futures_util::try_join!(tx.execute(insert), tx.execute(delete))?;
    if (linked, left) == (links.len(), links.len()) {
        return Ok(());
    }
    Err(Fault::Contended(anyhow::anyhow!("{linked} of {} places in the audit chain were free", links.len())))
}

/// A link and the record that it is of, if that is still there.
pub type Linked = (AuditLink, Option<AuditRecord>);

/// The chain after a place.
pub async fn links_after(tx: &TenantTx, sequence: i64, limit: i64) -> Result<Vec<Linked>, Fault> {
    let links: Vec<AuditLink> = tx
        .load(
            audit_links::table
                .filter(audit_links::tenant_id.eq(tx.tenant()))
                .filter(audit_links::sequence.gt(sequence))
                .order(audit_links::sequence)
                .limit(limit)
                .select(AuditLink::as_select()),
        )
        .await?;
    let ids: Vec<AuditRecordId> = links.iter().map(|link| link.record_id).collect();
    let mut records = by_id(tx, &ids).await?;
    Ok(links
        .into_iter()
        .map(|link| {
            let record = records.remove(&link.record_id);
            (link, record)
        })
        .collect())
}

/// The hash at a place.
pub async fn hash_at(tx: &TenantTx, sequence: i64) -> Result<Option<Vec<u8>>, Fault> {
    tx.optional(
        audit_links::table
            .filter(audit_links::tenant_id.eq(tx.tenant()))
            .filter(audit_links::sequence.eq(sequence))
            .select(audit_links::hash),
    )
    .await
}

async fn by_id(tx: &TenantTx, ids: &[AuditRecordId]) -> Result<HashMap<AuditRecordId, AuditRecord>, Fault> {
    let query = audit_records::table
        .filter(audit_records::tenant_id.eq(tx.tenant()))
        .filter(audit_records::id.eq_any(ids.to_vec()));
    let rows: Vec<AuditRecord> = tx.load(query.select(AuditRecord::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Where records stand in the chain, as far as they are linked.
pub async fn links_of(tx: &TenantTx, records: &[AuditRecordId]) -> Result<HashMap<AuditRecordId, AuditLink>, Fault> {
    let query = audit_links::table
        .filter(audit_links::tenant_id.eq(tx.tenant()))
        .filter(audit_links::record_id.eq_any(records.to_vec()));
    let rows: Vec<AuditLink> = tx.load(query.select(AuditLink::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.record_id, row)).collect())
}

/// How far a record's ID, which a server's clock has made, may lie from the time that the database has given it.
const CLOCKS_APART: TimeDelta = TimeDelta::hours(1);

/// The smallest ID that a moment can have: a UUIDv7 begins with 48 bits of milliseconds.
fn smallest_id(at: DateTime<Utc>) -> AuditRecordId {
    let milliseconds = u128::try_from(at.timestamp_millis().max(0)).unwrap_or_default();
    AuditRecordId::from_uuid(Uuid::from_u128(milliseconds.min((1 << 48) - 1) << 80))
}

/// Narrows a query to a filter. IDs rise with time, so a stretch of time is a stretch of the index that the page is
/// sought in; the exact moments are looked at within it.
macro_rules! filtered {
    ($query:expr, $filter:expr) => {{
        let (mut query, filter) = ($query, $filter);
        if let Some(actor) = filter.actor {
            query = query.filter(audit_records::actor_id.eq(actor));
        }
        if let Some(action) = &filter.action {
            query = query.filter(audit_records::action.eq(action.clone()));
        }
        if let Some(subject) = filter.subject {
            query = query.filter(audit_records::subject_id.eq(subject));
        }
        if let Some(from) = filter.from {
            query = query
                .filter(audit_records::created_at.ge(from))
                .filter(audit_records::id.ge(smallest_id(from - CLOCKS_APART)));
        }
        if let Some(until) = filter.until {
            query = query
                .filter(audit_records::created_at.lt(until))
                .filter(audit_records::id.lt(smallest_id(until + CLOCKS_APART)));
        }
        query
    }};
}

pub async fn list(tx: &TenantTx, filter: &AuditFilter, page: &Page<AuditRecordId>) -> Result<Vec<AuditRecord>, Fault> {
    let query = audit_records::table.filter(audit_records::tenant_id.eq(tx.tenant())).select(AuditRecord::as_select());
    tx.load(filtered!(paged!(query, audit_records::id, page), filter)).await
}

pub async fn count(tx: &TenantTx, filter: &AuditFilter) -> Result<i64, Fault> {
    let query = audit_records::table.filter(audit_records::tenant_id.eq(tx.tenant())).count().into_boxed();
    tx.one(filtered!(query, filter)).await
}

/// Records that have waited longer than they should, and records that neither stand in the chain nor wait.
pub async fn count_astray(tx: &TenantTx, waited_since: DateTime<Utc>) -> Result<(i64, i64), Fault> {
    #[derive(QueryableByName)]
    struct Counts {
        #[diesel(sql_type = BigInt)]
        late: i64,
        #[diesel(sql_type = BigInt)]
        lost: i64,
    }
    let counts: Counts = tx
        .one(
            statement(
                "SELECT count(*) FILTER (WHERE waiting.record_id IS NOT NULL AND record.created_at < $2) AS late,
                        count(*) FILTER (WHERE waiting.record_id IS NULL) AS lost
                   FROM audit_records AS record
                   LEFT JOIN audit_waiting AS waiting
                     ON waiting.tenant_id = record.tenant_id AND waiting.record_id = record.id
                  WHERE record.tenant_id = $1
                    AND NOT EXISTS (SELECT FROM audit_links AS link
                         WHERE link.tenant_id = record.tenant_id AND link.record_id = record.id)",
            )
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<Timestamptz, _>(waited_since),
        )
        .await?;
    Ok((counts.late, counts.lost))
}

/// Every tenant that there is, the house too, with its slug.
pub async fn tenants(tx: &HouseTx) -> Result<Vec<(EnterpriseId, String)>, Fault> {
    tx.load(enterprises::table.order(enterprises::tenant_id).select((enterprises::tenant_id, enterprises::slug))).await
}
