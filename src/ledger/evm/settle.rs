//! What a transaction has brought its operations, once it stands in a block that stays.

use crate::bridges::ethereum::{At, Head, Log, TransactionReceipt, Trouble};
use crate::ledger::evm::contract::{self, Outcome, Step, Verdict};
use crate::ledger::evm::model::{OpenTransaction, Settlement, Told, TransactionState};
use crate::ledger::evm::{Chain, fault, store};
use crate::ledger::model::{Operation, OperationId};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::scope::TenantScope;

/// How many operations the contract is asked about at once.
const QUESTIONS_A_CALL: usize = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Settled,
    /// The chain took it back: it has cost gas and done nothing.
    Reverted,
    /// What it has done may still change.
    NotYet,
    /// Neither the chain nor the contract knows of it.
    Unknown,
}

pub struct Settler<'a> {
    pub platform: &'a Platform,
    pub chain: &'a Chain,
    pub head: Head,
}

/// What the contract says of an operation that the receipt does not tell of.
enum Asked {
    Never,
    NotYet,
    Stands(Settlement),
}

impl Settler<'_> {
    /// Whether so many blocks stand on a block that it counts as staying.
    pub fn stays(&self, block: u64) -> bool {
        self.head.number + 1 >= block + self.chain.settings.confirmations
    }

    /// By its receipt, out of a block that stays.
    pub async fn by_receipt(
        &self,
        transaction: &OpenTransaction,
        receipt: &TransactionReceipt,
    ) -> Result<Ending, Fault> {
        if !receipt.succeeded {
            let tx = TenantScope::of_system(transaction.key.tenant).write(&self.platform.database).await?;
            if store::close_in(&tx, transaction.key, TransactionState::Reverted).await? {
                store::release_in(&tx, transaction.key.id, true).await?;
                tx.commit().await?;
            }
            return Ok(Ending::Reverted);
        }
        let said = contract::verdicts(transaction.contract, &receipt.logs);
        let (mut settlements, mut unsaid) = (Vec::new(), Vec::new());
        for operation in self.operations(transaction).await? {
            let step = contract::step(transaction.key.tenant, &operation);
            match said.get(&step.id) {
                Some((verdict, log)) => {
                    settlements.push(settlement(operation.id, *verdict, receipt.block_number, Some(log))?)
                }
                // Passed over, because it had been carried out before: under another nonce, by another server.
                None => unsaid.push((operation, step)),
            }
        }
        for asked in self.ask(transaction, &unsaid).await? {
            match asked {
                Asked::Stands(settlement) => settlements.push(settlement),
                Asked::NotYet => return Ok(Ending::NotYet),
                Asked::Never => {} // it is released below and tried again
            }
        }
        self.close(transaction, &settlements).await
    }

    /// Where no receipt is to be found: by the contract alone, if it knows all of the operations.
    pub async fn by_asking(&self, transaction: &OpenTransaction) -> Result<Ending, Fault> {
        let operations = self.operations(transaction).await?;
        let steps = operations.into_iter().map(|operation| {
            let step = contract::step(transaction.key.tenant, &operation);
            (operation, step)
        });
        let steps: Vec<_> = steps.collect();
        let mut settlements = Vec::with_capacity(steps.len());
        for asked in self.ask(transaction, &steps).await? {
            match asked {
                Asked::Stands(settlement) => settlements.push(settlement),
                Asked::NotYet => return Ok(Ending::NotYet),
                Asked::Never => return Ok(Ending::Unknown),
            }
        }
        self.close(transaction, &settlements).await
    }

    async fn operations(&self, transaction: &OpenTransaction) -> Result<Vec<Operation>, Fault> {
        let tx = TenantScope::of_system(transaction.key.tenant).read(&self.platform.database).await?;
        store::operations_of(&tx, transaction.key.id).await
    }

    async fn ask(&self, transaction: &OpenTransaction, steps: &[(Operation, Step)]) -> Result<Vec<Asked>, Fault> {
        let mut asked = Vec::with_capacity(steps.len());
        for steps in steps.chunks(QUESTIONS_A_CALL) {
            let question = contract::outcomes_of(steps.iter().map(|(_, step)| step.id).collect());
            let answer = self.chain.node.call(transaction.contract, question, At::Latest).await.map_err(fault)?;
            if answer.is_empty() && transaction.contract != self.chain.contract {
                // Nothing is at that address, so nothing was done there.
                asked.extend(steps.iter().map(|_| Asked::Never));
                continue;
            }
            let outcomes = contract::read_outcomes(&answer)
                .map_err(|error| Fault::Unavailable(error.context(Trouble::Nonsense)))?;
            for ((operation, step), outcome) in steps.iter().zip(outcomes) {
                asked.push(match outcome {
                    None => Asked::Never,
                    Some((_, outcome)) if !self.stays(outcome.blockNumber) => Asked::NotYet,
                    Some((verdict, outcome)) => self.locate(transaction, operation.id, step, verdict, &outcome).await?,
                });
            }
        }
        Ok(asked)
    }

    /// What became of an operation by the contract's own word, and where, by the log in the block that it names. Nodes
    /// refuse old logs or have pruned them: the contract's word stands all the same.
    async fn locate(
        &self,
        transaction: &OpenTransaction,
        operation: OperationId,
        step: &Step,
        verdict: Verdict,
        outcome: &Outcome,
    ) -> Result<Asked, Fault> {
        let topics = contract::verdict_topics();
        let logs = match self.chain.node.logs(transaction.contract, outcome.blockNumber, &topics, step.id).await {
            Err(Trouble::Unreachable) => return Err(fault(Trouble::Unreachable)),
            Err(trouble) => {
                let block = outcome.blockNumber;
                tracing::warn!(%operation, block, "where the chain tells of an operation cannot be found out: {trouble}");
                Vec::new()
            }
            Ok(logs) => logs,
        };
        let mut settlement = settlement(operation, verdict, outcome.blockNumber, logs.first())?;
        if outcome.digest.0 != contract::digest(step) {
            settlement.refusal = Some("the chain knows another operation under the same ID".into());
        }
        Ok(Asked::Stands(settlement))
    }

    /// It will stand in no block, or do nothing there: its operations go into others. Should one of its forms be mined
    /// after all, the contract passes over what was done already.
    pub async fn withdraw(&self, transaction: &OpenTransaction) -> Result<(), Fault> {
        let tx = TenantScope::of_system(transaction.key.tenant).write(&self.platform.database).await?;
        if store::close_in(&tx, transaction.key, TransactionState::Withdrawn).await? {
            store::release_in(&tx, transaction.key.id, false).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn close(&self, transaction: &OpenTransaction, settlements: &[Settlement]) -> Result<Ending, Fault> {
        let tx = TenantScope::of_system(transaction.key.tenant).write(&self.platform.database).await?;
        if store::close_in(&tx, transaction.key, TransactionState::Settled).await? {
            store::settle_in(&tx, settlements).await?;
            store::release_in(&tx, transaction.key.id, false).await?;
            tx.commit().await?;
        }
        Ok(Ending::Settled)
    }
}

fn settlement(
    operation: OperationId,
    verdict: Verdict,
    block_number: u64,
    log: Option<&Log>,
) -> Result<Settlement, Fault> {
    let refusal = match verdict {
        Verdict::Done => None,
        Verdict::Refused(number) => Some(contract::reason(number).to_owned()),
    };
    let told = |log: &Log| {
        let log_index = i32::try_from(log.log_index.to::<u64>()).map_err(Fault::internal)?;
        Ok(Told { log_index, transaction_hash: log.transaction_hash })
    };
    Ok(Settlement { operation, refusal, block_number, told: log.map(told).transpose()? })
}
