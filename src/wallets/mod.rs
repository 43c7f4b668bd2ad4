//! Wallets: holders, the items they hold, and the transfers that move an item.
//!
//! Whatever brings a piece to a person (a claim, an order, a gift) asks [`transfer::request_in`] for it; the transfer
//! worker takes it to the ledger and back, and tells the cause when it has arrived.
//!
//! Holders come in three ways: vouched for by their enterprise ([`holder`]), with a code to their phone ([`sign_in`],
//! [`verification`]), through WeChat ([`wechat_sign_in`]). What is known of them is sealed, hashed and masked; it is
//! proved ([`verify`]), shown ([`reveal`]) and erased ([`erase`]) by use cases of their own. A person's view across
//! enterprises is [`wallet`]'s. The world outside (messages, registers, WeChat) is reached through [`WalletServices`].
//!
//! Rows are locked in this order: a code, a holder, what is tied to them.

pub mod contact;
pub mod entrance;
pub mod erase;
pub mod graphql;
pub mod holder;
pub mod identify;
pub mod item;
pub mod loaders;
pub mod model;
pub mod person;
pub mod phone_bind;
pub mod points;
pub mod real_name;
pub mod reconcile;
pub mod reveal;
pub mod sign_in;
pub mod sms;
pub mod store;
pub mod subscription;
pub mod tag;
pub mod transfer;
pub mod transfer_job;
pub mod verification;
pub mod verify;
pub mod wallet;
pub mod wechat_app;
pub mod wechat_sign_in;

use std::sync::Arc;

use crate::bridges::wechat;
use crate::tenancy::sealed::{KeyKind, Purpose, SealedColumn};
use real_name::RealNameProvider;
use sms::SmsSender;

/// What is sealed here.
pub const SEALED: &[SealedColumn] = &[
    SealedColumn::by_id("holders", "phone_sealed", Purpose::Fixed(holder::PURPOSE)),
    SealedColumn::by_id("holders", "name_sealed", Purpose::Fixed(verify::NAME)),
    SealedColumn::by_id("holders", "id_number_sealed", Purpose::Fixed(verify::ID_NUMBER)),
    SealedColumn {
        table: "holder_identities",
        column: "key_sealed",
        key: &[("kind", KeyKind::Text), ("key_hash", KeyKind::Bytes)],
        purpose: Purpose::Fixed(identify::PURPOSE),
        passing: false,
    },
    SealedColumn::by_id("wechat_apps", "secret_sealed", Purpose::Fixed(wechat_app::PURPOSE)),
];

/// The outside world as wallets meet it. Made once, in the wiring, and put into the schema's data.
pub struct WalletServices {
    pub sms: Arc<dyn SmsSender>,
    pub real_name: Arc<dyn RealNameProvider>,
    pub wechat: wechat::SignIn,
}
