//! Activities and their states.

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};

use crate::schema::activities;
use crate::{typed_id, words};

typed_id!(ActivityId, "activity");

words! {
    /// What an activity does.
    pub enum ActivityKind {
        /// Holders draw (免费抽取).
        Draw = "DRAW",
        /// Pieces are given to a list of people (定向空投).
        Airdrop = "AIRDROP",
        /// Codes yield pieces (兑换码).
        Redemption = "REDEMPTION",
        /// Pieces are sold first-hand (一级发售).
        Sale = "SALE",
    }
}

words! {
    /// Where an activity stands.
    pub enum ActivityState {
        /// May be changed.
        Draft = "DRAFT",
        /// The house looks at it.
        InReview = "IN_REVIEW",
        /// May be published.
        Approved = "APPROVED",
        /// Sent back with a remark.
        Rejected = "REJECTED",
        /// Live within its window.
        Published = "PUBLISHED",
        /// Stopped for a while.
        Paused = "PAUSED",
        /// Over.
        Ended = "ENDED",
        /// Over and accounted for.
        Settled = "SETTLED",
        /// Put away.
        Archived = "ARCHIVED",
        /// Stopped for good before its end.
        Terminated = "TERMINATED",
    }
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = activities)]
pub struct Activity {
    pub id: ActivityId,
    pub kind: ActivityKind,
    pub state: ActivityState,
    pub opens_at: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
}
