//! SQL over the enterprise's own row: what its people, the house and its partner change of it.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Nullable, Timestamptz};
use diesel::{ExpressionMethods, IntoSql, QueryDsl, SelectableHelper, update};

use crate::platform::fault::Fault;
use crate::schema::enterprises;
use crate::tenancy::model::{Enterprise, EnterpriseState};
use crate::tenancy::scope::TenantTx;

/// The enterprise, locked: nobody else changes it before this transaction ends.
pub async fn lock_in(tx: &TenantTx) -> Result<Option<Enterprise>, Fault> {
    tx.optional(
        enterprises::table
            .filter(enterprises::tenant_id.eq(tx.tenant()))
            .select(Enterprise::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn set_state_in(tx: &TenantTx, state: EnterpriseState, reason: Option<&str>) -> Result<Enterprise, Fault> {
    let statement = update(enterprises::table)
        .filter(enterprises::tenant_id.eq(tx.tenant()))
        .set((
            enterprises::state.eq(state),
            enterprises::state_reason.eq(reason.map(str::to_owned)),
            enterprises::version.eq(enterprises::version + 1),
            enterprises::updated_at.eq(diesel::dsl::now),
        ))
        .returning(Enterprise::as_returning());
    tx.one(statement).await
}

pub async fn set_names_in(tx: &TenantTx, (chinese, english): (&str, &str)) -> Result<Enterprise, Fault> {
    let statement = update(enterprises::table)
        .filter(enterprises::tenant_id.eq(tx.tenant()))
        .set((
            enterprises::name_chinese.eq(chinese.to_owned()),
            enterprises::name_english.eq(english.to_owned()),
            enterprises::version.eq(enterprises::version + 1),
            enterprises::updated_at.eq(diesel::dsl::now),
        ))
        .returning(Enterprise::as_returning());
    tx.one(statement).await
}

/// A branch stops, by its partner's word.
pub async fn disable_in(tx: &TenantTx) -> Result<Enterprise, Fault> {
    let statement = update(enterprises::table)
        .filter(enterprises::tenant_id.eq(tx.tenant()))
        .set((
            enterprises::disabled_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()),
            enterprises::times_disabled.eq(enterprises::times_disabled + 1),
            enterprises::version.eq(enterprises::version + 1),
            enterprises::updated_at.eq(diesel::dsl::now),
        ))
        .returning(Enterprise::as_returning());
    tx.one(statement).await
}

/// A branch goes on, as far as its partner is concerned.
pub async fn enable_in(tx: &TenantTx) -> Result<Enterprise, Fault> {
    let statement = update(enterprises::table)
        .filter(enterprises::tenant_id.eq(tx.tenant()))
        .set((
            enterprises::disabled_at.eq(None::<DateTime<Utc>>),
            enterprises::version.eq(enterprises::version + 1),
            enterprises::updated_at.eq(diesel::dsl::now),
        ))
        .returning(Enterprise::as_returning());
    tx.one(statement).await
}

pub async fn set_expiry_in(tx: &TenantTx, expires_at: Option<DateTime<Utc>>) -> Result<Enterprise, Fault> {
    let statement = update(enterprises::table)
        .filter(enterprises::tenant_id.eq(tx.tenant()))
        .set((
            enterprises::expires_at.eq(expires_at),
            enterprises::version.eq(enterprises::version + 1),
            enterprises::updated_at.eq(diesel::dsl::now),
        ))
        .returning(Enterprise::as_returning());
    tx.one(statement).await
}
