//! The GraphQL edge: root schema, transports, limits, errors, identifiers and pages.

pub mod transport;
