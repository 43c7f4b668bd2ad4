//! What every capability stands on and none is about: database, clock, randomness, crypto, files, faults,
//! languages.
//!
//! Nothing here knows the business; a test (`tests/suite/walls.rs`) keeps it so.

pub mod address;
pub mod backoff;
pub mod breaker;
pub mod clock;
pub mod config;
pub mod db;
pub mod fault;
pub mod host;
pub mod id;
pub mod language;
pub mod media;
pub mod objects;
pub mod outbound;
pub mod page;
pub mod randomness;
pub mod refusal;
pub mod secrets;
pub mod telemetry;
pub mod throttle;
pub mod together;
pub mod values;
pub mod vault;

use std::sync::Arc;

use clock::Clock;
use db::Database;
use objects::Objects;
use randomness::Randomness;
use vault::SealingKey;

/// The parts that a use case works with. Made once, in `app.rs`; tests put scripted parts in.
pub struct Platform {
    pub database: Database,
    pub clock: Arc<dyn Clock>,
    pub randomness: Arc<dyn Randomness>,
    pub master_key: SealingKey,
    pub objects: Objects,
}
