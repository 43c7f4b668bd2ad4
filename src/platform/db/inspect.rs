//! Looks a database over, as its owner: who may do what, and where row security is missing.

use anyhow::Result;
use diesel::sql_types::{Bool, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;

use crate::platform::db::Role;
use crate::platform::db::pool::connect;

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
    let roles: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
    let mut connection = connect(owner_url).await?;
    let found: Vec<RoleRights> = sql_query(
        "SELECT rolname::text AS name, rolsuper AS superuser, rolbypassrls AS bypasses,
                EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid AND relnamespace = 'public'::regnamespace) AS owns
           FROM pg_roles WHERE rolname = ANY($1)",
    )
    .bind::<diesel::sql_types::Array<Text>, _>(roles.clone())
    .load(&mut connection)
    .await?;
    let mut findings = Vec::new();
    for name in roles {
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
    let query = "SELECT relname::text AS name FROM pg_class
          WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relrowsecurity
            AND relname <> '__diesel_schema_migrations' ORDER BY 1";
    names(owner_url, query).await
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

/// The column `name` of whatever a query finds.
pub async fn names(owner_url: &str, query: &str) -> Result<Vec<String>> {
    let mut connection = connect(owner_url).await?;
    let rows: Vec<Named> = sql_query(query).load(&mut connection).await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// As whom a connection string signs in.
pub async fn who(url: &str) -> Result<String> {
    Ok(names(url, "SELECT current_user::text AS name").await?.pop().unwrap_or_default())
}
