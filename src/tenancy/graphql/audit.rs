//! The audit log in GraphQL.

use async_graphql::{Context, ID, InputObject, Object, Result};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::api::connection::{List, arguments, connect, wants_total};
use crate::api::context::ContextExt;
use crate::api::transport::raise;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::platform::page::{CreatedOrder, Page, PageRule};
use crate::platform::vault::hex;
use crate::tenancy::model::audit::{AuditFilter, AuditLink, AuditRecord};
use crate::tenancy::model::{ApiClientId, AuditRecordId, HolderId, OperatorId};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::ActorKind;
use crate::tenancy::store::audit as store;

const AUDIT_PAGES: PageRule = PageRule { list: "auditRecords", default: 50, maximum: 200 };

pub struct AuditRecordObject {
    record: AuditRecord,
    link: Option<AuditLink>,
}

/// One thing that somebody did.
#[Object(name = "AuditRecord")]
impl AuditRecordObject {
    /// Its ID.
    async fn id(&self) -> AuditRecordId {
        self.record.id
    }

    /// What kind of actor it was.
    async fn actor_kind(&self) -> ActorKind {
        self.record.actor_kind
    }

    /// Who it was: the ID of the operator, holder or API client; the bare UUID of somebody of the partner; nothing where
    /// the server did it of itself.
    async fn actor_id(&self) -> Option<ID> {
        let actor = self.record.actor_id;
        Some(ID(match self.record.actor_kind {
            ActorKind::Operator | ActorKind::House => OperatorId::from_uuid(actor).to_string(),
            ActorKind::Holder => HolderId::from_uuid(actor).to_string(),
            ActorKind::Client => ApiClientId::from_uuid(actor).to_string(),
            ActorKind::Partner => actor.to_string(),
            ActorKind::System => return None,
        }))
    }

    /// What was done, mostly by the name of the mutation.
    async fn action(&self) -> &str {
        &self.record.action
    }

    /// What it was done to: the UUID within its ID.
    async fn subject_id(&self) -> ID {
        ID(self.record.subject_id.to_string())
    }

    /// SHA-256 of what was there before, in hexadecimal; nothing where it was new.
    async fn before_digest(&self) -> Option<String> {
        self.record.before_digest.as_deref().map(hex)
    }

    /// SHA-256 of what was there after, in hexadecimal.
    async fn after_digest(&self) -> String {
        hex(&self.record.after_digest)
    }

    /// The request in which it was done, as its answer's `x-request-id` said.
    async fn request_id(&self) -> &str {
        &self.record.request_id
    }

    /// When it was done.
    async fn created_at(&self) -> DateTime<Utc> {
        self.record.created_at
    }

    /// Its number in the enterprise's chain, which has no gap; nothing for the moment until it is linked.
    async fn sequence(&self) -> Option<i64> {
        self.link.as_ref().map(|link| link.sequence)
    }

    /// SHA-256 over the record and the hash before it, in hexadecimal; nothing for the moment until it is linked.
    async fn hash(&self) -> Option<String> {
        self.link.as_ref().map(|link| hex(&link.hash))
    }
}

/// Which records to list. What is left out does not matter.
#[derive(InputObject, Default)]
pub struct AuditFilterInput {
    /// Done by this actor: an ID of any kind, or a bare UUID as a record shows it.
    pub actor_id: Option<ID>,
    /// What was done, as a record's `action` names it.
    pub action: Option<String>,
    /// Done to this: an ID of any kind, or a bare UUID as a record shows it.
    pub subject_id: Option<ID>,
    /// Done at this moment or later.
    pub from: Option<DateTime<Utc>>,
    /// Done before this moment.
    pub until: Option<DateTime<Utc>>,
}

impl TryFrom<AuditFilterInput> for AuditFilter {
    type Error = Fault;

    fn try_from(input: AuditFilterInput) -> std::result::Result<Self, Fault> {
        Ok(Self {
            actor: input.actor_id.as_ref().map(|id| bare(id)).transpose()?,
            action: input.action,
            subject: input.subject_id.as_ref().map(|id| bare(id)).transpose()?,
            from: input.from,
            until: input.until,
        })
    }
}

/// The UUID of an ID of whatever kind.
fn bare(text: &str) -> std::result::Result<Uuid, Fault> {
    if let Ok(uuid) = Uuid::parse_str(text) {
        return Ok(uuid);
    }
    id::parse(text).map(|(_, uuid)| uuid).map_err(|invalid| Fault::BadRequest(invalid.to_string()))
}

#[derive(Default)]
pub struct AuditQuery;

#[Object]
impl AuditQuery {
    /// What was done in the enterprise, or in the house by its own operators. `GET /exports/audit.ndjson` gives all of
    /// it, in the order of its chain. Needs `AUDIT_READ`.
    #[expect(clippy::too_many_arguments, reason = "Relay's four arguments beside filter and order")]
    async fn audit_records(
        &self,
        ctx: &Context<'_>,
        filter: Option<AuditFilterInput>,
        #[graphql(default_with = "CreatedOrder::CreatedAtDesc")] order_by: CreatedOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<List<AuditRecordObject>> {
        let scope = ctx.request().console().map_err(raise)?;
        scope.require(Permission::AuditRead).map_err(raise)?;
        let filter = AuditFilter::try_from(filter.unwrap_or_default()).map_err(raise)?;
        let page = Page::new(AUDIT_PAGES, order_by, &arguments(first, after, last, before)).map_err(raise)?;
        let tx = scope.read(&ctx.platform().database).await.map_err(raise)?;
        let rows = store::list(&tx, &filter, &page).await.map_err(raise)?;
        let ids: Vec<AuditRecordId> = rows.iter().map(|record| record.id).collect();
        let mut links = store::links_of(&tx, &ids).await.map_err(raise)?;
        let total = if wants_total(ctx) { store::count(&tx, &filter).await.map_err(raise)? } else { 0 };
        let rows: Vec<(AuditRecord, Option<AuditLink>)> = rows
            .into_iter()
            .map(|record| {
                let link = links.remove(&record.id);
                (record, link)
            })
            .collect();
        Ok(connect(&page, rows, total, |(record, _)| record.id, |(record, link)| AuditRecordObject { record, link }))
    }
}
