//! SQL over the outbox and published events.

use diesel::sql_types::{Array, BigInt, Uuid as SqlUuid};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, SelectableHelper, update};
use uuid::Uuid;

use crate::events::model::{Event, EventId, EventType};
use crate::paged;
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::platform::page::Page;
use crate::schema::{event_sequences, events, outbox};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantTx};

/// An event that waits to be published, as far as its order is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Waiting {
    #[diesel(sql_type = SqlUuid)]
    pub id: EventId,
    #[diesel(sql_type = SqlUuid)]
    pub subject_id: Uuid,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    pub subject_version: i32,
}

pub async fn tenants_waiting(tx: &HouseTx) -> Result<Vec<EnterpriseId>, Fault> {
    tx.load(outbox::table.select(outbox::tenant_id).distinct()).await
}

/// The tenant's turn to publish: the last sequence number under lock, or `None` where another server has the turn.
pub async fn take_turn_in(tx: &TenantTx) -> Result<Option<i64>, Fault> {
    tx.optional(
        event_sequences::table
            .filter(event_sequences::tenant_id.eq(tx.tenant()))
            .select(event_sequences::last_sequence)
            .for_update()
            .skip_locked(),
    )
    .await
}

pub async fn waiting(tx: &TenantTx, limit: i64) -> Result<Vec<Waiting>, Fault> {
    tx.load(
        statement("SELECT id, subject_id, subject_version FROM outbox WHERE tenant_id = $1 ORDER BY id LIMIT $2")
            .bind::<SqlUuid, _>(tx.tenant())
            .bind::<BigInt, _>(limit),
    )
    .await
}

/// Moves events from the outbox to the published ones, numbered in the order given.
pub async fn publish_in(tx: &TenantTx, ids: &[EventId], first_sequence: i64) -> Result<(), Fault> {
    let statement = statement(
        "WITH taken AS (
             DELETE FROM outbox USING unnest($2) WITH ORDINALITY AS place (id, position)
              WHERE outbox.tenant_id = $1 AND outbox.id = ANY($2) AND outbox.id = place.id
             RETURNING outbox.id, place.position, type, subject_id, subject_version, data, occurred_at
         )
         INSERT INTO events (tenant_id, id, sequence, type, subject_id, subject_version, data, occurred_at)
         SELECT $1, id, $3 + position - 1, type, subject_id, subject_version, data, occurred_at FROM taken",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(ids.to_vec())
    .bind::<BigInt, _>(first_sequence);
    tx.execute_exactly(ids.len(), statement).await?;
    let last = first_sequence + ids.len() as i64 - 1;
    let statement = update(event_sequences::table)
        .filter(event_sequences::tenant_id.eq(tx.tenant()))
        .set(event_sequences::last_sequence.eq(last));
    tx.execute_exactly(1, statement).await
}

pub async fn last_sequence(tx: &TenantTx) -> Result<i64, Fault> {
    tx.one(
        event_sequences::table
            .filter(event_sequences::tenant_id.eq(tx.tenant()))
            .select(event_sequences::last_sequence),
    )
    .await
}

/// Events after a place in the tenant's order.
pub async fn after(tx: &TenantTx, types: Option<&[EventType]>, sequence: i64, limit: i64) -> Result<Vec<Event>, Fault> {
    let mut query = events::table
        .filter(events::tenant_id.eq(tx.tenant()))
        .filter(events::sequence.gt(sequence))
        .order(events::sequence)
        .limit(limit)
        .select(Event::as_select())
        .into_boxed();
    if let Some(types) = types {
        query = query.filter(events::type_.eq_any(types.to_vec()));
    }
    tx.load(query).await
}

/// One subject's events after one of its versions.
pub async fn of_subject(tx: &TenantTx, subject: Uuid, version: i32, limit: i64) -> Result<Vec<Event>, Fault> {
    tx.load(
        events::table
            .filter(events::tenant_id.eq(tx.tenant()))
            .filter(events::subject_id.eq(subject))
            .filter(events::subject_version.gt(version))
            .order(events::sequence)
            .limit(limit)
            .select(Event::as_select()),
    )
    .await
}

pub async fn list(tx: &TenantTx, types: Option<&[EventType]>, page: &Page<i64>) -> Result<Vec<Event>, Fault> {
    let query = events::table.filter(events::tenant_id.eq(tx.tenant())).select(Event::as_select());
    let mut query = paged!(query, events::sequence, page);
    if let Some(types) = types {
        query = query.filter(events::type_.eq_any(types.to_vec()));
    }
    tx.load(query).await
}

pub async fn count(tx: &TenantTx, types: Option<&[EventType]>) -> Result<i64, Fault> {
    let mut query = events::table.filter(events::tenant_id.eq(tx.tenant())).count().into_boxed();
    if let Some(types) = types {
        query = query.filter(events::type_.eq_any(types.to_vec()));
    }
    tx.one(query).await
}
