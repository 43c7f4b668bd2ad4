//! The outbox: events wait here from the commit of their change until the relay publishes them.

use diesel::sql_types::{Array, Integer, Json, Text, Uuid as SqlUuid};
use serde::Serialize;
use uuid::Uuid;

use crate::events::model::{EventId, EventType};
use crate::platform::db::statement;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantTx;

/// An event about to be written.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub kind: EventType,
    /// What it is about. Events of one subject keep the order of `version`.
    pub subject: Uuid,
    pub version: i32,
    pub data: serde_json::Value,
}

impl NewEvent {
    pub fn new(kind: EventType, subject: Uuid, version: i32, data: impl Serialize) -> Result<Self, Fault> {
        let data = serde_json::to_value(data).map_err(Fault::internal)?;
        Ok(Self { kind, subject, version, data })
    }
}

/// Writes one event in the transaction of its change.
pub async fn emit_in(tx: &TenantTx, event: NewEvent) -> Result<(), Fault> {
    emit_all_in(tx, &[event]).await
}

/// Writes many in one statement.
pub async fn emit_all_in(tx: &TenantTx, events: &[NewEvent]) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    let ids: Vec<EventId> = events.iter().map(|_| EventId::generate()).collect();
    let statement = statement(
        "INSERT INTO outbox (tenant_id, id, type, subject_id, subject_version, data)
         SELECT $1, event.id, event.type, event.subject_id, event.subject_version, event.data
           FROM unnest($2, $3, $4, $5, $6) AS event (id, type, subject_id, subject_version, data)
         ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(tx.tenant())
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Text>, _>(events.iter().map(|event| event.kind).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(events.iter().map(|event| event.subject).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(events.iter().map(|event| event.version).collect::<Vec<_>>())
    .bind::<Array<Json>, _>(events.iter().map(|event| event.data.clone()).collect::<Vec<_>>());
    tx.execute_exactly(events.len(), statement).await
}
