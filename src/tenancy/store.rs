//! SQL over enterprises, operators, the directory and data keys.

pub mod audit;
pub mod branches;
pub mod clients;
pub mod documents;
pub mod enterprise_row;
pub mod operators;
pub mod qualifications;
pub mod sealed;
pub mod sessions;
pub mod sso;
pub mod sweep;
pub mod throttles;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, insert_into};

use crate::paged;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{api_client_secrets, data_keys, directory_entries, enterprises, event_sequences, manifest_entries};
use crate::tenancy::model::{Enterprise, EnterpriseId, EnterpriseKind, EnterpriseState};
use crate::tenancy::scope::{HouseTx, TenantTx};
use crate::words;

pub use operators::{first_operator_with_role, insert_operator_in, operator_by_sign_in, operators_by_id};

words! {
    /// What an entry of the directory is the key of.
    pub enum DirectoryKind {
        /// An enterprise's short name.
        Slug = "SLUG",
        /// An operator's sign-in name.
        SignIn = "SIGN_IN",
        /// A bound H5 host.
        Host = "HOST",
        /// A connection to an OpenID provider.
        SsoConnection = "SSO_CONNECTION",
        /// A key that a partner's server signs with.
        SsoKey = "SSO_KEY",
    }
}

/// Whom a name that is unique across tenants belongs to.
pub async fn look_up(tx: &HouseTx, kind: DirectoryKind, key: &str) -> Result<Option<EnterpriseId>, Fault> {
    tx.optional(
        directory_entries::table
            .filter(directory_entries::kind.eq(kind))
            .filter(directory_entries::key.eq(key.to_owned()))
            .select(directory_entries::tenant_id),
    )
    .await
}

/// Every bound host, and whose it is.
pub async fn hosts(tx: &HouseTx) -> Result<HashMap<String, EnterpriseId>, Fault> {
    let query = directory_entries::table
        .filter(directory_entries::kind.eq(DirectoryKind::Host))
        .select((directory_entries::key, directory_entries::tenant_id));
    Ok(tx.load::<(String, EnterpriseId), _, _>(query).await?.into_iter().collect())
}

/// Claims a name across tenants; `false` where somebody has it.
pub async fn claim_name_in(tx: &TenantTx, kind: DirectoryKind, key: &str, subject: uuid::Uuid) -> Result<bool, Fault> {
    let row = (
        directory_entries::kind.eq(kind),
        directory_entries::key.eq(key.to_owned()),
        directory_entries::tenant_id.eq(tx.tenant()),
        directory_entries::subject_id.eq(subject),
    );
    Ok(tx.execute(insert_into(directory_entries::table).values(row).on_conflict_do_nothing()).await? == 1)
}

pub async fn insert_enterprise_in(
    tx: &TenantTx,
    slug: &str,
    names: (&str, &str),
    kind: EnterpriseKind,
    state: EnterpriseState,
) -> Result<(), Fault> {
    let row = (
        enterprises::tenant_id.eq(tx.tenant()),
        enterprises::slug.eq(slug.to_owned()),
        enterprises::name_chinese.eq(names.0.to_owned()),
        enterprises::name_english.eq(names.1.to_owned()),
        enterprises::kind.eq(kind),
        enterprises::state.eq(state),
    );
    tx.execute_exactly(1, insert_into(enterprises::table).values(row)).await?;
    tx.execute_exactly(1, insert_into(event_sequences::table).values(event_sequences::tenant_id.eq(tx.tenant()))).await
}

pub async fn enterprise(tx: &TenantTx) -> Result<Option<Enterprise>, Fault> {
    tx.optional(enterprises::table.filter(enterprises::tenant_id.eq(tx.tenant())).select(Enterprise::as_select())).await
}

pub async fn enterprises_by_id(tx: &HouseTx, ids: &[EnterpriseId]) -> Result<HashMap<EnterpriseId, Enterprise>, Fault> {
    let rows: Vec<Enterprise> = tx
        .load(enterprises::table.filter(enterprises::tenant_id.eq_any(ids.to_vec())).select(Enterprise::as_select()))
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub async fn all_enterprises(tx: &HouseTx) -> Result<Vec<Enterprise>, Fault> {
    tx.load(
        enterprises::table
            .filter(enterprises::kind.ne(EnterpriseKind::House))
            .order(enterprises::tenant_id)
            .select(Enterprise::as_select()),
    )
    .await
}

/// Newest first or oldest first, by ID, which is by time.
pub async fn list_enterprises(tx: &HouseTx, page: &Page<EnterpriseId>) -> Result<Vec<Enterprise>, Fault> {
    let query = enterprises::table.filter(enterprises::kind.ne(EnterpriseKind::House)).select(Enterprise::as_select());
    tx.load(paged!(query, enterprises::tenant_id, page)).await
}

pub async fn count_enterprises(tx: &HouseTx) -> Result<i64, Fault> {
    tx.one(enterprises::table.filter(enterprises::kind.ne(EnterpriseKind::House)).count()).await
}

pub async fn insert_data_key_in(tx: &TenantTx, version: i32, wrapped: Vec<u8>) -> Result<(), Fault> {
    let row =
        (data_keys::tenant_id.eq(tx.tenant()), data_keys::version.eq(version), data_keys::wrapped_key.eq(wrapped));
    tx.execute_exactly(1, insert_into(data_keys::table).values(row)).await
}

/// Every data key that the enterprise has had, still wrapped.
pub async fn data_keys(tx: &TenantTx) -> Result<Vec<(i32, Vec<u8>)>, Fault> {
    tx.load(
        data_keys::table
            .filter(data_keys::tenant_id.eq(tx.tenant()))
            .select((data_keys::version, data_keys::wrapped_key)),
    )
    .await
}

/// What a manifest has made under a key, and the digest of what it said.
pub async fn manifest_entry(tx: &TenantTx, key: &str) -> Result<Option<(uuid::Uuid, Vec<u8>)>, Fault> {
    tx.optional(
        manifest_entries::table
            .filter(manifest_entries::tenant_id.eq(tx.tenant()))
            .filter(manifest_entries::key.eq(key.to_owned()))
            .select((manifest_entries::subject_id, manifest_entries::digest)),
    )
    .await
}

pub async fn insert_manifest_entry_in(
    tx: &TenantTx,
    key: &str,
    subject: uuid::Uuid,
    digest: Vec<u8>,
) -> Result<(), Fault> {
    let row = (
        manifest_entries::tenant_id.eq(tx.tenant()),
        manifest_entries::key.eq(key.to_owned()),
        manifest_entries::subject_id.eq(subject),
        manifest_entries::digest.eq(digest),
    );
    tx.execute_exactly(1, insert_into(manifest_entries::table).values(row)).await
}

/// Sessions and clients' secrets that were ended since.
pub async fn revoked_since(tx: &TenantTx, since: DateTime<Utc>) -> Result<HashSet<uuid::Uuid>, Fault> {
    let secrets = api_client_secrets::table
        .filter(api_client_secrets::tenant_id.eq(tx.tenant()))
        .filter(api_client_secrets::revoked_at.gt(since))
        .select(api_client_secrets::id);
    let (mut sessions, secrets) =
        futures_util::try_join!(sessions::revoked_since(tx, since), tx.load::<uuid::Uuid, _, _>(secrets))?;
    sessions.extend(secrets);
    Ok(sessions)
}
