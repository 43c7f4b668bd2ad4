//! SQL over single sign-on: connections, keys, origins, attempts, tickets, used assertions, and operators by it.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{Nullable, Timestamptz};
use diesel::{ExpressionMethods, IntoSql, QueryDsl, SelectableHelper, insert_into, update};
use serde_json::Value;
use uuid::Uuid;

use crate::paged;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{operators, sso_attempts, sso_connections, sso_keys, sso_origins, sso_tickets, used_assertions};
use crate::tenancy::model::{EnterpriseId, NewOperator, Operator, OperatorId, SsoConnectionId, SsoKeyId};
use crate::tenancy::permission::Role;
use crate::tenancy::scope::TenantTx;
use crate::tenancy::sso::model::{
    Attempt, Connection, ConnectionSettings, Key, Origin, RoleMap, SsoProfile, SsoState, Ticket,
};
use crate::tenancy::sso::ticket::Terms;

pub async fn insert_connection_in(
    tx: &TenantTx,
    id: SsoConnectionId,
    issuer: &str,
    settings: &ConnectionSettings,
    client_secret_sealed: Option<Vec<u8>>,
) -> Result<Connection, Fault> {
    let row = (
        sso_connections::tenant_id.eq(tx.tenant()),
        sso_connections::id.eq(id),
        sso_connections::name.eq(settings.name.clone()),
        sso_connections::issuer.eq(issuer.to_owned()),
        sso_connections::client_id.eq(settings.client_id.clone()),
        sso_connections::client_secret_sealed.eq(client_secret_sealed),
        sso_connections::scopes.eq(settings.scopes.clone()),
        sso_connections::role_claim.eq(settings.role_claim.clone()),
        sso_connections::roles.eq(settings.roles.to_json()),
        sso_connections::default_role.eq(settings.default_role),
        sso_connections::branch_claim.eq(settings.branch_claim.clone()),
    );
    tx.one(insert_into(sso_connections::table).values(row).returning(Connection::as_returning())).await
}

pub async fn connection(tx: &TenantTx, id: SsoConnectionId) -> Result<Option<Connection>, Fault> {
    tx.optional(
        sso_connections::table
            .filter(sso_connections::tenant_id.eq(tx.tenant()))
            .filter(sso_connections::id.eq(id))
            .select(Connection::as_select()),
    )
    .await
}

pub async fn lock_connection_in(tx: &TenantTx, id: SsoConnectionId) -> Result<Option<Connection>, Fault> {
    tx.optional(
        sso_connections::table
            .filter(sso_connections::tenant_id.eq(tx.tenant()))
            .filter(sso_connections::id.eq(id))
            .select(Connection::as_select())
            .for_no_key_update(),
    )
    .await
}

/// The secret is part of it: `client_secret_sealed` is what will stand there.
pub async fn update_connection_in(
    tx: &TenantTx,
    id: SsoConnectionId,
    settings: &ConnectionSettings,
    client_secret_sealed: Option<Vec<u8>>,
) -> Result<Connection, Fault> {
    let statement = update(sso_connections::table)
        .filter(sso_connections::tenant_id.eq(tx.tenant()))
        .filter(sso_connections::id.eq(id))
        .set((
            sso_connections::name.eq(settings.name.clone()),
            sso_connections::client_id.eq(settings.client_id.clone()),
            sso_connections::client_secret_sealed.eq(client_secret_sealed),
            sso_connections::scopes.eq(settings.scopes.clone()),
            sso_connections::role_claim.eq(settings.role_claim.clone()),
            sso_connections::roles.eq(settings.roles.to_json()),
            sso_connections::default_role.eq(settings.default_role),
            sso_connections::branch_claim.eq(settings.branch_claim.clone()),
            sso_connections::version.eq(sso_connections::version + 1),
        ));
    tx.one(statement.returning(Connection::as_returning())).await
}

pub async fn set_connection_state_in(tx: &TenantTx, id: SsoConnectionId, state: SsoState) -> Result<Connection, Fault> {
    let statement = update(sso_connections::table)
        .filter(sso_connections::tenant_id.eq(tx.tenant()))
        .filter(sso_connections::id.eq(id))
        .set((sso_connections::state.eq(state), sso_connections::version.eq(sso_connections::version + 1)));
    tx.one(statement.returning(Connection::as_returning())).await
}

pub async fn list_connections(tx: &TenantTx, page: &Page<SsoConnectionId>) -> Result<Vec<Connection>, Fault> {
    let query =
        sso_connections::table.filter(sso_connections::tenant_id.eq(tx.tenant())).select(Connection::as_select());
    tx.load(paged!(query, sso_connections::id, page)).await
}

pub async fn count_connections(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(sso_connections::table.filter(sso_connections::tenant_id.eq(tx.tenant())).count()).await
}

pub async fn count_active_connections(tx: &TenantTx) -> Result<i64, Fault> {
    let active = sso_connections::table
        .filter(sso_connections::tenant_id.eq(tx.tenant()))
        .filter(sso_connections::state.eq(SsoState::Active));
    tx.one(active.count()).await
}

/// Those in use: what a sign-in page offers.
pub async fn active_connections(tx: &TenantTx) -> Result<Vec<Connection>, Fault> {
    tx.load(
        sso_connections::table
            .filter(sso_connections::tenant_id.eq(tx.tenant()))
            .filter(sso_connections::state.eq(SsoState::Active))
            .order(sso_connections::id)
            .select(Connection::as_select()),
    )
    .await
}

/// A key without the tenant: what is to be stored.
pub struct NewKey<'a> {
    pub id: SsoKeyId,
    pub name: &'a str,
    pub profile: SsoProfile,
    pub public_jwk: Option<Value>,
    pub secret_sealed: Option<Vec<u8>>,
    pub roles: &'a RoleMap,
    pub default_role: Option<Role>,
}

pub async fn insert_key_in(tx: &TenantTx, new: NewKey<'_>) -> Result<Key, Fault> {
    let row = (
        sso_keys::tenant_id.eq(tx.tenant()),
        sso_keys::id.eq(new.id),
        sso_keys::name.eq(new.name.to_owned()),
        sso_keys::profile.eq(new.profile),
        sso_keys::public_jwk.eq(new.public_jwk),
        sso_keys::secret_sealed.eq(new.secret_sealed),
        sso_keys::roles.eq(new.roles.to_json()),
        sso_keys::default_role.eq(new.default_role),
    );
    tx.one(insert_into(sso_keys::table).values(row).returning(Key::as_returning())).await
}

pub async fn key(tx: &TenantTx, id: SsoKeyId) -> Result<Option<Key>, Fault> {
    tx.optional(
        sso_keys::table
            .filter(sso_keys::tenant_id.eq(tx.tenant()))
            .filter(sso_keys::id.eq(id))
            .select(Key::as_select()),
    )
    .await
}

pub async fn lock_key_in(tx: &TenantTx, id: SsoKeyId) -> Result<Option<Key>, Fault> {
    tx.optional(
        sso_keys::table
            .filter(sso_keys::tenant_id.eq(tx.tenant()))
            .filter(sso_keys::id.eq(id))
            .select(Key::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn disable_key_in(tx: &TenantTx, id: SsoKeyId) -> Result<Key, Fault> {
    let statement = update(sso_keys::table)
        .filter(sso_keys::tenant_id.eq(tx.tenant()))
        .filter(sso_keys::id.eq(id))
        .set((sso_keys::state.eq(SsoState::Disabled), sso_keys::version.eq(sso_keys::version + 1)));
    tx.one(statement.returning(Key::as_returning())).await
}

/// Notes that a key was used; once a minute is enough, and more would make its users wait for each other.
pub async fn touch_key_in(tx: &TenantTx, key: &Key) -> Result<(), Fault> {
    let now = tx.now().await?;
    if key.last_used_at.is_some_and(|last| now - last < TimeDelta::minutes(1)) {
        return Ok(());
    }
    let statement = update(sso_keys::table)
        .filter(sso_keys::tenant_id.eq(tx.tenant()))
        .filter(sso_keys::id.eq(key.id))
        .set(sso_keys::last_used_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()));
    tx.execute_exactly(1, statement).await
}

pub async fn list_keys(tx: &TenantTx, page: &Page<SsoKeyId>) -> Result<Vec<Key>, Fault> {
    let query = sso_keys::table.filter(sso_keys::tenant_id.eq(tx.tenant())).select(Key::as_select());
    tx.load(paged!(query, sso_keys::id, page)).await
}

pub async fn count_keys(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(sso_keys::table.filter(sso_keys::tenant_id.eq(tx.tenant())).count()).await
}

pub async fn count_active_keys(tx: &TenantTx) -> Result<i64, Fault> {
    let active =
        sso_keys::table.filter(sso_keys::tenant_id.eq(tx.tenant())).filter(sso_keys::state.eq(SsoState::Active));
    tx.one(active.count()).await
}

/// Puts an origin into use or out of it; nothing where it is to go and is not known.
pub async fn set_origin_in(tx: &TenantTx, origin: &str, state: SsoState) -> Result<Option<Origin>, Fault> {
    if state == SsoState::Active {
        let row = (sso_origins::tenant_id.eq(tx.tenant()), sso_origins::origin.eq(origin.to_owned()));
        tx.execute(insert_into(sso_origins::table).values(row).on_conflict_do_nothing()).await?;
    }
    let statement = update(sso_origins::table)
        .filter(sso_origins::tenant_id.eq(tx.tenant()))
        .filter(sso_origins::origin.eq(origin.to_owned()))
        .set(sso_origins::state.eq(state));
    tx.optional(statement.returning(Origin::as_returning())).await
}

/// All of them; there are few.
pub async fn origins(tx: &TenantTx) -> Result<Vec<Origin>, Fault> {
    tx.load(
        sso_origins::table
            .filter(sso_origins::tenant_id.eq(tx.tenant()))
            .order(sso_origins::origin)
            .select(Origin::as_select()),
    )
    .await
}

pub async fn count_active_origins(tx: &TenantTx) -> Result<i64, Fault> {
    let active = sso_origins::table
        .filter(sso_origins::tenant_id.eq(tx.tenant()))
        .filter(sso_origins::state.eq(SsoState::Active));
    tx.one(active.count()).await
}

/// Whether the console may be embedded from there.
pub async fn has_origin(tx: &TenantTx, origin: &str) -> Result<bool, Fault> {
    let found = sso_origins::table
        .filter(sso_origins::tenant_id.eq(tx.tenant()))
        .filter(sso_origins::origin.eq(origin.to_owned()))
        .filter(sso_origins::state.eq(SsoState::Active));
    Ok(tx.one::<i64, _, _>(found.count()).await? == 1)
}

/// A sign-in that leaves for the provider.
pub struct NewAttempt<'a> {
    pub state_hash: [u8; 32],
    pub connection: SsoConnectionId,
    pub browser_hash: [u8; 32],
    pub verifier_sealed: Vec<u8>,
    pub nonce_hash: [u8; 32],
    pub origin: Option<&'a str>,
    pub expires_at: DateTime<Utc>,
}

pub async fn insert_attempt_in(tx: &TenantTx, new: NewAttempt<'_>) -> Result<(), Fault> {
    let row = (
        sso_attempts::tenant_id.eq(tx.tenant()),
        sso_attempts::state_hash.eq(new.state_hash.to_vec()),
        sso_attempts::connection_id.eq(new.connection),
        sso_attempts::browser_hash.eq(new.browser_hash.to_vec()),
        sso_attempts::verifier_sealed.eq(new.verifier_sealed),
        sso_attempts::nonce_hash.eq(new.nonce_hash.to_vec()),
        sso_attempts::origin.eq(new.origin.map(str::to_owned)),
        sso_attempts::expires_at.eq(new.expires_at),
    );
    tx.execute_exactly(1, insert_into(sso_attempts::table).values(row)).await
}

/// Uses an attempt up, if it was begun at this connection by this browser, is not over and was not used before. Of two
/// who come at once, the second waits for the first and then finds it used.
pub async fn spend_attempt_in(
    tx: &TenantTx,
    state_hash: &[u8; 32],
    connection: SsoConnectionId,
    browser_hash: &[u8; 32],
) -> Result<Option<Attempt>, Fault> {
    let statement = update(sso_attempts::table)
        .filter(sso_attempts::tenant_id.eq(tx.tenant()))
        .filter(sso_attempts::state_hash.eq(state_hash.to_vec()))
        .filter(sso_attempts::connection_id.eq(connection))
        .filter(sso_attempts::browser_hash.eq(browser_hash.to_vec()))
        .filter(sso_attempts::spent_at.is_null())
        .filter(sso_attempts::expires_at.gt(diesel::dsl::now))
        .set(sso_attempts::spent_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()));
    tx.optional(statement.returning(Attempt::as_returning())).await
}

/// Takes an assertion as used; `false` where it was before. It is remembered until nobody would believe it any more.
pub async fn use_assertion_in(tx: &TenantTx, hash: &[u8; 32], until: DateTime<Utc>) -> Result<bool, Fault> {
    let row = (
        used_assertions::tenant_id.eq(tx.tenant()),
        used_assertions::assertion_hash.eq(hash.to_vec()),
        used_assertions::expires_at.eq(until),
    );
    Ok(tx.execute(insert_into(used_assertions::table).values(row).on_conflict_do_nothing()).await? == 1)
}

pub async fn insert_ticket_in(
    tx: &TenantTx,
    hash: &[u8; 32],
    vouched_by: EnterpriseId,
    operator: OperatorId,
    terms: &Terms,
    expires_at: DateTime<Utc>,
) -> Result<(), Fault> {
    let row = (
        sso_tickets::tenant_id.eq(tx.tenant()),
        sso_tickets::ticket_hash.eq(hash.to_vec()),
        sso_tickets::vouched_by.eq(vouched_by),
        sso_tickets::voucher_id.eq(terms.voucher.uuid()),
        sso_tickets::operator_id.eq(operator),
        sso_tickets::method.eq(terms.voucher.method()),
        sso_tickets::origin.eq(terms.origin.clone()),
        sso_tickets::nonce_hash.eq(terms.nonce_hash.map(|hash| hash.to_vec())),
        sso_tickets::expires_at.eq(expires_at),
    );
    tx.execute_exactly(1, insert_into(sso_tickets::table).values(row)).await
}

pub async fn ticket(tx: &TenantTx, hash: &[u8; 32]) -> Result<Option<Ticket>, Fault> {
    tx.optional(
        sso_tickets::table
            .filter(sso_tickets::tenant_id.eq(tx.tenant()))
            .filter(sso_tickets::ticket_hash.eq(hash.to_vec()))
            .select(Ticket::as_select()),
    )
    .await
}

pub async fn lock_ticket_in(tx: &TenantTx, hash: &[u8; 32]) -> Result<Option<Ticket>, Fault> {
    tx.optional(
        sso_tickets::table
            .filter(sso_tickets::tenant_id.eq(tx.tenant()))
            .filter(sso_tickets::ticket_hash.eq(hash.to_vec()))
            .select(Ticket::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn spend_ticket_in(tx: &TenantTx, hash: &[u8; 32]) -> Result<(), Fault> {
    let statement = update(sso_tickets::table)
        .filter(sso_tickets::tenant_id.eq(tx.tenant()))
        .filter(sso_tickets::ticket_hash.eq(hash.to_vec()))
        .filter(sso_tickets::spent_at.is_null())
        .set(sso_tickets::spent_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()));
    tx.execute_exactly(1, statement).await
}

pub async fn lock_operator_in(tx: &TenantTx, voucher: Uuid, subject: &str) -> Result<Option<Operator>, Fault> {
    tx.optional(
        operators::table
            .filter(operators::tenant_id.eq(tx.tenant()))
            .filter(operators::sso_connection_id.eq(voucher))
            .filter(operators::sso_subject.eq(subject.to_owned()))
            .select(Operator::as_select())
            .for_no_key_update(),
    )
    .await
}

/// `false` where the voucher's somebody is there already.
pub async fn insert_operator_in(tx: &TenantTx, operator: NewOperator) -> Result<bool, Fault> {
    Ok(tx.execute(insert_into(operators::table).values(operator).on_conflict_do_nothing()).await? == 1)
}

pub async fn update_operator_in(tx: &TenantTx, id: OperatorId, name: &str, role: Role) -> Result<(), Fault> {
    let statement =
        update(operators::table).filter(operators::tenant_id.eq(tx.tenant())).filter(operators::id.eq(id)).set((
            operators::name.eq(name.to_owned()),
            operators::role.eq(role),
            operators::version.eq(operators::version + 1),
        ));
    tx.execute_exactly(1, statement).await
}
