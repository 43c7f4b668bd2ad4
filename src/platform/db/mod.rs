//! PostgreSQL: the pools, transactions, migrations, and the embedded child.
//!
//! There is no way from here to a bare connection. A [`Transaction`] begins under one login role with the settings
//! that the row-security policies read, and ends by `commit` or not at all.

mod pool;
mod statement;
mod transaction;

pub mod embedded;
pub mod inspect;
pub mod migrate;
pub mod place;

pub use pool::{Database, PoolSettings};
pub use statement::statement;
pub use transaction::{Access, Role, Session, Transaction, is_contention};
