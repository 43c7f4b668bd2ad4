//! SQL over API clients and their secrets.

use std::collections::HashMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Nullable, Timestamptz};
use diesel::{BoolExpressionMethods, ExpressionMethods, IntoSql, QueryDsl, SelectableHelper, insert_into, update};

use crate::paged;
use crate::platform::address::Block;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{api_client_secrets, api_clients};
use crate::tenancy::model::clients::{ApiClient, ApiClientSecret, ApiClientState, NewSecret};
use crate::tenancy::model::{ApiClientId, ApiClientSecretId};
use crate::tenancy::permission::Permissions;
use crate::tenancy::scope::TenantTx;

/// What a client is made of, in the form that is stored.
#[derive(Clone, Debug)]
pub struct Terms {
    pub name: String,
    pub scopes: Permissions,
    pub allow_list: Vec<Block>,
}

fn stored(blocks: &[Block]) -> String {
    blocks.iter().map(Block::to_string).collect::<Vec<_>>().join(" ")
}

pub async fn insert_in(tx: &TenantTx, id: ApiClientId, terms: &Terms) -> Result<ApiClient, Fault> {
    let row = (
        api_clients::tenant_id.eq(tx.tenant()),
        api_clients::id.eq(id),
        api_clients::name.eq(terms.name.clone()),
        api_clients::scopes.eq(terms.scopes.to_string()),
        api_clients::allow_list.eq(stored(&terms.allow_list)),
    );
    tx.one(insert_into(api_clients::table).values(row).returning(ApiClient::as_returning())).await
}

/// The client, locked.
pub async fn lock_in(tx: &TenantTx, id: ApiClientId) -> Result<Option<ApiClient>, Fault> {
    tx.optional(
        api_clients::table
            .filter(api_clients::tenant_id.eq(tx.tenant()))
            .filter(api_clients::id.eq(id))
            .select(ApiClient::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn change_in(tx: &TenantTx, id: ApiClientId, terms: &Terms) -> Result<ApiClient, Fault> {
    let statement = update(api_clients::table)
        .filter(api_clients::tenant_id.eq(tx.tenant()))
        .filter(api_clients::id.eq(id))
        .set((
            api_clients::name.eq(terms.name.clone()),
            api_clients::scopes.eq(terms.scopes.to_string()),
            api_clients::allow_list.eq(stored(&terms.allow_list)),
            api_clients::version.eq(api_clients::version + 1),
        ))
        .returning(ApiClient::as_returning());
    tx.one(statement).await
}

pub async fn set_state_in(tx: &TenantTx, id: ApiClientId, state: ApiClientState) -> Result<ApiClient, Fault> {
    let statement = update(api_clients::table)
        .filter(api_clients::tenant_id.eq(tx.tenant()))
        .filter(api_clients::id.eq(id))
        .set((api_clients::state.eq(state), api_clients::version.eq(api_clients::version + 1)))
        .returning(ApiClient::as_returning());
    tx.one(statement).await
}

pub async fn by_id(tx: &TenantTx, ids: &[ApiClientId]) -> Result<HashMap<ApiClientId, ApiClient>, Fault> {
    let query =
        api_clients::table.filter(api_clients::tenant_id.eq(tx.tenant())).filter(api_clients::id.eq_any(ids.to_vec()));
    let rows: Vec<ApiClient> = tx.load(query.select(ApiClient::as_select())).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

pub async fn list(tx: &TenantTx, page: &Page<ApiClientId>) -> Result<Vec<ApiClient>, Fault> {
    let query = api_clients::table.filter(api_clients::tenant_id.eq(tx.tenant())).select(ApiClient::as_select());
    tx.load(paged!(query, api_clients::id, page)).await
}

pub async fn count(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(api_clients::table.filter(api_clients::tenant_id.eq(tx.tenant())).count()).await
}

pub async fn insert_secret_in(
    tx: &TenantTx,
    client: ApiClientId,
    secret: &NewSecret,
) -> Result<ApiClientSecret, Fault> {
    let row = (
        api_client_secrets::tenant_id.eq(tx.tenant()),
        api_client_secrets::id.eq(ApiClientSecretId::generate()),
        api_client_secrets::client_id.eq(client),
        api_client_secrets::secret_hash.eq(secret.hash.to_vec()),
        api_client_secrets::hint.eq(secret.hint.clone()),
    );
    tx.one(insert_into(api_client_secrets::table).values(row).returning(ApiClientSecret::as_returning())).await
}

/// The secrets of these clients, newest first, ended ones too.
pub async fn secrets_of(
    tx: &TenantTx,
    clients: &[ApiClientId],
) -> Result<HashMap<ApiClientId, Vec<ApiClientSecret>>, Fault> {
    let rows: Vec<ApiClientSecret> = tx
        .load(
            api_client_secrets::table
                .filter(api_client_secrets::tenant_id.eq(tx.tenant()))
                .filter(api_client_secrets::client_id.eq_any(clients.to_vec()))
                .order((api_client_secrets::client_id, api_client_secrets::id.desc()))
                .select(ApiClientSecret::as_select()),
        )
        .await?;
    let mut found: HashMap<ApiClientId, Vec<ApiClientSecret>> = HashMap::new();
    for row in rows {
        found.entry(row.client_id).or_default().push(row);
    }
    Ok(found)
}

/// Lets secrets that would live on end at a time to come; one that ends earlier does so still.
pub async fn end_secrets_in(tx: &TenantTx, ids: &[ApiClientSecretId], at: DateTime<Utc>) -> Result<(), Fault> {
    let statement = update(api_client_secrets::table)
        .filter(api_client_secrets::tenant_id.eq(tx.tenant()))
        .filter(api_client_secrets::id.eq_any(ids.to_vec()))
        .filter(api_client_secrets::expires_at.is_null().or(api_client_secrets::expires_at.gt(at)))
        .set(api_client_secrets::expires_at.eq(Some(at)));
    tx.execute(statement).await.map(drop)
}

/// Ends secrets and the tokens that were made for them.
pub async fn revoke_secrets_in(tx: &TenantTx, ids: &[ApiClientSecretId]) -> Result<(), Fault> {
    let statement = update(api_client_secrets::table)
        .filter(api_client_secrets::tenant_id.eq(tx.tenant()))
        .filter(api_client_secrets::id.eq_any(ids.to_vec()))
        .filter(api_client_secrets::revoked_at.is_null())
        .set(api_client_secrets::revoked_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()));
    tx.execute_exactly(ids.len(), statement).await
}

/// The client's secret with this hash, whatever became of it.
pub async fn secret_by_hash(
    tx: &TenantTx,
    client: ApiClientId,
    hash: &[u8; 32],
) -> Result<Option<ApiClientSecret>, Fault> {
    tx.optional(
        api_client_secrets::table
            .filter(api_client_secrets::tenant_id.eq(tx.tenant()))
            .filter(api_client_secrets::client_id.eq(client))
            .filter(api_client_secrets::secret_hash.eq(hash.to_vec()))
            .select(ApiClientSecret::as_select()),
    )
    .await
}

/// Notes that a client has come with a secret.
pub async fn touch_in(tx: &TenantTx, client: ApiClientId, secret: ApiClientSecretId) -> Result<(), Fault> {
    let now = || diesel::dsl::now.into_sql::<Nullable<Timestamptz>>();
    let clients = update(api_clients::table)
        .filter(api_clients::tenant_id.eq(tx.tenant()))
        .filter(api_clients::id.eq(client))
        .set(api_clients::last_used_at.eq(now()));
    let secrets = update(api_client_secrets::table)
        .filter(api_client_secrets::tenant_id.eq(tx.tenant()))
        .filter(api_client_secrets::id.eq(secret))
        .set(api_client_secrets::last_used_at.eq(now()));
    futures_util::try_join!(tx.execute_exactly(1, clients), tx.execute_exactly(1, secrets))?;
    Ok(())
}

/// What the gate must know of an API client.
#[derive(Clone, Debug)]
pub struct ClientStanding {
    pub active: bool,
    /// What it may do at present.
    pub scopes: Permissions,
    /// From where it may come; from anywhere if there is none.
    pub allow_list: Vec<Block>,
}

impl ClientStanding {
    pub fn of(client: &ApiClient) -> Result<Self, Fault> {
        Ok(Self {
            active: client.state == ApiClientState::Active,
            scopes: client.scopes.parse().map_err(Fault::internal)?,
            allow_list: allow_list_of(client)?,
        })
    }

    pub fn allows(&self, address: Option<IpAddr>) -> bool {
        self.allow_list.is_empty()
            || address.is_some_and(|address| self.allow_list.iter().any(|block| block.contains(address)))
    }
}

pub fn allow_list_of(client: &ApiClient) -> Result<Vec<Block>, Fault> {
    let blocks = client.allow_list.split_ascii_whitespace().map(str::parse).collect::<Result<Vec<Block>, _>>();
    blocks.map_err(Fault::internal)
}

pub async fn standings(tx: &TenantTx) -> Result<HashMap<ApiClientId, ClientStanding>, Fault> {
    let query = api_clients::table.filter(api_clients::tenant_id.eq(tx.tenant())).select(ApiClient::as_select());
    let clients: Vec<ApiClient> = tx.load(query).await?;
    clients.iter().map(|client| Ok((client.id, ClientStanding::of(client)?))).collect()
}
