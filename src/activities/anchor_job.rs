//! Anchors are made and brought onto the ledger: of every 4,096 draws, and of what there is when a day in Shanghai begins
//! and once an activity is settled.
//!
//! An activity's chain is looked at every minute. Of each stretch that is due an anchor is written down, as handed over,
//! before the ledger is told of it; then the ledger is asked, between transactions, and told again under the same name of
//! what it never heard of. So a crash between any two steps loses nothing and does nothing twice.
//!
//! Anchors stand on the embedded ledger, which every house has, wherever the pieces are kept: the contract of the EVM
//! ledger has no words for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use async_trait::async_trait;

use crate::activities::anchor::{self, Anchor, MOST};
use crate::activities::engine::{Rules, day_of};
use crate::activities::fairness::Hash;
use crate::activities::model::{ActivityId, ActivityState, DrawId};
use crate::activities::store::anchors::{self, AnchorRow, Chain, Link, Look, NewAnchor, Word};
use crate::activities::terms::Terms;
use crate::ledger::model::{Content, Operation, OperationId, Receipt};
use crate::ledger::{Ledger, in_time};
use crate::platform::Platform;
use crate::platform::backoff::pause;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HouseTx, TenantScope, TenantTx};
use crate::tenancy::worker::Job;

/// How many chains one step looks at, how many stretches of each it anchors, and how many anchors it asks about.
const CHAINS_A_STEP: i64 = 20;
const STRETCHES_A_LOOK: usize = 16;
const ASKED_A_STEP: i64 = 500;

pub struct AnchorJob {
    pub platform: Arc<Platform>,
    /// The embedded one.
    pub ledger: Arc<dyn Ledger>,
}

#[async_trait]
impl Job for AnchorJob {
    fn name(&self) -> &'static str {
        "anchors of draws"
    }

    async fn tenants_due(&self) -> Result<Vec<EnterpriseId>, Fault> {
        anchors::tenants_anchoring(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn next_due(&self) -> Result<Option<Duration>, Fault> {
        anchors::next_due(&HouseTx::read(&self.platform.database).await?).await
    }

    async fn work(&self, tenant: EnterpriseId) -> Result<(), Fault> {
        let scope = TenantScope::of_system(tenant);
        let due = anchors::due_watches(&scope.read(&self.platform.database).await?, CHAINS_A_STEP).await?;
        let mut failed = None;
        for activity in due {
            // A chain that cannot be looked at holds up no other.
            if let Err(fault) = self.look(&scope, activity).await {
                failed = Some(fault);
            }
        }
        self.carry(&scope).await?;
        failed.map_or(Ok(()), Err)
    }
}

impl AnchorJob {
    /// Writes down the anchors that are due of one chain, and when it is looked at again.
    async fn look(&self, scope: &TenantScope, activity: ActivityId) -> Result<(), Fault> {
        let tx = scope.write(&self.platform.database).await?;
        // Another worker is at it, or was.
        let Some(last_day) = anchors::lock_watch_in(&tx, activity).await? else { return Ok(()) };
        let chain = anchors::chain(&tx, activity).await?;
        let today = day_of(chain.now);
        let over = is_over(chain.state);
        let to_the_end = over || today > last_day;
        let mut end = End::of(&tx, activity, &chain).await?;
        let mut made = 0;
        let (next, day) = loop {
            let waiting = chain.next_sequence - end.next_sequence;
            if waiting == 0 {
                break (if over { Look::Never } else { Look::AtTheMinute }, if to_the_end { today } else { last_day });
            }
            if waiting < MOST && !to_the_end {
                break (Look::AtTheMinute, last_day);
            }
            if made == STRETCHES_A_LOOK {
                break (Look::AtOnce, last_day);
            }
            let links = anchors::links(&tx, activity, end.last_draw, waiting.min(MOST)).await?;
            match end.extended(activity, &chain, &links) {
                Ok(new) => anchors::insert_anchor_in(&tx, &new).await?,
                Err(why) => {
                    // What does not hang together is not vouched for. Somebody must look at it.
                    tracing::error!(tenant = %scope.tenant(), %activity, "a chain of draws is not anchored: {why}");
                    break (Look::AtTheMinute, last_day);
                }
            }
            made += 1;
        };
        anchors::set_watch_in(&tx, activity, day, next).await?;
        tx.commit().await
    }

    /// Asks the ledger about anchors under way, and tells it of those that it never heard of.
    async fn carry(&self, scope: &TenantScope) -> Result<(), Fault> {
        let tx = scope.read(&self.platform.database).await?;
        let due = anchors::due_anchors(&tx, ASKED_A_STEP).await?;
        drop(tx);
        if due.is_empty() {
            return Ok(());
        }
        let mut heard = Vec::with_capacity(due.len());
        let receipts = self.ask(scope.tenant(), &due).await;
        for row in &due {
            let word = match receipts.get(&row.operation_id) {
                Some(Receipt::Confirmed(place)) => Word::Confirmed(place.block, place.position),
                Some(Receipt::Refused { reason }) => {
                    let operation = row.operation_id;
                    tracing::error!(tenant = %scope.tenant(), %operation, "the ledger refused an anchor: {reason}");
                    Word::Anew(id::generate())
                }
                _ => Word::NotYet(pause(row.attempts.saturating_add(1))),
            };
            heard.push((row.operation_id, word));
        }
        let tx = scope.write(&self.platform.database).await?;
        anchors::heard_in(&tx, &heard).await?;
        tx.commit().await
    }

    /// What is said of them; nothing of any where the ledger does not answer.
    async fn ask(&self, tenant: EnterpriseId, due: &[AnchorRow]) -> HashMap<OperationId, Receipt> {
        let silent = |fault: Fault| {
            tracing::warn!(%tenant, "the ledger does not answer; it will be asked again: {}", fault.with_causes());
        };
        let names: Vec<OperationId> = due.iter().map(|row| row.operation_id).collect();
        let receipts = match in_time(self.ledger.receipts(tenant, &names)).await {
            Ok(receipts) => receipts,
            Err(fault) => {
                silent(fault);
                return HashMap::new();
            }
        };
        let unheard = due.iter().filter(|row| receipts.get(&row.operation_id).is_none_or(|it| *it == Receipt::Unknown));
        let operations: Result<Vec<Operation>, Fault> = unheard
            .map(|row| {
                Ok(Operation { id: row.operation_id, content: Content::Anchor { digest: row.anchor()?.digest() } })
            })
            .collect();
        let told = match operations {
            Ok(operations) if operations.is_empty() => Ok(()),
            Ok(operations) => in_time(self.ledger.submit(tenant, &operations)).await,
            Err(fault) => Err(fault),
        };
        told.unwrap_or_else(silent);
        receipts
    }
}

/// Whether nothing more will be drawn.
fn is_over(state: ActivityState) -> bool {
    matches!(state, ActivityState::Settled | ActivityState::Archived | ActivityState::Terminated)
}

/// Where the anchors of a chain end so far.
struct End {
    next_sequence: i64,
    last_draw: Option<DrawId>,
    lots_left: Vec<u32>,
}

impl End {
    async fn of(tx: &TenantTx, activity: ActivityId, chain: &Chain) -> Result<Self, Fault> {
        if let Some(last) = anchors::anchors_until(tx, activity, i64::MAX, 1).await?.first() {
            let (last_draw, lots_left) = (Some(last.last_draw_id), last.lots_left());
            return Ok(Self { next_sequence: last.to_sequence + 1, last_draw, lots_left });
        }
        let terms: Terms = serde_json::from_str(&chain.document).map_err(Fault::internal)?;
        let lots_left = Rules::new(terms).full_lots().iter().map(|lot| lot.left).collect();
        Ok(Self { next_sequence: 1, last_draw: None, lots_left })
    }

    /// Goes on over a stretch, and gives its anchor; or says why these records are none.
    fn extended(&mut self, activity: ActivityId, chain: &Chain, links: &[Link]) -> Result<NewAnchor, anyhow::Error> {
        let hash = |bytes: &[u8]| Hash::try_from(bytes).map_err(|_| anyhow!("a hash is no SHA-256"));
        let from = self.next_sequence;
        for link in links {
            anyhow::ensure!(link.sequence == self.next_sequence, "draw {} is not there", self.next_sequence);
            self.next_sequence += 1;
            if let Some(lot) = link.lot {
                let left = usize::try_from(lot).ok().and_then(|lot| self.lots_left.get_mut(lot));
                let left = left.filter(|left| **left > 0);
                *left.ok_or_else(|| anyhow!("draw {} took from a lot that had nothing", link.sequence))? -= 1;
            }
        }
        let last = links.last().ok_or_else(|| anyhow!("draw {from} is not there"))?;
        self.last_draw = Some(last.id);
        let records = links.iter().map(|link| hash(&link.record_hash)).collect::<Result<Vec<_>, _>>()?;
        let head = hash(&last.record_hash)?;
        let at_the_end = self.next_sequence == chain.next_sequence;
        anyhow::ensure!(!at_the_end || head[..] == chain.head_hash[..], "its last record is not its head");
        let anchor = Anchor {
            activity,
            beginning: hash(&chain.beginning)?,
            from: from.unsigned_abs(),
            to: last.sequence.unsigned_abs(),
            head,
            root: anchor::root(&records),
        };
        Ok(NewAnchor { anchor, operation: id::generate(), last_draw: last.id, lots_left: self.lots_left.clone() })
    }
}
