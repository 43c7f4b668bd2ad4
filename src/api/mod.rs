//! The GraphQL edge: root schema, transports, limits, errors, identifiers and pages.

pub mod connection;
pub mod context;
pub mod payload;
pub mod text;
pub mod transport;
