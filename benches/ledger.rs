//! What the embedded ledger costs: sealing, a proof's size, and how long it takes to make and to check one.
//!
//! `make bench-ledger` runs it on a throw-away house, whose database does not wait for its disk.

use std::time::Instant;

use anyhow::{Context, Result};
use minthouse::app::App;
use minthouse::catalog::model::CollectibleId;
use minthouse::ledger::Ledger;
use minthouse::ledger::embedded::EmbeddedLedger;
use minthouse::ledger::model::{Content, Operation, Piece};
use minthouse::ledger::{proof, verify};
use minthouse::platform::id;
use minthouse::tenancy::model::{EnterpriseId, HolderId};
use minthouse::tenancy::worker::Job;

use super::report::Report;

/// How many pieces an issuance puts into one operation.
const RUN: i32 = 1000;

#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Operations that issue a thousand pieces each.
    pub runs: i32,
    pub transfers: i32,
    /// How often a proof is made and checked.
    pub repeats: usize,
}

impl Size {
    pub const FULL: Size = Size { runs: 1000, transfers: 20_000, repeats: 500 };
}

/// Submits in calls of a thousand, seals everything, and gives the seconds that it took.
async fn carry(ledger: &EmbeddedLedger, tenant: EnterpriseId, operations: &[Operation]) -> Result<f64> {
    let began = Instant::now();
    for call in operations.chunks(1000) {
        ledger.submit(tenant, call).await?;
    }
    for _ in 0..=operations.len() / 1000 {
        ledger.work(tenant).await?;
    }
    anyhow::ensure!(ledger.tenants_due().await?.is_empty(), "everything is sealed");
    Ok(began.elapsed().as_secs_f64())
}

pub async fn measure(app: &App, tenant: EnterpriseId, size: &Size) -> Result<Report> {
    let ledger = EmbeddedLedger::new(app.platform.clone(), app.ledger_keys.clone());
    let (collectible, holder) = (CollectibleId::generate(), HolderId::generate());
    let operation = |content| Operation { id: id::generate(), content };
    let issues: Vec<Operation> = (0..size.runs)
        .map(|run| operation(Content::Issue { collectible_id: collectible, first_serial: run * RUN, count: RUN }))
        .collect();
    let issuing = carry(&ledger, tenant, &issues).await?;
    let moves: Vec<Operation> = (0..size.transfers)
        .map(|serial| {
            operation(Content::Transfer {
                collectible_id: collectible,
                serial: serial % (size.runs * RUN),
                from: None,
                to: holder,
            })
        })
        .collect();
    let moving = carry(&ledger, tenant, &moves).await?;

    let piece = Piece { collectible, serial: size.transfers / 2 };
    let made = async || {
        let made = proof::of(&app.platform, &app.ledger_keys, tenant, piece, Some(holder)).await?;
        made.context("the piece has a proof")
    };
    let text = made().await?.document.json();
    let key = app.ledger_keys.verifier();
    let began = Instant::now();
    for _ in 0..size.repeats {
        made().await?;
    }
    let making = began.elapsed().as_secs_f64() / size.repeats as f64;
    let began = Instant::now();
    for _ in 0..size.repeats {
        verify::verify(&text, &key)?;
    }
    let checking = began.elapsed().as_secs_f64() / size.repeats as f64;

    let mut report = Report::default();
    report.figure(
        "pieces issued on the ledger a second, 1,000 an operation",
        f64::from(size.runs * RUN) / issuing,
        "/s",
    );
    report.figure("transfers submitted and sealed a second", f64::from(size.transfers) / moving, "/s");
    report.figure("of these, 1,000 of them: a full block", moving * 1e6 / f64::from(size.transfers), "ms");
    report.figure("a proof of a piece that was given once", text.len() as f64, "bytes");
    report.figure("making it", making * 1e3, "ms");
    report.figure("checking it", checking * 1e6, "µs");
    Ok(report)
}
