//! Chances are earned: tasks that were done become lines of the ledger of chances, and may be drawn with at once.
//!
//! Whoever gives chances holds the participant's row, as a batch of draws does, and never the activity's lane: what
//! people earn does not wait for what people draw. What somebody has is what they were granted less what they used, and
//! each of the two is the sum of its lines.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::activities::engine::day_of;
use crate::activities::model::{Activity, ActivityKind, ActivityPhase, ChanceReason, Task, TaskId, WhyClosed};
use crate::activities::store::draws::{self, NewChanceEntry};
use crate::activities::store::tasks::{self, Done};
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::HolderId;

/// A task that somebody did.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    pub holder: HolderId,
    pub task: &'a Task,
    /// What makes it this deed and no other, if anything does.
    pub proof: Proof,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The holder's own word.
    Word,
    /// The enterprise's own name for it.
    Reference(String),
    /// The hash of a draw code.
    Code(Vec<u8>),
}

/// What a deed came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earned {
    /// It gave so many chances.
    Chances(i32),
    /// The task was done as often as it may be.
    TooOften,
}

/// Gives the chances of these deeds, each unless its task was done often enough. What each came to, in order.
pub async fn earn_in(
    tx: &TenantTx,
    activity: &Activity,
    at: DateTime<Utc>,
    deeds: &[Deed<'_>],
) -> Result<Vec<Earned>, Fault> {
    let holders: BTreeSet<HolderId> = deeds.iter().map(|deed| deed.holder).collect();
    let holders = Vec::from_iter(holders);
    // Those who are there are locked before anybody is added, as in a batch of draws: neither waits for the other in a ring.
    let known = draws::lock_participants_in(tx, activity.id, &holders).await?;
    let known: BTreeSet<HolderId> = known.into_iter().map(|row| row.holder_id).collect();
    let joined: Vec<HolderId> = holders.iter().copied().filter(|holder| !known.contains(holder)).collect();
    tasks::join_in(tx, activity.id, &joined, activity.chances_per_holder).await?;
    let task_ids: Vec<TaskId> = deeds.iter().map(|deed| deed.task.id).collect::<BTreeSet<_>>().into_iter().collect();
    let day = day_of(at);
    let before = tasks::counts(tx, &task_ids, &holders, day).await?;
    let judged = judge(deeds, before);

    let mut done = Vec::new();
    let mut sums: BTreeMap<HolderId, i32> = BTreeMap::new();
    let given = joined.iter().filter(|_| activity.chances_per_holder > 0);
    let mut entries: Vec<NewChanceEntry> = given.map(|holder| came(*holder, activity)).collect();
    let mut events = Vec::new();
    for (deed, earned) in deeds.iter().zip(&judged) {
        let Earned::Chances(chances) = *earned else { continue };
        let subject = id::generate();
        *sums.entry(deed.holder).or_default() += chances;
        let reason = ChanceReason::from(deed.task.kind);
        entries.push(NewChanceEntry { holder: deed.holder, reason, delta: chances, subject });
        events.push(event(activity, deed, chances, subject)?);
        done.push(Done { id: subject, task: deed.task.id, holder: deed.holder, day, chances, proof: &deed.proof });
    }
    tasks::insert_done_in(tx, &done).await?;
    tasks::grant_in(tx, activity.id, &Vec::from_iter(sums)).await?;
    draws::insert_chance_entries_in(tx, activity.id, &entries).await?;
    outbox::emit_all_in(tx, &events).await?;
    Ok(judged)
}

fn came(holder: HolderId, activity: &Activity) -> NewChanceEntry {
    let (reason, subject) = (ChanceReason::Joined, activity.id.uuid());
    NewChanceEntry { holder, reason, delta: activity.chances_per_holder, subject }
}

/// How often somebody has done a task: on the day, and in all.
pub type Counts = HashMap<(TaskId, HolderId), (i64, i64)>;

/// Which deeds count, in order, given what was done before.
fn judge(deeds: &[Deed<'_>], mut counts: Counts) -> Vec<Earned> {
    let reached = |most: Option<i32>, count: i64| most.is_some_and(|most| count >= i64::from(most));
    let judge = |deed: &Deed<'_>| {
        let (today, ever) = counts.entry((deed.task.id, deed.holder)).or_default();
        if reached(deed.task.times_per_day, *today) || reached(deed.task.times_per_holder, *ever) {
            return Earned::TooOften;
        }
        (*today, *ever) = (*today + 1, *ever + 1);
        Earned::Chances(deed.task.chances)
    };
    deeds.iter().map(judge).collect()
}

/// Whether chances may be earned: from publication until the activity is over, also while it is held.
pub fn may_be_earned(activity: &Activity) -> Result<(), WhyClosed> {
    if activity.kind != ActivityKind::Draw {
        return Err(WhyClosed::NotFound);
    }
    match activity.window().phase() {
        ActivityPhase::Scheduled | ActivityPhase::Paused => Ok(()),
        _ => activity.window().judge(),
    }
}

/// Whether people may do something for chances now, by themselves.
pub fn may_be_earned_by_oneself(activity: &Activity) -> Result<(), WhyClosed> {
    let drawn = if activity.kind == ActivityKind::Draw { Ok(()) } else { Err(WhyClosed::NotFound) };
    // What is not published is not to be told from nothing.
    drawn.and(activity.window().judge()).map_err(|why| match why {
        WhyClosed::NotPublished => WhyClosed::NotFound,
        why => why,
    })
}

fn event(activity: &Activity, deed: &Deed<'_>, chances: i32, subject: Uuid) -> Result<NewEvent, Fault> {
    let reference = if let Proof::Reference(reference) = &deed.proof { Some(reference) } else { None };
    let data = json!({
        "activityId": activity.id,
        "holderId": deed.holder,
        "taskId": deed.task.id,
        "taskKind": deed.task.kind,
        "chances": chances,
        "reference": reference,
    });
    NewEvent::new(EventType::ChancesGranted, subject, 1, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activities::model::{ActivityId, TaskKind};

    fn task(times_per_day: Option<i32>, times_per_holder: Option<i32>) -> Task {
        Task {
            id: TaskId::generate(),
            activity_id: ActivityId::generate(),
            position: 0,
            kind: TaskKind::Share,
            name_chinese: "分享".into(),
            name_english: "Share".into(),
            link: None,
            chances: 2,
            times_per_day,
            times_per_holder,
            on_trust: true,
        }
    }

    #[test]
    fn a_task_counts_as_often_as_it_may() {
        let (limited, free) = (task(Some(2), Some(3)), task(None, None));
        let holder = HolderId::generate();
        let deed = |task| Deed { holder, task, proof: Proof::Word };
        let four = [deed(&limited), deed(&free), deed(&limited), deed(&limited)];
        let gives = Earned::Chances(2);
        assert_eq!(judge(&four, Counts::new()), [gives, gives, gives, Earned::TooOften]);
        // Two were done before today: the third is the last.
        let before = Counts::from([((limited.id, holder), (0, 2))]);
        assert_eq!(judge(&four, before), [gives, gives, Earned::TooOften, Earned::TooOften]);
        let other = Deed { holder: HolderId::generate(), ..deed(&limited) };
        let before = Counts::from([((limited.id, holder), (2, 2))]);
        assert_eq!(judge(&[deed(&limited), other], before), [Earned::TooOften, gives]);
    }
}
