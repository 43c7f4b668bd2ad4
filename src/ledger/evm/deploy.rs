//! Puts the contract on the chain, once for a house.

use std::time::Duration;

use alloy::primitives::{Address, B256, TxKind};
use anyhow::{Context, Result, bail, ensure};

use crate::bridges::ethereum::Node;
use crate::ledger::evm::contract;
use crate::ledger::evm::sender;
use crate::ledger::evm::settings::Settings;
use crate::ledger::evm::wire::Unsigned;

/// Measured: 1.65 million, of which most is the code's length.
const GAS: u64 = 3_000_000;

pub struct Deployment {
    /// Who may name operators and change the metadata's address; without it the account that signs.
    pub admin: Option<Address>,
    /// Who may carry operations out; without any the account that signs.
    pub operators: Vec<Address>,
    /// Where metadata is found, with `{id}` for the token's ID.
    pub uri: String,
}

pub struct Deployed {
    pub contract: Address,
    pub transaction: B256,
    pub gas_used: u64,
}

/// Sends the contract and waits until it stands in a block, for `patience` at most.
pub async fn deploy(node: &Node, settings: &Settings, deployment: &Deployment, patience: Duration) -> Result<Deployed> {
    let found = node.chain_id().await?;
    ensure!(found == settings.chain_id, "the node is of chain {found}, evm.chain_id says {}", settings.chain_id);
    let account = settings.account();
    let operators = if deployment.operators.is_empty() { vec![account] } else { deployment.operators.clone() };
    let input = contract::deployment(deployment.admin.unwrap_or(account), &operators, &deployment.uri);
    let fee = sender::present_fee(node, settings, node.head().await?).await?;
    let nonce = node.transaction_count(account).await?;
    let unsigned = Unsigned { to: TxKind::Create, nonce, gas_limit: GAS, input };
    let wire = unsigned.sign(settings, fee).map_err(|fault| anyhow::anyhow!(fault.with_causes()))?;
    node.send_raw(&wire.bytes).await.context("the contract could not be sent")?;
    let waited = tokio::time::timeout(patience, async {
        loop {
            if let Some(receipt) = node.receipt(wire.hash).await? {
                return anyhow::Ok(receipt);
            }
            tokio::time::sleep(settings.poll).await;
        }
    });
    let Ok(receipt) = waited.await else {
        bail!("{} is in no block yet; ask the node for its receipt, which names the contract's address", wire.hash);
    };
    let receipt = receipt?;
    ensure!(receipt.succeeded, "the chain took the deployment {} back", wire.hash);
    // Not computed from account and nonce: chains of FISCO BCOS name it otherwise.
    let contract = receipt.contract.context("the receipt names no contract")?;
    Ok(Deployed { contract, transaction: wire.hash, gas_used: receipt.gas_used })
}
