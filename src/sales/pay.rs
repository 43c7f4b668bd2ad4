//! An order is paid: the holder's device is told how, the channel tells of the money, and the pieces set out.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalog::model::StockMove;
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::sales::SalesServices;
use crate::sales::model::{
    Merchant, MerchantId, OfferId, OnPayment, Order, OrderId, OrderState, Payment, PaymentChannel, PaymentId,
    PaymentState, SaleErrorCode,
};
use crate::sales::order::{self, announce_in, check_step, lock_in};
use crate::sales::payment::{Notification, Parameter, SignedNotification};
use crate::sales::reserve::{self, Shortage};
use crate::sales::store::payments::NewPayment;
use crate::sales::store::{bindings, offers, orders, payments};
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HolderScope, TenantScope, TenantTx};
use crate::wallets::model::TransferCause;
use crate::wallets::transfer::{self, Delivery};

const SANDBOX_PAY: &str = "sandboxPay";

/// What the holder's device needs to pay.
pub struct Started {
    pub order: Order,
    pub channel: PaymentChannel,
    pub parameters: Vec<Parameter>,
}

pub struct Received {
    pub order: Order,
    pub payment: Payment,
    /// The channel had told of it before.
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    order: OrderId,
    payment: PaymentId,
}

/// Begins the payment of a holder's own order.
pub async fn start(
    platform: &Platform,
    services: &SalesServices,
    scope: &HolderScope,
    id: OrderId,
) -> Result<Started, Refusal<SaleErrorCode>> {
    scope.require_active()?;
    let tx = scope.read(&platform.database).await?;
    let (order, merchant) = with_merchant(&tx, id).await?;
    let overdue = orders::is_overdue(&tx, id).await?;
    drop(tx); // the channel may take its time
    match order.state {
        OrderState::PendingPayment if !overdue => {}
        OrderState::PendingPayment | OrderState::Expired => {
            return Err(Refusal::at("orderId", SaleErrorCode::OrderExpired));
        }
        _ => return Err(Refusal::at("orderId", SaleErrorCode::WrongState)),
    }
    let parameters = services.provider(merchant.channel)?.start(&merchant, &order).await?;
    Ok(Started { order, channel: merchant.channel, parameters })
}

/// A channel's notification for one of a tenant's merchants. The answer to a repeated one is the first answer; a
/// refusal makes the channel send it again.
pub async fn confirm(
    platform: &Platform,
    services: &SalesServices,
    tenant: EnterpriseId,
    merchant: MerchantId,
    sent: &SignedNotification,
) -> Result<Received, Refusal<SaleErrorCode>> {
    let scope = TenantScope::of_system(tenant);
    let tx = scope.read(&platform.database).await?;
    let merchant = bindings::merchants_by_id(&tx, &[merchant])
        .await?
        .remove(&merchant)
        .ok_or_else(|| Refusal::code(SaleErrorCode::MerchantNotFound))?;
    drop(tx);
    let notification = read(services, &merchant, sent)?;

    let tx = scope.write(&platform.database).await?;
    let received = received_in(&tx, &merchant, &notification).await?;
    tx.commit().await?;
    Ok(received)
}

/// Pays a holder's own order with play money: the sandbox sends its notification, which is treated like any other.
pub async fn sandbox_pay(
    platform: &Platform,
    services: &SalesServices,
    scope: &HolderScope,
    id: OrderId,
    key: &IdempotencyKey,
) -> Result<Received, Refusal<SaleErrorCode>> {
    let tx = scope.read(&platform.database).await?;
    let (order, merchant) = with_merchant(&tx, id).await?;
    drop(tx);
    let sandbox = services
        .sandbox()
        .filter(|_| merchant.channel == PaymentChannel::Sandbox)
        .ok_or_else(|| Refusal::at("orderId", SaleErrorCode::SandboxOnly))?;
    let notification = read(services, &merchant, &sandbox.pay(&merchant, &order)?)?;

    let tx = scope.write(&platform.database).await?;
    match idempotency::claim_in(&tx, SANDBOX_PAY, key, &json!({ "order": id })).await? {
        Turn::First => {}
        Turn::Replay(Kept { order, payment }) => {
            let (order, payment) = (order::find(&tx, order).await?, payments::payment(&tx, payment).await?);
            return Ok(Received { order, payment, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", SaleErrorCode::IdempotencyKeyReused)),
    }
    let received = received_in(&tx, &merchant, &notification).await?;
    let kept = Kept { order: received.order.id, payment: received.payment.id };
    idempotency::settle_in(&tx, SANDBOX_PAY, key, &kept).await?;
    tx.commit().await?;
    Ok(received)
}

fn read(
    services: &SalesServices,
    merchant: &Merchant,
    sent: &SignedNotification,
) -> Result<Notification, Refusal<SaleErrorCode>> {
    services.provider(merchant.channel)?.notification(merchant, sent).map_err(|error| {
        tracing::warn!(merchant = %merchant.id, "a payment notification was refused: {error}");
        Refusal::code(SaleErrorCode::NotAuthentic)
    })
}

async fn with_merchant(tx: &TenantTx, id: OrderId) -> Result<(Order, Merchant), Refusal<SaleErrorCode>> {
    let order = orders::orders_by_id(tx, &[id])
        .await?
        .remove(&id)
        .ok_or_else(|| Refusal::at("orderId", SaleErrorCode::OrderNotFound))?;
    let merchant =
        bindings::merchants_by_id(tx, &[order.merchant_id]).await?.remove(&order.merchant_id).ok_or(Fault::NotFound)?;
    Ok((order, merchant))
}

/// What money that has come in means for its order. It is never turned away for coming late or twice: then it is
/// written down as due back.
async fn received_in(
    tx: &TenantTx,
    merchant: &Merchant,
    notification: &Notification,
) -> Result<Received, Refusal<SaleErrorCode>> {
    let id = orders::order_id_by_number(tx, &notification.order_number)
        .await?
        .ok_or_else(|| Refusal::code(SaleErrorCode::OrderNotFound))?;
    let before = lock_in(tx, id).await?;
    let known = payments::payment_by_transaction(tx, merchant.channel, &notification.channel_transaction_id).await?;
    match known {
        Some(payment) if payment.order_id == before.id => {
            return Ok(Received { order: before, payment, replayed: true });
        }
        None if fits(notification, merchant, &before) => {}
        _ => {
            tracing::error!(order = %before.id, ?notification, "a payment does not fit its order");
            return Err(Refusal::code(SaleErrorCode::PaymentMismatch));
        }
    }

    let owed_back = match before.state.on_payment() {
        OnPayment::Fulfil => None,
        OnPayment::ReserveAgain => reserve_again_in(tx, &before).await?.err().map(|shortage| match shortage {
            Shortage::LimitReached(_) => "LIMIT_REACHED",
            Shortage::SoldOut(_) => "SOLD_OUT",
        }),
        OnPayment::Refund => Some("ALREADY_PAID"),
    };
    let new = NewPayment {
        order: &before,
        channel: merchant.channel,
        channel_transaction_id: &notification.channel_transaction_id,
        amount: notification.amount,
        state: if owed_back.is_none() { PaymentState::Succeeded } else { PaymentState::RefundDue },
    };
    let payment = payments::insert_payment_in(tx, &new).await?;
    let order = match owed_back {
        None => fulfil_in(tx, &before).await?,
        Some(reason) => owe_back_in(tx, &before, &payment, reason).await?,
    };
    audit::record_in(tx, "paymentReceived", order.id.uuid(), Some(&before), &order).await?;
    Ok(Received { order, payment, replayed: false })
}

fn fits(notification: &Notification, merchant: &Merchant, order: &Order) -> bool {
    order.merchant_id == merchant.id
        && notification.merchant_number == merchant.merchant_number
        && notification.amount == order.total()
}

/// The reservation of a closed order anew, if stock and the holder's limit still allow it.
async fn reserve_again_in(tx: &TenantTx, order: &Order) -> Result<Result<(), Shortage>, Fault> {
    let lines = orders::lines_of(tx, &[order.id]).await?;
    let ids: Vec<OfferId> = lines.iter().map(|line| line.offer_id).collect();
    let mut offers = offers::offers_by_id(tx, &ids).await?;
    let wanted = lines
        .iter()
        .map(|line| Ok((offers.remove(&line.offer_id).ok_or(Fault::NotFound)?, line.quantity)))
        .collect::<Result<Vec<_>, Fault>>()?;
    reserve::reserve_in(tx, order.id, order.holder_id, &wanted).await
}

/// Gives the order's pieces their numbers and sends them on their way.
async fn fulfil_in(tx: &TenantTx, order: &Order) -> Result<Order, Fault> {
    check_step(order, OrderState::Paid)?;
    let paid = orders::set_paid_in(tx, order.id).await?;
    announce_in(tx, std::slice::from_ref(&paid)).await?;

    let lines = orders::reserved_lines(tx, &[order.id]).await?;
    let numbering: Vec<StockMove> =
        lines.iter().map(|line| StockMove::number(line.allotment_id, order.id.uuid(), line.quantity)).collect();
    let firsts = reserve::lock_and_move_in(tx, &numbering).await?;
    // An offer has one line and one allotment, so what came off an allotment is the line's alone.
    let mut serials = Vec::with_capacity(lines.len());
    let mut deliveries = Vec::new();
    for line in &lines {
        let first = *firsts.get(&line.allotment_id).ok_or(Fault::NotFound)?;
        serials.push((line.position, first));
        deliveries.extend((first..first + line.quantity).map(|serial| Delivery {
            collectible: line.collectible_id,
            serial,
            to: order.holder_id,
            cause: TransferCause::Order,
            cause_id: order.id.uuid(),
        }));
    }
    orders::set_first_serials_in(tx, order.id, &serials).await?;
    transfer::request_in(tx, &deliveries).await?;

    check_step(&paid, OrderState::Fulfilling)?;
    let change = (order.id, OrderState::Fulfilling, deliveries.len() as i32);
    let after = orders::set_undelivered_in(tx, &[change]).await?;
    announce_in(tx, &after).await?;
    after.into_iter().next().ok_or(Fault::NotFound)
}

/// Says that a payment has to go back. The order stays where it is.
async fn owe_back_in(tx: &TenantTx, before: &Order, payment: &Payment, reason: &str) -> Result<Order, Fault> {
    let order = orders::set_order_states_in(tx, &[before.id], before.state).await?.pop().ok_or(Fault::NotFound)?;
    let mut data = order::data(&order);
    data["refundDue"] = json!({
        "paymentId": payment.id,
        "amountMinor": payment.amount_minor,
        "currency": payment.currency,
        "reason": reason,
    });
    outbox::emit_in(tx, NewEvent::new(EventType::OrderChanged, order.id.uuid(), order.version, data)?).await?;
    Ok(order)
}
