//! Idempotency keys: the same key and input give the first result again, and nothing is done twice.
//!
//! A key is unique for tenant, principal and operation. Its row is written in the transaction of the effect, so a
//! refused or broken attempt leaves no trace and may be tried again under the same key. A second request with the key
//! waits on the first one's row and then reads its result.

use diesel::{ExpressionMethods, QueryDsl, insert_into, update};
use serde::Serialize;
use serde::de::DeserializeOwned;

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
