//! Holders, items and transfers.

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use serde::Serialize;
use uuid::Uuid;

use crate::catalog::model::CollectibleId;
use crate::codes;
use crate::schema::{holders, items, point_entries, transfers, wechat_apps};
pub use crate::tenancy::model::HolderId;
use crate::{stored_words, typed_id, words};

typed_id!(ItemId, "item");
typed_id!(TransferId, "transfer");
typed_id!(WeChatAppId, "wechatapp");
typed_id!(PointEntryId, "point_entry");

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

words! {
    /// Why somebody's points changed.
    pub enum PointReason {
        /// The enterprise gave some or took some.
        Adjusted = "ADJUSTED",
        /// They paid for a draw.
        Drawn = "DRAWN",
        /// They won them.
        Won = "WON",
    }
}

/// A line of the ledger of points. A balance is the sum of its entries.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = point_entries)]
pub struct PointEntry {
    pub id: PointEntryId,
    pub holder_id: HolderId,
    pub reason: PointReason,
    pub delta: i64,
    /// The enterprise's own name for what it did.
    pub reference: Option<String>,
    /// The draw that it was spent on, or the claim that they were won with.
    pub subject_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
}

words! {
    /// What a code is sent for. It is good for nothing else.
    pub enum CodePurpose {
        /// To sign in at an enterprise.
        SignIn = "SIGN_IN",
        /// To bind the phone to a holder who came by WeChat.
        BindPhone = "BIND_PHONE",
        /// To open one's wallet across enterprises.
        Wallet = "WALLET",
        /// To have one's personal data erased; for the holder's own phone.
        Erase = "ERASE",
    }
}

stored_words! {
    /// What somebody else knows a holder by.
    pub enum IdentityKind {
        /// Within one WeChat app.
        WeChatOpenId = "WECHAT_OPEN_ID",
        /// Across the apps of one WeChat Open Platform account.
        WeChatUnionId = "WECHAT_UNION_ID",
        /// The enterprise's own customer number.
        Partner = "PARTNER",
    }
}

words! {
    /// What kind of WeChat app it is.
    pub enum WeChatAppKind {
        /// A mini program (小程序).
        MiniProgram = "MINI_PROGRAM",
        /// An official account's pages (公众号网页).
        OfficialAccount = "OFFICIAL_ACCOUNT",
    }
}

words! {
    /// Whether people may sign in through a WeChat app.
    pub enum WeChatAppState {
        /// They may.
        Active = "ACTIVE",
        /// They may not.
        Disabled = "DISABLED",
    }
}

words! {
    /// One piece of a holder's personal data.
    pub enum PersonalField {
        /// The mobile number.
        Phone = "PHONE",
        /// The real name.
        Name = "NAME",
        /// The identity number.
        IdNumber = "ID_NUMBER",
    }
}

stored_words! {
    /// What a real-name provider said.
    pub enum RealNameResult {
        Match = "MATCH",
        Mismatch = "MISMATCH",
        Unavailable = "UNAVAILABLE",
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
                | (Locked, Submitted | Unknown | Failed | Cancelled)
                | (Submitted, Confirmed | Unknown | Failed)
                | (Unknown, Locked | Submitted | Confirmed | Failed)
                | (Confirmed, Succeeded)
        )
    }

    /// Whether this brings a transfer nearer to its end. To hand it over anew, or to ask once more, does not.
    pub fn leads_on_to(self, next: Self) -> bool {
        use TransferState::*;
        matches!((self, next), (Requested, Locked) | (_, Confirmed | Succeeded | Failed | Cancelled))
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

/// A mini program or an official account of the enterprise. Its secret is written and never read back.
#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = wechat_apps)]
pub struct WeChatApp {
    pub id: WeChatAppId,
    pub kind: WeChatAppKind,
    pub app_id: String,
    pub state: WeChatAppState,
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
    InvalidPhone = "INVALID_PHONE": "手机号格式不正确，请填写 11 位中国大陆手机号，可带 +86。" / "That is no mainland mobile number; send 11 digits, with or without +86.",
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    HolderNotFound = "HOLDER_NOT_FOUND": "没有找到该用户，请先用 `holderSignOn` 登记。" / "There is no such holder; sign them on with `holderSignOn` first.",
    ItemNotFound = "ITEM_NOT_FOUND": "没有找到该藏品份，可用 `items` 列出。" / "There is no such item; list them with `items`.",
    NotYours = "NOT_YOURS": "该藏品份不在转出方名下，请核对后重试。" / "The item is not held by the one who gives it; check whose it is.",
    SameHolder = "SAME_HOLDER": "转出方与接收方相同，请填写其他接收方。" / "Giver and receiver are the same person; name another receiver.",
    TransferOpen = "TRANSFER_OPEN": "该藏品份有一笔转移正在进行，请等其结束。" / "A transfer of this item is under way; wait until it ends.",
    TransferNotFound = "TRANSFER_NOT_FOUND": "没有找到该转移，可用 `transfers` 列出。" / "There is no such transfer; list them with `transfers`.",
    TooLate = "TOO_LATE": "转移已提交上链，无法撤销。" / "The transfer has reached the ledger and cannot be withdrawn.",
    PartnerUserConflict = "PARTNER_USER_CONFLICT": "该客户编号与该手机号属于不同的用户，请核对，或只用其中之一登记。" / "This customer number and this phone belong to different holders; check both, or sign the person on by one of them alone.",
    NotEnoughPoints = "NOT_ENOUGH_POINTS": "积分余额不足，不能扣减。" / "The holder has fewer points than that; take off no more than the balance.",
    ReferenceReused = "REFERENCE_REUSED": "该业务编号已用于不同的内容，请使用新的编号。" / "This reference was used for something else; give each fact a reference of its own.",
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED": "该幂等键已用于不同的输入，新的请求请换一个新键。" / "This idempotency key was used for another input; send a new key for a new intent.",
});

codes!(HolderErrorCode, HolderUserError, {
    InvalidPhone = "INVALID_PHONE": "手机号格式不正确，请填写 11 位中国大陆手机号，可带 +86。" / "That is no mainland mobile number; send 11 digits, with or without +86.",
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    EnterpriseNotFound = "ENTERPRISE_NOT_FOUND": "没有找到该企业，请检查企业标识。" / "There is no such enterprise; check its slug.",
    EnterpriseNotActive = "ENTERPRISE_NOT_ACTIVE": "该企业暂停服务，请稍后再来。" / "The enterprise is not active; come back later.",
    TooOften = "TOO_OFTEN": "请求过于频繁。" / "That was asked for too often.",
    NotSent = "NOT_SENT": "短信未能发出，请稍后重试；本次不计入次数。" / "The message could not be sent; try again shortly. This one does not count.",
    WrongCode = "WRONG_CODE": "验证码不正确或已失效，请核对或重新获取。" / "The code is wrong, used or too old; check it or have a new one sent.",
    NotOnThisHost = "NOT_ON_THIS_HOST": "跨企业钱包不能在企业自己的域名打开，请在平台自己的页面打开。" / "A wallet across enterprises is not opened on an enterprise's own host; use the service's own.",
    PhoneTaken = "PHONE_TAKEN": "该手机号已属于另一位用户，请用手机号登录。" / "This phone belongs to another holder of this enterprise; sign in with the phone to use that one.",
    PhoneBound = "PHONE_BOUND": "您已绑定手机号，不能更换。" / "You have a phone already; it cannot be exchanged.",
    NotYourPhone = "NOT_YOUR_PHONE": "这不是您绑定的手机号：`ERASE` 的验证码只发送到您自己的手机，请填写已绑定的手机号。" / "That is not the phone you have bound; a code for `ERASE` is sent to your own phone alone: name that one.",
    NoPhone = "NO_PHONE": "您没有绑定手机号，注销无需验证码：请直接调用 `holderEraseMyself`。" / "You have no phone, and need no code to be erased: call `holderEraseMyself` without one.",
    WeChatAppNotFound = "WECHAT_APP_NOT_FOUND": "该微信应用未开通，请联系企业。" / "The enterprise has no such WeChat app at work; ask it to set one up.",
    WeChatUnavailable = "WECHAT_UNAVAILABLE": "微信暂时无法确认身份，请重新登录。" / "WeChat does not answer at present; sign in again.",
    WeChatRefused = "WECHAT_REFUSED": "微信拒绝了本次登录，请换用手机号登录。" / "WeChat did not let this person in; sign in with a phone instead.",
    WeChatPreview = "WECHAT_PREVIEW": "请打开完整页面后再登录。" / "The page is shown in WeChat's preview; open the page itself and sign in there.",
    WeChatMisconfigured = "WECHAT_MISCONFIGURED": "微信应用配置有误，请联系企业。" / "WeChat does not accept the app's credentials; the enterprise must correct them.",
    InvalidIdNumber = "INVALID_ID_NUMBER": "身份证号不正确，请逐位核对。" / "That is no valid identity number; check each character.",
    RealNameMismatch = "REAL_NAME_MISMATCH": "姓名与身份证号不一致，请核对后重试。" / "Name and identity number do not belong together; check both and try again.",
    RealNameUnavailable = "REAL_NAME_UNAVAILABLE": "实名核验服务暂不可用，请稍后重试；本次不计入次数。" / "The register of identities does not answer; try again later. This try does not count.",
    AlreadyVerified = "ALREADY_VERIFIED": "您已完成实名认证，不能更换身份。" / "You are verified already, and not under another identity.",
    TooManyTries = "TOO_MANY_TRIES": "今日实名认证次数已用完，请明天再试。" / "No more tries are left today; try again tomorrow.",
    TooManyHolders = "TOO_MANY_HOLDERS": "该身份证号在本企业认证的账号已达上限，请使用已认证的账号。" / "This identity has verified as many accounts of this enterprise as it may; use one of those.",
    HolderNotFound = "HOLDER_NOT_FOUND": "没有找到该用户，可用 `holders` 列出。" / "There is no such holder; list them with `holders`.",
    Erased = "ERASED": "该用户的个人信息已被删除，没有留存。" / "The holder's personal data was erased; nothing is left of it.",
    OrderOpen = "ORDER_OPEN": "还有未完结的订单，请先支付或取消，或等其完结。" / "An order is still open; pay or cancel it, or wait until it is fulfilled.",
    ClaimOpen = "CLAIM_OPEN": "还有未完成的领取，请先领取，或等其到账或到期。" / "A claim is still pending or under way; take it up, or wait until it is delivered or lapses.",
    TransferOpen = "TRANSFER_OPEN": "还有正在进行的转移，请等其结束。" / "A transfer is still under way; wait until it ends.",
    NotEnoughPoints = "NOT_ENOUGH_POINTS": "积分余额不足，不能扣减。" / "The holder has fewer points than that; take off no more than the balance.",
    ReferenceReused = "REFERENCE_REUSED": "该业务编号已用于不同的内容，请使用新的编号。" / "This reference was used for something else; give each fact a reference of its own.",
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED": "该幂等键已用于不同的输入，新的请求请换一个新键。" / "This idempotency key was used for another input; send a new key for a new intent.",
});

codes!(WeChatAppErrorCode, WeChatAppUserError, {
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    NotFound = "NOT_FOUND": "没有找到该微信应用，可用 `wechatApps` 列出。" / "There is no such WeChat app; list them with `wechatApps`.",
    AppTaken = "APP_TAKEN": "该 AppID 已添加，请修改已有的那一个。" / "This AppID has been added already; change that one.",
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
