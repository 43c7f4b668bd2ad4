//! The GraphQL edge: the root schema, who may come in, transports and limits, errors, identifiers and pages.
//!
//! A capability brings its objects and root fields in its own `graphql.rs`; here they are joined (`schema.rs`,
//! `node.rs`) and served (`transport/`, `uploads.rs`, `downloads.rs`, `server.rs`).

pub mod connection;
pub mod context;
pub mod downloads;
pub mod draws;
pub mod exports;
pub mod gate;
pub mod media;
pub mod node;
pub mod oauth;
pub mod payload;
pub mod review;
pub mod schema;
pub mod server;
pub mod serving;
pub mod sso;
pub mod text;
pub mod transport;
pub mod uploads;
