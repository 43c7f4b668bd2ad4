//! `make bench-evm`: how fast one account issues and moves pieces through the EVM ledger, on an anvil of this machine.
//!
//! What is measured is all of it: operations into the database, bundles, nonces, signatures, JSON-RPC, the contract in the
//! node's machine, receipts, and the settlement in the database. The node shares the processors. Beside it, in turns,
//! the same operations are bundled and sent bare: encoded and signed beforehand, one after another, and only their last
//! receipt is waited for. What the ledger adds is the ratio of the two.

use std::path::Path;
use std::time::{Duration, Instant};

use alloy::primitives::TxKind;
use anyhow::{Context, Result, ensure};
use minthouse::app::App;
use minthouse::bridges::ethereum::Node;
use minthouse::catalog::model::CollectibleId;
use minthouse::commands::ledger_evm;
use minthouse::ledger::Ledger;
use minthouse::ledger::evm::deploy::{Deployment, deploy};
use minthouse::ledger::evm::settings::Settings;
use minthouse::ledger::evm::wire::Unsigned;
use minthouse::ledger::evm::{EvmLedger, contract, sender};
use minthouse::ledger::model::{Content, Operation, Receipt};
use minthouse::platform::config::EvmOptions;
use minthouse::platform::id;
use minthouse::tenancy::model::{EnterpriseId, HolderId};
use minthouse::tenancy::worker;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::anvil::{Anvil, CHAIN_ID};
use super::report::Report;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Operations of a thousand pieces each, and single pieces that are moved.
    pub runs: usize,
    pub transfers: usize,
    /// How often each way has its turn.
    pub turns: usize,
    /// Whether blocks of one second are measured too.
    pub with_slow_blocks: bool,
}

impl Size {
    pub const FULL: Size = Size { runs: 100, transfers: 2000, turns: 3, with_slow_blocks: true };
}

const PIECES: i32 = 1000;
const LIMIT: Duration = Duration::from_secs(300);

fn runs(collectible_id: CollectibleId, count: usize) -> Vec<Operation> {
    let first = |run: usize| 1 + run as i32 * PIECES;
    let content = |run| Content::Issue { collectible_id, first_serial: first(run), count: PIECES };
    (0..count).map(|run| Operation { id: id::generate(), content: content(run) }).collect()
}

fn transfers(collectible_id: CollectibleId, count: usize) -> Vec<Operation> {
    let content = |serial| Content::Transfer { collectible_id, serial, from: None, to: HolderId::generate() };
    (1..=count).map(|serial| Operation { id: id::generate(), content: content(serial as i32) }).collect()
}

/// Seconds from the first row in the database to the last receipt in it, with its jobs running as a server runs them.
async fn through_the_ledger(
    app: &App,
    ledger: &EvmLedger,
    tenant: EnterpriseId,
    operations: &[Operation],
) -> Result<f64> {
    let stop = CancellationToken::new();
    let jobs: Vec<_> = ledger.jobs();
    let running: Vec<_> = jobs
        .into_iter()
        .map(|job| tokio::spawn(worker::run(job, app.platform.database.commits(), stop.clone())))
        .collect();
    let began = Instant::now();
    ledger.submit(tenant, operations).await?;
    let ids: Vec<_> = operations.iter().map(|operation| operation.id).collect();
    let settled = tokio::time::timeout(LIMIT, async {
        loop {
            let receipts = ledger.receipts(tenant, &ids).await?;
            if !receipts.values().any(|receipt| *receipt == Receipt::Pending) {
                ensure!(receipts.values().all(|receipt| matches!(receipt, Receipt::Confirmed(_))), "some are refused");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    settled.await.context("not settled in time")??;
    let seconds = began.elapsed().as_secs_f64();
    stop.cancel();
    for task in running {
        task.await?;
    }
    Ok(seconds)
}

/// Seconds from the first transaction to the last one's receipt, and the gas of all.
async fn bare(
    node: &Node,
    settings: &Settings,
    ledger: &EvmLedger,
    tenant: EnterpriseId,
    operations: &[Operation],
    size: usize,
) -> Result<(f64, u64)> {
    let mut nonce = node.transaction_count(settings.account()).await?;
    let fee = sender::present_fee(node, settings, node.head().await?).await?;
    let mut ready = Vec::new();
    for bundle in operations.chunks(size) {
        let steps = bundle.iter().map(|operation| contract::step(tenant, operation)).collect();
        let gas_limit = contract::gas(bundle.iter().map(|operation| &operation.content));
        let (to, input) = (TxKind::Call(ledger.chain().contract), contract::execute(steps));
        let unsigned = Unsigned { to, nonce, gas_limit, input };
        ready.push(unsigned.sign(settings, fee).map_err(|fault| anyhow::anyhow!(fault.with_causes()))?);
        nonce += 1;
    }
    let began = Instant::now();
    for wire in &ready {
        node.send_raw(&wire.bytes).await?;
    }
    let last = ready.last().context("there are operations")?.hash;
    let mined = tokio::time::timeout(LIMIT, async {
        while node.receipt(last).await?.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    });
    mined.await.context("not mined in time")??;
    let seconds = began.elapsed().as_secs_f64();
    let mut gas = 0;
    for wire in &ready {
        gas += node.receipt(wire.hash).await?.context("it is mined")?.gas_used;
    }
    Ok((seconds, gas))
}

fn best(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(f64::INFINITY, f64::min)
}

pub async fn measure(app: &App, tenant: EnterpriseId, clients: &Path, size: &Size) -> Result<Report> {
    let anvil = Anvil::start(clients, &["--prune-history"]).await;
    let mut options = EvmOptions {
        endpoint: anvil.url(),
        chain_id: CHAIN_ID,
        // Known to everybody, as anvil prints it: the first account of its mnemonic.
        key: Some("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80".into()),
        confirmations: 1,
        poll_milliseconds: 10,
        // Where blocks are full, anvil now and then loses a transaction that is smaller than those before it.
        resend_seconds: 2.0,
        ..EvmOptions::default()
    };
    let settings = Settings::read(&options)?;
    let http = minthouse::bridges::client()?;
    let node = Node::new(http, settings.endpoint.clone());
    let deployment = Deployment { admin: None, operators: Vec::new(), uri: String::new() };
    options.contract = Some(deploy(&node, &settings, &deployment, LIMIT).await?.contract.to_string());
    let ledger = ledger_evm::ledger(app.platform.clone(), &options)?;

    let (mut issued, mut moved, mut sent) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gas_of_runs, mut gas_of_transfers) = (0, 0);
    for _ in 0..size.turns {
        let collectible = CollectibleId::generate();
        issued.push(through_the_ledger(app, &ledger, tenant, &runs(collectible, size.runs)).await?);
        moved.push(through_the_ledger(app, &ledger, tenant, &transfers(collectible, size.transfers)).await?);
        // As many to a transaction as the ledger takes by its bound of gas.
        let collectible = CollectibleId::generate();
        let (seconds, gas) = bare(&node, &settings, &ledger, tenant, &runs(collectible, size.runs), 11).await?;
        sent.push(seconds);
        gas_of_runs = gas;
        gas_of_transfers =
            bare(&node, &settings, &ledger, tenant, &transfers(collectible, size.transfers), 100).await?.1;
    }
    let pieces = (size.runs * PIECES as usize) as f64;
    let mut report = Report::default();
    report.figure("pieces issued, a block for each transaction", pieces / best(&issued), "/s");
    report.figure("of that, operations of 1,000", size.runs as f64 / best(&issued), "/s");
    report.figure("the same transactions sent bare", pieces / best(&sent), "/s");
    report.figure("pieces moved, 100 to a transaction", size.transfers as f64 / best(&moved), "/s");
    report.figure("gas for a piece issued", gas_of_runs as f64 / pieces, "gas");
    report.figure("gas for a piece moved", gas_of_transfers as f64 / size.transfers as f64, "gas");
    if size.with_slow_blocks {
        anvil.ask("evm_setIntervalMining", json!([1])).await;
        anvil.automine(false).await;
        let collectible = CollectibleId::generate();
        let seconds = through_the_ledger(app, &ledger, tenant, &runs(collectible, size.runs)).await?;
        report.figure("pieces issued, a block of 30 M gas a second", pieces / seconds, "/s");
        let seconds = through_the_ledger(app, &ledger, tenant, &transfers(collectible, size.transfers)).await?;
        report.figure("pieces moved, a block of 30 M gas a second", size.transfers as f64 / seconds, "/s");
    }
    report.ratio("issued through the ledger / sent bare", best(&sent) / best(&issued), 0.5);
    Ok(report)
}
