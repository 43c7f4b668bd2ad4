//! Activities in GraphQL: decode, call, map.

mod chances;
mod draws;
mod inputs;
mod mutations;
mod objects;
mod plans;
mod proofs;
mod queries;
mod reports;
mod simulation;

pub use self::chances::*;
pub use self::draws::*;
pub use self::inputs::*;
pub use self::mutations::*;
pub use self::objects::*;
pub use self::plans::*;
pub use self::proofs::*;
pub use self::queries::ActivitiesQuery;
pub use self::reports::*;
pub use self::simulation::SimulationObject;
