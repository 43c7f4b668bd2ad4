//! What tests stand on.

pub mod app;
pub mod cluster;
pub mod identity_provider;
pub mod play;
pub mod sso;
pub mod stream;
