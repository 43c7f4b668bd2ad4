//! Series and collectibles, and the states that an issuance goes through.

pub mod design;

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use serde::Serialize;
use uuid::Uuid;

use crate::catalog::media::model::MediaId;
use crate::codes;
use crate::schema::{allotments, collectible_changes, collectible_stocks, collectibles, series, series_changes};
use crate::tenancy::model::DocumentId;
use crate::tenancy::scope::ActorKind;
use crate::{typed_id, words};
use design::Attributes;

typed_id!(SeriesId, "series");
typed_id!(CollectibleId, "collectible");
typed_id!(AllotmentId, "allotment");
typed_id!(ChangeId, "change");

words! {
    /// Where a collectible stands on its way to the ledger.
    pub enum CollectibleState {
        /// May be changed.
        Draft = "DRAFT",
        /// The house looks at it.
        InReview = "IN_REVIEW",
        /// May be issued.
        Approved = "APPROVED",
        /// Sent back with a remark; may be changed and submitted again.
        Rejected = "REJECTED",
        /// Waits to be handed to the ledger.
        Submitted = "SUBMITTED",
        /// The ledger has it and has not confirmed it.
        Confirming = "CONFIRMING",
        /// Every piece exists.
        Issued = "ISSUED",
        /// The ledger refused; may be tried again under the same operation ID.
        Failed = "FAILED",
        /// The ledger's answer was lost; it is being asked.
        Unknown = "UNKNOWN",
    }
}

impl CollectibleState {
    pub fn may_be_submitted(self) -> bool {
        matches!(self, Self::Draft | Self::Rejected)
    }

    pub fn may_be_issued(self) -> bool {
        matches!(self, Self::Approved | Self::Failed)
    }
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = series)]
pub struct Series {
    pub id: SeriesId,
    pub name_chinese: String,
    pub name_english: String,
    pub description_chinese: String,
    pub description_english: String,
    pub cover_id: Option<MediaId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = collectibles)]
pub struct Collectible {
    pub id: CollectibleId,
    pub series_id: SeriesId,
    pub name_chinese: String,
    pub name_english: String,
    pub description_chinese: String,
    pub description_english: String,
    pub author: String,
    pub image_url: String,
    pub cover_id: Option<MediaId>,
    pub media_id: Option<MediaId>,
    /// Of the main medium, as the house approved it.
    pub media_sm3: Option<Vec<u8>>,
    pub copyright_proof_id: Option<DocumentId>,
    pub filing_number: String,
    pub flag: String,
    pub metadata: String,
    pub attributes: Attributes,
    pub supply: i32,
    pub first_serial: i32,
    pub state: CollectibleState,
    pub review_remark: Option<String>,
    pub issued_count: i32,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

/// One change of a collectible, as it stands in its history.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = collectible_changes)]
pub struct CollectibleChange {
    pub id: ChangeId,
    pub version: i32,
    pub action: String,
    pub actor_kind: ActorKind,
    pub actor_id: Uuid,
    pub fields: serde_json::Value,
    pub created_at: DateTime<Utc>,
}

/// One change of a series, as it stands in its history.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = series_changes)]
pub struct SeriesChange {
    pub id: ChangeId,
    pub version: i32,
    pub action: String,
    pub actor_kind: ActorKind,
    pub actor_id: Uuid,
    pub fields: serde_json::Value,
    pub created_at: DateTime<Utc>,
}

/// What of a collectible is set aside and what is not.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = collectible_stocks)]
pub struct CollectibleStock {
    pub collectible_id: CollectibleId,
    pub supply: i32,
    pub unallotted: i32,
    pub allotted: i32,
    pub next_serial: i32,
}

/// A run of serial numbers set aside for one use: `total = available + reserved + issued + void`, always. What is no
/// collectible is counted the same way.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = allotments)]
pub struct Allotment {
    pub id: AllotmentId,
    pub collectible_id: Option<CollectibleId>,
    pub total: i32,
    pub available: i32,
    pub reserved: i32,
    pub issued: i32,
    pub void: i32,
    pub next_serial: i32,
}

words! {
    /// Why stock moved.
    pub enum StockReason {
        /// Set aside for a use.
        Allotted = "ALLOTTED",
        /// Somebody won it.
        Won = "WON",
        /// It was dropped to somebody.
        Airdropped = "AIRDROPPED",
        /// An order holds it.
        Reserved = "RESERVED",
        /// An order gave it back.
        Released = "RELEASED",
        /// It became somebody's item.
        Delivered = "DELIVERED",
        /// It was not claimed in time.
        Expired = "EXPIRED",
        /// The enterprise did not confirm the win, or withdrew it.
        Revoked = "REVOKED",
    }
}

/// A change of one allotment's balances. The four deltas always cancel out, but where stock is first set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockMove {
    pub allotment: AllotmentId,
    pub reason: StockReason,
    pub subject: Uuid,
    pub available: i32,
    pub reserved: i32,
    pub issued: i32,
    pub void: i32,
    /// How many serial numbers are taken off the run with it.
    pub serials: i32,
}

impl StockMove {
    fn none(allotment: AllotmentId, reason: StockReason, subject: Uuid) -> Self {
        Self { allotment, reason, subject, available: 0, reserved: 0, issued: 0, void: 0, serials: 0 }
    }

    /// available → reserved, with the serial numbers given out at once: a win or an airdrop names its number.
    pub fn award(allotment: AllotmentId, reason: StockReason, subject: Uuid, count: i32) -> Self {
        Self { available: -count, reserved: count, serials: count, ..Self::none(allotment, reason, subject) }
    }

    /// available → reserved, the numbers to be given out later: an order may still lapse.
    pub fn reserve(allotment: AllotmentId, subject: Uuid, count: i32) -> Self {
        Self { available: -count, reserved: count, ..Self::none(allotment, StockReason::Reserved, subject) }
    }

    /// reserved → available: the order lapsed.
    pub fn release(allotment: AllotmentId, subject: Uuid, count: i32) -> Self {
        Self { available: count, reserved: -count, ..Self::none(allotment, StockReason::Released, subject) }
    }

    /// reserved stays reserved, and its serial numbers are given out: the order was paid.
    pub fn number(allotment: AllotmentId, subject: Uuid, count: i32) -> Self {
        Self { serials: count, ..Self::none(allotment, StockReason::Reserved, subject) }
    }

    /// reserved → issued: somebody holds it.
    pub fn deliver(allotment: AllotmentId, subject: Uuid, count: i32) -> Self {
        Self { reserved: -count, issued: count, ..Self::none(allotment, StockReason::Delivered, subject) }
    }

    /// reserved → void: nobody gets it any more. Its number was given out, so it goes back to no draw.
    pub fn revoke(allotment: AllotmentId, subject: Uuid, count: i32) -> Self {
        Self { reserved: -count, void: count, ..Self::none(allotment, StockReason::Revoked, subject) }
    }
}

codes!(CatalogErrorCode, CatalogUserError, {
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    SeriesNotFound = "SERIES_NOT_FOUND": "没有找到该系列。" / "There is no such series; list yours with `seriesList`.",
    CollectibleNotFound = "COLLECTIBLE_NOT_FOUND": "没有找到该藏品。" / "There is no such collectible; list yours with `collectibles`.",
    WrongState = "WRONG_STATE": "藏品当前状态不允许此操作。" / "The collectible's state does not allow this; read `state` and follow its order.",
    MediaNotFound = "MEDIA_NOT_FOUND": "没有找到该介质，请先用 `mediaUploadCreate` 上传。" / "There is no such medium of yours; upload it with `mediaUploadCreate`.",
    MediaNotUploaded = "MEDIA_NOT_UPLOADED": "该介质尚未完成上传，请先调用 `mediaUploadComplete` 并使用其返回的介质。" / "The medium's upload is not complete; call `mediaUploadComplete` and use the medium that it gives.",
    MediaBlocked = "MEDIA_BLOCKED": "该介质未通过内容审核，不能使用，请更换。" / "The medium was blocked by moderation and cannot be used; take another.",
    MediaNotPassed = "MEDIA_NOT_PASSED": "所用介质尚未通过内容审核，请等待审核结果后再提交。" / "Not all of its media have passed moderation yet; read their `moderation` and hand it in once they are PASS.",
    DocumentNotFound = "DOCUMENT_NOT_FOUND": "没有找到该文件，或尚未上传完成。" / "There is no such document of yours, or its upload is not complete; begin with `documentUploadCreate`.",
    Frozen = "FROZEN": "该内容已冻结：审核中不能修改，审核通过后只能修改描述。" / "This is frozen: nothing changes during a review, and after the approval descriptions alone do.",
    VersionConflict = "VERSION_CONFLICT": "内容已被他人修改，请重新读取后再修改。" / "Somebody has changed it meanwhile; read it again, and send its present `version`.",
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED": "该幂等键已用于不同的输入，请换一个新键。" / "This idempotency key was used for another input; send a new key for a new intent.",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_move_keeps_the_total() {
        let (allotment, subject) = (AllotmentId::generate(), Uuid::nil());
        for change in [
            StockMove::award(allotment, StockReason::Won, subject, 3),
            StockMove::reserve(allotment, subject, 3),
            StockMove::release(allotment, subject, 3),
            StockMove::number(allotment, subject, 3),
            StockMove::deliver(allotment, subject, 3),
            StockMove::revoke(allotment, subject, 3),
        ] {
            assert_eq!(change.available + change.reserved + change.issued + change.void, 0, "{change:?}");
        }
    }
}
