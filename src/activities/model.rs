//! Activities, their prizes, draws and claims, and the states that they go through.

use chrono::{DateTime, Utc};
use diesel::dsl::AsExprOf;
use diesel::sql_types::Timestamptz;
use diesel::{IntoSql, Queryable, Selectable};
use serde::Serialize;
use uuid::Uuid;

use crate::activities::terms::Exhaustion;
use crate::catalog::model::{AllotmentId, CollectibleId};
use crate::codes;
use crate::schema::{
    activities, activity_tasks, airdrops, chance_entries, claims, custom_rules, draw_code_batches, draws,
    participation_rules, prize_lots, prize_plans, prizes,
};
use crate::tenancy::model::EnterpriseId;
use crate::wallets::model::{HolderId, TransferId};
use crate::{typed_id, words};

typed_id!(ActivityId, "activity");
typed_id!(PrizePlanId, "prize_plan");
typed_id!(PrizeId, "prize");
typed_id!(DrawId, "draw");
typed_id!(ClaimId, "claim");
typed_id!(AirdropId, "airdrop");
typed_id!(TaskId, "task");
typed_id!(DrawCodeBatchId, "draw_code_batch");
typed_id!(ChanceEntryId, "chance_entry");
typed_id!(CustomRuleId, "custom_rule");

words! {
    /// What an activity does.
    pub enum ActivityKind {
        /// People draw and win, or not (免费抽取).
        Draw = "DRAW",
        /// The enterprise gives to people it names (定向空投).
        Airdrop = "AIRDROP",
        /// People buy first-hand (一级发售).
        Sale = "SALE",
    }
}

words! {
    /// What was decided about an activity. Whether it runs just now is its phase.
    pub enum ActivityState {
        /// Being written.
        Draft = "DRAFT",
        /// The house looks at it.
        InReview = "IN_REVIEW",
        /// May be published.
        Approved = "APPROVED",
        /// Sent back with a remark; may be submitted again.
        Rejected = "REJECTED",
        /// Public; runs within its window.
        Published = "PUBLISHED",
        /// Held by the enterprise.
        Paused = "PAUSED",
        /// Ended before its window closed.
        Ended = "ENDED",
        /// Settled: what was not won is accounted for.
        Settled = "SETTLED",
        /// Kept for the record.
        Archived = "ARCHIVED",
        /// Stopped for good by the house.
        Terminated = "TERMINATED",
    }
}

impl ActivityState {
    /// The only steps there are. What was published is settled only once its window has closed.
    pub fn may_become(self, next: Self) -> bool {
        use ActivityState::*;
        matches!(
            (self, next),
            (Draft | Rejected, InReview)
                | (InReview, Approved | Rejected)
                | (Approved, Published)
                | (Published, Paused | Ended | Terminated | Settled)
                | (Paused, Published | Ended | Terminated | Settled)
                | (Ended, Settled)
                | (Settled, Archived)
        )
    }
}

words! {
    /// Where an activity stands at this moment: its state, and for a published one the time.
    pub enum ActivityPhase {
        /// Being written.
        Draft = "DRAFT",
        /// The house looks at it.
        InReview = "IN_REVIEW",
        /// May be published.
        Approved = "APPROVED",
        /// Sent back with a remark.
        Rejected = "REJECTED",
        /// Public, and its window has not opened.
        Scheduled = "SCHEDULED",
        /// Public, and its window is open.
        Running = "RUNNING",
        /// Its window has closed.
        Closed = "CLOSED",
        /// Held by the enterprise.
        Paused = "PAUSED",
        /// Ended before its window closed.
        Ended = "ENDED",
        /// What was not won is accounted for.
        Settled = "SETTLED",
        /// Kept for the record.
        Archived = "ARCHIVED",
        /// Stopped for good by the house.
        Terminated = "TERMINATED",
    }
}

/// When an activity runs, and what was decided about it, seen at one moment of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub state: ActivityState,
    pub opens_at: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
    pub at: DateTime<Utc>,
}

/// Why nothing can be done in an activity just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyClosed {
    NotFound,
    NotPublished,
    NotYetOpen,
    Closed,
    Paused,
}

impl Window {
    /// Half-open: the moment of opening is within, the moment of closing is not.
    pub fn phase(&self) -> ActivityPhase {
        match self.state {
            ActivityState::Draft => ActivityPhase::Draft,
            ActivityState::InReview => ActivityPhase::InReview,
            ActivityState::Approved => ActivityPhase::Approved,
            ActivityState::Rejected => ActivityPhase::Rejected,
            ActivityState::Published if self.at < self.opens_at => ActivityPhase::Scheduled,
            ActivityState::Published | ActivityState::Paused if self.at >= self.closes_at => ActivityPhase::Closed,
            ActivityState::Published => ActivityPhase::Running,
            ActivityState::Paused => ActivityPhase::Paused,
            ActivityState::Ended => ActivityPhase::Ended,
            ActivityState::Settled => ActivityPhase::Settled,
            ActivityState::Archived => ActivityPhase::Archived,
            ActivityState::Terminated => ActivityPhase::Terminated,
        }
    }

    pub fn judge(&self) -> Result<(), WhyClosed> {
        match self.phase() {
            ActivityPhase::Running => Ok(()),
            ActivityPhase::Scheduled => Err(WhyClosed::NotYetOpen),
            ActivityPhase::Paused => Err(WhyClosed::Paused),
            ActivityPhase::Draft | ActivityPhase::InReview | ActivityPhase::Approved | ActivityPhase::Rejected => {
                Err(WhyClosed::NotPublished)
            }
            ActivityPhase::Closed
            | ActivityPhase::Ended
            | ActivityPhase::Settled
            | ActivityPhase::Archived
            | ActivityPhase::Terminated => Err(WhyClosed::Closed),
        }
    }
}

words! {
    /// What a prize is.
    #[derive(Default)]
    pub enum PrizeKind {
        /// A numbered piece of a collectible, or of one of several (藏品).
        // Terms from before there were others name no kind.
        #[default]
        Collectible = "COLLECTIBLE",
        /// Something that the enterprise delivers itself, such as a service (权益).
        Benefit = "BENEFIT",
        /// The enterprise's points, credited at once (积分).
        Points = "POINTS",
        /// A WeChat card or coupon, which the enterprise's own server hands out (微信卡券).
        WechatCard = "WECHAT_CARD",
        /// A gift that the enterprise sends itself (自有礼品).
        OwnGift = "OWN_GIFT",
        /// A code that proves the win (兑奖码).
        ClaimCode = "CLAIM_CODE",
        /// Nothing, under a name (谢谢参与): whoever draws it has won nothing.
        Nothing = "NOTHING",
    }
}

impl PrizeKind {
    pub fn is_collectible(&self) -> bool {
        *self == Self::Collectible
    }

    /// Whether the enterprise delivers it, and says so afterwards.
    pub fn is_delivered_by_enterprise(self) -> bool {
        match self {
            Self::Benefit | Self::WechatCard | Self::OwnGift => true,
            Self::Collectible | Self::Points | Self::ClaimCode | Self::Nothing => false,
        }
    }
}

words! {
    /// What somebody is owed a piece for.
    pub enum ClaimSource {
        /// They won it.
        Draw = "DRAW",
        /// It was dropped to them.
        Airdrop = "AIRDROP",
    }
}

words! {
    /// Where a claim stands.
    pub enum ClaimState {
        /// A win that waits for the enterprise's word (中奖审核).
        InReview = "IN_REVIEW",
        /// Waits to be taken up before its deadline.
        Pending = "PENDING",
        /// Taken up; the enterprise is to deliver it.
        Claimed = "CLAIMED",
        /// On its way through the ledger.
        Delivering = "DELIVERING",
        /// The holder has it.
        Delivered = "DELIVERED",
        /// Not taken up in time.
        Expired = "EXPIRED",
        /// Withdrawn by the enterprise, or refused in its review.
        Revoked = "REVOKED",
    }
}

words! {
    /// Where an airdrop stands.
    pub enum AirdropState {
        /// Being written.
        Draft = "DRAFT",
        /// Its rows are being checked.
        Validating = "VALIDATING",
        /// Its stock is set aside.
        Ready = "READY",
        /// Its rows become claims.
        Running = "RUNNING",
        /// Held.
        Paused = "PAUSED",
        /// Each row is a claim.
        Completed = "COMPLETED",
        /// Some rows came to nothing.
        CompletedWithErrors = "COMPLETED_WITH_ERRORS",
        /// Withdrawn.
        Cancelled = "CANCELLED",
    }
}

words! {
    /// What an endpoint of the enterprise's own is asked (自定义规则).
    pub enum CustomRuleKind {
        /// Who may draw, and what is won.
        DrawRule = "DRAW_RULE",
        /// How many chances somebody has.
        ChanceCount = "CHANCE_COUNT",
    }
}

words! {
    /// Whether an endpoint is asked.
    pub enum CustomRuleState {
        /// It is.
        Active = "ACTIVE",
        /// It is not: where an activity needs it, nobody draws.
        Disabled = "DISABLED",
    }
}

words! {
    /// With what an envelope is signed.
    pub enum EnvelopeDigest {
        /// SHA-1, as WeChat's own scheme does it.
        Sha1 = "SHA1",
        /// SHA-256.
        Sha256 = "SHA256",
    }
}

/// An endpoint of the enterprise's own, without its secrets.
#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = custom_rules)]
pub struct CustomRule {
    pub id: CustomRuleId,
    pub kind: CustomRuleKind,
    pub name: String,
    pub url: String,
    pub digest: EnvelopeDigest,
    /// What stands behind a message in its envelope, if anything does.
    pub trailing_id: Option<String>,
    /// See [`crate::activities::custom_rule::Definition`].
    pub parameters: serde_json::Value,
    pub state: CustomRuleState,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

words! {
    /// What earns chances to draw (任务).
    pub enum TaskKind {
        /// Following the enterprise's official account.
        FollowAccount = "FOLLOW_ACCOUNT",
        /// Entering a draw code (抽奖码) that the enterprise gave out.
        DrawCode = "DRAW_CODE",
        /// Sharing the activity.
        Share = "SHARE",
        /// Something in the enterprise's own system, which tells of it through the API.
        Api = "API",
    }
}

words! {
    /// Why somebody's chances changed.
    pub enum ChanceReason {
        /// They came to the activity, which gives everybody some.
        Joined = "JOINED",
        /// One of the day's free draws was used.
        Daily = "DAILY",
        /// They followed the official account.
        Followed = "FOLLOWED",
        /// They entered a draw code.
        CodeEntered = "CODE_ENTERED",
        /// They shared the activity.
        Shared = "SHARED",
        /// The enterprise granted them.
        Granted = "GRANTED",
        /// The enterprise's endpoint said that they may draw.
        Endpoint = "ENDPOINT",
        /// They drew.
        Drawn = "DRAWN",
    }
}

impl From<TaskKind> for ChanceReason {
    fn from(kind: TaskKind) -> Self {
        match kind {
            TaskKind::FollowAccount => Self::Followed,
            TaskKind::DrawCode => Self::CodeEntered,
            TaskKind::Share => Self::Shared,
            TaskKind::Api => Self::Granted,
        }
    }
}

/// The sealed seed is no part of it: whoever reads an activity cannot read that.
#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = activities)]
pub struct Activity {
    #[serde(skip)]
    pub tenant_id: EnterpriseId,
    pub id: ActivityId,
    pub kind: ActivityKind,
    pub name_chinese: String,
    pub name_english: String,
    pub rules_chinese: String,
    pub rules_english: String,
    pub opens_at: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
    pub chances_per_holder: i32,
    /// Free draws a day in Shanghai, used before chances.
    pub daily_chances: i32,
    /// How many draws one request may make.
    pub draws_at_once: i32,
    pub draws_per_day: Option<i32>,
    pub wins_per_holder: Option<i32>,
    pub wins_per_day: Option<i32>,
    pub claim_days: i32,
    pub state: ActivityState,
    pub review_remark: Option<String>,
    /// SHA-256 of the seed, from publication on.
    pub seed_commitment: Option<Vec<u8>>,
    /// The seed, from settlement on.
    pub revealed_seed: Option<Vec<u8>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    /// The database's time when this was read, by which the phase is judged.
    #[serde(skip)]
    #[diesel(select_expression = diesel::dsl::now.into_sql::<Timestamptz>())]
    #[diesel(select_expression_type = AsExprOf<diesel::dsl::now, Timestamptz>)]
    pub read_at: DateTime<Utc>,
}

impl Activity {
    pub fn window(&self) -> Window {
        Window { state: self.state, opens_at: self.opens_at, closes_at: self.closes_at, at: self.read_at }
    }
}

/// What may be won, by everybody or by some, always or for a time. A version of an activity has one or several; none of
/// them ever changes.
#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = prize_plans)]
pub struct PrizePlan {
    pub id: PrizePlanId,
    pub activity_id: ActivityId,
    pub version: i32,
    pub position: i32,
    /// Only for holders who have one of its tags.
    pub for_chosen: bool,
    pub starts_at: Option<DateTime<Utc>>,
    pub ends_at: Option<DateTime<Utc>>,
    pub priority: i32,
    pub overlays: bool,
    pub falls_through: bool,
    pub exhaustion: Exhaustion,
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = prizes)]
pub struct Prize {
    pub id: PrizeId,
    pub plan_id: PrizePlanId,
    pub position: i32,
    pub level: i32,
    pub name_chinese: String,
    pub name_english: String,
    pub odds_per_million: i32,
    pub wins_per_holder: Option<i32>,
    pub wins_per_day: Option<i32>,
    pub paced: bool,
    pub fallback: bool,
    pub kind: PrizeKind,
    /// What each win gives, where the prize is points.
    pub points: Option<i64>,
    /// What the enterprise's own system knows it as, where the enterprise delivers it.
    pub reference: Option<String>,
    pub instructions_chinese: String,
    pub instructions_english: String,
    /// Whether a win waits for the enterprise's word.
    pub reviewed: bool,
}

/// Pieces that a prize consists of: of one collectible, or of what the prize is itself.
#[derive(Clone, Copy, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = prize_lots)]
pub struct PrizeLot {
    pub prize_id: PrizeId,
    pub position: i32,
    pub collectible_id: Option<CollectibleId>,
    pub quantity: i32,
    /// From publication on.
    pub allotment_id: Option<AllotmentId>,
}

/// What an activity asks of who wants to draw, but for tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Queryable, Selectable, Serialize)]
#[diesel(table_name = participation_rules)]
pub struct ParticipationRule {
    pub phone_bound: bool,
    pub real_named: bool,
    /// Only who has drawn in no other activity of the enterprise.
    pub first_time: bool,
    /// Only who stands on the activity's list of phones.
    pub listed: bool,
    pub points_at_least: Option<i64>,
    /// For each draw.
    pub points_cost: Option<i64>,
    pub holders_per_device: Option<i32>,
    pub holders_per_address: Option<i32>,
}

/// What earns chances in an activity. It never changes.
#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = activity_tasks)]
pub struct Task {
    pub id: TaskId,
    pub activity_id: ActivityId,
    pub position: i32,
    pub kind: TaskKind,
    pub name_chinese: String,
    pub name_english: String,
    pub link: Option<String>,
    /// Each time.
    pub chances: i32,
    pub times_per_day: Option<i32>,
    pub times_per_holder: Option<i32>,
    /// Whether a holder's own word will do.
    pub on_trust: bool,
}

/// Draw codes that were made together.
#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = draw_code_batches)]
pub struct DrawCodeBatch {
    pub id: DrawCodeBatchId,
    pub activity_id: ActivityId,
    pub task_id: TaskId,
    pub count: i32,
    /// How many people may enter each.
    pub uses: i32,
    /// Whether it is a word of the enterprise's own.
    pub word: bool,
    pub created_at: DateTime<Utc>,
}

/// A line of the ledger of chances.
#[derive(Clone, Copy, Debug, Queryable, Selectable)]
#[diesel(table_name = chance_entries)]
pub struct ChanceEntry {
    pub id: ChanceEntryId,
    pub activity_id: ActivityId,
    pub holder_id: HolderId,
    pub reason: ChanceReason,
    pub delta: i32,
    /// The activity, the completed task or the draw.
    pub subject_id: Uuid,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = draws)]
pub struct Draw {
    pub id: DrawId,
    pub activity_id: ActivityId,
    /// The plan that was drawn from first. Nothing is drawn from where no plan is open.
    pub plan_id: Option<PrizePlanId>,
    pub holder_id: HolderId,
    /// Of the terms.
    pub version: i32,
    pub sequence: i64,
    /// Which of the holder's draws in the activity, from 1.
    pub ordinal: i32,
    /// In a multi-draw, from 0.
    pub place: i32,
    /// Bit by place in the terms.
    pub open_plans: i64,
    pub client_seed: String,
    /// The first number, and what it fell on.
    pub roll: Option<i32>,
    pub picked_prize_id: Option<PrizeId>,
    /// What was given: the picked prize while it lasts.
    pub awarded_prize_id: Option<PrizeId>,
    /// Of the given piece, by its place among all lots of the terms.
    pub lot: Option<i32>,
    pub serial: Option<i32>,
    pub claim_id: Option<ClaimId>,
    /// See [`crate::activities::record::pack`].
    pub steps: Vec<u8>,
    /// What an endpoint has ruled; nothing where it has not.
    pub ruling: Option<Vec<u8>>,
    pub record_hash: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = claims)]
pub struct Claim {
    pub id: ClaimId,
    pub activity_id: ActivityId,
    pub holder_id: HolderId,
    pub source: ClaimSource,
    /// The draw or the airdrop.
    pub source_id: Uuid,
    pub prize_id: PrizeId,
    pub collectible_id: Option<CollectibleId>,
    pub allotment_id: AllotmentId,
    /// Of what is no collectible: which piece of the prize, from 1.
    pub serial: i32,
    pub state: ClaimState,
    /// None while it is reviewed.
    pub deadline: Option<DateTime<Utc>>,
    pub transfer_id: Option<TransferId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    /// The prize's kind and reference.
    pub kind: PrizeKind,
    pub reference: Option<String>,
    /// Under which name the enterprise delivered it.
    pub delivery_reference: Option<String>,
    /// What the enterprise said of the win.
    pub remark: Option<String>,
    pub taken_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = airdrops)]
pub struct Airdrop {
    pub id: AirdropId,
    pub activity_id: ActivityId,
    pub prize_id: PrizeId,
    pub row_count: i32,
    pub state: AirdropState,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

codes!(ActivityErrorCode, ActivityUserError, {
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    NotFound = "NOT_FOUND": "没有找到该活动。" / "There is no such activity; list them with `activities`.",
    CollectibleNotFound = "COLLECTIBLE_NOT_FOUND": "没有找到该藏品。" / "There is no such collectible; list yours with `collectibles`.",
    PrizeNotFound = "PRIZE_NOT_FOUND": "该活动没有这个奖品。" / "The activity has no such prize; read its `prizes`.",
    ClaimNotFound = "CLAIM_NOT_FOUND": "没有找到该领取资格。" / "There is no such claim; list yours with `claims`.",
    WrongState = "WRONG_STATE": "活动当前状态不允许此操作。" / "The activity's state does not allow this; read `state` and follow its order.",
    NotPublished = "NOT_PUBLISHED": "活动尚未发布。" / "The activity is not published yet; publish it with `activityPublish`.",
    NotYetOpen = "NOT_YET_OPEN": "活动尚未开始。" / "The activity has not opened yet; come back at `opensAt`.",
    Closed = "CLOSED": "活动已结束。" / "The activity is over.",
    Paused = "PAUSED": "活动已暂停，请稍后再来。" / "The activity is paused; try again later.",
    NotOver = "NOT_OVER": "活动尚未结束，请等待结束时间或先用 `activityEnd` 结束。" / "The activity is not over; wait for `closesAt`, or end it with `activityEnd`.",
    NoChanceLeft = "NO_CHANCE_LEFT": "抽奖次数不足。" / "Not that many chances are left in this activity; read `viewerChancesLeft`.",
    NotToday = "NOT_TODAY": "今日剩余抽奖次数不足，请减少次数或明天再来。" / "Not that many draws are left today; draw fewer, or come back tomorrow, which begins at midnight in Shanghai.",
    TooManyAtOnce = "TOO_MANY_AT_ONCE": "抽奖次数须为 1 到该活动允许的单次最多次数。" / "Draw at least once, and at most as often as the activity's `drawsAtOnce` allows in one request.",
    Blocked = "BLOCKED": "您目前不能参与该企业的抽奖，请联系该企业。" / "You cannot draw with this enterprise; contact it if you do not know why.",
    PhoneRequired = "PHONE_REQUIRED": "请先绑定手机号再抽奖。" / "Bind a mobile number first, with `holderPhoneBind`.",
    RealNameRequired = "REAL_NAME_REQUIRED": "请先完成实名认证再抽奖。" / "Verify your real name first, with `holderRealNameVerify`.",
    NotInvited = "NOT_INVITED": "本活动仅限指定用户参与。" / "This activity is for people whom the enterprise has chosen.",
    NotListed = "NOT_LISTED": "您的手机号不在本活动的名单中。" / "Your mobile number is not on this activity's list; bind the one that you were invited with.",
    NotFirstTime = "NOT_FIRST_TIME": "本活动仅限首次参与抽奖的新用户。" / "This activity is for people who have not drawn with this enterprise before.",
    NotEnoughPoints = "NOT_ENOUGH_POINTS": "积分不足。" / "You have too few points; see `participation` for what is asked and `viewerPoints` for what you have.",
    DeviceRequired = "DEVICE_REQUIRED": "无法识别设备，请在官方页面中参与。" / "This activity needs to know the device; send `device`, or draw from the enterprise's own page.",
    TooManyOnDevice = "TOO_MANY_ON_DEVICE": "该设备参与本活动的用户数已达上限，请使用自己的设备。" / "As many people as may have drawn from this device; use your own.",
    TooManyOnAddress = "TOO_MANY_ON_ADDRESS": "当前网络参与本活动的用户数已达上限，请换用移动网络再试。" / "As many people as may have drawn from this network; try again over your mobile network.",
    TaskNotFound = "TASK_NOT_FOUND": "没有找到该任务。" / "The activity has no such task; read its `tasks`.",
    TaskDone = "TASK_DONE": "该任务的完成次数已达上限。" / "This was done as often as it may be; read the task's `timesPerDay` and `timesPerHolder`.",
    NotOnTrust = "NOT_ON_TRUST": "该任务由企业确认完成，请稍候。" / "The enterprise confirms this task; its server does so with `chancesGrant`.",
    WrongCode = "WRONG_CODE": "抽奖码无效，请检查后重新输入。" / "There is no such draw code for this activity; check it and enter it again.",
    CodeUsed = "CODE_USED": "该抽奖码已被使用。" / "This draw code was used up, or you have entered it before.",
    TooOften = "TOO_OFTEN": "尝试过于频繁。" / "Too many attempts.",
    HolderNotFound = "HOLDER_NOT_FOUND": "没有找到该用户。" / "There is no such holder; list yours with `holders`.",
    ReferenceReused = "REFERENCE_REUSED": "该业务编号已用于不同的内容，请使用新的编号。" / "This reference was used for something else; give each fact a reference of its own.",
    CustomRuleNotFound = "CUSTOM_RULE_NOT_FOUND": "没有找到该自定义规则，或其类型不符。" / "There is no such custom rule, or it is of another kind; list yours with `customRules`.",
    CustomRuleFailed = "CUSTOM_RULE_FAILED": "系统繁忙，请稍后再试；本次不消耗抽奖次数。" / "The enterprise's own system decides here and gives no answer at present; try again later. No chance was used.",
    BeingDecided = "BEING_DECIDED": "上一次请求仍在处理中，请稍候用同一幂等键重试。" / "The enterprise's own system is being asked about this very request; send it again with the same key.",
    RuledOut = "RULED_OUT": "企业未允许本次抽奖，详见 `refusal`。" / "The enterprise's own system does not let you draw now; `refusal` says why. No chance was used.",
    NotEnoughStock = "NOT_ENOUGH_STOCK": "藏品未发行或库存不足。" / "That many pieces are not left, or the collectible is not issued yet; lower the quantity or issue it first.",
    NotEnoughCodes = "NOT_ENOUGH_CODES": "兑奖码数量与奖品数量不一致，请用 `prizeCodesAdd` 补齐。" / "The prize has another number of codes than of pieces; add the missing ones with `prizeCodesAdd`.",
    DuplicateCode = "DUPLICATE_CODE": "兑奖码重复：同一兑奖码只能发放一次。" / "A claim code stands there before, here or under a published prize; each is given once.",
    ClaimInReview = "CLAIM_IN_REVIEW": "该中奖正在审核中，请等待审核结果。" / "This win is being reviewed; wait for the enterprise's word.",
    ClaimRevoked = "CLAIM_REVOKED": "该中奖未通过审核或已被撤回。" / "The enterprise has not confirmed this win, or has withdrawn it.",
    WrongClaimState = "WRONG_CLAIM_STATE": "领取记录当前状态不允许此操作，请查看 `state`。" / "The claim's state does not allow this; read its `state`.",
    ClaimExpired = "CLAIM_EXPIRED": "已超过领取期限。" / "The claim's deadline has passed.",
    AlreadyClaimed = "ALREADY_CLAIMED": "已经领取过了。" / "This was claimed already; follow its state.",
    InvalidPhone = "INVALID_PHONE": "手机号格式不正确，应为 11 位中国大陆手机号。" / "That is no mainland mobile number; send 11 digits, with or without +86.",
    DuplicatePhone = "DUPLICATE_PHONE": "名单中的手机号重复。" / "The phone number stands in the list before; name each person once.",
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED": "该幂等键已用于不同的输入，请换一个新键。" / "This idempotency key was used for another input; send a new key for a new intent.",
});

impl From<WhyClosed> for ActivityErrorCode {
    fn from(why: WhyClosed) -> Self {
        match why {
            WhyClosed::NotFound => Self::NotFound,
            WhyClosed::NotPublished => Self::NotPublished,
            WhyClosed::NotYetOpen => Self::NotYetOpen,
            WhyClosed::Closed => Self::Closed,
            WhyClosed::Paused => Self::Paused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn window(state: ActivityState, seconds_after_opening: i64) -> Window {
        let opens_at = DateTime::UNIX_EPOCH;
        let at = opens_at + TimeDelta::seconds(seconds_after_opening);
        Window { state, opens_at, closes_at: opens_at + TimeDelta::seconds(10), at }
    }

    #[test]
    fn a_window_is_half_open_and_only_a_published_activity_runs_in_it() {
        use ActivityState::*;
        assert_eq!(window(Published, -1).judge(), Err(WhyClosed::NotYetOpen));
        assert_eq!(window(Published, 0).judge(), Ok(()));
        assert_eq!(window(Published, 9).judge(), Ok(()));
        assert_eq!(window(Published, 10).judge(), Err(WhyClosed::Closed));
        assert_eq!(window(Paused, 5).judge(), Err(WhyClosed::Paused));
        assert_eq!(window(Paused, 10).judge(), Err(WhyClosed::Closed), "what is over is no longer merely held");
        for &state in ActivityState::ALL {
            assert_eq!(window(state, 5).judge().is_ok(), state == Published, "{state:?}");
        }
    }

    #[test]
    fn nothing_goes_live_past_the_house_and_what_ended_stays_ended() {
        use ActivityState::*;
        for &state in ActivityState::ALL {
            assert_eq!(state.may_become(Approved), state == InReview, "{state:?}");
            assert_eq!(state.may_become(Published), matches!(state, Approved | Paused), "{state:?}");
            for over in [Ended, Settled, Archived, Terminated] {
                assert!(!over.may_become(state) || matches!(state, Settled | Archived), "{over:?} → {state:?}");
            }
        }
    }
}
