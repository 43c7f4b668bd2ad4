//! Events: what happened, told in order to whoever subscribed.
//!
//! A change writes its event into the outbox in its own transaction ([`outbox::emit_in`]); the relay gives it the
//! tenant's next sequence number and publishes it; subscribers are woken by the bus and read on from where they are,
//! so that a lost wake-up costs a moment and never an event. To add an event, add its type to `model.rs` and emit it
//! where the change is made.

pub mod bus;
pub mod follow;
pub mod graphql;
pub mod model;
pub mod outbox;
pub mod relay;
pub mod store;
