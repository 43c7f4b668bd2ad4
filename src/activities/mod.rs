//! Activities: what an enterprise runs, and when it is open.

pub mod model;
pub mod window;
