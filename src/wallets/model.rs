//! Holders, items and transfers.

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use serde::Serialize;
use uuid::Uuid;

use crate::catalog::model::CollectibleId;
use crate::codes;
use crate::schema::{holders, items, transfers};
pub use crate::tenancy::model::HolderId;
use crate::{typed_id, words};

typed_id!(ItemId, "item");
typed_id!(TransferId, "transfer");

words! {
    /// What set a transfer going.
    pub enum TransferCause {
        /// A claim was taken up.
        Claim = "CLAIM",
        /// An order was paid.
        Order = "ORDER",
        /// A holder gave it away.
        Gift = "GIFT",
    }
}

words! {
    /// Where a transfer stands.
    pub enum TransferState {
        /// Asked for.
        Requested = "REQUESTED",
        /// The item is set aside for it.
        Locked = "LOCKED",
        /// The ledger has it.
        Submitted = "SUBMITTED",
        /// The ledger has confirmed it.
        Confirmed = "CONFIRMED",
        /// The item is the new holder's.
        Succeeded = "SUCCEEDED",
        /// It came to nothing; the item is free again.
        Failed = "FAILED",
        /// The ledger's answer was lost; the item stays set aside until it is known.
        Unknown = "UNKNOWN",
        /// Withdrawn before it reached the ledger.
        Cancelled = "CANCELLED",
    }
}

impl TransferState {
    /// The states from which a transfer may still move, in the order that it moves through them.
    pub const OPEN: [TransferState; 5] =
        [Self::Requested, Self::Locked, Self::Submitted, Self::Confirmed, Self::Unknown];

    pub fn is_open(self) -> bool {
        Self::OPEN.contains(&self)
    }

    /// The only steps there are.
    pub fn may_become(self, next: Self) -> bool {
        use TransferState::*;
        matches!(
            (self, next),
            (Requested, Locked | Failed | Cancelled)
                | (Locked, Submitted | Failed | Cancelled)
                | (Submitted, Confirmed | Unknown | Failed)
                | (Unknown, Locked | Confirmed | Failed)
                | (Confirmed, Succeeded)
        )
    }
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = holders)]
pub struct Holder {
    pub id: HolderId,
    /// Nobody's who came by WeChat and has not bound one, or was erased.
    pub phone_masked: Option<String>,
    pub nickname: String,
    pub name_masked: Option<String>,
    pub id_number_masked: Option<String>,
    pub verified_at: Option<DateTime<Utc>>,
    pub erased_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = items)]
pub struct Item {
    pub id: ItemId,
    pub collectible_id: CollectibleId,
    pub serial: i32,
    pub holder_id: Option<HolderId>,
    pub acquired_at: Option<DateTime<Utc>>,
    pub version: i32,
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = transfers)]
pub struct Transfer {
    pub id: TransferId,
    pub item_id: ItemId,
    pub from_holder_id: Option<HolderId>,
    pub to_holder_id: HolderId,
    pub cause: TransferCause,
    pub cause_id: Uuid,
    pub state: TransferState,
    pub failure: Option<String>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

codes!(WalletErrorCode, WalletUserError, {
    InvalidPhone = "INVALID_PHONE": "手机号格式不正确，应为 11 位中国大陆手机号。" / "That is no mainland mobile number; send 11 digits, with or without +86.",
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    HolderNotFound = "HOLDER_NOT_FOUND": "没有找到该用户。" / "There is no such holder; sign them on with `holderSignOn` first.",
    ItemNotFound = "ITEM_NOT_FOUND": "没有找到该藏品份。" / "There is no such item; list them with `items`.",
    NotYours = "NOT_YOURS": "该藏品份不在转出方名下。" / "The item is not held by the one who gives it.",
    SameHolder = "SAME_HOLDER": "转出方与接收方相同。" / "Giver and receiver are the same person.",
    TransferOpen = "TRANSFER_OPEN": "该藏品份有一笔转移正在进行，请等其结束。" / "A transfer of this item is under way; wait until it ends.",
    TransferNotFound = "TRANSFER_NOT_FOUND": "没有找到该转移。" / "There is no such transfer; list them with `transfers`.",
    TooLate = "TOO_LATE": "转移已提交上链，无法撤销。" / "The transfer has reached the ledger and cannot be withdrawn.",
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED": "该幂等键已用于不同的输入，请换一个新键。" / "This idempotency key was used for another input; send a new key for a new intent.",
});

#[cfg(test)]
mod tests {
    use super::TransferState::{self, *};

    #[test]
    fn an_ended_transfer_stays_ended_and_an_open_one_can_end() {
        for &state in TransferState::ALL {
            let ways: Vec<_> = TransferState::ALL.iter().filter(|&&next| state.may_become(next)).collect();
            assert_eq!(ways.is_empty(), !state.is_open(), "{state:?}");
        }
        assert!(!Submitted.may_become(Cancelled), "the ledger has it");
        assert!(!Confirmed.may_become(Failed), "the ledger has confirmed it");
    }
}
