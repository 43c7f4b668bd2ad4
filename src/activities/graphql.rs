//! Activities in GraphQL: decode, call, map.

mod inputs;
mod mutations;
mod objects;
mod queries;

pub use self::inputs::*;
pub use self::mutations::*;
pub use self::objects::*;
pub use self::queries::ActivitiesQuery;
