//! Where sealed values stand, so that they can be sealed anew under another data key.
//!
//! A capability that seals something names the column in a list of its own (`SEALED`), with what the value is sealed
//! for; [`crate::app::sealed_columns`] joins the lists. The catalogue test fails for a column that is in none.

use uuid::Uuid;

/// How a row's key is written as text and read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Uuid,
    Text,
    Bytes,
}

/// For what the values of a column are sealed.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// All for the same.
    Fixed(&'static str),
    /// Each for its own row, which its ID is bound in by.
    OfRow(fn(Uuid) -> String),
}

/// One column of sealed values.
#[derive(Clone, Copy, Debug)]
pub struct SealedColumn {
    pub table: &'static str,
    pub column: &'static str,
    /// The primary key without the tenant, in its order.
    pub key: &'static [(&'static str, KeyKind)],
    pub purpose: Purpose,
    /// Nobody reads the values after some minutes, when they have been used or thrown away: they are let be.
    pub passing: bool,
}

impl SealedColumn {
    /// Values of rows that have an `id`.
    pub const fn by_id(table: &'static str, column: &'static str, purpose: Purpose) -> Self {
        Self { table, column, key: &[("id", KeyKind::Uuid)], purpose, passing: false }
    }
}

impl Purpose {
    /// For what the value in the row with this key is sealed; nothing where the key is no row's.
    pub fn of(&self, key: &[String]) -> Option<String> {
        match self {
            Self::Fixed(purpose) => Some((*purpose).to_owned()),
            Self::OfRow(purpose) => key.first()?.parse().ok().map(purpose),
        }
    }
}
