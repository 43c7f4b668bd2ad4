//! SQL over points: accounts, and the entries that they are the sums of.

use std::collections::HashMap;

use diesel::sql_types::{Array, BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use uuid::Uuid;

use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{point_accounts, point_entries};
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::{HolderId, PointEntry, PointEntryId, PointReason};

/// An entry before it is written.
#[derive(Clone, Debug)]
pub struct NewPointEntry {
    pub holder: HolderId,
    pub reason: PointReason,
    pub delta: i64,
    pub reference: Option<String>,
    pub subject: Option<Uuid>,
}

/// What these holders have, locked in the order of their IDs. Who never had any is left out.
pub async fn lock_in(tx: &TenantTx, holders: &[HolderId]) -> Result<HashMap<HolderId, i64>, Fault> {
    let rows: Vec<(HolderId, i64)> = tx
        .load(
            point_accounts::table
                .filter(point_accounts::tenant_id.eq(tx.tenant()))
                .filter(point_accounts::holder_id.eq_any(holders.to_vec()))
                .order(point_accounts::holder_id)
                .select((point_accounts::holder_id, point_accounts::balance))
                .for_no_key_update(),
        )
        .await?;
    Ok(rows.into_iter().collect())
}

/// Opens an account for each of these holders who has none.
pub async fn open_in(tx: &TenantTx, holders: &[HolderId]) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO point_accounts (tenant_id, holder_id, balance)
         SELECT $1, holder, 0 FROM unnest($2) AS holder ORDER BY holder
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(holders.to_vec());
    tx.execute(statement).await.map(drop)
}

/// Moves balances by these sums, each holder once. The table's check refuses to go below zero.
pub async fn move_in(tx: &TenantTx, sums: &[(HolderId, i64)]) -> Result<(), Fault> {
    let statement = statement(
        "UPDATE point_accounts AS account SET balance = account.balance + change.delta
           FROM unnest($2, $3) AS change (holder_id, delta)
          WHERE account.tenant_id = $1 AND account.holder_id = ANY($2) AND account.holder_id = change.holder_id",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(sums.iter().map(|(holder, _)| *holder).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(sums.iter().map(|(_, delta)| *delta).collect::<Vec<_>>());
    tx.execute_exactly(sums.len(), statement).await
}

pub async fn insert_entries_in(tx: &TenantTx, entries: &[NewPointEntry]) -> Result<(), Fault> {
    let statement = statement(
        "INSERT INTO point_entries (tenant_id, id, holder_id, reason, delta, reference, subject_id)
         SELECT $1, entry.* FROM unnest($2, $3, $4, $5, $6, $7) AS entry
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(entries.iter().map(|_| PointEntryId::generate()).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(entries.iter().map(|entry| entry.holder).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(entries.iter().map(|entry| entry.reason).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(entries.iter().map(|entry| entry.delta).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(entries.iter().map(|entry| entry.reference.clone()).collect::<Vec<_>>())
    .bind::<Array<Nullable<SqlUuid>>, _>(entries.iter().map(|entry| entry.subject).collect::<Vec<_>>());
    match tx.execute(statement).await? {
        written if written == entries.len() => Ok(()),
        written => Err(Fault::Contended(anyhow::anyhow!("{written} of {} references were free", entries.len()))),
    }
}

/// What these references stand for, where they stand for something.
pub async fn by_reference(tx: &TenantTx, references: &[String]) -> Result<HashMap<String, (HolderId, i64)>, Fault> {
    let rows: Vec<(Option<String>, HolderId, i64)> = tx
        .load(
            point_entries::table
                .filter(point_entries::tenant_id.eq(tx.tenant()))
                .filter(point_entries::reference.eq_any(references.to_vec()))
                .select((point_entries::reference, point_entries::holder_id, point_entries::delta)),
        )
        .await?;
    Ok(rows.into_iter().filter_map(|(name, holder, delta)| Some((name?, (holder, delta)))).collect())
}

pub async fn balances(tx: &TenantTx, holders: &[HolderId]) -> Result<HashMap<HolderId, i64>, Fault> {
    let rows: Vec<(HolderId, i64)> = tx
        .load(
            point_accounts::table
                .filter(point_accounts::tenant_id.eq(tx.tenant()))
                .filter(point_accounts::holder_id.eq_any(holders.to_vec()))
                .select((point_accounts::holder_id, point_accounts::balance)),
        )
        .await?;
    Ok(rows.into_iter().collect())
}

pub async fn list_entries(
    tx: &TenantTx,
    holder: Option<HolderId>,
    page: &Page<PointEntryId>,
) -> Result<Vec<PointEntry>, Fault> {
    let query = point_entries::table.filter(point_entries::tenant_id.eq(tx.tenant())).select(PointEntry::as_select());
    let mut query = paged!(query, point_entries::id, page);
    if let Some(holder) = holder {
        query = query.filter(point_entries::holder_id.eq(holder));
    }
    tx.load(query).await
}

pub async fn count_entries(tx: &TenantTx, holder: Option<HolderId>) -> Result<i64, Fault> {
    let mut query = point_entries::table.filter(point_entries::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(holder) = holder {
        query = query.filter(point_entries::holder_id.eq(holder));
    }
    tx.one(query).await
}
