//! Points: what an enterprise gives to its holders, what they win, and what draws cost. Each change is an entry, and a balance is the sum
//! of its entries.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::wallets::model::{HolderErrorCode, HolderId, PointReason};
use crate::wallets::store::points::{self as store, NewPointEntry};
use crate::wallets::store::tags;

const OPERATION: &str = "pointsAdjust";
const MAXIMUM_ROWS: usize = 1000;
/// Of one change, and of a balance: what a whole number of GraphQL holds.
pub const MAXIMUM: i64 = 2_000_000_000;

/// Points given to a holder, or taken, under a name that the enterprise uses once.
#[derive(Clone, Debug, Serialize)]
pub struct Adjustment {
    pub holder: HolderId,
    pub delta: i64,
    pub reference: String,
}

/// What became of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Adjusted {
    pub holder: HolderId,
    pub reference: String,
    pub balance: i64,
    /// Whether this reference had done it before.
    pub replayed: bool,
}

pub struct Adjustments {
    pub rows: Vec<Adjusted>,
    pub replayed: bool,
}

/// Gives and takes points, all of the list or nothing. A reference that was used for the same before does nothing again.
pub async fn adjust(
    platform: &Platform,
    scope: &TenantScope,
    rows: &[Adjustment],
    key: &IdempotencyKey,
) -> Result<Adjustments, Refusal<HolderErrorCode>> {
    scope.require(Permission::HolderSignOn)?;
    check(rows)?;
    let tx = scope.write(&platform.database).await?;
    let holders: Vec<HolderId> = rows.iter().map(|row| row.holder).collect::<HashSet<_>>().into_iter().collect();
    match idempotency::claim_in(&tx, OPERATION, key, &json!(rows)).await? {
        Turn::First => {}
        Turn::Replay::<Vec<Adjusted>>(rows) => {
            let rows = rows.into_iter().map(|row| Adjusted { replayed: true, ..row }).collect();
            return Ok(Adjustments { rows, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", HolderErrorCode::IdempotencyKeyReused)),
    }
    let known = tags::lock_holders_in(&tx, &holders).await?;
    for (place, row) in rows.iter().enumerate() {
        let at = || format!("adjustments.{place}.holderId");
        let holder = known.get(&row.holder).ok_or_else(|| Refusal::at(at(), HolderErrorCode::HolderNotFound))?;
        if holder.erased_at.is_some() {
            return Err(Refusal::at(at(), HolderErrorCode::Erased));
        }
    }
    store::open_in(&tx, &holders).await?;
    let mut balances = store::lock_in(&tx, &holders).await?;
    let references: Vec<String> = rows.iter().map(|row| row.reference.clone()).collect();
    let done = store::by_reference(&tx, &references).await?;
    let mut sums: BTreeMap<HolderId, i64> = BTreeMap::new();
    let mut entries = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        match done.get(&row.reference) {
            Some(before) if *before == (row.holder, row.delta) => continue,
            Some(_) => {
                return Err(Refusal::at(format!("adjustments.{place}.reference"), HolderErrorCode::ReferenceReused));
            }
            None => {}
        }
        let balance = balances.entry(row.holder).or_default();
        *balance += row.delta;
        let field = || format!("adjustments.{place}.delta");
        if *balance < 0 {
            return Err(Refusal::at(field(), HolderErrorCode::NotEnoughPoints));
        }
        if row.delta > 0 && *balance > MAXIMUM {
            return Err(Refusal::explained(
                field(),
                HolderErrorCode::InvalidInput,
                "积分余额不能超过 2,000,000,000。",
                "Nobody has more than 2,000,000,000 points; give fewer.",
            ));
        }
        *sums.entry(row.holder).or_default() += row.delta;
        entries.push(NewPointEntry {
            holder: row.holder,
            reason: PointReason::Adjusted,
            delta: row.delta,
            reference: Some(row.reference.clone()),
            subject: None,
        });
    }
    store::move_in(&tx, &Vec::from_iter(sums)).await?;
    store::insert_entries_in(&tx, &entries).await?;
    audit::record_in(&tx, OPERATION, scope.tenant().uuid(), None, &json!({ "adjustments": rows })).await?;
    let rows = adjusted(rows, &balances, |row| done.contains_key(&row.reference));
    idempotency::settle_in(&tx, OPERATION, key, &rows).await?;
    tx.commit().await?;
    Ok(Adjustments { rows, replayed: false })
}

fn adjusted(
    rows: &[Adjustment],
    balances: &HashMap<HolderId, i64>,
    replayed: impl Fn(&Adjustment) -> bool,
) -> Vec<Adjusted> {
    let row = |row: &Adjustment| Adjusted {
        holder: row.holder,
        reference: row.reference.clone(),
        balance: balances.get(&row.holder).copied().unwrap_or(0),
        replayed: replayed(row),
    };
    rows.iter().map(row).collect()
}

/// Whether a text can be an enterprise's own name for something: 1 to 64 visible ASCII characters.
pub fn is_reference(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn check(rows: &[Adjustment]) -> Result<(), Refusal<HolderErrorCode>> {
    let explain =
        |field, chinese, english| Err(Refusal::explained(field, HolderErrorCode::InvalidInput, chinese, english));
    if !(1..=MAXIMUM_ROWS).contains(&rows.len()) {
        return explain("adjustments".to_owned(), "须有 1 到 1000 行。", "Name 1 to 1000 adjustments.");
    }
    let mut references = HashSet::new();
    for (place, row) in rows.iter().enumerate() {
        if row.delta == 0 || row.delta.checked_abs().is_none_or(|size| size > MAXIMUM) {
            return explain(
                format!("adjustments.{place}.delta"),
                "积分变动不能为 0，且绝对值不超过 2,000,000,000。",
                "A change is not 0, and at most 2,000,000,000 either way.",
            );
        }
        if !is_reference(&row.reference) || !references.insert(&row.reference) {
            return explain(
                format!("adjustments.{place}.reference"),
                "业务编号须为 1 到 64 个可见 ASCII 字符，且在列表中不重复。",
                "A reference has 1 to 64 visible ASCII characters and stands in the list once.",
            );
        }
    }
    Ok(())
}

/// What these holders have, locked in the order of their IDs until the transaction ends.
pub async fn lock_in(tx: &TenantTx, holders: &[HolderId]) -> Result<HashMap<HolderId, i64>, Fault> {
    store::lock_in(tx, holders).await
}

/// Takes what draws cost: holder, draw, points. The caller has seen under [`lock_in`] that they have it.
pub async fn spend_in(tx: &TenantTx, spent: &[(HolderId, Uuid, i64)]) -> Result<(), Fault> {
    if spent.is_empty() {
        return Ok(());
    }
    let mut sums: BTreeMap<HolderId, i64> = BTreeMap::new();
    for (holder, _, points) in spent {
        *sums.entry(*holder).or_default() -= points;
    }
    let entry = |(holder, draw, points): &(HolderId, Uuid, i64)| NewPointEntry {
        holder: *holder,
        reason: PointReason::Drawn,
        delta: -points,
        reference: None,
        subject: Some(*draw),
    };
    store::move_in(tx, &Vec::from_iter(sums)).await?;
    store::insert_entries_in(tx, &spent.iter().map(entry).collect::<Vec<_>>()).await
}

/// Gives what somebody has won, once for each claim. Locks the account until the transaction ends.
pub async fn credit_in(tx: &TenantTx, holder: HolderId, claim: Uuid, points: i64) -> Result<(), Fault> {
    store::open_in(tx, &[holder]).await?;
    store::lock_in(tx, &[holder]).await?;
    store::move_in(tx, &[(holder, points)]).await?;
    let entry =
        NewPointEntry { holder, reason: PointReason::Won, delta: points, reference: None, subject: Some(claim) };
    store::insert_entries_in(tx, &[entry]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(rows: &[(i64, &str)]) -> Option<String> {
        let row = |(delta, reference): &(i64, &str)| Adjustment {
            holder: HolderId::generate(),
            delta: *delta,
            reference: (*reference).to_owned(),
        };
        match check(&rows.iter().map(row).collect::<Vec<_>>()) {
            Ok(()) => None,
            Err(Refusal::Problems(problems)) => problems.into_iter().next().and_then(|problem| problem.field),
            Err(Refusal::Fault(fault)) => panic!("{fault}"),
        }
    }

    #[test]
    fn each_change_moves_something_under_a_name_of_its_own() {
        assert_eq!(refused(&[(5, "a"), (-5, "b")]), None);
        assert_eq!(refused(&[]).as_deref(), Some("adjustments"));
        assert_eq!(refused(&[(0, "a")]).as_deref(), Some("adjustments.0.delta"));
        assert_eq!(refused(&[(i64::MIN, "a")]).as_deref(), Some("adjustments.0.delta"));
        assert_eq!(refused(&[(1, "a"), (1, "a")]).as_deref(), Some("adjustments.1.reference"));
        for name in ["", "with blank", "编号", &"x".repeat(65)] {
            assert_eq!(refused(&[(1, name)]).as_deref(), Some("adjustments.0.reference"), "{name:?}");
        }
    }
}
