//! What every capability stands on and none is about: database, clock, randomness, crypto, faults, languages.
//!
//! Nothing here knows the business; a test (`tests/suite/walls.rs`) keeps it so.

pub mod db;
pub mod fault;
pub mod language;
