//! What tests stand on.

pub mod anvil;
pub mod app;
pub mod bucket;
pub mod chain;
pub mod cluster;
pub mod desk;
pub mod held;
pub mod identity_provider;
pub mod killed;
pub mod ledgers;
pub mod media;
pub mod offline;
pub mod partner;
pub mod people;
pub mod play;
pub mod sso;
pub mod stream;
pub mod tenants;
