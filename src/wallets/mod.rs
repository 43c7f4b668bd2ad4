//! Wallets: holders, the items they hold, and the transfers that move an item.
//!
//! Whatever brings a piece to a person (a claim, an order, a gift) asks [`transfer::request_in`] for it; the transfer
//! worker takes it to the ledger and back, and tells the cause when it has arrived.

pub mod graphql;
pub mod holder;
pub mod item;
pub mod loaders;
pub mod model;
pub mod store;
pub mod subscription;
pub mod transfer;
pub mod transfer_job;
