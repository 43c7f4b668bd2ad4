//! A ledger that misbehaves as ledgers do: it stands before another one, and lets it answer late, twice or not at all.
//!
//! What goes wrong is a plan, so that a failure that was found once can be had again: a list of faults for the first
//! calls, then some that a seed picks. Tests write plans; developers set `ledger_faults` (`seed=7 rate=200`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;

use crate::ledger::Ledger;
use crate::ledger::model::{Account, LedgerKind, Operation, OperationId, Owner, Piece, Receipt};
use crate::platform::fault::Fault;
use crate::platform::randomness::{Randomness, SeededRandomness};
use crate::stored_words;
use crate::tenancy::model::EnterpriseId;

stored_words! {
    /// What goes wrong with one call.
    pub enum Trouble {
        /// Nothing.
        Nothing = "nothing",
        /// It takes its time, and goes well.
        Delay = "delay",
        /// It never arrives, and the caller hears of an error.
        LostRequest = "lost-request",
        /// It is carried out, and the caller hears of an error.
        LostAnswer = "lost-answer",
        /// The caller gives up; it arrives some calls later.
        LateArrival = "late-arrival",
        /// It arrives twice.
        Twice = "twice",
        /// Only the first half of what was submitted arrives, and the caller hears of an error.
        Half = "half",
        /// The ledger, when asked, has not heard of anything yet that it has not told the end of.
        Unheard = "unheard",
        /// The ledger, when asked, has come to an end with nothing yet that it has not told the end of.
        Behind = "behind",
        /// It is accepted, and then comes to nothing: refused for good. Only a plan picks it, as nothing that the caller
        /// does makes up for it.
        Doomed = "doomed",
    }
}

impl Trouble {
    /// Whether it can be come through by asking and submitting again.
    pub fn passes(self) -> bool {
        self != Self::Doomed
    }
}

/// How many calls come between one that was given up and its arrival.
const LATE_BY: usize = 2;

/// Which calls go wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// For the first calls, in order.
    pub plan: Vec<Trouble>,
    /// For the calls after those.
    pub seed: u64,
    /// How many of a thousand of those go wrong.
    pub rate: u16,
    pub delay: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self { plan: Vec::new(), seed: 0, rate: 0, delay: Duration::from_millis(200) }
    }
}

impl FromStr for Faults {
    type Err = anyhow::Error;

    /// `seed=7 rate=200 delay=50 plan=lost-answer,nothing,twice`, each of which may be left out.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut faults = Self::default();
        for part in text.split_whitespace() {
            let (name, value) = part.split_once('=').context("faults are written `name=value`")?;
            match name {
                "seed" => faults.seed = value.parse().context("`seed` is a number")?,
                "rate" => faults.rate = value.parse().context("`rate` is a number of calls in a thousand")?,
                "delay" => faults.delay = Duration::from_millis(value.parse().context("`delay` is in milliseconds")?),
                "plan" => faults.plan = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
                _ => bail!("there is no `{name}` among the faults; there are seed, rate, delay and plan"),
            }
        }
        anyhow::ensure!(faults.rate <= 900, "`rate` is 900 at most: something must go well");
        Ok(faults)
    }
}

/// The ledger with these faults before it, or as it is where there are none.
pub fn wrap(ledger: Arc<dyn Ledger>, faults: Option<&Faults>) -> Arc<dyn Ledger> {
    match faults {
        None => ledger,
        Some(faults) => Arc::new(Simulator::new(ledger, faults.clone())),
    }
}

pub struct Simulator {
    ledger: Arc<dyn Ledger>,
    faults: Faults,
    state: Mutex<State>,
}

struct State {
    calls: usize,
    dice: Arc<dyn Randomness>,
    /// Submissions that were given up and have not arrived: after which call each does.
    under_way: VecDeque<(usize, EnterpriseId, Vec<Operation>)>,
    /// Operations whose end was told. No ledger takes that back.
    told: HashSet<(EnterpriseId, OperationId)>,
    /// Operations that were accepted and then refused; the ledger behind never hears of them.
    doomed: HashSet<(EnterpriseId, OperationId)>,
}

impl Simulator {
    pub fn new(ledger: Arc<dyn Ledger>, faults: Faults) -> Self {
        let dice: Arc<dyn Randomness> = Arc::new(SeededRandomness::new(faults.seed));
        let state = State { calls: 0, dice, under_way: VecDeque::new(), told: HashSet::new(), doomed: HashSet::new() };
        Self { ledger, faults, state: Mutex::new(state) }
    }

    /// How many calls there have been.
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong with this call, of what can go wrong with such a call; what was late arrives before it.
    async fn next(&self, possible: &[Trouble]) -> Trouble {
        let (trouble, arriving) = {
            let mut state = self.state();
            let call = state.calls;
            state.calls += 1;
            let due = state.under_way.iter().take_while(|(after, ..)| *after <= call).count();
            let arriving: Vec<_> = state.under_way.drain(..due).collect();
            let roll: [u8; 4] = state.dice.bytes();
            let trouble = match self.faults.plan.get(call) {
                Some(planned) if possible.contains(planned) => *planned,
                Some(_) => Trouble::Nothing,
                None if u16::from_be_bytes([roll[0], roll[1]]) % 1000 < self.faults.rate => {
                    let passing: Vec<Trouble> = possible.iter().copied().filter(|trouble| trouble.passes()).collect();
                    passing[usize::from(u16::from_be_bytes([roll[2], roll[3]])) % passing.len()]
                }
                None => Trouble::Nothing,
            };
            (trouble, arriving)
        };
        for (_, tenant, operations) in arriving {
            // Whoever sent it does not listen any more.
            if let Err(fault) = self.arrive(tenant, &operations).await {
                tracing::debug!("a late submission failed: {}", fault.with_causes());
            }
        }
        if trouble != Trouble::Nothing {
            tracing::debug!(trouble = trouble.as_str(), "the simulated ledger misbehaves");
        }
        if trouble == Trouble::Delay {
            tokio::time::sleep(self.faults.delay).await;
        }
        trouble
    }

    /// Hands on what is not refused already.
    async fn arrive(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault> {
        let arriving: Vec<Operation> = {
            let state = self.state();
            let goes_on = |operation: &&Operation| !state.doomed.contains(&(tenant, operation.id));
            operations.iter().filter(goes_on).cloned().collect()
        };
        self.ledger.submit(tenant, &arriving).await
    }

    /// Refuses, behind the caller's back, what the ledger has not heard of before.
    async fn doom(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault> {
        let ids: Vec<OperationId> = operations.iter().map(|operation| operation.id).collect();
        let known = self.ledger.receipts(tenant, &ids).await?;
        let fresh = ids.into_iter().filter(|id| known.get(id).is_none_or(|receipt| *receipt == Receipt::Unknown));
        self.state().doomed.extend(fresh.map(|id| (tenant, id)));
        Ok(())
    }

    fn give_up(&self, tenant: EnterpriseId, operations: &[Operation]) {
        let mut state = self.state();
        let due = state.calls + LATE_BY;
        state.under_way.push_back((due, tenant, operations.to_vec()));
    }
}

fn lost() -> Fault {
    Fault::Unavailable(anyhow::anyhow!("the simulated ledger does not answer"))
}

#[async_trait]
impl Ledger for Simulator {
    fn kind(&self) -> LedgerKind {
        self.ledger.kind()
    }

    async fn submit(&self, tenant: EnterpriseId, operations: &[Operation]) -> Result<(), Fault> {
        use Trouble::{Delay, Doomed, Half, LateArrival, LostAnswer, LostRequest, Twice};
        match self.next(&[Delay, LostRequest, LostAnswer, LateArrival, Twice, Half, Doomed]).await {
            LostRequest => Err(lost()),
            LostAnswer => {
                self.arrive(tenant, operations).await?;
                Err(lost())
            }
            LateArrival => {
                self.give_up(tenant, operations);
                Err(Fault::TimedOut)
            }
            Twice => {
                self.arrive(tenant, operations).await?;
                self.arrive(tenant, operations).await
            }
            Half => {
                self.arrive(tenant, &operations[..operations.len() / 2]).await?;
                Err(lost())
            }
            Doomed => self.doom(tenant, operations).await,
            _ => self.arrive(tenant, operations).await,
        }
    }

    async fn receipts(
        &self,
        tenant: EnterpriseId,
        ids: &[OperationId],
    ) -> Result<HashMap<OperationId, Receipt>, Fault> {
        use Trouble::{Behind, Delay, LostAnswer, Unheard};
        let trouble = self.next(&[Delay, LostAnswer, Unheard, Behind]).await;
        if trouble == LostAnswer {
            return Err(lost());
        }
        let mut receipts = self.ledger.receipts(tenant, ids).await?;
        let mut state = self.state();
        for (id, receipt) in &mut receipts {
            if state.doomed.contains(&(tenant, *id)) {
                *receipt = Receipt::Refused { reason: "the simulated ledger accepted it and then failed".into() };
            }
            match trouble {
                Unheard if !state.told.contains(&(tenant, *id)) => *receipt = Receipt::Unknown,
                Behind if !state.told.contains(&(tenant, *id)) && *receipt != Receipt::Unknown => {
                    *receipt = Receipt::Pending;
                }
                _ if matches!(receipt, Receipt::Confirmed(_) | Receipt::Refused { .. }) => {
                    state.told.insert((tenant, *id));
                }
                _ => {}
            }
        }
        Ok(receipts)
    }

    fn account(&self, tenant: EnterpriseId, owner: Owner) -> Account {
        self.ledger.account(tenant, owner)
    }

    async fn owners(&self, tenant: EnterpriseId, pieces: &[Piece]) -> Result<HashMap<Piece, Account>, Fault> {
        match self.next(&[Trouble::Delay, Trouble::LostAnswer]).await {
            Trouble::LostAnswer => Err(lost()),
            _ => self.ledger.owners(tenant, pieces).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written_down() {
        let read: Faults = "seed=7 rate=200 delay=50 plan=lost-answer,nothing,twice".parse().unwrap();
        let plan = vec![Trouble::LostAnswer, Trouble::Nothing, Trouble::Twice];
        assert_eq!(read, Faults { plan, seed: 7, rate: 200, delay: Duration::from_millis(50) });
        assert_eq!("".parse::<Faults>().unwrap(), Faults::default());
        assert_eq!("plan=doomed".parse::<Faults>().unwrap().plan, [Trouble::Doomed]);
        for bad in ["rate", "rate=1000", "rate=x", "plan=oops", "speed=1"] {
            assert!(bad.parse::<Faults>().is_err(), "{bad}");
        }
    }
}
