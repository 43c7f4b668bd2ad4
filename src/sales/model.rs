//! Merchants, domains, offers, orders and payments, and the states that they go through.

use chrono::{DateTime, FixedOffset, Utc};
use diesel::{Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::activities::model::ActivityId;
use crate::catalog::model::{AllotmentId, CollectibleId};
use crate::codes;
use crate::schema::{domains, merchants, offers, order_lines, orders, payments};
use crate::tenancy::model::HolderId;
use crate::{typed_id, words};

typed_id!(MerchantId, "merchant");
typed_id!(DomainId, "domain");
typed_id!(OfferId, "offer");
typed_id!(OrderId, "order");
typed_id!(PaymentId, "payment");

words! {
    /// How money comes in.
    pub enum PaymentChannel {
        /// Play money.
        Sandbox = "SANDBOX",
    }
}

words! {
    /// A currency of ISO 4217.
    pub enum Currency {
        /// Renminbi, counted in fen (分).
        Cny = "CNY",
    }
}

/// An amount in the currency's minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Money {
    pub amount_minor: i64,
    pub currency: Currency,
}

words! {
    /// Where a merchant number or a domain stands on its way into use.
    pub enum BindingState {
        /// Not verified yet.
        Pending = "PENDING",
        /// Proved to be the enterprise's.
        Verified = "VERIFIED",
        /// In use.
        Active = "ACTIVE",
        /// The last verification failed; it may be tried again.
        Failed = "FAILED",
    }
}

impl BindingState {
    /// The only steps there are.
    pub fn may_become(self, next: Self) -> bool {
        use BindingState::*;
        matches!((self, next), (Pending | Failed, Verified | Failed) | (Verified, Active))
    }
}

words! {
    /// Why a domain's verification failed.
    pub enum ProofFailure {
        /// The host did not answer in time.
        Unreachable = "UNREACHABLE",
        /// The host resolves to an address that is not public.
        PrivateAddress = "PRIVATE_ADDRESS",
        /// The host answers, but not with the file.
        NotFound = "NOT_FOUND",
        /// The file does not hold the token.
        WrongContent = "WRONG_CONTENT",
    }
}

words! {
    /// Where an order stands.
    pub enum OrderState {
        /// Being put together.
        Created = "CREATED",
        /// Stock is reserved for it until it expires.
        PendingPayment = "PENDING_PAYMENT",
        /// The money is there.
        Paid = "PAID",
        /// Its pieces are on their way.
        Fulfilling = "FULFILLING",
        /// Every piece has arrived.
        Completed = "COMPLETED",
        /// Called off before payment.
        Cancelled = "CANCELLED",
        /// Not paid in time.
        Expired = "EXPIRED",
        /// Money is on its way back.
        Refunding = "REFUNDING",
        /// All of the money went back.
        Refunded = "REFUNDED",
        /// Some of the money went back.
        PartiallyRefunded = "PARTIALLY_REFUNDED",
        /// The channel refused to give the money back.
        RefundFailed = "REFUND_FAILED",
    }
}

impl OrderState {
    /// Money or pieces are still owed.
    pub const OPEN: [OrderState; 6] =
        [Self::Created, Self::PendingPayment, Self::Paid, Self::Fulfilling, Self::Refunding, Self::RefundFailed];

    /// The only steps there are. A closed order becomes paid where its payment came late and the stock was still there.
    pub fn may_become(self, next: Self) -> bool {
        use OrderState::*;
        matches!(
            (self, next),
            (Created, PendingPayment | Cancelled)
                | (PendingPayment, Paid | Cancelled | Expired)
                | (Cancelled | Expired, Paid)
                | (Paid, Fulfilling | Refunding)
                | (Fulfilling, Completed | Refunding)
                | (Completed | RefundFailed, Refunding)
                | (Refunding, Refunded | PartiallyRefunded | RefundFailed)
        )
    }

    /// What a payment that arrives in this state is good for.
    pub fn on_payment(self) -> OnPayment {
        match self {
            Self::PendingPayment => OnPayment::Fulfil,
            Self::Cancelled | Self::Expired => OnPayment::ReserveAgain,
            _ => OnPayment::Refund,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPayment {
    Fulfil,
    /// The reservation is gone: fulfil if there is enough left, else the money is due back.
    ReserveAgain,
    /// It was paid already.
    Refund,
}

words! {
    /// What became of a payment.
    pub enum PaymentState {
        /// The order has it.
        Succeeded = "SUCCEEDED",
        /// It came too late or twice; the money is due back to the holder.
        RefundDue = "REFUND_DUE",
    }
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = merchants)]
pub struct Merchant {
    pub id: MerchantId,
    pub name: String,
    pub channel: PaymentChannel,
    pub merchant_number: String,
    pub state: BindingState,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = domains)]
pub struct Domain {
    pub id: DomainId,
    pub host: String,
    pub filing_number: String,
    pub verification_token: String,
    pub state: BindingState,
    pub failure: Option<ProofFailure>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = offers)]
pub struct Offer {
    pub id: OfferId,
    pub activity_id: ActivityId,
    pub collectible_id: CollectibleId,
    pub merchant_id: MerchantId,
    pub position: i32,
    pub price_minor: i64,
    pub currency: Currency,
    pub quantity: i32,
    pub limit_per_holder: i32,
    /// None until the activity is published.
    pub allotment_id: Option<AllotmentId>,
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = orders)]
pub struct Order {
    pub id: OrderId,
    pub number: String,
    pub activity_id: ActivityId,
    pub merchant_id: MerchantId,
    pub holder_id: HolderId,
    pub state: OrderState,
    pub total_minor: i64,
    pub currency: Currency,
    /// Pieces paid for that have not arrived.
    pub undelivered: i32,
    pub expires_at: DateTime<Utc>,
    pub paid_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
}

impl Order {
    pub fn total(&self) -> Money {
        Money { amount_minor: self.total_minor, currency: self.currency }
    }

    /// Where it stands after `arrived` more of its pieces have reached their holder.
    pub fn after_arrival(&self, arrived: i32) -> Option<(OrderState, i32)> {
        let undelivered = self.undelivered.checked_sub(arrived).filter(|left| *left >= 0)?;
        match self.state {
            OrderState::Fulfilling if undelivered == 0 => Some((OrderState::Completed, 0)),
            OrderState::Fulfilling => Some((OrderState::Fulfilling, undelivered)),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = order_lines)]
pub struct OrderLine {
    pub order_id: OrderId,
    pub position: i32,
    pub offer_id: OfferId,
    pub collectible_id: CollectibleId,
    pub quantity: i32,
    pub unit_price_minor: i64,
    /// None until the order is paid; the line's pieces are numbered from here on.
    pub first_serial: Option<i32>,
}

#[derive(Clone, Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = payments)]
pub struct Payment {
    pub id: PaymentId,
    pub order_id: OrderId,
    pub merchant_id: MerchantId,
    pub channel: PaymentChannel,
    pub channel_transaction_id: String,
    pub amount_minor: i64,
    pub currency: Currency,
    pub state: PaymentState,
    pub created_at: DateTime<Utc>,
}

/// The number that people read out on the telephone and that a channel knows the order by: the moment in Shanghai
/// (yyyymmddhhmmss) and eight digits of chance, both out of the ID. 22 digits; WeChat Pay allows 32 characters.
pub fn order_number(id: OrderId) -> String {
    let bits = id.uuid().as_u128();
    let shanghai = FixedOffset::east_opt(8 * 3600).expect("eight hours are an offset");
    let moment = DateTime::from_timestamp_millis((bits >> 80) as i64).unwrap_or_default().with_timezone(&shanghai);
    format!("{}{:08}", moment.format("%Y%m%d%H%M%S"), (bits & u128::from(u64::MAX >> 2)) % 100_000_000)
}

codes!(SaleErrorCode, SaleUserError, {
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    MerchantNotFound = "MERCHANT_NOT_FOUND": "没有找到该商户号。" / "There is no such merchant; list yours with `merchants`.",
    MerchantNumberTaken = "MERCHANT_NUMBER_TAKEN": "该商户号已绑定。" / "That merchant number is bound already; list yours with `merchants`.",
    MerchantNotActive = "MERCHANT_NOT_ACTIVE": "该商户号尚未验证通过。" / "The merchant is not active; verify it with `merchantVerify` first.",
    DomainNotFound = "DOMAIN_NOT_FOUND": "没有找到该域名。" / "There is no such domain; list yours with `domains`.",
    HostTaken = "HOST_TAKEN": "该域名已由其他企业验证通过；请换一个，如确属贵企业请联系平台运营方。" / "Another enterprise has proved that host; choose another, or contact the house if it is yours.",
    AlreadyActive = "ALREADY_ACTIVE": "已验证通过，无需重复验证。" / "It was verified already and is in use; there is nothing left to do.",
    ActivityNotFound = "ACTIVITY_NOT_FOUND": "没有找到该发售活动。" / "There is no such sale; check the activity's ID.",
    ActivityFrozen = "ACTIVITY_FROZEN": "活动已提交审核或发布，不能再修改。" / "The activity was handed to review or published; offers are added to a draft.",
    NotPublished = "NOT_PUBLISHED": "活动尚未发布。" / "The sale is not published yet.",
    NotYetOpen = "NOT_YET_OPEN": "发售尚未开始。" / "The sale has not begun; come back at its opening time.",
    Closed = "CLOSED": "发售已结束。" / "The sale is over.",
    Paused = "PAUSED": "发售已暂停，请稍后再试。" / "The sale is paused; try again later.",
    CollectibleNotFound = "COLLECTIBLE_NOT_FOUND": "没有找到该藏品。" / "There is no such collectible; list yours with `collectibles`.",
    OfferNotFound = "OFFER_NOT_FOUND": "该活动中没有这个商品。" / "The sale has no such offer; list them with `offers(filter: {activityId})`.",
    MixedMerchants = "MIXED_MERCHANTS": "同一订单的商品须属于同一商户号，请分开下单。" / "These offers are sold by different merchants; place an order for each.",
    PriceChanged = "PRICE_CHANGED": "总价已变化，请确认后重新下单。" / "The total is not the one expected; look at the prices again and confirm.",
    LimitReached = "LIMIT_REACHED": "超出每人限购数量。" / "That is more than one holder may buy of this offer.",
    SoldOut = "SOLD_OUT": "库存不足。" / "Not that many are left.",
    OrderNotFound = "ORDER_NOT_FOUND": "没有找到该订单。" / "There is no such order; list them with `orders`.",
    WrongState = "WRONG_STATE": "订单当前状态不允许此操作。" / "The order's state does not allow this; read `state`.",
    OrderExpired = "ORDER_EXPIRED": "订单已超时，请重新下单。" / "The order's time to pay has run out; place a new one.",
    PaymentMismatch = "PAYMENT_MISMATCH": "支付通知与订单不符。" / "The payment is not for this order's merchant, amount and currency.",
    NotAuthentic = "NOT_AUTHENTIC": "支付通知验签失败。" / "The notification is not signed by its channel.",
    SandboxOnly = "SANDBOX_ONLY": "仅沙箱商户号支持此操作。" / "Only a sandbox merchant's order can be paid with play money.",
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED": "该幂等键已用于不同的输入，请换一个新键。" / "This idempotency key was used for another input; send a new key for a new intent.",
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    #[test]
    fn money_leads_only_to_its_pieces_or_back() {
        use OrderState::*;
        for &state in OrderState::ALL {
            // What a payment does must be a step that the state may take.
            let paid = state.may_become(Paid);
            assert_eq!(paid, state.on_payment() != OnPayment::Refund, "{state:?}");
            // Only what is unpaid may be closed, so that nothing paid is ever released.
            let closed = state.may_become(Cancelled) || state.may_become(Expired);
            assert_eq!(closed, matches!(state, Created | PendingPayment), "{state:?}");
        }
        assert!(!Refunded.may_become(Paid) && !Completed.may_become(Fulfilling));
    }

    #[test]
    fn a_binding_is_used_only_once_verified() {
        use BindingState::*;
        let into_use: Vec<_> = BindingState::ALL.iter().filter(|state| state.may_become(Active)).collect();
        assert_eq!(into_use, [&Verified]);
        assert!(!Active.may_become(Failed), "a late answer must not take an active one out of use");
    }

    fn order(state: OrderState, undelivered: i32) -> Order {
        let id = OrderId::generate();
        Order {
            id,
            number: order_number(id),
            activity_id: ActivityId::generate(),
            merchant_id: MerchantId::generate(),
            holder_id: HolderId::generate(),
            state,
            total_minor: 1,
            currency: Currency::Cny,
            undelivered,
            expires_at: DateTime::default(),
            paid_at: None,
            version: 1,
            created_at: DateTime::default(),
        }
    }

    #[test]
    fn an_order_completes_with_its_last_piece_and_never_takes_more() {
        use OrderState::*;
        assert_eq!(order(Fulfilling, 3).after_arrival(2), Some((Fulfilling, 1)));
        assert_eq!(order(Fulfilling, 3).after_arrival(3), Some((Completed, 0)));
        assert_eq!(order(Fulfilling, 3).after_arrival(4), None);
        assert_eq!(order(Expired, 3).after_arrival(1), None);
    }

    // 2025-11-20T16:30:00.123Z, which is the next day in Shanghai.
    #[test]
    fn a_number_begins_with_the_day_in_shanghai() {
        let millis: u128 = 1_763_656_200_123;
        let id = OrderId::from_uuid(Uuid::from_u128((millis << 80) | (0x7 << 76) | (0x8 << 60) | 42));
        assert_eq!(order_number(id), "2025112100300000000042");
    }

    proptest! {
        #[test]
        fn a_number_is_22_digits(millis in 0u64..4_102_444_800_000, rest: u64) {
            let id = OrderId::from_uuid(Uuid::from_u128((u128::from(millis) << 80) | u128::from(rest)));
            let number = order_number(id);
            prop_assert_eq!(number.len(), 22);
            prop_assert!(number.bytes().all(|byte| byte.is_ascii_digit()));
        }
    }
}
