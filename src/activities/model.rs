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
use crate::schema::{activities, airdrops, claims, draws, prize_lots, prize_plans, prizes};
use crate::tenancy::model::EnterpriseId;
use crate::wallets::model::{HolderId, TransferId};
use crate::{typed_id, words};

typed_id!(ActivityId, "activity");
typed_id!(PrizePlanId, "prize_plan");
typed_id!(PrizeId, "prize");
typed_id!(DrawId, "draw");
typed_id!(ClaimId, "claim");
typed_id!(AirdropId, "airdrop");

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
        /// Waits to be taken up before its deadline.
        Pending = "PENDING",
        /// Taken up; its delivery is not under way yet.
        Claimed = "CLAIMED",
        /// On its way through the ledger.
        Delivering = "DELIVERING",
        /// The item is the holder's.
        Delivered = "DELIVERED",
        /// Not taken up in time.
        Expired = "EXPIRED",
        /// Withdrawn by the enterprise.
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
}

/// Pieces of one collectible that a prize consists of.
#[derive(Clone, Copy, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = prize_lots)]
pub struct PrizeLot {
    pub prize_id: PrizeId,
    pub position: i32,
    pub collectible_id: CollectibleId,
    pub quantity: i32,
    /// From publication on.
    pub allotment_id: Option<AllotmentId>,
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
    pub collectible_id: CollectibleId,
    pub allotment_id: AllotmentId,
    pub serial: i32,
    pub state: ClaimState,
    pub deadline: DateTime<Utc>,
    pub transfer_id: Option<TransferId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
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
    NotToday = "NOT_TODAY": "今日抽奖次数已达上限，请明天再来。" / "No more draws today; come back tomorrow, which begins at midnight in Shanghai.",
    TooManyAtOnce = "TOO_MANY_AT_ONCE": "抽奖次数须为 1 到该活动允许的单次最多次数。" / "Draw at least once, and at most as often as the activity's `drawsAtOnce` allows in one request.",
    NotEnoughStock = "NOT_ENOUGH_STOCK": "藏品未发行或库存不足。" / "That many pieces are not left, or the collectible is not issued yet; lower the quantity or issue it first.",
    ClaimExpired = "CLAIM_EXPIRED": "已超过领取期限。" / "The claim's deadline has passed.",
    AlreadyClaimed = "ALREADY_CLAIMED": "已经领取过了。" / "This was claimed already; follow its transfer.",
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
