//! Lanes: each activity's draws wait in a queue, and one task serves what waits together.
//!
//! A hot prize's row is locked once a batch instead of once a draw. There is no timer: a lane takes what is there when
//! it is free, so a lone draw waits for nobody, and the busier an activity, the larger its batches. A lane ends when
//! nobody has drawn for a while and is made anew at the next draw.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::activities::draw::{self, Answer, Remembered, Wish};
use crate::activities::model::ActivityId;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::tenancy::model::EnterpriseId;

/// Larger batches were measured to be slower: they hold their locks longer than they save commits.
const BATCH: usize = 64;
/// How many wishes wait before more are turned away. At some thousands a second this is about a second's wait.
const QUEUE: usize = 8192;
const IDLE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;

type LaneKey = (EnterpriseId, ActivityId);
type Reply = oneshot::Sender<Result<Answer, Fault>>;

struct Waiting {
    wish: Wish,
    reply: Reply,
}

/// The lanes of this server.
pub struct Lanes {
    platform: Arc<Platform>,
    queues: Queues,
}

#[derive(Clone, Default)]
struct Queues(Arc<Mutex<HashMap<LaneKey, mpsc::Sender<Waiting>>>>);

impl Queues {
    // The map is whole between any two statements, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, HashMap<LaneKey, mpsc::Sender<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform, queues: Queues::default() }
    }

    /// Waits in the activity's lane for its turn. A caller who stops waiting may still be served: the key tells.
    pub async fn draw(&self, tenant: EnterpriseId, activity: ActivityId, wish: Wish) -> Result<Answer, Fault> {
        let (reply, answer) = oneshot::channel();
        self.enqueue((tenant, activity), Waiting { wish, reply })?;
        answer.await.map_err(|_| Fault::Unavailable(anyhow!("the lane of {activity} broke off")))?
    }

    fn enqueue(&self, key: LaneKey, waiting: Waiting) -> Result<(), Fault> {
        // Under the same lock as a lane's end: a wish reaches a lane that still looks, or a new one.
        let mut queues = self.queues.lock();
        let waiting = match queues.entry(key) {
            Entry::Vacant(_) => waiting,
            Entry::Occupied(queue) => match queue.get().try_send(waiting) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => {
                    return Err(Fault::Unavailable(anyhow!("{QUEUE} draws wait in the lane of {}", key.1)));
                }
                // Its task fell. What it had taken is lost and may be tried again under the same keys.
                Err(TrySendError::Closed(waiting)) => waiting,
            },
        };
        let (sender, receiver) = mpsc::channel(QUEUE);
        sender.try_send(waiting).map_err(|_| Fault::Unavailable(anyhow!("a new lane takes nothing")))?;
        queues.insert(key, sender);
        let lane = Lane { platform: self.platform.clone(), queues: self.queues.clone(), key, remembered: None };
        tokio::spawn(lane.run(receiver));
        Ok(())
    }
}

impl Drop for Lanes {
    /// Without their senders the lanes serve what waits and end.
    fn drop(&mut self) {
        self.queues.lock().clear();
    }
}

struct Lane {
    platform: Arc<Platform>,
    queues: Queues,
    key: LaneKey,
    remembered: Option<Remembered>,
}

impl Lane {
    async fn run(mut self, mut queue: mpsc::Receiver<Waiting>) {
        let mut waiting = Vec::with_capacity(BATCH);
        loop {
            match tokio::time::timeout(IDLE, queue.recv_many(&mut waiting, BATCH)).await {
                Ok(0) => return,
                Ok(_) => self.serve(&mut waiting).await,
                Err(_) => {
                    let mut queues = self.queues.lock();
                    if queue.is_empty() {
                        queues.remove(&self.key);
                        return;
                    }
                }
            }
        }
    }

    async fn serve(&mut self, waiting: &mut Vec<Waiting>) {
        // Who no longer waits has timed out and will ask again: late work for them would only delay the others.
        let (wishes, replies): (Vec<Wish>, Vec<Reply>) =
            waiting.drain(..).filter(|one| !one.reply.is_closed()).map(|one| (one.wish, one.reply)).unzip();
        match self.attempt(&wishes).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    let _ = reply.send(Ok(answer));
                }
            }
            // One wish that cannot be served must not spoil the others.
            Err(Fault::Internal(cause)) if wishes.len() > 1 => {
                tracing::error!(activity = %self.key.1, "a batch failed and is served one by one: {cause:#}");
                for (wish, reply) in wishes.iter().zip(replies) {
                    let answer = self.attempt(std::slice::from_ref(wish)).await.and_then(only);
                    let _ = reply.send(answer);
                }
            }
            Err(fault) => {
                for reply in replies {
                    let _ = reply.send(Err(same(&fault)));
                }
            }
        }
    }

    /// A batch, again if it lost a race.
    async fn attempt(&mut self, wishes: &[Wish]) -> Result<Vec<Answer>, Fault> {
        if wishes.is_empty() {
            return Ok(Vec::new());
        }
        let (tenant, activity) = self.key;
        for _ in 1..ATTEMPTS {
            match draw::batch(&self.platform, tenant, activity, &mut self.remembered, wishes).await {
                Err(Fault::Contended(cause)) => tracing::debug!(%activity, "lost a race, trying again: {cause:#}"),
                done => return done,
            }
        }
        draw::batch(&self.platform, tenant, activity, &mut self.remembered, wishes).await
    }
}

fn only(answers: Vec<Answer>) -> Result<Answer, Fault> {
    answers.into_iter().next().ok_or_else(|| Fault::internal(anyhow!("a batch of one gave no answer")))
}

// Each of those who waited gets a fault of its own that names the same cause. A race lost so often is the lane's to
// have tried again, not the caller's.
fn same(fault: &Fault) -> Fault {
    match fault {
        Fault::Unavailable(_) | Fault::Contended(_) => Fault::Unavailable(anyhow!(fault.with_causes())),
        _ => Fault::internal(anyhow!(fault.with_causes())),
    }
}
