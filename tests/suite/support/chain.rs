//! A house with a ledger on an EVM chain: an account and a contract of its own on an anvil that others may share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use minthouse::bridges::ethereum::Node;
use minthouse::catalog::model::CollectibleId;
use minthouse::ledger::Ledger;
use minthouse::ledger::evm::EvmLedger;
use minthouse::ledger::evm::deploy::{Deployment, deploy};
use minthouse::ledger::evm::settings::Settings;
use minthouse::ledger::model::{Content, Operation, OperationId, Owner, Piece, Receipt};
use minthouse::platform::config::EvmOptions;
use minthouse::platform::fault::Fault;
use minthouse::platform::id;
use minthouse::tenancy::model::{EnterpriseId, HolderId};
use minthouse::tenancy::worker;
use serde_json::json;

use super::anvil::{Anvil, CHAIN_ID};
use super::app::{TestApp, client};

pub struct Chained {
    pub app: TestApp,
    pub tenant: EnterpriseId,
    pub ledger: EvmLedger,
    pub options: EvmOptions,
    /// The operator's account.
    pub account: String,
    /// Which the test's own methods wait for.
    turns: u32,
}

/// A private key that no other fixture of this process has.
fn fresh_key() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    format!("{:064x}", NUMBER.fetch_add(1, Ordering::Relaxed) + (u64::from(std::process::id()) << 32))
}

pub fn options(anvil: &Anvil) -> EvmOptions {
    EvmOptions {
        endpoint: anvil.url(),
        chain_id: CHAIN_ID,
        key: Some(fresh_key()),
        confirmations: 1,
        poll_milliseconds: 0,
        resend_seconds: 0.0,
        ..EvmOptions::default()
    }
}

impl Chained {
    pub async fn on(anvil: &Anvil) -> Self {
        Self::with(anvil, options(anvil)).await
    }

    /// With a contract that was deployed for it.
    pub async fn with(anvil: &Anvil, mut options: EvmOptions) -> Self {
        let settings = Settings::read(&options).expect("the options are sound");
        let account = settings.account().to_string();
        anvil.ask("anvil_setBalance", json!([account, "0x56bc75e2d63100000"])).await;
        let node = Node::new(client(), settings.endpoint.clone());
        let deployment = Deployment { admin: None, operators: Vec::new(), uri: "https://meta.example/{id}".into() };
        let deployed = deploy(&node, &settings, &deployment, Duration::from_secs(10)).await.expect("it is deployed");
        options.contract = Some(deployed.contract.to_string());
        let app = TestApp::builder().idle().start().await;
        let tenant = app.enterprise("alpha").await;
        let ledger = ledger(&app, &options);
        Self { app, tenant, ledger, options, account, turns: 400 }
    }

    /// One more server of the same house.
    pub fn beside(&self) -> EvmLedger {
        ledger(&self.app, &self.options)
    }

    pub async fn submit(&self, operations: &[Operation]) {
        self.ledger.submit(self.tenant, operations).await.expect("the database takes it");
    }

    /// One round of each of its jobs.
    pub async fn turn(&self) {
        turn(&self.ledger).await.expect("the turn ends well");
    }

    pub async fn receipt(&self, id: OperationId) -> Receipt {
        self.receipts(&[id]).await.remove(&id).expect("each is answered")
    }

    pub async fn receipts(&self, ids: &[OperationId]) -> HashMap<OperationId, Receipt> {
        self.ledger.receipts(self.tenant, ids).await.expect("the database answers")
    }

    /// Turns until nothing is pending any more.
    pub async fn settle(&self, operations: &[Operation]) -> HashMap<OperationId, Receipt> {
        let ids: Vec<_> = operations.iter().map(|operation| operation.id).collect();
        for _ in 0..self.turns {
            let receipts = self.receipts(&ids).await;
            if !receipts.values().any(|receipt| *receipt == Receipt::Pending) {
                return receipts;
            }
            self.turn().await;
        }
        let left = self.app.sql("SELECT coalesce(json_agg(row_to_json(t))::text, '') FROM evm_transactions AS t");
        panic!("operations are still pending: {left}");
    }

    /// Submits, settles, and expects all to be carried out.
    pub async fn carry_out(&self, operations: &[Operation]) {
        self.submit(operations).await;
        let receipts = self.settle(operations).await;
        assert!(receipts.values().all(|receipt| matches!(receipt, Receipt::Confirmed(_))), "{receipts:#?}");
    }

    pub fn account_of(&self, owner: Owner) -> String {
        self.ledger.account(self.tenant, owner).0
    }

    /// As the chain says.
    pub async fn owner_of(&self, collectible: CollectibleId, serial: i32) -> Option<String> {
        let piece = Piece { collectible, serial };
        let owners = self.ledger.owners(self.tenant, &[piece]).await.expect("the node answers");
        owners.get(&piece).map(|account| account.0.clone())
    }
}

fn ledger(app: &TestApp, options: &EvmOptions) -> EvmLedger {
    minthouse::commands::ledger_evm::ledger(app.app.platform.clone(), options).expect("the options are sound")
}

/// One round of each of a ledger's jobs; the first thing that went wrong.
pub async fn turn(ledger: &EvmLedger) -> Result<(), Fault> {
    for job in ledger.jobs() {
        let mut round = worker::round(&*job).await?;
        if let Some((_, fault)) = round.failures.pop() {
            return Err(fault);
        }
    }
    Ok(())
}

pub fn issue(collectible_id: CollectibleId, first_serial: i32, count: i32) -> Operation {
    Operation { id: id::generate(), content: Content::Issue { collectible_id, first_serial, count } }
}

pub fn transfer(collectible_id: CollectibleId, serial: i32, from: Option<HolderId>, to: HolderId) -> Operation {
    Operation { id: id::generate(), content: Content::Transfer { collectible_id, serial, from, to } }
}
