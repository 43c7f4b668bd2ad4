//! The EVM ledger: pieces as tokens of our ERC-1155 contract, reached by JSON-RPC.
//!
//! [`Ledger::submit`] writes operations down and nothing else. Two jobs do the rest, on any number of servers:
//! [`bundle::Bundler`] puts an enterprise's operations into transactions; [`sender::Sender`] gives these their nonces,
//! sends them, sends them again, pays more where they are stuck, follows them through forks of the chain, and settles
//! them once enough blocks stand on top. Receipts are read from the database.
//!
//! What makes it safe is little. The contract carries an operation out once, however often it is sent. A nonce is given
//! out under a row's lock. A transaction's hash is written down before it is sent. And what is unclear in the end
//! is asked of the contract. So a server that dies, an answer that is lost, or two servers that believe themselves alone
//! cost gas at worst.
//!
//! docs/ledgers/evm.md tells how to deploy and what is guaranteed.

pub mod address;
pub mod bundle;
pub mod check;
pub mod contract;
pub mod deploy;
pub mod fee;
pub mod model;
pub mod nonce;
pub mod queue;
pub mod sender;
pub mod settings;
pub mod settle;
pub mod store;
pub mod wire;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use alloy::primitives::Address;
use async_trait::async_trait;

use crate::bridges::ethereum::{At, Node, Trouble};
use crate::catalog::model::CollectibleId;
use crate::ledger::Ledger;
use crate::ledger::evm::bundle::Bundler;
use crate::ledger::evm::sender::Sender;
use crate::ledger::evm::settings::Settings;
use crate::ledger::model::{Account, LedgerKind, Operation, OperationId, Owner, Piece, Receipt};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::worker::Job;

/// How many owners are asked for at once: nodes bound what a call may cost.
const OWNERS_A_CALL: usize = 500;

/// The chain and our contract on it.
pub struct Chain {
    pub node: Node,
    pub contract: Address,
    pub settings: Settings,
}

pub struct EvmLedger {
    platform: Arc<Platform>,
    chain: Arc<Chain>,
}

impl EvmLedger {
    /// Asks the node nothing: whether it is the right one is looked at before something is sent.
    pub fn new(platform: Arc<Platform>, http: reqwest::Client, contract: Address, settings: Settings) -> Self {
        let node = Node::new(http, settings.endpoint.clone());
        Self { platform, chain: Arc::new(Chain { node, contract, settings }) }
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The background work that it needs, on one server at least.
    pub fn jobs(&self) -> Vec<Arc<dyn Job>> {
        vec![
            Arc::new(Bundler::new(self.platform.clone(), self.chain.clone())),
            Arc::new(Sender::new(self.platform.clone(), self.chain.clone())),
        ]
    }
}

#[async_trait]
impl Ledger for EvmLedger {
    fn kind(&self) -> LedgerKind {
        LedgerKind::Evm
    }

    async fn submit(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault> {
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        store::insert_operations_in(&tx, operations).await?;
        tx.commit().await
    }

    async fn receipts(
        &self,
        tenant: EnterpriseId,
        ids: &[OperationId],
    ) -> Result<HashMap<OperationId, Receipt>, Fault> {
        let tx = TenantScope::of_system(tenant).read(&self.platform.database).await?;
        let mut receipts = store::receipts(&tx, ids).await?;
        for id in ids {
            receipts.entry(*id).or_insert(Receipt::Unknown);
        }
        Ok(receipts)
    }

    fn account(&self, tenant: EnterpriseId, owner: Owner) -> Account {
        account(address::account(tenant, owner))
    }

    /// Asks the contract, as of the last block that counts as staying. The chain tells everybody everything; here an
    /// enterprise is told of its own.
    async fn owners(&self, tenant: EnterpriseId, pieces: &[Piece]) -> Result<HashMap<Piece, Account>, Fault> {
        let named: HashSet<CollectibleId> = pieces.iter().map(|piece| piece.collectible).collect();
        let tx = TenantScope::of_system(tenant).read(&self.platform.database).await?;
        let own = store::issued_among(&tx, &Vec::from_iter(named)).await?;
        drop(tx); // the node takes its time
        let pieces: Vec<Piece> = pieces.iter().filter(|piece| own.contains(&piece.collectible)).copied().collect();

        let at = match self.chain.settings.confirmations {
            1 => At::Latest, // some nodes keep no other state
            confirmations => {
                At::Block((self.chain.node.head().await.map_err(fault)?.number + 1).saturating_sub(confirmations))
            }
        };
        let mut owners = HashMap::new();
        for pieces in pieces.chunks(OWNERS_A_CALL) {
            let tokens = pieces.iter().map(|piece| address::token(piece.collectible, piece.serial.into())).collect();
            let answer = self.chain.node.call(self.chain.contract, contract::owners_of(tokens), at).await;
            let answer = answer.map_err(fault)?;
            if answer.is_empty() {
                continue; // the contract itself was not there yet
            }
            let answer = contract::read_owners(&answer).map_err(Fault::Unavailable)?;
            let known = pieces.iter().zip(answer).filter_map(|(piece, owner)| Some((*piece, account(owner?))));
            owners.extend(known);
        }
        Ok(owners)
    }
}

fn account(address: Address) -> Account {
    Account(address.to_checksum(None))
}

/// A node in trouble is no fault of ours, and may be over the next time.
pub(crate) fn fault(trouble: Trouble) -> Fault {
    Fault::Unavailable(trouble.into())
}
