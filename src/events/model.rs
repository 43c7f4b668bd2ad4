//! Event types and records.

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use uuid::Uuid;

use crate::schema::events;
use crate::{stored_words, typed_id};

typed_id!(EventId, "event");

stored_words! {
    /// What happened.
    pub enum EventType {
        /// A collectible moved through its issuance.
        CollectibleChanged = "collectible.changed",
        /// An activity was created, reviewed, published, paused or ended.
        ActivityChanged = "activity.changed",
        /// An endpoint of the enterprise's own gave no answer that could be used.
        CustomRuleFailed = "custom_rule.failed",
        /// An endpoint let somebody draw, and then they could not: the activity has ended, or their last chance was gone.
        CustomRuleUnused = "custom_rule.unused",
        /// Somebody earned chances to draw.
        ChancesGranted = "chances.granted",
        /// Somebody drew.
        DrawRecorded = "draw.recorded",
        /// A claim was made, taken up, delivered or lapsed.
        ClaimChanged = "claim.changed",
        /// An airdrop moved on.
        AirdropChanged = "airdrop.changed",
        /// An order was placed, paid, fulfilled, cancelled or expired.
        OrderChanged = "order.changed",
        /// A transfer moved on.
        TransferChanged = "transfer.changed",
        /// A holder signed on for the first time.
        HolderRegistered = "holder.registered",
        /// A holder's name and identity number were found to belong together.
        HolderVerified = "holder.verified",
        /// A holder's personal data was erased.
        HolderErased = "holder.erased",
        /// A merchant number was bound or verified.
        MerchantChanged = "merchant.changed",
        /// A domain was bound or verified.
        DomainChanged = "domain.changed",
        /// The enterprise was admitted, suspended, closed, renamed, or its partner has disabled or enabled it.
        EnterpriseChanged = "enterprise.changed",
        /// A qualification was handed in, decided on or has expired.
        QualificationChanged = "qualification.changed",
    }
}

/// A published event.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct Event {
    pub id: EventId,
    pub sequence: i64,
    pub type_: EventType,
    pub subject_id: Uuid,
    pub subject_version: i32,
    pub data: serde_json::Value,
    pub occurred_at: DateTime<Utc>,
}
