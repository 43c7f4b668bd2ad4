//! The enterprise's own server tells of tasks that people did in its system, and gives them chances for it.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::activities::chances::{self, Deed, Earned, Proof};
use crate::activities::model::{ActivityErrorCode, TaskId, TaskKind};
use crate::activities::{store, task};
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::loaders::Batch;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;
use crate::wallets::model::HolderId;
use crate::wallets::points::is_reference;

const OPERATION: &str = "chancesGrant";
const MAXIMUM_ROWS: usize = 1000;

/// Somebody did the task, under a name that the enterprise uses once.
#[derive(Clone, Debug, Serialize)]
pub struct GrantRow {
    pub holder: HolderId,
    pub reference: String,
}

/// What became of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Granted {
    pub holder: HolderId,
    pub reference: String,
    /// None where the task was done as often as it may be.
    pub chances: i32,
    /// Whether this reference had given them before.
    pub replayed: bool,
}

pub struct Grants {
    pub rows: Vec<Granted>,
    pub replayed: bool,
}

/// Gives chances for a task, to each of the list unless they did it often enough. A reference that was used for the same
/// holder before gives nothing again.
pub async fn grant(
    platform: &Platform,
    scope: &TenantScope,
    id: TaskId,
    rows: &[GrantRow],
    key: &IdempotencyKey,
) -> Result<Grants, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    check(rows)?;
    let tx = scope.write(&platform.database).await?;
    match idempotency::claim_in(&tx, OPERATION, key, &json!({ "task": id, "rows": rows })).await? {
        Turn::First => {}
        Turn::Replay::<Vec<Granted>>(granted) => {
            let rows = granted.into_iter().map(|row| Granted { replayed: true, ..row }).collect();
            return Ok(Grants { rows, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused)),
    }
    let (task, activity) = task::find_in(&tx, id).await?;
    chances::may_be_earned(&activity).map_err(|why| Refusal::at("taskId", ActivityErrorCode::from(why)))?;
    if task.kind == TaskKind::DrawCode {
        return Err(Refusal::explained(
            "taskId",
            ActivityErrorCode::TaskNotFound,
            "抽奖码任务凭码完成，请使用 `drawCodesGenerate` 生成抽奖码。",
            "A task with draw codes is done by entering one; make codes with `drawCodesGenerate`.",
        ));
    }
    let named: Vec<HolderId> = rows.iter().map(|row| row.holder).collect::<HashSet<_>>().into_iter().collect();
    let known = HolderId::fetch(&tx, &named).await?;
    if let Some(place) =
        rows.iter().position(|row| known.get(&row.holder).is_none_or(|known| known.erased_at.is_some()))
    {
        return Err(Refusal::at(format!("grants.{place}.holderId"), ActivityErrorCode::HolderNotFound));
    }
    let references: Vec<String> = rows.iter().map(|row| row.reference.clone()).collect();
    let used = store::tasks::by_reference(&tx, id, &references).await?;
    if let Some(place) = rows.iter().position(|row| used.get(&row.reference).is_some_and(|(who, _)| *who != row.holder))
    {
        return Err(Refusal::at(format!("grants.{place}.reference"), ActivityErrorCode::ReferenceReused));
    }
    let new: Vec<&GrantRow> = rows.iter().filter(|row| !used.contains_key(&row.reference)).collect();
    let deed =
        |row: &&GrantRow| Deed { holder: row.holder, task: &task, proof: Proof::Reference(row.reference.clone()) };
    let deeds: Vec<Deed<'_>> = new.iter().map(deed).collect();
    let earned = chances::earn_in(&tx, &activity, activity.read_at, &deeds).await?;
    let earned: HashMap<&str, Earned> = new.iter().map(|row| row.reference.as_str()).zip(earned).collect();
    let granted = |row: &GrantRow| {
        let (chances, replayed) = match (used.get(&row.reference), earned.get(row.reference.as_str())) {
            (Some((_, chances)), _) => (*chances, true),
            (None, Some(Earned::Chances(chances))) => (*chances, false),
            (None, Some(Earned::TooOften) | None) => (0, false),
        };
        Granted { holder: row.holder, reference: row.reference.clone(), chances, replayed }
    };
    let granted: Vec<Granted> = rows.iter().map(granted).collect();
    audit::record_in(&tx, OPERATION, id.uuid(), None, &json!({ "grants": granted })).await?;
    idempotency::settle_in(&tx, OPERATION, key, &granted).await?;
    tx.commit().await?;
    Ok(Grants { rows: granted, replayed: false })
}

fn check(rows: &[GrantRow]) -> Result<(), Refusal<ActivityErrorCode>> {
    let explain = |field: String, chinese, english| {
        Err(Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english))
    };
    if !(1..=MAXIMUM_ROWS).contains(&rows.len()) {
        return explain("grants".into(), "须有 1 到 1000 行。", "Name 1 to 1000 grants.");
    }
    let mut references = HashSet::new();
    let bad = rows.iter().position(|row| !is_reference(&row.reference) || !references.insert(&row.reference));
    match bad {
        None => Ok(()),
        Some(place) => explain(
            format!("grants.{place}.reference"),
            "业务编号须为 1 到 64 个可见 ASCII 字符，且在列表中不重复。",
            "A reference has 1 to 64 visible ASCII characters and stands in the list once.",
        ),
    }
}
