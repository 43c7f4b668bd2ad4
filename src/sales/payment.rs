//! What sales asks of a payment channel.
//!
//! A provider talks to its channel and nothing else: it knows no tenant, opens no transaction and decides nothing about
//! an order. Its calls may take their time, so they are made outside any transaction.

use async_trait::async_trait;
use http::HeaderMap;

use crate::platform::fault::Fault;
use crate::sales::model::{Merchant, Money, Order, PaymentChannel};

/// One channel through which money comes in. How to add another: see [`crate::sales`].
#[async_trait]
pub trait PaymentProvider: Send + Sync + 'static {
    fn channel(&self) -> PaymentChannel;

    /// Asks the channel, by a signed call, whether this merchant number is the enterprise's.
    async fn verify(&self, merchant: &Merchant) -> Result<bool, Fault>;

    /// Tells the channel of an order; gives what the holder's device needs to pay it. Asked again for one order, it
    /// gives the same payment again.
    async fn start(&self, merchant: &Merchant, order: &Order) -> Result<Vec<Parameter>, Fault>;

    /// Reads a notification, after its signature was found to be the channel's for this merchant.
    fn notification(&self, merchant: &Merchant, sent: &SignedNotification) -> Result<Notification, NotAuthentic>;
}

/// One thing that the payment page is given, such as `prepayId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub value: String,
}

/// A channel's message as it came in.
#[derive(Clone, Debug)]
pub struct SignedNotification {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// A payment that a channel has told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The channel's own name for the payment: however often it tells of it, this is the same.
    pub channel_transaction_id: String,
    pub order_number: String,
    pub merchant_number: String,
    pub amount: Money,
}

/// Nobody but the channel may say that money has come in.
#[derive(Debug, thiserror::Error)]
#[error("the notification is not signed by its channel, or is none")]
pub struct NotAuthentic;
