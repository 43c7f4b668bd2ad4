//! Activities in GraphQL: decode, call, map.

mod chances;
mod custom_rules;
mod draws;
mod inputs;
mod mutations;
mod objects;
mod plans;
mod prizes;
mod proofs;
mod queries;
mod reports;
mod simulation;

pub use self::chances::*;
pub use self::custom_rules::*;
pub use self::draws::*;
pub use self::inputs::*;
pub use self::mutations::*;
pub use self::objects::*;
pub use self::plans::*;
pub use self::prizes::*;
pub use self::proofs::*;
pub use self::queries::ActivitiesQuery;
pub use self::reports::*;
pub use self::simulation::SimulationObject;
