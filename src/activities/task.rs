//! Tasks: what an activity gives chances for, and a holder's own word that they did one.

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::activities::chances::{self, Deed, Earned, Proof};
use crate::activities::model::{
    Activity, ActivityErrorCode, ActivityId, ActivityKind, Task, TaskId, TaskKind, WhyClosed,
};
use crate::activities::store;
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::scope::{HolderScope, TenantTx};

const OPERATION: &str = "taskComplete";
/// Of one activity.
const MAXIMUM_TASKS: usize = 20;
const MAXIMUM_CHANCES: i32 = 100;
const MAXIMUM_TIMES: i32 = 1000;
const LINK_LENGTH: usize = 500;

#[derive(Clone, Debug)]
pub struct TaskRequest {
    pub kind: TaskKind,
    pub name: (String, String),
    pub link: Option<String>,
    pub chances: i32,
    pub times_per_day: Option<i32>,
    pub times_per_holder: Option<i32>,
    pub on_trust: Option<bool>,
}

/// The tasks of a new activity, by position.
pub fn tasks(activity: ActivityId, requests: &[TaskRequest]) -> Vec<Task> {
    let task = |(position, request): (i32, &TaskRequest)| Task {
        id: TaskId::generate(),
        activity_id: activity,
        position,
        kind: request.kind,
        name_chinese: request.name.0.clone(),
        name_english: request.name.1.clone(),
        link: request.link.clone(),
        chances: request.chances,
        times_per_day: request.times_per_day,
        // Nobody follows an account twice.
        times_per_holder: request.times_per_holder.or((request.kind == TaskKind::FollowAccount).then_some(1)),
        on_trust: request.on_trust.unwrap_or(request.kind == TaskKind::Share),
    };
    (0..).zip(requests).map(task).collect()
}

pub fn check(kind: ActivityKind, requests: &[TaskRequest]) -> Result<(), Refusal<ActivityErrorCode>> {
    let require = |holds: bool, field: String, chinese, english| {
        let refused = || Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english);
        if holds { Ok(()) } else { Err(refused()) }
    };
    require(
        kind == ActivityKind::Draw || requests.is_empty(),
        "tasks".into(),
        "只有抽奖活动才有任务。",
        "Only an activity of kind DRAW has tasks; leave them out.",
    )?;
    require(
        requests.len() <= MAXIMUM_TASKS,
        "tasks".into(),
        "任务不能超过 20 个。",
        "An activity has at most 20 tasks.",
    )?;
    for (place, request) in requests.iter().enumerate() {
        let at = |field: &str| format!("tasks.{place}.{field}");
        for name in [&request.name.0, &request.name.1] {
            let fits = !name.trim().is_empty() && name.chars().count() <= 30;
            require(fits, at("name"), "任务名称须为 1 到 30 个字符。", "A task's name has 1 to 30 characters.")?;
        }
        require(
            request.link.as_deref().is_none_or(is_link),
            at("link"),
            "链接须为 https 地址，最多 500 个字符。",
            "A link is an https address of at most 500 characters.",
        )?;
        require(
            (1..=MAXIMUM_CHANCES).contains(&request.chances),
            at("chances"),
            "每次获得的抽奖次数须为 1 到 100。",
            "A task gives between 1 and 100 chances each time.",
        )?;
        for (times, field) in [(request.times_per_day, "timesPerDay"), (request.times_per_holder, "timesPerHolder")] {
            require(
                times.is_none_or(|times| (1..=MAXIMUM_TIMES).contains(&times)),
                at(field),
                "次数限制须为 1 到 1000。",
                "A task may be done between 1 and 1000 times.",
            )?;
        }
        let takes_a_word = matches!(request.kind, TaskKind::Share | TaskKind::FollowAccount);
        require(
            request.on_trust != Some(true) || takes_a_word,
            at("onTrust"),
            "抽奖码任务凭码完成，API 任务由企业确认，不能仅凭用户声明。",
            "A draw code proves itself and an API task is confirmed by the enterprise; neither is done on trust.",
        )?;
        let limited = request.times_per_day.is_some() || request.times_per_holder.is_some();
        require(
            limited || request.kind != TaskKind::Share,
            at("timesPerDay"),
            "分享任务须限制次数。",
            "Say how often sharing counts, with `timesPerDay` or `timesPerHolder`.",
        )?;
    }
    Ok(())
}

fn is_link(text: &str) -> bool {
    text.len() <= LINK_LENGTH && Url::parse(text).is_ok_and(|link| link.scheme() == "https" && link.has_host())
}

/// What a task done came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Completed {
    pub activity: ActivityId,
    pub task: TaskId,
    pub chances: i32,
    #[serde(skip)]
    pub replayed: bool,
}

/// A holder says that they did a task which takes their word.
pub async fn complete(
    platform: &Platform,
    scope: &HolderScope,
    id: TaskId,
    key: &IdempotencyKey,
) -> Result<Completed, Refusal<ActivityErrorCode>> {
    let tx = scope.write(&platform.database).await?;
    match idempotency::claim_in(&tx, OPERATION, key, &json!({ "task": id })).await? {
        Turn::First => {}
        Turn::Replay(done) => return Ok(Completed { replayed: true, ..done }),
        Turn::Reused => return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused)),
    }
    let (task, activity) = find_in(&tx, id).await?;
    chances::may_be_earned_by_oneself(&activity).map_err(|why| Refusal::at("taskId", why_not(why)))?;
    if !task.on_trust {
        return Err(Refusal::at("taskId", ActivityErrorCode::NotOnTrust));
    }
    let deed = Deed { holder: scope.holder(), task: &task, proof: Proof::Word };
    let [Earned::Chances(given)] = chances::earn_in(&tx, &activity, activity.read_at, &[deed]).await?[..] else {
        return Err(Refusal::at("taskId", ActivityErrorCode::TaskDone));
    };
    let done = Completed { activity: activity.id, task: id, chances: given, replayed: false };
    idempotency::settle_in(&tx, OPERATION, key, &done).await?;
    tx.commit().await?;
    Ok(done)
}

fn why_not(why: WhyClosed) -> ActivityErrorCode {
    match why {
        WhyClosed::NotFound => ActivityErrorCode::TaskNotFound,
        why => why.into(),
    }
}

/// A task and its activity as they are now. Neither is locked: what begins before a pause commits may end after it.
pub async fn find_in(tx: &TenantTx, id: TaskId) -> Result<(Task, Activity), Refusal<ActivityErrorCode>> {
    let missing = || Refusal::at("taskId", ActivityErrorCode::TaskNotFound);
    let task = store::tasks::tasks_by_id(tx, &[id]).await?.remove(&id).ok_or_else(missing)?;
    let id = task.activity_id;
    let activity = store::activities_by_id(tx, &[id]).await?.remove(&id).ok_or_else(missing)?;
    Ok((task, activity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(kind: TaskKind) -> TaskRequest {
        TaskRequest {
            kind,
            name: ("任务".into(), "Task".into()),
            link: None,
            chances: 1,
            times_per_day: Some(1),
            times_per_holder: None,
            on_trust: None,
        }
    }

    fn refused(kind: ActivityKind, requests: &[TaskRequest]) -> Option<String> {
        match check(kind, requests) {
            Ok(()) => None,
            Err(Refusal::Problems(problems)) => problems.into_iter().next().and_then(|problem| problem.field),
            Err(Refusal::Fault(fault)) => panic!("{fault}"),
        }
    }

    #[test]
    fn each_kind_as_it_should_be_passes() {
        let all: Vec<TaskRequest> = TaskKind::ALL.iter().map(|kind| task(*kind)).collect();
        assert_eq!(refused(ActivityKind::Draw, &all), None);
        assert_eq!(refused(ActivityKind::Sale, &[]), None);
        assert_eq!(refused(ActivityKind::Airdrop, &all).as_deref(), Some("tasks"));
        assert_eq!(refused(ActivityKind::Draw, &vec![task(TaskKind::Api); 21]).as_deref(), Some("tasks"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_where_it_stands() {
        let with = |kind, change: fn(&mut TaskRequest)| {
            let mut request = task(kind);
            change(&mut request);
            refused(ActivityKind::Draw, &[request])
        };
        assert_eq!(with(TaskKind::Share, |it| it.times_per_day = None).as_deref(), Some("tasks.0.timesPerDay"));
        assert_eq!(with(TaskKind::Share, |it| it.chances = 0).as_deref(), Some("tasks.0.chances"));
        assert_eq!(with(TaskKind::Api, |it| it.on_trust = Some(true)).as_deref(), Some("tasks.0.onTrust"));
        assert_eq!(with(TaskKind::DrawCode, |it| it.on_trust = Some(true)).as_deref(), Some("tasks.0.onTrust"));
        assert_eq!(with(TaskKind::FollowAccount, |it| it.on_trust = Some(true)), None);
        assert_eq!(with(TaskKind::Api, |it| it.name.1.clear()).as_deref(), Some("tasks.0.name"));
        for link in ["http://a.example", "javascript:alert(1)", "https:", "x"] {
            let request = TaskRequest { link: Some(link.into()), ..task(TaskKind::Api) };
            assert_eq!(refused(ActivityKind::Draw, &[request]).as_deref(), Some("tasks.0.link"), "{link}");
        }
        let request = TaskRequest { link: Some("https://shop.example/a?b=c".into()), ..task(TaskKind::Api) };
        assert_eq!(refused(ActivityKind::Draw, &[request]), None);
    }

    #[test]
    fn sharing_is_on_trust_and_following_counts_once() {
        let of = |kind| tasks(ActivityId::generate(), &[task(kind)]).remove(0);
        assert!(of(TaskKind::Share).on_trust && !of(TaskKind::FollowAccount).on_trust);
        assert_eq!(of(TaskKind::FollowAccount).times_per_holder, Some(1));
        assert_eq!(of(TaskKind::Api).times_per_holder, None);
    }
}
