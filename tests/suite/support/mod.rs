//! What tests stand on.

pub mod app;
pub mod cluster;
pub mod people;
pub mod play;
pub mod stream;
