//! `minthouse ledger evm`: the contract on the chain.

use std::process::ExitCode;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::{Context, Result};

use crate::bridges;
use crate::bridges::ethereum::Node;
use crate::ledger::evm::EvmLedger;
use crate::ledger::evm::deploy::{self, Deployment};
use crate::ledger::evm::settings::{self, Settings};
use crate::platform::Platform;
use crate::platform::config::{Config, EvmOptions};

/// How long a deployment is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(clap::Subcommand)]
pub enum Command {
    /// Put the contract on the chain of `[evm]`, and print its address
    Deploy {
        /// Where metadata is found; `{id}` stands for a token's ID
        #[arg(long, value_name = "URL", default_value = "")]
        uri: String,
        /// Who may name operators; without it the account that signs
        #[arg(long, value_name = "ADDRESS")]
        admin: Option<Address>,
        /// Who may carry operations out; may be repeated; without any the account that signs
        #[arg(long, value_name = "ADDRESS")]
        operator: Vec<Address>,
    },
}

pub async fn run(config: &Config, command: Command) -> Result<ExitCode> {
    let Command::Deploy { uri, admin, operator } = command;
    let options = config.evm.as_ref().context("[evm] is not configured; see docs/ledgers/evm.md")?;
    let settings = Settings::read(options)?;
    let node = Node::new(bridges::client()?, settings.endpoint.clone());
    let deployment = Deployment { admin, operators: operator, uri };
    let deployed = deploy::deploy(&node, &settings, &deployment, PATIENCE).await?;
    println!("contract = \"{}\"", deployed.contract);
    eprintln!("{} has used {} gas; set evm.contract to it", deployed.transaction, deployed.gas_used);
    Ok(ExitCode::SUCCESS)
}

/// The ledger as the configuration wants it.
pub fn ledger(platform: std::sync::Arc<Platform>, options: &EvmOptions) -> Result<EvmLedger> {
    Ok(EvmLedger::new(platform, bridges::client()?, settings::contract(options)?, Settings::read(options)?))
}

/// For doctor: what is wrong and what to do, and what is to be said if nothing is.
pub async fn look(ledger: &EvmLedger) -> (Vec<(String, String)>, String) {
    let chain = ledger.chain();
    let mut trouble = Vec::new();
    if let Err(misfit) = chain.check().await {
        trouble.push((misfit.what, misfit.remedy));
    }
    let account = chain.settings.account();
    let mut fine = format!("chain {}, contract {}, operator {account}", chain.settings.chain_id, chain.contract);
    match chain.balance().await {
        Ok(wei) if wei.is_zero() && chain.settings.max_fee > 0 => trouble.push((
            format!("the account {account} has nothing to pay gas with"),
            "send it some of the chain's coin, or set evm.max_fee_gwei to 0 where gas is free".into(),
        )),
        Ok(wei) => fine += &format!(" with {} gwei", wei / alloy::primitives::U256::from(1_000_000_000u64)),
        // Where the node is away, the check has said so.
        Err(misfit) if trouble.is_empty() => trouble.push((misfit.what, misfit.remedy)),
        Err(_) => {}
    }
    (trouble, fine)
}
