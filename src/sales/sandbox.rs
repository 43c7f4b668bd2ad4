//! The sandbox: a payment channel of play money, with the states and the signatures of a real one.
//!
//! Its answers depend on nothing but their input: a merchant number beginning with "bad" is refused, any other is good,
//! and an order is paid at most once, under one transaction ID.

use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::platform::fault::Fault;
use crate::platform::vault::{SealingKey, hex};
use crate::sales::model::{Merchant, Money, Order, PaymentChannel};
use crate::sales::payment::{NotAuthentic, Notification, Parameter, PaymentProvider, SignedNotification};

/// HMAC-SHA256 of the body under the merchant's key, in hexadecimal.
const SIGNATURE: HeaderName = HeaderName::from_static("sandbox-signature");

pub struct Sandbox {
    key: SealingKey,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    transaction_id: String,
    order_number: String,
    merchant_number: String,
    amount: Money,
}

impl Sandbox {
    pub fn new(master_key: &SealingKey) -> Self {
        Self { key: master_key.derive("sandbox payment channel") }
    }

    /// Pays an order: what the channel then sends to its merchant.
    pub fn pay(&self, merchant: &Merchant, order: &Order) -> Result<SignedNotification, Fault> {
        let body = Body {
            transaction_id: self.name("transaction", order),
            order_number: order.number.clone(),
            merchant_number: merchant.merchant_number.clone(),
            amount: order.total(),
        };
        let body = serde_json::to_vec(&body).map_err(Fault::internal)?;
        let signature = HeaderValue::from_str(&self.sign(merchant, &body)).map_err(Fault::internal)?;
        Ok(SignedNotification { headers: HeaderMap::from_iter([(SIGNATURE, signature)]), body })
    }

    // The merchant's ID is one of a kind across all tenants, so nobody's signature is good for another's order.
    fn sign(&self, merchant: &Merchant, body: &[u8]) -> String {
        hex(&self.key.hash(&format!("notification/{}", merchant.id), body))
    }

    fn name(&self, what: &str, order: &Order) -> String {
        format!("sandbox-{}", hex(&self.key.hash(what, order.id.uuid().as_bytes())[..12]))
    }
}

#[async_trait]
impl PaymentProvider for Sandbox {
    fn channel(&self) -> PaymentChannel {
        PaymentChannel::Sandbox
    }

    async fn verify(&self, merchant: &Merchant) -> Result<bool, Fault> {
        Ok(!merchant.merchant_number.starts_with("bad"))
    }

    async fn start(&self, _: &Merchant, order: &Order) -> Result<Vec<Parameter>, Fault> {
        Ok(vec![
            Parameter { name: "prepayId", value: self.name("prepay", order) },
            Parameter { name: "orderNumber", value: order.number.clone() },
        ])
    }

    fn notification(&self, merchant: &Merchant, sent: &SignedNotification) -> Result<Notification, NotAuthentic> {
        let claimed = sent.headers.get(SIGNATURE).ok_or(NotAuthentic)?;
        verify_slices_are_equal(claimed.as_bytes(), self.sign(merchant, &sent.body).as_bytes())
            .map_err(|_| NotAuthentic)?;
        let body: Body = serde_json::from_slice(&sent.body).map_err(|_| NotAuthentic)?;
        Ok(Notification {
            channel_transaction_id: body.transaction_id,
            order_number: body.order_number,
            merchant_number: body.merchant_number,
            amount: body.amount,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activities::model::ActivityId;
    use crate::sales::model::{BindingState, Currency, MerchantId, OrderId, OrderState};
    use crate::tenancy::model::HolderId;

    fn merchant(number: &str) -> Merchant {
        Merchant {
            id: MerchantId::generate(),
            name: "Shop".into(),
            channel: PaymentChannel::Sandbox,
            merchant_number: number.into(),
            state: BindingState::Active,
            version: 1,
            created_at: Default::default(),
        }
    }

    fn order(merchant: &Merchant) -> Order {
        Order {
            id: OrderId::generate(),
            number: "2025112100300000000042".into(),
            activity_id: ActivityId::generate(),
            merchant_id: merchant.id,
            holder_id: HolderId::generate(),
            state: OrderState::PendingPayment,
            total_minor: 1_990,
            currency: Currency::Cny,
            undelivered: 0,
            expires_at: Default::default(),
            paid_at: None,
            version: 1,
            created_at: Default::default(),
        }
    }

    #[test]
    fn only_what_the_sandbox_signed_for_this_merchant_is_believed() {
        let (shop, other) = (merchant("10001"), merchant("10001"));
        let order = order(&shop);
        let sandbox = Sandbox::new(&SealingKey::new([7; 32]));
        let sent = sandbox.pay(&shop, &order).unwrap();
        let read = sandbox.notification(&shop, &sent).unwrap();
        assert_eq!((read.order_number, read.amount), (order.number.clone(), order.total()));
        assert_eq!(sandbox.pay(&shop, &order).unwrap().body, sent.body, "an order is paid once");

        let mut changed = sent.clone();
        let text = String::from_utf8(sent.body.clone()).unwrap();
        changed.body = text.replace("1990", "1").into_bytes();
        assert_ne!(changed.body, sent.body);
        assert!(sandbox.notification(&shop, &changed).is_err(), "another amount");
        assert!(sandbox.notification(&other, &sent).is_err(), "another merchant");
        let unsigned = SignedNotification { headers: HeaderMap::new(), body: sent.body.clone() };
        assert!(sandbox.notification(&shop, &unsigned).is_err(), "no signature");
        let elsewhere = Sandbox::new(&SealingKey::new([8; 32]));
        assert!(elsewhere.notification(&shop, &sent).is_err(), "another house's key");
    }

    #[tokio::test]
    async fn numbers_beginning_with_bad_are_refused() {
        let sandbox = Sandbox::new(&SealingKey::new([7; 32]));
        assert!(sandbox.verify(&merchant("10001")).await.unwrap());
        assert!(!sandbox.verify(&merchant("bad-1")).await.unwrap());
    }
}
