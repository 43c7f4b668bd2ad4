//! The tests that cross a boundary: HTTP, the database, processes. One binary, as each more would link it all again.

mod campaign;
mod catalogue;
mod draws;
mod embedded;
mod events;
mod holders;
mod idempotency;
mod isolation;
mod personal_data;
mod reads;
mod sales;
mod server;
mod support;
mod transport;
mod walls;
