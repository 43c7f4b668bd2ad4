//! What tests stand on.

pub mod app;
pub mod bucket;
pub mod cluster;
pub mod desk;
pub mod identity_provider;
pub mod media;
pub mod people;
pub mod play;
pub mod sso;
pub mod stream;
pub mod tenants;
