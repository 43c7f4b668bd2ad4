//! SQL over codes that were sent.

use diesel::dsl::sql;
use diesel::sql_types::{Nullable, Timestamptz};
use diesel::{
    ExpressionMethods, IntoSql, QueryDsl, Queryable, Selectable, SelectableHelper, delete, insert_into, update,
};
use uuid::Uuid;

use crate::platform::fault::Fault;
use crate::platform::id;
use crate::schema::verification_codes;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::CodePurpose;

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = verification_codes)]
pub struct SentCode {
    pub id: Uuid,
    pub code_hash: Vec<u8>,
    pub attempts: i32,
    pub expires_at: chrono::DateTime<chrono::Utc>,
    pub used_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// A code that is good for five minutes, by the database's time.
pub async fn insert_in(tx: &TenantTx, purpose: CodePurpose, phone: &[u8], code: &[u8]) -> Result<Uuid, Fault> {
    let id = id::generate();
    let row = (
        verification_codes::tenant_id.eq(tx.tenant()),
        verification_codes::id.eq(id),
        verification_codes::purpose.eq(purpose),
        verification_codes::phone_hash.eq(phone.to_vec()),
        verification_codes::code_hash.eq(code.to_vec()),
        verification_codes::expires_at.eq(sql::<Timestamptz>("now() + interval '5 minutes'")),
    );
    tx.execute_exactly(1, insert_into(verification_codes::table).values(row)).await?;
    Ok(id)
}

/// The newest code for a phone and a purpose, locked: of many who try it at once, one after the other is judged.
pub async fn lock_newest_in(tx: &TenantTx, purpose: CodePurpose, phone: &[u8]) -> Result<Option<SentCode>, Fault> {
    tx.optional(
        verification_codes::table
            .filter(verification_codes::tenant_id.eq(tx.tenant()))
            .filter(verification_codes::phone_hash.eq(phone.to_vec()))
            .filter(verification_codes::purpose.eq(purpose))
            .order(verification_codes::id.desc())
            .limit(1)
            .select(SentCode::as_select())
            .for_no_key_update(),
    )
    .await
}

/// Counts a try, and uses the code up if it was the right one.
pub async fn count_try_in(tx: &TenantTx, id: Uuid, right: bool) -> Result<(), Fault> {
    let code = update(verification_codes::table)
        .filter(verification_codes::tenant_id.eq(tx.tenant()))
        .filter(verification_codes::id.eq(id))
        .filter(verification_codes::used_at.is_null());
    let tries = verification_codes::attempts.eq(verification_codes::attempts + 1);
    let used = verification_codes::used_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>());
    match right {
        true => tx.execute_exactly(1, code.set((tries, used))).await,
        false => tx.execute_exactly(1, code.set(tries)).await,
    }
}

pub async fn delete_in(tx: &TenantTx, id: Uuid) -> Result<(), Fault> {
    let statement = delete(verification_codes::table)
        .filter(verification_codes::tenant_id.eq(tx.tenant()))
        .filter(verification_codes::id.eq(id));
    tx.execute(statement).await.map(drop)
}

/// Every code that was sent to a phone.
pub async fn delete_of_in(tx: &TenantTx, phone: &[u8]) -> Result<(), Fault> {
    let statement = delete(verification_codes::table)
        .filter(verification_codes::tenant_id.eq(tx.tenant()))
        .filter(verification_codes::phone_hash.eq(phone.to_vec()));
    tx.execute(statement).await.map(drop)
}
