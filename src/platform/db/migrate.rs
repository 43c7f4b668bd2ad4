//! Migrations, the partitions of the months to come, and the passwords of the login roles.
//!
//! All of it runs as the owner, before the server opens its own pools.

use anyhow::{Context, Result};
use chrono::{DateTime, Datelike, Months, Utc};
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The tables that are cut by month.
pub const PARTITIONED: [&str; 2] = ["draws", "events"];

/// How many months ahead partitions are made. What falls outside lands in the default partition, never on the floor.
const MONTHS_AHEAD: u32 = 12;

/// Brings the schema up to this binary's version. `progress` hears each migration's name as it starts.
pub async fn migrate(owner_url: &str, now: DateTime<Utc>, progress: impl Fn(&str) + Send) -> Result<usize> {
    let mut connection = connect(owner_url).await?;
    // One migrator at a time; others wait here and then find nothing to do.
    connection.batch_execute("SELECT pg_advisory_lock(7302410519)").await?;
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
    connection.batch_execute(&partitions(now)).await.context("cannot make the partitions of the coming months")?;
    Ok(pending.len())
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

/// Gives a login role its password, for servers that reach PostgreSQL by TCP.
pub async fn set_password(owner_url: &str, role: &str, password: &str) -> Result<()> {
    let mut connection = connect(owner_url).await?;
    connection.batch_execute(&format!("ALTER ROLE \"{role}\" PASSWORD '{password}'")).await.with_context(|| {
        format!("cannot set the password of {role}; run `migrate` with a URL whose user may alter roles")
    })
}

async fn connect(url: &str) -> Result<AsyncPgConnection> {
    AsyncPgConnection::establish(url).await.context("cannot connect to PostgreSQL; check DATABASE_URL and that it runs")
}

/// DDL for a default partition and one a month. UUIDv7 begins with 48 bits of milliseconds, so a month is a range of IDs.
fn partitions(now: DateTime<Utc>) -> String {
    let first = now.date_naive().with_day(1).unwrap_or_default();
    let bound = |months: u32| {
        let start = (first + Months::new(months)).and_hms_opt(0, 0, 0).unwrap_or_default().and_utc();
        uuid::Uuid::from_u128(u128::from(start.timestamp_millis().unsigned_abs()) << 80)
    };
    let mut ddl = String::new();
    for table in PARTITIONED {
        // A partition answers only through its parent: its own row security lets nobody in.
        let mut part = |name: String, values: String| {
            ddl.push_str(&format!(
                "CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} {values}; ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;"
            ));
        };
        part(format!("{table}_default"), "DEFAULT".into());
        for month in 0..=MONTHS_AHEAD {
            let name = format!("{table}_{}", (first + Months::new(month)).format("%Y_%m"));
            part(name, format!("FOR VALUES FROM ('{}') TO ('{}')", bound(month), bound(month + 1)));
        }
    }
    ddl
}
