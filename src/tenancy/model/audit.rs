//! Records of the audit log, and how they are looked for.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{Queryable, QueryableByName, Selectable};
use uuid::Uuid;

use crate::schema::{audit_links, audit_records};
use crate::tenancy::model::AuditRecordId;
use crate::tenancy::scope::ActorKind;

/// Who did what to what.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, QueryableByName)]
#[diesel(table_name = audit_records)]
pub struct AuditRecord {
    #[diesel(sql_type = SqlUuid)]
    pub id: AuditRecordId,
    #[diesel(sql_type = Text)]
    pub actor_kind: ActorKind,
    #[diesel(sql_type = SqlUuid)]
    pub actor_id: Uuid,
    #[diesel(sql_type = Text)]
    pub action: String,
    #[diesel(sql_type = SqlUuid)]
    pub subject_id: Uuid,
    /// SHA-256 of what was there; of nothing where it is new.
    #[diesel(sql_type = Nullable<Binary>)]
    pub before_digest: Option<Vec<u8>>,
    #[diesel(sql_type = Binary)]
    pub after_digest: Vec<u8>,
    #[diesel(sql_type = Text)]
    pub request_id: String,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
}

/// A record's place in its enterprise's chain.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, QueryableByName)]
#[diesel(table_name = audit_links)]
pub struct AuditLink {
    #[diesel(sql_type = BigInt)]
    pub sequence: i64,
    #[diesel(sql_type = SqlUuid)]
    pub record_id: AuditRecordId,
    #[diesel(sql_type = Binary)]
    pub hash: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
}

/// Which records are looked for. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub actor: Option<Uuid>,
    pub action: Option<String>,
    pub subject: Option<Uuid>,
    /// From this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Before this moment.
    pub until: Option<DateTime<Utc>>,
}
