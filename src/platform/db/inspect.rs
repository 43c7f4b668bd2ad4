//! Looks a database over, as its owner: who may do what, and where row security is missing.

use anyhow::{Context, Result};
use diesel::sql_types::{Bool, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use crate::platform::db::Role;

/// One thing that is not as it must be, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub what: String,
    pub remedy: String,
}

#[derive(QueryableByName)]
struct RoleRights {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    superuser: bool,
    #[diesel(sql_type = Bool)]
    bypasses: bool,
    #[diesel(sql_type = Bool)]
    owns: bool,
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Login roles that row security would not hold.
pub async fn unsafe_roles(owner_url: &str) -> Result<Vec<Finding>> {
    let names: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
    let mut connection = connect(owner_url).await?;
    let found: Vec<RoleRights> = sql_query(
        "SELECT rolname::text AS name, rolsuper AS superuser, rolbypassrls AS bypasses,
                EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid AND relnamespace = 'public'::regnamespace) AS owns
           FROM pg_roles WHERE rolname = ANY($1)",
    )
    .bind::<diesel::sql_types::Array<Text>, _>(names.clone())
    .load(&mut connection)
    .await?;
    let mut findings = Vec::new();
    for name in names {
        let Some(role) = found.iter().find(|role| role.name == name) else {
            findings.push(Finding {
                what: format!("the role {name} does not exist"),
                remedy: "run `minthouse migrate`".into(),
            });
            continue;
        };
        for (wrong, what, remedy) in [
            (role.superuser, "is a superuser", format!("ALTER ROLE {name} NOSUPERUSER")),
            (role.bypasses, "bypasses row security", format!("ALTER ROLE {name} NOBYPASSRLS")),
            (
                role.owns,
                "owns tables, which row security does not hold for",
                format!("REASSIGN OWNED BY {name} TO CURRENT_USER"),
            ),
        ] {
            if wrong {
                findings.push(Finding { what: format!("the role {name} {what}"), remedy: format!("run {remedy}") });
            }
        }
    }
    Ok(findings)
}

/// Tables that anybody with a grant could read whole.
pub async fn tables_without_row_security(owner_url: &str) -> Result<Vec<String>> {
    let mut connection = connect(owner_url).await?;
    let rows: Vec<Named> = sql_query(
        "SELECT relname::text AS name FROM pg_class
          WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relrowsecurity
            AND relname <> '__diesel_schema_migrations' ORDER BY 1",
    )
    .load(&mut connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// The database's clock.
pub async fn clock(owner_url: &str) -> Result<chrono::DateTime<chrono::Utc>> {
    #[derive(QueryableByName)]
    struct Now {
        #[diesel(sql_type = Timestamptz)]
        now: chrono::DateTime<chrono::Utc>,
    }
    let mut connection = connect(owner_url).await?;
    let now: Now = sql_query("SELECT clock_timestamp() AS now").get_result(&mut connection).await?;
    Ok(now.now)
}

/// Allotments whose balances are not the sums of their entries: `tenant/allotment`.
pub async fn stock_differences(owner_url: &str) -> Result<Vec<String>> {
    let mut connection = connect(owner_url).await?;
    let rows: Vec<Named> = sql_query(
        "SELECT allotment.tenant_id || '/' || allotment.id AS name
           FROM allotments AS allotment
           LEFT JOIN LATERAL (
                SELECT coalesce(sum(available_delta), 0) AS available, coalesce(sum(reserved_delta), 0) AS reserved,
                       coalesce(sum(issued_delta), 0) AS issued, coalesce(sum(void_delta), 0) AS void
                  FROM stock_entries AS entry
                 WHERE entry.tenant_id = allotment.tenant_id AND entry.allotment_id = allotment.id) AS sums ON true
          WHERE (allotment.available, allotment.reserved, allotment.issued, allotment.void)
                IS DISTINCT FROM (sums.available, sums.reserved, sums.issued, sums.void)",
    )
    .load(&mut connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

async fn connect(url: &str) -> Result<AsyncPgConnection> {
    AsyncPgConnection::establish(url).await.context("cannot connect to PostgreSQL; check DATABASE_URL and that it runs")
}
