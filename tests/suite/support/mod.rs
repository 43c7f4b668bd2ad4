//! What tests stand on.

pub mod cluster;
