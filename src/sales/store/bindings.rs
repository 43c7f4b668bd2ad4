//! SQL over merchants and domains.

use std::collections::HashMap;

use diesel::sql_types::Timestamptz;
use diesel::{ExpressionMethods, IntoSql, QueryDsl, SelectableHelper, insert_into, update};

use crate::paged;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::sales::model::{BindingState, Domain, DomainId, Merchant, MerchantId, PaymentChannel, ProofFailure};
use crate::schema::{domains, merchants};
use crate::tenancy::scope::TenantTx;

pub struct NewMerchant<'a> {
    pub id: MerchantId,
    pub name: &'a str,
    pub channel: PaymentChannel,
    pub merchant_number: &'a str,
}

/// `None`: the enterprise has bound that number already.
pub async fn insert_merchant_in(tx: &TenantTx, new: &NewMerchant<'_>) -> Result<Option<Merchant>, Fault> {
    let row = (
        merchants::tenant_id.eq(tx.tenant()),
        merchants::id.eq(new.id),
        merchants::name.eq(new.name.to_owned()),
        merchants::channel.eq(new.channel),
        merchants::merchant_number.eq(new.merchant_number.to_owned()),
    );
    let statement =
        insert_into(merchants::table).values(row).on_conflict_do_nothing().returning(Merchant::as_returning());
    tx.optional(statement).await
}

pub async fn merchants_by_id(tx: &TenantTx, ids: &[MerchantId]) -> Result<HashMap<MerchantId, Merchant>, Fault> {
    let query =
        merchants::table.filter(merchants::tenant_id.eq(tx.tenant())).filter(merchants::id.eq_any(ids.to_vec()));
    let rows: Vec<Merchant> = tx.load(query.select(Merchant::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub async fn lock_merchant_in(tx: &TenantTx, id: MerchantId) -> Result<Option<Merchant>, Fault> {
    tx.optional(
        merchants::table
            .filter(merchants::tenant_id.eq(tx.tenant()))
            .filter(merchants::id.eq(id))
            .select(Merchant::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn set_merchant_state_in(tx: &TenantTx, id: MerchantId, state: BindingState) -> Result<Merchant, Fault> {
    tx.one(
        update(merchants::table)
            .filter(merchants::tenant_id.eq(tx.tenant()))
            .filter(merchants::id.eq(id))
            .set((
                merchants::state.eq(state),
                merchants::version.eq(merchants::version + 1),
                merchants::updated_at.eq(diesel::dsl::now.into_sql::<Timestamptz>()),
            ))
            .returning(Merchant::as_returning()),
    )
    .await
}

pub async fn list_merchants(tx: &TenantTx, page: &Page<MerchantId>) -> Result<Vec<Merchant>, Fault> {
    let query = merchants::table.filter(merchants::tenant_id.eq(tx.tenant())).select(Merchant::as_select());
    tx.load(paged!(query, merchants::id, page)).await
}

pub async fn count_merchants(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(merchants::table.filter(merchants::tenant_id.eq(tx.tenant())).count()).await
}

pub struct NewDomain<'a> {
    pub id: DomainId,
    pub host: &'a str,
    pub filing_number: &'a str,
    pub verification_token: &'a str,
}

/// `None`: the enterprise has bound that host already.
pub async fn insert_domain_in(tx: &TenantTx, new: &NewDomain<'_>) -> Result<Option<Domain>, Fault> {
    let row = (
        domains::tenant_id.eq(tx.tenant()),
        domains::id.eq(new.id),
        domains::host.eq(new.host.to_owned()),
        domains::filing_number.eq(new.filing_number.to_owned()),
        domains::verification_token.eq(new.verification_token.to_owned()),
    );
    let statement = insert_into(domains::table).values(row).on_conflict_do_nothing().returning(Domain::as_returning());
    tx.optional(statement).await
}

pub async fn domains_by_id(tx: &TenantTx, ids: &[DomainId]) -> Result<HashMap<DomainId, Domain>, Fault> {
    let query = domains::table.filter(domains::tenant_id.eq(tx.tenant())).filter(domains::id.eq_any(ids.to_vec()));
    let rows: Vec<Domain> = tx.load(query.select(Domain::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub async fn lock_domain_in(tx: &TenantTx, id: DomainId) -> Result<Option<Domain>, Fault> {
    tx.optional(
        domains::table
            .filter(domains::tenant_id.eq(tx.tenant()))
            .filter(domains::id.eq(id))
            .select(Domain::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn set_domain_state_in(
    tx: &TenantTx,
    id: DomainId,
    state: BindingState,
    failure: Option<ProofFailure>,
) -> Result<Domain, Fault> {
    tx.one(
        update(domains::table)
            .filter(domains::tenant_id.eq(tx.tenant()))
            .filter(domains::id.eq(id))
            .set((
                domains::state.eq(state),
                domains::failure.eq(failure),
                domains::version.eq(domains::version + 1),
                domains::updated_at.eq(diesel::dsl::now.into_sql::<Timestamptz>()),
            ))
            .returning(Domain::as_returning()),
    )
    .await
}

pub async fn list_domains(tx: &TenantTx, page: &Page<DomainId>) -> Result<Vec<Domain>, Fault> {
    let query = domains::table.filter(domains::tenant_id.eq(tx.tenant())).select(Domain::as_select());
    tx.load(paged!(query, domains::id, page)).await
}

pub async fn count_domains(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(domains::table.filter(domains::tenant_id.eq(tx.tenant())).count()).await
}
