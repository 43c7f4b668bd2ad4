//! SQL over sealed values of any table. The texts are made of names that stand in this program, never of input.

use diesel::pg::Pg;
use diesel::sql_types::{Array, BigInt, Binary, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{QueryableByName, sql_query};

use chrono::{DateTime, Utc};

use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::sealed::{KeyKind, SealedColumn};

/// A value that was sealed under an older key, and where it stands.
#[derive(QueryableByName)]
pub struct OldValue {
    #[diesel(sql_type = Array<Text>)]
    pub key: Vec<String>,
    #[diesel(sql_type = Binary)]
    pub sealed: Vec<u8>,
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn as_text(name: &str, kind: KeyKind) -> String {
    match kind {
        KeyKind::Uuid => format!("{name}::text"),
        KeyKind::Text => name.to_owned(),
        KeyKind::Bytes => format!("encode({name}, 'hex')"),
    }
}

fn from_text(text: &str, kind: KeyKind) -> String {
    match kind {
        KeyKind::Uuid => format!("{text}::uuid"),
        KeyKind::Text => text.to_owned(),
        KeyKind::Bytes => format!("decode({text}, 'hex')"),
    }
}

/// A sealed value begins with the two bytes of its key's version, so an older one is less as bytes.
pub async fn count_older(tx: &TenantTx, column: &SealedColumn, version: u16) -> Result<i64, Fault> {
    let (table, name) = (column.table, column.column);
    let sql = format!("SELECT count(*) AS count FROM {table} WHERE tenant_id = $1 AND {name} < $2");
    let query = sql_query(sql).bind::<SqlUuid, _>(tx.tenant()).bind::<Binary, _>(version.to_be_bytes().to_vec());
    Ok(tx.one::<Counted, _, _>(query).await?.count)
}

/// The next values under older keys, locked, in the order of the primary key.
pub async fn lock_older_in(
    tx: &TenantTx,
    column: &SealedColumn,
    version: u16,
    after: Option<&[String]>,
    limit: i64,
) -> Result<Vec<OldValue>, Fault> {
    let names: Vec<&str> = column.key.iter().map(|(name, _)| *name).collect();
    let texts: Vec<String> = column.key.iter().map(|(name, kind)| as_text(name, *kind)).collect();
    let seek = after.map_or(String::new(), |_| {
        let places = column
            .key
            .iter()
            .enumerate()
            .map(|(place, (_, kind))| from_text(&format!("(${})[{}]", 4, place + 1), *kind));
        format!(" AND ({}) > ({})", names.join(", "), places.collect::<Vec<_>>().join(", "))
    });
    let sql = format!(
        "SELECT ARRAY[{}] AS key, {sealed} AS sealed FROM {} WHERE tenant_id = $1 AND {sealed} < $2{seek}
          ORDER BY {} LIMIT $3 FOR NO KEY UPDATE",
        texts.join(", "),
        column.table,
        names.join(", "),
        sealed = column.column,
    );
    let mut query = sql_query(sql)
        .into_boxed::<Pg>()
        .bind::<SqlUuid, _>(tx.tenant())
        .bind::<Binary, _>(version.to_be_bytes().to_vec())
        .bind::<BigInt, _>(limit);
    if let Some(after) = after {
        query = query.bind::<Array<Text>, _>(after.to_vec());
    }
    tx.load(query).await
}

/// Puts values that were sealed anew in the place of the old ones.
pub async fn replace_in(tx: &TenantTx, column: &SealedColumn, values: &[OldValue]) -> Result<(), Fault> {
    let parts: Vec<String> = (0..column.key.len()).map(|place| format!("k{place}")).collect();
    let arrays: Vec<String> = (0..column.key.len()).map(|place| format!("${}", place + 3)).collect();
    let matches = column
        .key
        .iter()
        .zip(&parts)
        .map(|((name, kind), part)| format!("row.{name} = {}", from_text(&format!("change.{part}"), *kind)));
    let sql = format!(
        "UPDATE {} AS row SET {} = change.sealed FROM unnest($2, {}) AS change (sealed, {})
          WHERE row.tenant_id = $1 AND {}",
        column.table,
        column.column,
        arrays.join(", "),
        parts.join(", "),
        matches.collect::<Vec<_>>().join(" AND "),
    );
    let mut query = sql_query(sql)
        .into_boxed::<Pg>()
        .bind::<SqlUuid, _>(tx.tenant())
        .bind::<Array<Binary>, _>(values.iter().map(|value| value.sealed.clone()).collect::<Vec<_>>());
    for place in 0..column.key.len() {
        query = query.bind::<Array<Text>, _>(values.iter().map(|value| value.key[place].clone()).collect::<Vec<_>>());
    }
    tx.execute_exactly(values.len(), query).await
}

/// How many transactions of servers are still open that began before a time. A role sees its own connections, and those
/// of all servers are of one role.
pub async fn transactions_from_before(tx: &TenantTx, time: DateTime<Utc>) -> Result<i64, Fault> {
    let query = statement(
        "SELECT count(*) AS count FROM pg_stat_activity
          WHERE datname = current_database() AND usename = current_user AND xact_start < $1",
    )
    .bind::<Timestamptz, _>(time);
    Ok(tx.one::<Counted, _, _>(query).await?.count)
}
