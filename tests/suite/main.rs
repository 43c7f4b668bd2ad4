//! The tests that cross a boundary: HTTP, the database, processes. One binary, as each more would link it all again.

mod campaign;
mod catalogue;
mod draws;
mod embedded;
mod events;
mod idempotency;
mod isolation;
mod oidc;
mod reads;
mod sales;
mod server;
mod sso;
mod sso_attacks;
mod support;
mod transport;
mod uploads;
mod walls;
