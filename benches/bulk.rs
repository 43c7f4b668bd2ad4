//! What it costs to issue: a collectible's pieces put on the embedded ledger by the workers as they run in a server, against
//! a raw COPY of the same rows into the same table by its owner.
//!
//! `make bench-bulk` runs it on a throw-away house. Both have their turns one after the other, each with the same number
//! of rows, so that both meet the table at the same size and the machine in the same mood. COPY does less: it makes no
//! IDs, asks no ledger, tells nobody, and all its rows of a turn are one transaction.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::SinkExt;
use minthouse::app::App;
use minthouse::catalog::issue;
use minthouse::catalog::model::CollectibleId;
use minthouse::platform::id;
use minthouse::tenancy::model::EnterpriseId;
use minthouse::tenancy::scope::TenantScope;
use uuid::Uuid;

use super::report::Report;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub turns: usize,
    /// How many pieces either side makes a turn.
    pub pieces: i32,
}

impl Size {
    /// So many pieces on either side in all.
    pub fn of(pieces: i32) -> Self {
        Self { turns: 5, pieces: (pieces / 5).max(1) }
    }
}

/// Issuance in turns with COPY. The app's workers must be at work.
pub async fn measure(app: &App, tenant: EnterpriseId, owner_url: &str, size: &Size) -> Result<Report> {
    let (owner, connection) = tokio_postgres::connect(owner_url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let (mut issuing, mut copying) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..size.turns {
        issuing += issue_all(app, tenant, &owner, size.pieces).await?;
        copying += copy_all(tenant, &owner, size.pieces).await?;
    }
    drop(owner);
    connection.await??;

    let pieces = f64::from(size.pieces) * size.turns as f64;
    let mut report = Report::default();
    report.figure("issuance on the embedded ledger", pieces / issuing.as_secs_f64(), "items/s");
    report.figure("COPY of the same rows by the table's owner", pieces / copying.as_secs_f64(), "items/s");
    report.figure("items issued", pieces, "items");
    report.ratio("issuance / COPY", copying.as_secs_f64() / issuing.as_secs_f64(), 0.5);
    Ok(report)
}

/// An approved collectible, as its review leaves it.
async fn approved(tenant: EnterpriseId, owner: &tokio_postgres::Client, supply: i32) -> Result<CollectibleId> {
    let (series, collectible) = (id::generate(), CollectibleId::generate());
    owner
        .batch_execute(&format!(
            "INSERT INTO series (tenant_id, id, name_chinese, name_english) VALUES ('{tenant}', '{series}', '系列', 'Series');
             INSERT INTO collectibles (tenant_id, id, series_id, name_chinese, name_english, author, supply, state)
             VALUES ('{tenant}', '{collectible}', '{series}', '藏品', 'Collectible', 'Author', {supply}, 'APPROVED');
             INSERT INTO collectible_stocks (tenant_id, collectible_id, supply, unallotted, next_serial)
             VALUES ('{tenant}', '{collectible}', {supply}, {supply}, 1)",
            tenant = tenant.uuid(),
            collectible = collectible.uuid(),
        ))
        .await?;
    Ok(collectible)
}

/// From the decision to the last piece.
async fn issue_all(app: &App, tenant: EnterpriseId, owner: &tokio_postgres::Client, pieces: i32) -> Result<Duration> {
    let collectible = approved(tenant, owner, pieces).await?;
    let scope = TenantScope::of_system(tenant);
    let key = format!("bench/{collectible}").parse()?;
    let ledger = app.ledgers.chosen();
    let state = format!("SELECT state, issued_count FROM collectibles WHERE id = '{}'", collectible.uuid());
    let began = Instant::now();
    let started = issue::start(&app.platform, &scope, ledger, collectible, &key).await;
    started.map_err(|refusal| anyhow::anyhow!("the issuance does not start: {refusal:?}"))?;
    loop {
        let rows = owner.simple_query(&state).await?;
        let row = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.context("the collectible is there")?;
        match row.get(0) {
            Some("ISSUED") => {
                ensure!(row.get(1) == Some(pieces.to_string().as_str()), "every piece was issued");
                return Ok(began.elapsed());
            }
            Some("FAILED") => anyhow::bail!("the issuance has failed"),
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        ensure!(began.elapsed() < Duration::from_secs(600), "the issuance does not end");
    }
}

/// The rows are made beforehand, in COPY's own binary form: only the database's work counts.
async fn copy_all(tenant: EnterpriseId, owner: &tokio_postgres::Client, pieces: i32) -> Result<Duration> {
    let collectible = approved(tenant, owner, pieces).await?;
    let mut rows = Vec::with_capacity(pieces as usize * 80 + 32);
    rows.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    let uuid = |rows: &mut Vec<u8>, id: Uuid| {
        rows.extend_from_slice(&16i32.to_be_bytes());
        rows.extend_from_slice(id.as_bytes());
    };
    for serial in 1..=pieces {
        rows.extend_from_slice(&4i16.to_be_bytes());
        uuid(&mut rows, tenant.uuid());
        uuid(&mut rows, id::generate());
        uuid(&mut rows, collectible.uuid());
        rows.extend_from_slice(&4i32.to_be_bytes());
        rows.extend_from_slice(&serial.to_be_bytes());
    }
    rows.extend_from_slice(&(-1i16).to_be_bytes());
    let rows = Bytes::from(rows);

    let began = Instant::now();
    let sink = owner.copy_in("COPY items (tenant_id, id, collectible_id, serial) FROM STDIN (FORMAT binary)").await?;
    let mut sink = std::pin::pin!(sink);
    for start in (0..rows.len()).step_by(1 << 20) {
        sink.send(rows.slice(start..rows.len().min(start + (1 << 20)))).await?;
    }
    let copied = sink.finish().await?;
    let took = began.elapsed();
    ensure!(copied == pieces as u64, "every row was copied");
    Ok(took)
}
