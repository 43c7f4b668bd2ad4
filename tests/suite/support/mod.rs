//! What tests stand on.

pub mod app;
pub mod cluster;
pub mod desk;
pub mod play;
pub mod stream;
