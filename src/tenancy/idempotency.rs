//! Idempotency keys: the same key and input give the first result again, and nothing is done twice.
//!
//! A key is unique for tenant, principal and operation. Its row is written in the transaction of the effect, so a
//! refused or broken attempt leaves no trace and may be tried again under the same key. A second request with the key
//! waits on the first one's row and then reads its result.

use std::collections::HashMap;

use chrono::TimeDelta;
use diesel::sql_types::{Array, Binary, Json, Nullable, Text, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, delete, insert_into, update};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::vault::sha256;
use crate::schema::idempotency_keys;
use crate::tenancy::scope::TenantTx;

/// A client's key: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl std::str::FromStr for IdempotencyKey {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Fault::BadRequest("idempotencyKey takes 1 to 128 visible ASCII characters; a UUID will do".into()))
        }
    }
}

impl IdempotencyKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a key means for this request.
pub enum Turn<T> {
    /// Nobody has done this yet: do it, then [`settle_in`].
    First,
    /// It was done: this was the result.
    Replay(T),
    /// The key was used for another input.
    Reused,
}

/// The hash by which two inputs are told apart: SHA-256 of their JSON with fields in declaration order.
pub fn input_hash(input: &impl Serialize) -> Result<Vec<u8>, Fault> {
    Ok(sha256(&serde_json::to_vec(input).map_err(Fault::internal)?).to_vec())
}

/// Takes the key, or learns what became of it.
pub async fn claim_in<T: DeserializeOwned>(
    tx: &TenantTx,
    operation: &'static str,
    key: &IdempotencyKey,
    input: &impl Serialize,
) -> Result<Turn<T>, Fault> {
    let hash = input_hash(input)?;
    let row = (
        idempotency_keys::tenant_id.eq(tx.tenant()),
        idempotency_keys::principal.eq(tx.actor().id),
        idempotency_keys::operation.eq(operation),
        idempotency_keys::key.eq(key.as_str().to_owned()),
        idempotency_keys::input_hash.eq(hash.clone()),
    );
    if tx.execute(insert_into(idempotency_keys::table).values(row).on_conflict_do_nothing()).await? == 1 {
        return Ok(Turn::First);
    }
    let (first_hash, result) = tx
        .one::<(Vec<u8>, Option<serde_json::Value>), _, _>(
            idempotency_keys::table
                .filter(idempotency_keys::tenant_id.eq(tx.tenant()))
                .filter(idempotency_keys::principal.eq(tx.actor().id))
                .filter(idempotency_keys::operation.eq(operation))
                .filter(idempotency_keys::key.eq(key.as_str().to_owned()))
                .select((idempotency_keys::input_hash, idempotency_keys::result)),
        )
        .await?;
    if first_hash != hash {
        return Ok(Turn::Reused);
    }
    let result =
        result.ok_or_else(|| Fault::internal(anyhow::anyhow!("{operation} committed its key without a result")))?;
    serde_json::from_value(result).map(Turn::Replay).map_err(Fault::internal)
}

/// Keeps the result beside the effect, before the commit.
pub async fn settle_in(
    tx: &TenantTx,
    operation: &'static str,
    key: &IdempotencyKey,
    result: &impl Serialize,
) -> Result<(), Fault> {
    let result = serde_json::to_value(result).map_err(Fault::internal)?;
    let statement = update(idempotency_keys::table)
        .filter(idempotency_keys::tenant_id.eq(tx.tenant()))
        .filter(idempotency_keys::principal.eq(tx.actor().id))
        .filter(idempotency_keys::operation.eq(operation))
        .filter(idempotency_keys::key.eq(key.as_str().to_owned()))
        .set(idempotency_keys::result.eq(Some(result)));
    tx.execute_exactly(1, statement).await
}

/// How many keys the principal has taken for an operation within the last while. For what may be tried only so often;
/// the caller holds a lock under which the principal's keys are taken.
pub async fn count_within(tx: &TenantTx, operation: &'static str, length: TimeDelta) -> Result<i64, Fault> {
    let since = tx.now().await? - length;
    tx.one(
        idempotency_keys::table
            .filter(idempotency_keys::tenant_id.eq(tx.tenant()))
            .filter(idempotency_keys::principal.eq(tx.actor().id))
            .filter(idempotency_keys::operation.eq(operation))
            .filter(idempotency_keys::created_at.gt(since))
            .count(),
    )
    .await
}

/// Gives a key back that led to nothing: it may be tried again as if it had never been used.
pub async fn release_in(tx: &TenantTx, operation: &'static str, key: &IdempotencyKey) -> Result<(), Fault> {
    let statement = delete(idempotency_keys::table)
        .filter(idempotency_keys::tenant_id.eq(tx.tenant()))
        .filter(idempotency_keys::principal.eq(tx.actor().id))
        .filter(idempotency_keys::operation.eq(operation))
        .filter(idempotency_keys::key.eq(key.as_str().to_owned()));
    tx.execute_exactly(1, statement).await
}

/// What a key led to.
#[derive(Clone, Debug)]
pub struct Settled<T> {
    pub input_hash: Vec<u8>,
    pub result: T,
}

/// For what serves many principals in one transaction: what became of each of these keys, in one statement. A key
/// that is missing from the answer is free, and may be taken by somebody else until [`settle_all_in`] has taken it.
pub async fn look_up_in<T: DeserializeOwned>(
    tx: &TenantTx,
    operation: &'static str,
    keys: &[(Uuid, IdempotencyKey)],
) -> Result<HashMap<(Uuid, String), Settled<T>>, Fault> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = SqlUuid)]
        principal: Uuid,
        #[diesel(sql_type = Text)]
        key: String,
        #[diesel(sql_type = Binary)]
        input_hash: Vec<u8>,
        #[diesel(sql_type = Nullable<Json>)]
        result: Option<serde_json::Value>,
    }
    let statement = statement(
        "SELECT found.principal, found.key, found.input_hash, found.result
           FROM unnest($3, $4) AS wanted (principal, key)
           JOIN idempotency_keys AS found
             ON found.tenant_id = $1 AND found.principal = wanted.principal AND found.operation = $2 AND found.key = wanted.key
          WHERE found.tenant_id = $1 AND found.principal = ANY($3) AND found.key = ANY($4)",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Text, _>(operation)
    .bind::<Array<SqlUuid>, _>(keys.iter().map(|(principal, _)| *principal).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keys.iter().map(|(_, key)| key.as_str().to_owned()).collect::<Vec<_>>());
    let rows: Vec<Found> = tx.load(statement).await?;
    rows.into_iter()
        .map(|row| {
            let result = row
                .result
                .ok_or_else(|| Fault::internal(anyhow::anyhow!("{operation} committed a key without a result")))?;
            let result = serde_json::from_value(result).map_err(Fault::internal)?;
            Ok(((row.principal, row.key), Settled { input_hash: row.input_hash, result }))
        })
        .collect()
}

/// Takes many keys together with their results: principal, key, input hash, result. One that somebody else has taken
/// meanwhile is contention: the next try finds it with [`look_up_in`].
pub async fn settle_all_in<T: Serialize>(
    tx: &TenantTx,
    operation: &'static str,
    rows: &[(Uuid, IdempotencyKey, Vec<u8>, T)],
) -> Result<(), Fault> {
    let results: Vec<serde_json::Value> =
        rows.iter().map(|row| serde_json::to_value(&row.3)).collect::<Result<_, _>>().map_err(Fault::internal)?;
    let statement = statement(
        "INSERT INTO idempotency_keys (tenant_id, operation, principal, key, input_hash, result)
         SELECT $1, $2, row.* FROM unnest($3, $4, $5, $6) AS row
         ON CONFLICT (tenant_id, principal, operation, key) DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Text, _>(operation)
    .bind::<Array<SqlUuid>, _>(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.1.as_str().to_owned()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(rows.iter().map(|row| row.2.clone()).collect::<Vec<_>>())
    .bind::<Array<Json>, _>(results);
    match tx.execute(statement).await? {
        taken if taken == rows.len() => Ok(()),
        taken => Err(Fault::Contended(anyhow::anyhow!("{taken} of {} keys were free", rows.len()))),
    }
}
