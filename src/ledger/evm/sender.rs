//! Sends the transactions of all enterprises from the house's account, and follows them until they are settled.
//!
//! One turn: follow what is under way, give nonces to what waits, send what was not sent or has been silent. Between a
//! statement and a question to the node no transaction of the database is open. One server at a time has the account on
//! lease; where two have it after all, the same bytes are sent twice, or one nonce in two forms, and either is well.
//! What is wrong with one transaction ends its own part of the turn: only where node or database are away does all of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::{Address, B256, TxKind};
use async_trait::async_trait;
use futures_util::future::try_join;
use tokio::time::Instant;
use uuid::Uuid;

use crate::bridges::ethereum::{Head, Node, Trouble};
use crate::ledger::evm::fee::Fee;
use crate::ledger::evm::model::{Mined, OpenTransaction};
use crate::ledger::evm::queue::{self, Account};
use crate::ledger::evm::settings::Settings;
use crate::ledger::evm::settle::{Ending, Settler};
use crate::ledger::evm::wire::{Unsigned, Wire};
use crate::ledger::evm::{Chain, contract, fault, store};
use crate::platform::config::FeeStyle;
use crate::platform::fault::Fault;
use crate::platform::{Platform, id};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::throttle::NO_TENANT;
use crate::tenancy::worker::Job;

/// Where the node has no opinion.
const USUAL_TIP: u128 = 1_000_000_000;

pub struct Sender {
    platform: Arc<Platform>,
    chain: Arc<Chain>,
    /// Under which name this server takes the lease.
    holder: Uuid,
    looked_at: Mutex<Option<Instant>>,
    /// Whether node, account and contract were found to be the right ones, and nothing has spoken against it since.
    checked: AtomicBool,
}

impl Sender {
    pub fn new(platform: Arc<Platform>, chain: Arc<Chain>) -> Self {
        let holder = id::generate();
        Self { platform, chain, holder, looked_at: Mutex::default(), checked: AtomicBool::new(false) }
    }

    fn account(&self) -> Account {
        Account { chain: self.chain.settings.chain_id, address: self.chain.settings.account() }
    }

    fn may_look(&self) -> bool {
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked_at.is_none_or(|last| last.elapsed() >= self.chain.settings.poll);
        if due {
            *looked_at = Some(Instant::now());
        }
        due
    }

    async fn is_due(&self) -> Result<bool, Fault> {
        queue::has_open(&HouseTx::read(&self.platform.database).await?, self.chain.settings.chain_id).await
    }

    async fn turn(&self) -> Result<(), Fault> {
        if !self.checked.load(Ordering::Relaxed) {
            self.chain.check().await.map_err(|misfit| Fault::Unavailable(misfit.into()))?;
            self.checked.store(true, Ordering::Relaxed);
        }
        let (node, account) = (&self.chain.node, self.account());
        let (head, count) = try_join(node.head(), node.transaction_count(account.address)).await.map_err(fault)?;
        let settler = Settler { platform: &self.platform, chain: &self.chain, head };
        let mut hashes = HashMap::new();
        for transaction in &self.open().await? {
            pass_over(transaction, self.follow(&settler, transaction, count, &mut hashes).await)?;
        }
        let tx = HouseTx::write(&self.platform.database).await?;
        queue::assign_in(&tx, account, count, self.chain.settings.in_flight as usize).await?;
        tx.commit().await?;

        let unmined: Vec<OpenTransaction> = self.open().await?;
        let unmined: Vec<&OpenTransaction> =
            unmined.iter().filter(|transaction| transaction.mined.is_none() && transaction.nonce >= count).collect();
        if unmined.iter().all(|transaction| self.is_quiet(transaction)) {
            return Ok(());
        }
        let present = present_fee(node, &self.chain.settings, head).await.map_err(fault)?;
        for transaction in unmined {
            if !self.is_quiet(transaction) {
                pass_over(transaction, self.send(&settler, transaction, present).await)?;
            }
        }
        Ok(())
    }

    async fn open(&self) -> Result<Vec<OpenTransaction>, Fault> {
        queue::open(&HouseTx::read(&self.platform.database).await?, self.account()).await
    }

    /// Looks where a transaction stands by now. `hashes` are those of blocks that were asked for in this turn.
    async fn follow(
        &self,
        settler: &Settler<'_>,
        transaction: &OpenTransaction,
        count: u64,
        hashes: &mut HashMap<u64, Option<B256>>,
    ) -> Result<(), Fault> {
        let node = &self.chain.node;
        if let Some(mined) = &transaction.mined {
            let found = match hashes.entry(mined.block_number) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => *unknown.insert(node.block_hash(mined.block_number).await.map_err(fault)?),
            };
            if found == Some(mined.block_hash) {
                if !settler.stays(mined.block_number) {
                    return Ok(());
                }
                let receipt = node.receipt(mined.transaction_hash).await.map_err(fault)?;
                if let Some(receipt) = receipt.filter(|receipt| receipt.block_hash == mined.block_hash) {
                    return self.ended(settler.by_receipt(transaction, &receipt).await?, transaction).await;
                }
            }
            tracing::warn!(nonce = transaction.nonce, block = mined.block_number, "a block was replaced by another");
            let tx = HouseTx::write(&self.platform.database).await?;
            queue::unmined_in(&tx, transaction.key).await?;
            tx.commit().await?;
        }
        if transaction.nonce >= count {
            return Ok(()); // still to come
        }
        for attempt in transaction.attempts.iter().rev() {
            let Some(receipt) = node.receipt(attempt.hash).await.map_err(fault)? else { continue };
            if settler.stays(receipt.block_number) {
                return self.ended(settler.by_receipt(transaction, &receipt).await?, transaction).await;
            }
            let mined = Mined {
                block_number: receipt.block_number,
                block_hash: receipt.block_hash,
                transaction_hash: receipt.transaction_hash,
            };
            let tx = HouseTx::write(&self.platform.database).await?;
            queue::mined_in(&tx, transaction.key, mined).await?;
            return tx.commit().await;
        }
        // The node may be slow to know its own receipts: only what stays away is asked for elsewhere.
        if transaction.missing_for.is_some_and(|seconds| seconds >= self.chain.settings.resend.as_secs_f64()) {
            return self.ended(settler.by_asking(transaction).await?, transaction).await;
        }
        let tx = HouseTx::write(&self.platform.database).await?;
        queue::missing_in(&tx, transaction.key).await?;
        tx.commit().await
    }

    async fn ended(&self, ending: Ending, transaction: &OpenTransaction) -> Result<(), Fault> {
        let nonce = transaction.nonce;
        match ending {
            Ending::Settled | Ending::NotYet => Ok(()),
            Ending::Reverted => {
                tracing::error!(nonce, "the chain took a transaction back; its operations are tried again one by one");
                self.checked.store(false, Ordering::Relaxed);
                Ok(())
            }
            Ending::Unknown => {
                tracing::warn!(nonce, "a nonce was spent by something else; the transaction gets another");
                let tx = HouseTx::write(&self.platform.database).await?;
                queue::wait_again_in(&tx, transaction.key).await?;
                tx.commit().await
            }
        }
    }

    /// Whether it was sent a moment ago.
    fn is_quiet(&self, transaction: &OpenTransaction) -> bool {
        let resend = self.chain.settings.resend.as_secs_f64();
        transaction.attempts.last().is_some_and(|attempt| attempt.silent_for < resend)
    }

    /// Whether there is nothing at an address that was once taken for our contract's.
    async fn is_nowhere(&self, contract: Address) -> Result<bool, Fault> {
        Ok(self.chain.node.code(contract).await.map_err(fault)?.is_empty())
    }

    /// Sends it for the first time, once more, or with a higher fee.
    async fn send(&self, settler: &Settler<'_>, transaction: &OpenTransaction, present: Fee) -> Result<(), Fault> {
        let settings = &self.chain.settings;
        if transaction.contract != self.chain.contract && self.is_nowhere(transaction.contract).await? {
            let (nonce, contract) = (transaction.nonce, transaction.contract);
            tracing::warn!(nonce, %contract, "a transaction is for a contract that is not there; its operations go elsewhere");
            return settler.withdraw(transaction).await;
        }
        let most = settler.head.gas_limit.map_or(settings.gas_limit, |block| block.min(settings.gas_limit));
        if transaction.gas_limit > most {
            let (nonce, gas) = (transaction.nonce, transaction.gas_limit);
            tracing::warn!(nonce, gas, most, "no block holds a transaction any more; its operations go into others");
            // Does what is made now still fit?
            self.checked.store(false, Ordering::Relaxed);
            return settler.withdraw(transaction).await;
        }
        let fee = match transaction.attempts.last() {
            None => present,
            Some(last) if last.age < settings.stuck.as_secs_f64() => last.fee,
            Some(last) => last.fee.raised(present, settings.max_fee).unwrap_or_else(|| {
                tracing::warn!(nonce = transaction.nonce, "a transaction is stuck at the highest fee that is allowed");
                last.fee
            }),
        };
        let Wire { hash, bytes } = match self.encode(transaction, fee).await {
            // Whatever waits above its nonce would wait for ever.
            Err(fault) if !ends_the_turn(&fault) => {
                settler.withdraw(transaction).await?;
                return Err(fault);
            }
            wire => wire?,
        };
        // First it is written down: whatever becomes of the answer, it will be looked for.
        let tx = HouseTx::write(&self.platform.database).await?;
        queue::record_attempt_in(&tx, transaction.key, transaction.nonce, hash, fee).await?;
        tx.commit().await?;
        match self.chain.node.send_raw(&bytes).await {
            Ok(_) => Ok(()),
            Err(Trouble::Refused { message, .. }) if is_old_news(&message) => Ok(()),
            Err(trouble @ Trouble::Refused { .. }) => {
                tracing::error!(
                    nonce = transaction.nonce,
                    "a transaction was not taken and is sent again later: {trouble}"
                );
                self.checked.store(false, Ordering::Relaxed);
                Ok(())
            }
            Err(trouble) => Err(fault(trouble)),
        }
    }

    async fn encode(&self, transaction: &OpenTransaction, fee: Fee) -> Result<Wire, Fault> {
        let tenant = transaction.key.tenant;
        let tx = TenantScope::of_system(tenant).read(&self.platform.database).await?;
        let operations = store::operations_of(&tx, transaction.key.id).await?;
        drop(tx);
        let steps = operations.iter().map(|operation| contract::step(tenant, operation)).collect();
        let to = TxKind::Call(transaction.contract);
        let (nonce, gas_limit) = (transaction.nonce, transaction.gas_limit);
        Unsigned { to, nonce, gas_limit, input: contract::execute(steps) }.sign(&self.chain.settings, fee)
    }
}

#[async_trait]
impl Job for Sender {
    fn name(&self) -> &'static str {
        "evm sender"
    }

    /// The account is the house's: who has due work here is nobody in particular.
    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        if !self.may_look() {
            return Ok(Vec::new());
        }
        Ok(if self.is_due().await? { vec![NO_TENANT] } else { Vec::new() })
    }

    async fn work(&self, _: EnterpriseId) -> Result<(), Fault> {
        // Who gives every job a turn for one enterprise need not have a node at hand.
        if !self.is_due().await? {
            return Ok(());
        }
        let tx = HouseTx::write(&self.platform.database).await?;
        let leased = queue::lease_in(&tx, self.account(), self.holder, self.chain.settings.lease).await?;
        tx.commit().await?;
        if !leased {
            return Ok(());
        }
        let turned = self.turn().await;
        let tx = HouseTx::write(&self.platform.database).await?;
        queue::give_back_in(&tx, self.account(), self.holder).await?;
        tx.commit().await?;
        turned
    }
}

/// What is wrong with one transaction is told and must not hold up those of others.
fn pass_over(transaction: &OpenTransaction, done: Result<(), Fault>) -> Result<(), Fault> {
    match done {
        Err(fault) if !ends_the_turn(&fault) => {
            let (nonce, tenant) = (transaction.nonce, transaction.key.tenant);
            tracing::error!(nonce, %tenant, "a transaction could not be moved on: {}", fault.with_causes());
            Ok(())
        }
        done => done,
    }
}

/// Whether node or database are away, so that the others would fare no better.
fn ends_the_turn(fault: &Fault) -> bool {
    match fault {
        Fault::Unavailable(cause) => !matches!(cause.downcast_ref(), Some(Trouble::Refused { .. } | Trouble::Nonsense)),
        Fault::TimedOut => true,
        _ => false,
    }
}

/// What a transaction pays at present.
pub async fn present_fee(node: &Node, settings: &Settings, head: Head) -> Result<Fee, Trouble> {
    let fee = match settings.fees {
        FeeStyle::Legacy => Fee::legacy(node.gas_price().await?),
        FeeStyle::Eip1559 => {
            let base = head.base_fee.ok_or_else(|| Trouble::Refused {
                code: 0,
                message: "the chain has no base fee: set evm.fees to \"legacy\"".into(),
            })?;
            let tip = match node.priority_fee().await {
                Err(Trouble::Refused { .. }) => USUAL_TIP,
                answer => answer?,
            };
            Fee::eip1559(base, tip)
        }
    };
    Ok(fee.within(settings.max_fee))
}

/// Whether the node says that it has this very transaction already, or one that spent its nonce; each node in its words.
fn is_old_news(message: &str) -> bool {
    let message = message.to_lowercase();
    ["already known", "already imported", "alreadyknown", "known transaction", "nonce too low"]
        .iter()
        .any(|words| message.contains(words))
}
