//! Issuances are carried out: batches handed to the ledger, asked about, and their items brought into being.
//!
//! A batch is written down as handed over before the ledger is told of it, and as confirmed in the transaction that
//! makes its items. The ledger is asked between transactions, never inside one. So a crash between any two steps loses
//! nothing and does nothing twice: what may have reached the ledger is asked about, and what it never heard of goes out
//! again under the same name.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::catalog::issuance::{Batch, BatchState, Issuance};
use crate::catalog::issue::advance_in;
use crate::catalog::model::CollectibleState;
use crate::catalog::store;
use crate::catalog::store::issuances::{self, Step};
use crate::ledger::model::{LedgerKind, Operation, OperationId, Receipt};
use crate::ledger::{Ledger, in_time};
use crate::platform::Platform;
use crate::platform::backoff::pause;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::worker::Job;
use crate::wallets::item;

/// How many batches of an issuance the ledger has at a time.
const UNDER_WAY: i64 = 64;
/// How many batches one turn brings into being at most.
const MINTED_A_TURN: usize = 32;
/// How many issuances of an enterprise have their turn together.
const ISSUANCES_A_TURN: i64 = 4;
/// What the history calls the steps that nobody asked for.
const ISSUANCE: &str = "issuance";

/// One ledger's issuances. A server runs one such job for each ledger that it has, so that a ledger that hangs keeps
/// nobody waiting but its own.
pub struct IssuanceJob {
    pub platform: Arc<Platform>,
    pub ledger: Arc<dyn Ledger>,
}

#[async_trait]
impl Job for IssuanceJob {
    fn name(&self) -> &'static str {
        match self.ledger.kind() {
            LedgerKind::Embedded => "issuance, embedded ledger",
            LedgerKind::Evm => "issuance, EVM ledger",
        }
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        issuances::tenants_issuing(&HouseTx::read(&self.platform.database).await?, self.ledger.kind()).await
    }

    async fn next_due(&self) -> Result<Option<Duration>, Fault> {
        issuances::next_due(&HouseTx::read(&self.platform.database).await?, self.ledger.kind()).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let scope = TenantScope::of_system(tenant);
        let tx = scope.read(&self.platform.database).await?;
        let due = issuances::due_issuances(&tx, self.ledger.kind(), ISSUANCES_A_TURN).await?;
        drop(tx);
        for issuance in due {
            match self.turn(&scope, &issuance).await {
                Ok(Answer::Given) => {}
                // The others would wait in vain as well, each for as long as this one.
                Ok(Answer::None) => break,
                Err(fault) => {
                    let collectible = issuance.collectible_id;
                    tracing::error!(%tenant, %collectible, "an issuance could not be moved on and will be tried again: {}", fault.with_causes());
                    self.put_off(&scope, &issuance).await?;
                }
            }
        }
        Ok(())
    }
}

/// Whether the ledger did its part of a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Given,
    None,
}

/// What the ledger says of the batches that it may have; nothing where it does not answer.
struct Heard(Option<HashMap<OperationId, Receipt>>);

impl Heard {
    fn of(&self, batch: &Batch) -> Option<&Receipt> {
        self.0.as_ref().map(|receipts| receipts.get(&batch.operation_id).unwrap_or(&Receipt::Unknown))
    }

    fn which<'a>(&self, batches: &'a [Batch], wanted: fn(&Receipt) -> bool) -> Vec<&'a Batch> {
        batches.iter().filter(|batch| self.of(batch).is_some_and(wanted)).collect()
    }
}

fn names<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> Vec<OperationId> {
    batches.into_iter().map(|batch| batch.operation_id).collect()
}

impl IssuanceJob {
    async fn turn(&self, scope: &TenantScope, issuance: &Issuance) -> Result<Answer, Fault> {
        let tx = scope.read(&self.platform.database).await?;
        let handed = issuances::batches(&tx, issuance.collectible_id, BatchState::Handed, UNDER_WAY).await?;
        let tally = issuances::tally(&tx, issuance).await?;
        drop(tx);

        let heard = self.ask(scope.tenant(), &handed).await;
        if heard.0.is_none() {
            self.note(scope, issuance, &handed, &heard, Answer::None, 0).await?;
            return Ok(Answer::None);
        }
        // What was refused is for the enterprise to look at: nothing more goes out before it has.
        let refused = !heard.which(&handed, |receipt| matches!(receipt, Receipt::Refused { .. })).is_empty();
        let (mut next, mut answer) = (Vec::new(), Answer::Given);
        if !refused && tally.refused == 0 {
            let confirmed = heard.which(&handed, |receipt| matches!(receipt, Receipt::Confirmed(_))).len();
            let left = tally.handed - confirmed.min(MINTED_A_TURN) as i64;
            next = self.take_next(scope, issuance, UNDER_WAY - left).await?;
            let lost = heard.which(&handed, |receipt| *receipt == Receipt::Unknown);
            let operations: Vec<Operation> = lost.into_iter().chain(&next).map(Batch::operation).collect();
            answer = self.submit(scope.tenant(), &operations).await;
        }
        self.note(scope, issuance, &handed, &heard, answer, next.len()).await?;
        Ok(answer)
    }

    async fn ask(&self, tenant: EnterpriseId, handed: &[Batch]) -> Heard {
        if handed.is_empty() {
            return Heard(Some(HashMap::new()));
        }
        let receipts = in_time(self.ledger.receipts(tenant, &names(handed))).await;
        Heard(receipts.inspect_err(|fault| self.silent(tenant, fault)).ok())
    }

    fn silent(&self, tenant: EnterpriseId, fault: &Fault) {
        let ledger = self.ledger.kind().as_str();
        tracing::warn!(%tenant, ledger, "the ledger does not answer; it will be asked again: {}", fault.with_causes());
    }

    /// Writes down that the next batches are handed over.
    async fn take_next(&self, scope: &TenantScope, issuance: &Issuance, room: i64) -> Result<Vec<Batch>, Fault> {
        if room <= 0 {
            return Ok(Vec::new());
        }
        let id = issuance.collectible_id;
        let tx = scope.write(&self.platform.database).await?;
        if issuances::lock_issuance_in(&tx, id).await?.is_none() {
            return Ok(Vec::new());
        }
        let waiting = issuances::batches(&tx, id, BatchState::Waiting, room).await?;
        let waiting = names(&waiting);
        let next = issuances::move_batches_in(&tx, id, &waiting, BatchState::Waiting, BatchState::Handed).await?;
        tx.commit().await?;
        Ok(next)
    }

    /// Where the ledger does not say that it took them, it may have them all the same.
    async fn submit(&self, tenant: EnterpriseId, operations: &[Operation]) -> Answer {
        if operations.is_empty() {
            return Answer::Given;
        }
        match in_time(self.ledger.submit(tenant, operations)).await {
            Ok(()) => Answer::Given,
            Err(fault) => {
                self.silent(tenant, &fault);
                Answer::None
            }
        }
    }

    /// Brings the items of confirmed batches into being and writes down where the issuance stands.
    async fn note(
        &self,
        scope: &TenantScope,
        issuance: &Issuance,
        handed: &[Batch],
        heard: &Heard,
        answer: Answer,
        went_out: usize,
    ) -> Result<(), Fault> {
        let id = issuance.collectible_id;
        let tx = scope.write(&self.platform.database).await?;
        // Another worker is at it, or has ended it.
        let Some(before) = issuances::lock_issuance_in(&tx, id).await? else { return Ok(()) };
        let mut confirmed = names(heard.which(handed, |receipt| matches!(receipt, Receipt::Confirmed(_))));
        let more = confirmed.len() > MINTED_A_TURN;
        confirmed.truncate(MINTED_A_TURN);
        let minted = issuances::move_batches_in(&tx, id, &confirmed, BatchState::Handed, BatchState::Confirmed).await?;
        let runs: Vec<Range<i32>> =
            minted.iter().map(|batch| batch.first_serial..batch.first_serial + batch.count).collect();
        item::mint_in(&tx, id, &runs).await?;

        let refused = names(heard.which(handed, |receipt| matches!(receipt, Receipt::Refused { .. })));
        let refused = issuances::move_batches_in(&tx, id, &refused, BatchState::Handed, BatchState::Refused).await?;
        let mut failure = before.failure.clone();
        if let Some(Receipt::Refused { reason }) = refused.first().and_then(|batch| heard.of(batch)) {
            failure.get_or_insert_with(|| reason.clone());
        }
        if failure.is_some() {
            // The ledger never heard of these, and nothing more goes out: they wait like those that never went.
            let lost = names(heard.which(handed, |receipt| *receipt == Receipt::Unknown));
            issuances::move_batches_in(&tx, id, &lost, BatchState::Handed, BatchState::Waiting).await?;
        }

        let confirmed_count = before.confirmed_count + minted.len() as i32;
        let tally = issuances::tally(&tx, &Issuance { confirmed_count, ..before.clone() }).await?;
        let state = tally.state(answer == Answer::Given);
        let moved = went_out > 0 || !minted.is_empty() || !refused.is_empty();
        let attempts = if moved { 0 } else { before.attempts.saturating_add(1) };
        let due_in = match state {
            CollectibleState::Issued | CollectibleState::Failed => None,
            _ if more => Some(Duration::ZERO),
            _ => Some(pause(attempts)),
        };
        let after =
            issuances::set_issuance_in(&tx, &before, Step { confirmed_count, failure, attempts, due_in }).await?;
        let collectible = store::lock_collectible_in(&tx, id).await?.ok_or(Fault::NotFound)?;
        if collectible.state != state || !minted.is_empty() {
            let issued: i32 = minted.iter().map(|batch| batch.count).sum();
            advance_in(&tx, ISSUANCE, &collectible, state, collectible.issued_count + issued, &after).await?;
        }
        tx.commit().await
    }

    /// After trouble of our own: later, so that it does not keep the others from their turn.
    async fn put_off(&self, scope: &TenantScope, issuance: &Issuance) -> Result<(), Fault> {
        let tx = scope.write(&self.platform.database).await?;
        let Some(before) = issuances::lock_issuance_in(&tx, issuance.collectible_id).await? else { return Ok(()) };
        let attempts = before.attempts.saturating_add(1);
        let step = Step {
            confirmed_count: before.confirmed_count,
            failure: before.failure.clone(),
            attempts,
            due_in: Some(pause(attempts)),
        };
        issuances::set_issuance_in(&tx, &before, step).await?;
        tx.commit().await
    }
}
