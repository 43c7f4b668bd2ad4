//! Histories in GraphQL.

use async_graphql::{Json, Object, SimpleObject};
use chrono::{DateTime, Utc};

use crate::catalog::model::design::FieldChange;
use crate::catalog::model::{CollectibleChange, SeriesChange};
use crate::platform::page::PageRule;
use crate::tenancy::scope::ActorKind;

pub const HISTORY_PAGES: PageRule = PageRule { list: "history", default: 20, maximum: 100 };

/// What was changed of one field.
#[derive(SimpleObject)]
#[graphql(name = "FieldChange")]
pub struct FieldChangeObject {
    /// The field, as a path into the input that sets it: `name.chinese`.
    field: String,
    /// What stood there; null where there was nothing.
    before: Json<serde_json::Value>,
    /// What stands there since; null where there is nothing.
    after: Json<serde_json::Value>,
}

/// A change, in the words of the history.
pub struct ChangeObject {
    version: i32,
    action: String,
    actor_kind: ActorKind,
    actor_id: uuid::Uuid,
    fields: serde_json::Value,
    created_at: DateTime<Utc>,
}

/// One change of a series or a collectible, which stays as it was written.
#[Object(name = "Change")]
impl ChangeObject {
    /// The version that the change led to.
    async fn version(&self) -> i32 {
        self.version
    }

    /// The mutation that made it; "collectibleReview" is the house's decision, "issuance" a step on the way to the ledger.
    async fn action(&self) -> &str {
        &self.action
    }

    /// What kind of actor made it.
    async fn actor_kind(&self) -> ActorKind {
        self.actor_kind
    }

    /// Who made it: the ID that the audit log has, too. Which of the house's people decided is the house's own affair.
    async fn actor_id(&self) -> Option<String> {
        (self.actor_kind != ActorKind::House).then(|| self.actor_id.to_string())
    }

    /// What was changed, field by field.
    async fn fields(&self) -> Vec<FieldChangeObject> {
        let fields: Vec<FieldChange> = serde_json::from_value(self.fields.clone()).unwrap_or_default();
        let object = |change: FieldChange| FieldChangeObject {
            field: change.field,
            before: Json(change.before),
            after: Json(change.after),
        };
        fields.into_iter().map(object).collect()
    }

    /// When it was made.
    async fn changed_at(&self) -> DateTime<Utc> {
        self.created_at
    }
}

impl From<CollectibleChange> for ChangeObject {
    fn from(change: CollectibleChange) -> Self {
        let CollectibleChange { version, action, actor_kind, actor_id, fields, created_at, .. } = change;
        Self { version, action, actor_kind, actor_id, fields, created_at }
    }
}

impl From<SeriesChange> for ChangeObject {
    fn from(change: SeriesChange) -> Self {
        let SeriesChange { version, action, actor_kind, actor_id, fields, created_at, .. } = change;
        Self { version, action, actor_kind, actor_id, fields, created_at }
    }
}
