//! The tests that cross a boundary: HTTP, the database, processes. One binary, as each more would link it all again.

mod audit;
mod benches;
mod branches;
mod campaign;
mod catalogue;
mod clients;
mod draws;
mod embedded;
mod enterprises;
mod events;
mod hosts;
mod idempotency;
mod isolation;
mod oidc;
mod operations;
mod operators;
mod operators_attacks;
mod operators_secrets;
mod reads;
mod sales;
mod server;
mod support;
mod sweep;
mod transport;
mod uploads;
mod walls;
