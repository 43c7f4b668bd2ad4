//! The database: where it runs and how it is reached.

pub mod embedded;
