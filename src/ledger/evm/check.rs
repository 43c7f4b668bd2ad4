//! Whether node, account and contract are what the configuration believes them to be.

use alloy::primitives::U256;

use crate::bridges::ethereum::{At, Trouble};
use crate::ledger::evm::{Chain, contract};

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct Misfit {
    pub what: String,
    pub remedy: String,
}

fn misfit<T>(what: String, remedy: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit { what, remedy: remedy.into() })
}

fn of(trouble: Trouble) -> Misfit {
    Misfit { what: trouble.to_string(), remedy: "look at evm.endpoint and at the node's own log".into() }
}

impl Chain {
    /// Before anything is sent: a transaction to the wrong place would be lost, and one without the role taken back.
    pub async fn check(&self) -> Result<(), Misfit> {
        let settings = &self.settings;
        let found = self.node.chain_id().await.map_err(of)?;
        if found != settings.chain_id {
            return misfit(
                format!("the node is of chain {found}, the configuration says {}", settings.chain_id),
                "set evm.endpoint to a node of the right chain, or evm.chain_id",
            );
        }
        let code = self.node.code(self.contract).await.map_err(of)?;
        let contract = self.contract.to_checksum(None);
        if code.is_empty() {
            return misfit(
                format!("there is no contract at {contract}"),
                "deploy it with `minthouse ledger evm deploy` and set evm.contract to what it prints",
            );
        }
        if !contract::is_ours(&code) {
            return misfit(
                format!("the contract at {contract} is not the one that this version was made for"),
                "set evm.contract to one that `minthouse ledger evm deploy` has made",
            );
        }
        let account = settings.account();
        let answer = self.node.call(self.contract, contract::has_operator_role(account), At::Latest).await;
        if !contract::read_has_role(&answer.map_err(of)?).unwrap_or(false) {
            return misfit(
                format!("the account {account} has no operator's role in the contract {contract}"),
                "let the contract's administrator grant OPERATOR_ROLE to it, or use another key",
            );
        }
        let head = self.node.head().await.map_err(of)?;
        if let Some(block) = head.gas_limit.filter(|block| settings.gas_limit > *block) {
            return misfit(
                format!("evm.gas_limit is {}, and a whole block holds only {block}", settings.gas_limit),
                format!("set evm.gas_limit to {block} or less, on every server"),
            );
        }
        Ok(())
    }

    /// What the account has to pay gas with, in wei.
    pub async fn balance(&self) -> Result<U256, Misfit> {
        self.node.balance(self.settings.account()).await.map_err(of)
    }
}
