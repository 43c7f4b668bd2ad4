//! SQL over sessions and refresh tokens.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Nullable, Timestamptz};
use diesel::{ExpressionMethods, IntoSql, QueryDsl, SelectableHelper, insert_into, update};
use uuid::Uuid;

use crate::paged;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{refresh_tokens, sessions};
use crate::tenancy::model::{Session, SessionId};
use crate::tenancy::scope::TenantTx;
use crate::tenancy::session::NewSession;

/// What a session remembers of the program that opened it.
const AGENT_CHARACTERS: usize = 200;

pub async fn insert_in(tx: &TenantTx, new: &NewSession<'_>, expires_at: DateTime<Utc>) -> Result<Session, Fault> {
    let agent: String = new.visit.agent.as_deref().unwrap_or_default().chars().take(AGENT_CHARACTERS).collect();
    let row = (
        sessions::tenant_id.eq(tx.tenant()),
        sessions::id.eq(SessionId::generate()),
        sessions::subject_kind.eq(new.subject),
        sessions::subject_id.eq(new.subject_id),
        sessions::method.eq(new.method),
        sessions::client.eq(agent),
        sessions::address.eq(new.visit.address.map(|address| address.to_string()).unwrap_or_default()),
        sessions::expires_at.eq(expires_at),
    );
    tx.one(insert_into(sessions::table).values(row).returning(Session::as_returning())).await
}

pub async fn find(tx: &TenantTx, id: SessionId) -> Result<Option<Session>, Fault> {
    tx.optional(
        sessions::table
            .filter(sessions::tenant_id.eq(tx.tenant()))
            .filter(sessions::id.eq(id))
            .select(Session::as_select()),
    )
    .await
}

/// The session, locked.
pub async fn lock_in(tx: &TenantTx, id: SessionId) -> Result<Option<Session>, Fault> {
    tx.optional(
        sessions::table
            .filter(sessions::tenant_id.eq(tx.tenant()))
            .filter(sessions::id.eq(id))
            .select(Session::as_select())
            .for_no_key_update(),
    )
    .await
}

pub async fn touch_in(tx: &TenantTx, id: SessionId) -> Result<(), Fault> {
    let statement = update(sessions::table)
        .filter(sessions::tenant_id.eq(tx.tenant()))
        .filter(sessions::id.eq(id))
        .set(sessions::used_at.eq(diesel::dsl::now));
    tx.execute_exactly(1, statement).await
}

/// Ends those that have not ended yet; gives how many those were.
pub async fn revoke_in(tx: &TenantTx, ids: &[SessionId], because: &str) -> Result<usize, Fault> {
    let statement = update(sessions::table)
        .filter(sessions::tenant_id.eq(tx.tenant()))
        .filter(sessions::id.eq_any(ids.to_vec()))
        .filter(sessions::revoked_at.is_null())
        .set((
            sessions::revoked_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()),
            sessions::revoked_because.eq(Some(because.to_owned())),
        ));
    tx.execute(statement).await
}

/// Takes out of somebody's sessions what tells of a person: the program and the address.
pub async fn forget_visits_in(tx: &TenantTx, subject: Uuid) -> Result<(), Fault> {
    let statement = update(sessions::table)
        .filter(sessions::tenant_id.eq(tx.tenant()))
        .filter(sessions::subject_id.eq(subject))
        .set((sessions::client.eq(""), sessions::address.eq("")));
    tx.execute(statement).await.map(drop)
}

/// The sessions of an operator or a holder that have not ended.
pub async fn open_of(tx: &TenantTx, subject: Uuid) -> Result<Vec<SessionId>, Fault> {
    tx.load(
        sessions::table
            .filter(sessions::tenant_id.eq(tx.tenant()))
            .filter(sessions::subject_id.eq(subject))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::expires_at.gt(diesel::dsl::now))
            .order(sessions::id)
            .select(sessions::id),
    )
    .await
}

/// All sessions of an operator or a holder, ended ones too.
pub async fn list(tx: &TenantTx, subject: Uuid, page: &Page<SessionId>) -> Result<Vec<Session>, Fault> {
    let query = sessions::table
        .filter(sessions::tenant_id.eq(tx.tenant()))
        .filter(sessions::subject_id.eq(subject))
        .select(Session::as_select());
    tx.load(paged!(query, sessions::id, page)).await
}

pub async fn count(tx: &TenantTx, subject: Uuid) -> Result<i64, Fault> {
    tx.one(sessions::table.filter(sessions::tenant_id.eq(tx.tenant())).filter(sessions::subject_id.eq(subject)).count())
        .await
}

pub async fn revoked_since(tx: &TenantTx, since: DateTime<Utc>) -> Result<HashSet<Uuid>, Fault> {
    let ids: Vec<Uuid> = tx
        .load(
            sessions::table
                .filter(sessions::tenant_id.eq(tx.tenant()))
                .filter(sessions::revoked_at.gt(since))
                .select(sessions::id),
        )
        .await?;
    Ok(ids.into_iter().collect())
}

pub async fn insert_refresh_token_in(tx: &TenantTx, hash: &[u8], session: SessionId) -> Result<(), Fault> {
    let row = (
        refresh_tokens::tenant_id.eq(tx.tenant()),
        refresh_tokens::token_hash.eq(hash.to_vec()),
        refresh_tokens::session_id.eq(session),
    );
    tx.execute_exactly(1, insert_into(refresh_tokens::table).values(row)).await
}

/// Uses a token up and gives its session; nothing where it was used before or never was one. Of two who come at once,
/// the second waits for the first and then finds it used.
pub async fn spend_refresh_token_in(tx: &TenantTx, hash: &[u8]) -> Result<Option<SessionId>, Fault> {
    let statement = update(refresh_tokens::table)
        .filter(refresh_tokens::tenant_id.eq(tx.tenant()))
        .filter(refresh_tokens::token_hash.eq(hash.to_vec()))
        .filter(refresh_tokens::used_at.is_null())
        .set(refresh_tokens::used_at.eq(diesel::dsl::now.into_sql::<Nullable<Timestamptz>>()))
        .returning(refresh_tokens::session_id);
    tx.optional(statement).await
}

pub async fn session_of_refresh_token(tx: &TenantTx, hash: &[u8]) -> Result<Option<SessionId>, Fault> {
    tx.optional(
        refresh_tokens::table
            .filter(refresh_tokens::tenant_id.eq(tx.tenant()))
            .filter(refresh_tokens::token_hash.eq(hash.to_vec()))
            .select(refresh_tokens::session_id),
    )
    .await
}
