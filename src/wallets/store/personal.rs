//! SQL over holders' personal data: sealed, hashed, masked, and erased.

use chrono::{DateTime, Utc};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{Nullable, Timestamptz};
use diesel::{ExpressionMethods, IntoSql, QueryDsl, Queryable, Selectable, SelectableHelper, insert_into, update};
use uuid::Uuid;

use crate::platform::fault::Fault;
use crate::platform::id;
use crate::schema::{holders, real_name_verifications};
use crate::tenancy::model::HolderId;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::RealNameResult;

/// What is kept of a person, none of it readable without the data key.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = holders)]
pub struct Personal {
    pub phone_hash: Option<Vec<u8>>,
    pub phone_sealed: Option<Vec<u8>>,
    pub name_sealed: Option<Vec<u8>>,
    pub id_number_sealed: Option<Vec<u8>>,
    pub id_number_hash: Option<Vec<u8>>,
    pub verified_at: Option<DateTime<Utc>>,
    pub erased_at: Option<DateTime<Utc>>,
    pub version: i32,
}

pub async fn personal(tx: &TenantTx, id: HolderId) -> Result<Option<Personal>, Fault> {
    let query = holders::table.filter(holders::tenant_id.eq(tx.tenant())).filter(holders::id.eq(id));
    tx.optional(query.select(Personal::as_select())).await
}

/// The same, locked.
pub async fn lock_in(tx: &TenantTx, id: HolderId) -> Result<Option<Personal>, Fault> {
    let query = holders::table.filter(holders::tenant_id.eq(tx.tenant())).filter(holders::id.eq(id));
    tx.optional(query.select(Personal::as_select()).for_no_key_update()).await
}

/// The same, locked also against rows that are about to point at it: who is writing an order, a claim or a transfer of
/// this holder's is waited for.
pub async fn lock_alone_in(tx: &TenantTx, id: HolderId) -> Result<Option<Personal>, Fault> {
    let query = holders::table.filter(holders::tenant_id.eq(tx.tenant())).filter(holders::id.eq(id));
    tx.optional(query.select(Personal::as_select()).for_update()).await
}

pub struct BoundPhone {
    pub hash: Vec<u8>,
    pub sealed: Vec<u8>,
    pub masked: String,
}

/// Gives a phone to a locked holder who has none. A number that somebody else has taken meanwhile is contention: the
/// next try finds them.
pub async fn set_phone_in(tx: &TenantTx, id: HolderId, phone: BoundPhone) -> Result<(), Fault> {
    let statement = update(holders::table)
        .filter(holders::tenant_id.eq(tx.tenant()))
        .filter(holders::id.eq(id))
        .filter(holders::phone_hash.is_null())
        .filter(holders::erased_at.is_null())
        .set((
            holders::phone_hash.eq(Some(phone.hash)),
            holders::phone_sealed.eq(Some(phone.sealed)),
            holders::phone_masked.eq(Some(phone.masked)),
            holders::version.eq(holders::version + 1),
        ));
    match tx.execute_exactly(1, statement).await {
        Err(Fault::Internal(cause))
            if matches!(
                cause.downcast_ref::<Error>(),
                Some(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
            ) =>
        {
            Err(Fault::Contended(cause))
        }
        outcome => outcome,
    }
}

pub struct RealName {
    pub name_sealed: Vec<u8>,
    pub name_masked: String,
    pub number_sealed: Vec<u8>,
    pub number_hash: Vec<u8>,
    pub number_masked: String,
}

/// Keeps the name and the number of a locked holder who is not verified yet.
pub async fn set_real_name_in(tx: &TenantTx, id: HolderId, real: RealName) -> Result<(), Fault> {
    let statement = update(holders::table)
        .filter(holders::tenant_id.eq(tx.tenant()))
        .filter(holders::id.eq(id))
        .filter(holders::verified_at.is_null())
        .filter(holders::erased_at.is_null())
        .set((
            holders::name_sealed.eq(Some(real.name_sealed)),
            holders::name_masked.eq(Some(real.name_masked)),
            holders::id_number_sealed.eq(Some(real.number_sealed)),
            holders::id_number_hash.eq(Some(real.number_hash)),
            holders::id_number_masked.eq(Some(real.number_masked)),
            holders::verified_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()),
            holders::version.eq(holders::version + 1),
        ));
    tx.execute_exactly(1, statement).await
}

/// How many holders of the enterprise are verified under a number.
pub async fn count_by_number(tx: &TenantTx, number: &[u8]) -> Result<i64, Fault> {
    tx.one(
        holders::table
            .filter(holders::tenant_id.eq(tx.tenant()))
            .filter(holders::id_number_hash.eq(number.to_vec()))
            .count(),
    )
    .await
}

pub async fn insert_verification_in(
    tx: &TenantTx,
    holder: HolderId,
    provider: &str,
    result: RealNameResult,
) -> Result<Uuid, Fault> {
    let id = id::generate();
    let row = (
        real_name_verifications::tenant_id.eq(tx.tenant()),
        real_name_verifications::id.eq(id),
        real_name_verifications::holder_id.eq(holder),
        real_name_verifications::provider.eq(provider.to_owned()),
        real_name_verifications::result.eq(result),
    );
    tx.execute_exactly(1, insert_into(real_name_verifications::table).values(row)).await?;
    Ok(id)
}

/// Takes everything personal out of a locked holder's row. The row stays: the ledgers point at it.
pub async fn erase_in(tx: &TenantTx, id: HolderId, nickname: &str) -> Result<(), Fault> {
    let statement = update(holders::table)
        .filter(holders::tenant_id.eq(tx.tenant()))
        .filter(holders::id.eq(id))
        .filter(holders::erased_at.is_null())
        .set((
            holders::phone_hash.eq(None::<Vec<u8>>),
            holders::phone_sealed.eq(None::<Vec<u8>>),
            holders::phone_masked.eq(None::<String>),
            holders::name_sealed.eq(None::<Vec<u8>>),
            holders::name_masked.eq(None::<String>),
            holders::id_number_sealed.eq(None::<Vec<u8>>),
            holders::id_number_hash.eq(None::<Vec<u8>>),
            holders::id_number_masked.eq(None::<String>),
            holders::nickname.eq(nickname.to_owned()),
            holders::erased_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()),
            holders::version.eq(holders::version + 1),
        ));
    tx.execute_exactly(1, statement).await
}
