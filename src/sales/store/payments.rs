//! SQL over payments.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, insert_into};

use crate::platform::fault::Fault;
use crate::sales::model::{Money, Order, OrderId, Payment, PaymentChannel, PaymentId, PaymentState};
use crate::schema::payments;
use crate::tenancy::scope::TenantTx;

pub struct NewPayment<'a> {
    pub order: &'a Order,
    pub channel: PaymentChannel,
    pub channel_transaction_id: &'a str,
    pub amount: Money,
    pub state: PaymentState,
}

pub async fn insert_payment_in(tx: &TenantTx, new: &NewPayment<'_>) -> Result<Payment, Fault> {
    let row = (
        payments::tenant_id.eq(tx.tenant()),
        payments::id.eq(PaymentId::generate()),
        payments::order_id.eq(new.order.id),
        payments::holder_id.eq(new.order.holder_id),
        payments::merchant_id.eq(new.order.merchant_id),
        payments::channel.eq(new.channel),
        payments::channel_transaction_id.eq(new.channel_transaction_id.to_owned()),
        payments::amount_minor.eq(new.amount.amount_minor),
        payments::currency.eq(new.amount.currency),
        payments::state.eq(new.state),
    );
    tx.one(insert_into(payments::table).values(row).returning(Payment::as_returning())).await
}

/// What the channel has told of before, by its own name for it.
pub async fn payment_by_transaction(
    tx: &TenantTx,
    channel: PaymentChannel,
    id: &str,
) -> Result<Option<Payment>, Fault> {
    tx.optional(
        payments::table
            .filter(payments::tenant_id.eq(tx.tenant()))
            .filter(payments::channel.eq(channel))
            .filter(payments::channel_transaction_id.eq(id.to_owned()))
            .select(Payment::as_select()),
    )
    .await
}

pub async fn payment(tx: &TenantTx, id: PaymentId) -> Result<Payment, Fault> {
    tx.one(
        payments::table
            .filter(payments::tenant_id.eq(tx.tenant()))
            .filter(payments::id.eq(id))
            .select(Payment::as_select()),
    )
    .await
}

pub async fn payments_of(tx: &TenantTx, orders: &[OrderId]) -> Result<Vec<Payment>, Fault> {
    tx.load(
        payments::table
            .filter(payments::tenant_id.eq(tx.tenant()))
            .filter(payments::order_id.eq_any(orders.to_vec()))
            .order((payments::order_id, payments::id))
            .select(Payment::as_select()),
    )
    .await
}
