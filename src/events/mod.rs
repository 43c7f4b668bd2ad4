//! Events: what happened, told in order to whoever subscribed.
//!
//! A change writes its event into the outbox in its own transaction ([`outbox::emit_in`]); the relay gives it the
//! tenant's next sequence number and publishes it. To add an event, add its type to `model.rs` and emit it where the
//! change is made.

pub mod model;
pub mod outbox;
