//! Migrations, the partitions of the months to come, and the passwords of the login roles.
//!
//! All of it runs as the owner, before the server opens its own pools.

use anyhow::{Context, Result};
use chrono::{DateTime, Datelike, Months, Utc};
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::sql_types::Text;
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::platform::db::pool::connect;

pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The tables that are cut by month.
pub const PARTITIONED: [&str; 2] = ["draws", "events"];

/// How many months ahead partitions are made. What falls outside lands in the default partition, never on the floor.
const MONTHS_AHEAD: u32 = 12;

/// The advisory lock of whoever changes the schema. Session-wide: it goes with the connection.
const LOCK: i64 = 7_302_410_519;

/// Brings the schema up to this binary's version. `progress` hears each migration's name as it starts.
pub async fn migrate(owner_url: &str, now: DateTime<Utc>, progress: impl Fn(&str) + Send) -> Result<usize> {
    let mut connection = connect(owner_url).await?;
    // One migrator at a time; others wait here and then find nothing to do.
    connection.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).await?;
    let mut harness = AsyncMigrationHarness::new(connection);
    let pending = tokio::task::block_in_place(|| harness.pending_migrations(MIGRATIONS))
        .map_err(|error| anyhow::anyhow!("cannot read which migrations have run: {error}"))?;
    for migration in &pending {
        let name = migration.name().to_string();
        progress(&name);
        tokio::task::block_in_place(|| harness.run_migration(migration))
            .map_err(|error| anyhow::anyhow!("migration {name} failed and was rolled back: {error}"))?;
    }
    let mut connection = harness.into_inner();
    make_partitions(&mut connection, now).await?;
    Ok(pending.len())
}

/// The migrations that this binary carries and the database has not seen.
pub async fn pending(owner_url: &str) -> Result<Vec<String>> {
    let mut harness = AsyncMigrationHarness::new(connect(owner_url).await?);
    let pending = tokio::task::block_in_place(|| harness.pending_migrations(MIGRATIONS))
        .map_err(|error| anyhow::anyhow!("cannot read which migrations have run: {error}"))?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

/// Takes every migration back, newest first. For the suite, which proves that each can be.
pub async fn revert_all(owner_url: &str) -> Result<usize> {
    let mut harness = AsyncMigrationHarness::new(connect(owner_url).await?);
    tokio::task::block_in_place(|| harness.revert_all_migrations(MIGRATIONS))
        .map(|versions| versions.len())
        .map_err(|error| anyhow::anyhow!("a migration cannot be reverted: {error}"))
}

/// How many migrations this binary carries.
pub fn count() -> usize {
    MigrationSource::<Pg>::migrations(&MIGRATIONS).map_or(0, |all| all.len())
}

/// Creates `database` unless it is there.
pub async fn ensure_database(maintenance_url: &str, database: &str) -> Result<()> {
    let mut connection = connect(maintenance_url).await?;
    let created = connection.batch_execute(&format!("CREATE DATABASE \"{database}\"")).await;
    match created {
        Err(diesel::result::Error::DatabaseError(_, information))
            if information.message().contains("already exists") =>
        {
            Ok(())
        }
        other => other.context("cannot create the database"),
    }
}

/// Ties the database to the master key that its data is sealed under, or refuses a house that holds another. The mark
/// is the comment of a table of ours: it is copied, dumped and restored with the data that it speaks of.
pub async fn bind_master_key(owner_url: &str, fingerprint: &str) -> Result<()> {
    #[derive(QueryableByName)]
    struct Mark {
        #[diesel(sql_type = diesel::sql_types::Nullable<Text>)]
        mark: Option<String>,
    }
    let mut connection = connect(owner_url).await?;
    connection.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).await?;
    let found: Mark =
        sql_query("SELECT obj_description('data_keys'::regclass) AS mark").get_result(&mut connection).await?;
    let mark = format!("wrapped by the master key {fingerprint}");
    match found.mark {
        Some(found) if found == mark => Ok(()),
        Some(_) => anyhow::bail!(
            "this database belongs to a house with another master key: point --data-dir at the folder whose secrets.json \
             it was made with, or give its text in MINTHOUSE_SECRETS"
        ),
        None => connection
            .batch_execute(&format!("COMMENT ON TABLE data_keys IS '{mark}'"))
            .await
            .context("cannot mark the database with its master key"),
    }
}

/// Gives a login role its password, for servers that reach PostgreSQL by TCP.
pub async fn set_password(owner_url: &str, role: &str, password: &str) -> Result<()> {
    let mut connection = connect(owner_url).await?;
    // Under the lock: two servers that start at once would meet on the role's row.
    connection
        .batch_execute(&format!("SELECT pg_advisory_lock({LOCK}); ALTER ROLE \"{role}\" PASSWORD '{password}'"))
        .await
        .with_context(|| {
            format!("cannot set the password of {role}; run `migrate` with a URL whose user may alter roles")
        })
}

/// Makes the default partitions and one for each coming month, where they are missing.
async fn make_partitions(connection: &mut AsyncPgConnection, now: DateTime<Utc>) -> Result<()> {
    #[derive(QueryableByName)]
    struct Named {
        #[diesel(sql_type = Text)]
        name: String,
    }
    // Looked up first: making a partition locks its parent, which a server at work should not meet at every start.
    let there: Vec<Named> =
        sql_query("SELECT relname::text AS name FROM pg_class WHERE relispartition AND relkind = 'r'")
            .load(connection)
            .await?;
    for (table, name, values) in partitions(now) {
        if there.iter().any(|partition| partition.name == name) {
            continue;
        }
        // A partition answers only through its parent: its own row security lets nobody in.
        let ddl =
            format!("CREATE TABLE {name} PARTITION OF {table} {values}; ALTER TABLE {name} ENABLE ROW LEVEL SECURITY");
        if let Err(error) = connection.batch_execute(&ddl).await {
            // Rows of that month lie in the default partition already, and stay there: slower to prune, nothing lost.
            tracing::warn!("the partition {name} cannot be made: {error}");
        }
    }
    Ok(())
}

/// Table, partition and its bounds. UUIDv7 begins with 48 bits of milliseconds, so a month is a range of IDs.
fn partitions(now: DateTime<Utc>) -> Vec<(&'static str, String, String)> {
    let first = now.date_naive().with_day(1).unwrap_or_default();
    let bound = |months: u32| {
        let start = (first + Months::new(months)).and_hms_opt(0, 0, 0).unwrap_or_default().and_utc();
        uuid::Uuid::from_u128(u128::from(start.timestamp_millis().unsigned_abs()) << 80)
    };
    let mut partitions = Vec::new();
    for table in PARTITIONED {
        partitions.push((table, format!("{table}_default"), "DEFAULT".to_owned()));
        for month in 0..=MONTHS_AHEAD {
            let name = format!("{table}_{}", (first + Months::new(month)).format("%Y_%m"));
            partitions.push((table, name, format!("FOR VALUES FROM ('{}') TO ('{}')", bound(month), bound(month + 1))));
        }
    }
    partitions
}
