//! Hand-written SQL whose prepared statement the connection keeps.
//!
//! diesel's `sql_query` forbids that, so its every execution costs a round trip to prepare, a parse and a plan: as much
//! again as a batch's own work. Use [`statement`] instead for what runs often; it takes binds as `sql_query` does.

use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// SQL with `$1`, `$2`, … for the values bound to it, in order. The text is fixed, so that the connection keeps but
/// one prepared statement for it; a `$` before a digit always stands for a value.
pub fn statement(sql: &'static str) -> Statement<()> {
    Statement { sql, values: () }
}

#[derive(Clone, Copy, Debug)]
pub struct Statement<V> {
    sql: &'static str,
    values: V,
}

/// The values before, and one more.
#[derive(Clone, Copy, Debug)]
pub struct Bound<V, S, T> {
    before: V,
    value: T,
    sql_type: PhantomData<S>,
}

impl<V> Statement<V> {
    pub fn bind<S, T>(self, value: T) -> Statement<Bound<V, S, T>> {
        Statement { sql: self.sql, values: Bound { before: self.values, value, sql_type: PhantomData } }
    }
}

/// Values that can be put where the SQL names them.
pub trait Values {
    const COUNT: usize;

    fn push<'b>(&'b self, number: usize, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

impl Values for () {
    const COUNT: usize = 0;

    fn push<'b>(&'b self, number: usize, _: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Err(Error::QueryBuilderError(format!("nothing is bound to ${number}").into()))
    }
}

impl<V: Values, S, T: ToSql<S, Pg>> Values for Bound<V, S, T>
where
    Pg: HasSqlType<S>,
{
    const COUNT: usize = V::COUNT + 1;

    fn push<'b>(&'b self, number: usize, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if number == Self::COUNT { out.push_bind_param::<S, T>(&self.value) } else { self.before.push(number, out) }
    }
}

impl<V: Values> QueryFragment<Pg> for Statement<V> {
    // diesel numbers values by the order in which they are pushed, so one that is named twice is sent twice.
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut pieces = self.sql.split('$');
        out.push_sql(pieces.next().unwrap_or_default());
        for piece in pieces {
            let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            match piece[..digits].parse() {
                Ok(number) => self.values.push(number, &mut out)?,
                Err(_) => out.push_sql("$"),
            }
            out.push_sql(&piece[digits..]);
        }
        Ok(())
    }
}

impl<V> QueryId for Statement<V> {
    type QueryId = ();
    // The connection tells such statements apart by their text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<V> Query for Statement<V> {
    type SqlType = Untyped;
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::debug_query;
    use diesel::query_builder::QueryBuilder;
    use diesel::sql_types::{Integer, Text};

    #[test]
    fn values_go_where_the_text_names_them() {
        let named =
            statement("SELECT $2, $1 FROM t WHERE a = $1 AND b = 'a$b'").bind::<Integer, _>(7).bind::<Text, _>("x");
        assert_eq!(
            debug_query::<Pg, _>(&named).to_string(),
            r#"SELECT $1, $2 FROM t WHERE a = $3 AND b = 'a$b' -- binds: ["x", 7, 7]"#
        );
    }

    #[test]
    fn the_prepared_statement_is_kept() {
        let kept = |query: &dyn QueryFragment<Pg>| query.is_safe_to_cache_prepared(&Pg).ok();
        assert_eq!(kept(&statement("SELECT $1").bind::<Integer, _>(1)), Some(true));
        assert_eq!(kept(&diesel::sql_query("SELECT 1")), Some(false), "or diesel's own has learned to");
    }

    #[test]
    fn a_value_that_is_missing_is_an_error() {
        let mut builder = diesel::pg::PgQueryBuilder::default();
        assert!(statement("SELECT $2").bind::<Integer, _>(1).to_sql(&mut builder, &Pg).is_err());
        assert!(!builder.finish().contains("$2"));
    }
}
