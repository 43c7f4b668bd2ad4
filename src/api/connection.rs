//! Relay connections from pages.

use async_graphql::connection::{
    Connection, ConnectionNameType, DefaultConnectionName, DefaultEdgeName, Edge, EmptyFields,
};
use async_graphql::{Context, OutputType, SimpleObject};

use crate::platform::page::{Page, PageArguments, Slice};

/// What a connection tells beside its edges.
#[derive(SimpleObject)]
pub struct Totals {
    /// How many there are in all under this filter. Counted only when selected.
    pub total_count: i64,
}

pub type List<T, N = DefaultConnectionName, E = DefaultEdgeName> = Connection<String, T, Totals, EmptyFields, N, E>;

/// Whether the query asks for `totalCount` of the field being resolved.
pub fn wants_total(ctx: &Context<'_>) -> bool {
    ctx.look_ahead().field("totalCount").exists()
}

pub fn arguments(
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> PageArguments {
    PageArguments { first, after, last, before }
}

/// `key` names a row's place in the order, `node` makes the row an object.
pub fn connect<R, K, T, N>(
    page: &Page<K>,
    rows: Vec<R>,
    total_count: i64,
    key: impl Fn(&R) -> K,
    node: impl Fn(R) -> T,
) -> List<T, N>
where
    K: Clone + std::fmt::Display + std::str::FromStr,
    T: OutputType,
    N: ConnectionNameType,
{
    let Slice { rows, has_previous, has_next } = page.finish(rows);
    let mut connection = Connection::with_additional_fields(has_previous, has_next, Totals { total_count });
    connection.edges.extend(rows.into_iter().map(|row| {
        let cursor = page.cursor(&key(&row));
        Edge::new(cursor, node(row))
    }));
    connection
}
