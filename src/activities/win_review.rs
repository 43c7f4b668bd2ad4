//! Win review (中奖审核): chosen prizes wait for the enterprise's word before their winners may take them.
//!
//! The draw has awarded the prize, and its record stays as it is: what is decided here is whether it is delivered. The
//! piece of a win that is refused goes to no draw again, as it was given out in a record that anybody may check.

use std::collections::HashSet;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::activities::fulfil::{MAXIMUM_CLAIMS, Settled};
use crate::activities::model::{ActivityErrorCode, ActivityId, ClaimId, ClaimState};
use crate::activities::store::claims::{self as claims, ClaimChange};
use crate::activities::{claim, deliver, store};
use crate::catalog::model::StockMove;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;

const OPERATION: &str = "claimsReview";
const REMARK_LENGTH: usize = 500;

#[derive(Clone, Debug)]
pub struct ReviewRequest {
    pub claims: Vec<ClaimId>,
    pub approve: bool,
    /// Its winners are told; required where their wins are refused.
    pub remark: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    claims: Vec<ClaimId>,
}

/// One word for all of these wins, or for none. The days to take a win up count from its approval.
pub async fn review(
    platform: &Platform,
    scope: &TenantScope,
    request: &ReviewRequest,
    key: &IdempotencyKey,
) -> Result<Settled, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    check(request)?;
    let tx = scope.write(&platform.database).await?;
    let ReviewRequest { claims: ids, approve, remark } = request;
    let input = json!({ "claims": ids, "approve": approve, "remark": remark });
    match idempotency::claim_in(&tx, OPERATION, key, &input).await? {
        Turn::First => {}
        Turn::Replay(Kept { claims: kept }) => {
            return Ok(Settled { claims: claims::claims_in_order(&tx, &kept).await?, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused)),
    }
    let before = claims::lock_claims_in(&tx, ids).await?;
    let of: Vec<ActivityId> =
        before.iter().map(|claim| claim.activity_id).collect::<HashSet<_>>().into_iter().collect();
    let activities = store::activities_by_id(&tx, &of).await?;
    let now = tx.now().await?;
    let mut changes = Vec::with_capacity(ids.len());
    for (place, id) in ids.iter().enumerate() {
        let at = |code| Refusal::at(format!("claimIds.{place}"), code);
        let known = before.iter().find(|claim| claim.id == *id);
        let known = known.ok_or_else(|| at(ActivityErrorCode::ClaimNotFound))?;
        if known.state != ClaimState::InReview {
            return Err(at(ActivityErrorCode::WrongClaimState));
        }
        let days = activities.get(&known.activity_id).ok_or(Fault::NotFound)?.claim_days;
        let (to, deadline) = if *approve {
            (ClaimState::Pending, Some(now + TimeDelta::days(days.into())))
        } else {
            (ClaimState::Revoked, None)
        };
        changes.push(ClaimChange { deadline, remark: remark.clone(), ..ClaimChange::of(known, to) });
    }
    let after = claims::change_in(&tx, &changes).await?;
    if !approve {
        deliver::move_stock_in(&tx, &after, StockMove::revoke).await?;
    }
    for claim in &after {
        let known = before.iter().find(|before| before.id == claim.id);
        audit::record_in(&tx, OPERATION, claim.id.uuid(), known, claim).await?;
    }
    claim::announce_in(&tx, &after).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { claims: ids.clone() }).await?;
    tx.commit().await?;
    Ok(Settled { claims: after, replayed: false })
}

fn check(request: &ReviewRequest) -> Result<(), Refusal<ActivityErrorCode>> {
    let explain =
        |field, chinese, english| Err(Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english));
    let mut seen = HashSet::new();
    let claims = &request.claims;
    if !(1..=MAXIMUM_CLAIMS).contains(&claims.len()) || !claims.iter().all(|claim| seen.insert(claim)) {
        return explain("claimIds", "须有 1 到 100 个领取记录，且不重复。", "Name 1 to 100 claims, each once.");
    }
    let remark = request.remark.as_deref().unwrap_or_default();
    if remark.chars().count() > REMARK_LENGTH || remark.contains('\0') {
        return explain("remark", "审核意见不能超过 500 个字符。", "A remark has at most 500 characters.");
    }
    if !request.approve && remark.trim().is_empty() {
        return explain(
            "remark",
            "审核不通过时请说明原因，中奖用户会看到。",
            "Say why a win is refused; its winner is told.",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_says_why() {
        let judged = |claims: usize, approve, remark: Option<&str>| {
            let claims = (0..claims).map(|_| ClaimId::generate()).collect();
            check(&ReviewRequest { claims, approve, remark: remark.map(str::to_owned) }).is_ok()
        };
        assert!(judged(1, true, None) && judged(100, false, Some("刷奖")));
        assert!(!judged(0, true, None) && !judged(101, true, None));
        assert!(!judged(1, false, None) && !judged(1, false, Some(" ")));
        assert!(!judged(1, true, Some(&"x".repeat(501))));
        let claim = ClaimId::generate();
        let twice = ReviewRequest { claims: vec![claim; 2], approve: true, remark: None };
        assert!(check(&twice).is_err());
    }
}
