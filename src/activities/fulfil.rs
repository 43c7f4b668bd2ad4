//! The enterprise says what it has delivered: benefits, cards and gifts that its winners took up.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::activities::model::{ActivityErrorCode, Claim, ClaimId, ClaimState};
use crate::activities::store::claims::{self as store, ClaimChange};
use crate::activities::{claim, deliver};
use crate::catalog::model::StockMove;
use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;
use crate::wallets::points::is_reference;

const OPERATION: &str = "claimsFulfil";
pub const MAXIMUM_CLAIMS: usize = 100;

/// A claim that was delivered, and under which name.
#[derive(Clone, Debug, Serialize)]
pub struct Fulfilment {
    pub claim: ClaimId,
    pub reference: Option<String>,
}

/// Claims as they are now, in the order asked for.
pub struct Settled {
    pub claims: Vec<Claim>,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    claims: Vec<ClaimId>,
}

/// All of the list or none.
pub async fn fulfil(
    platform: &Platform,
    scope: &TenantScope,
    rows: &[Fulfilment],
    key: &IdempotencyKey,
) -> Result<Settled, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    check(rows)?;
    let tx = scope.write(&platform.database).await?;
    match idempotency::claim_in(&tx, OPERATION, key, &json!(rows)).await? {
        Turn::First => {}
        Turn::Replay(Kept { claims }) => {
            return Ok(Settled { claims: store::claims_in_order(&tx, &claims).await?, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused)),
    }
    let ids: Vec<ClaimId> = rows.iter().map(|row| row.claim).collect();
    let before = store::lock_claims_in(&tx, &ids).await?;
    let mut changes = Vec::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        let at = |code| Refusal::at(format!("claims.{place}.claimId"), code);
        let known = before.iter().find(|claim| claim.id == row.claim);
        let known = known.ok_or_else(|| at(ActivityErrorCode::ClaimNotFound))?;
        if known.state != ClaimState::Claimed || !known.kind.is_delivered_by_enterprise() {
            return Err(at(ActivityErrorCode::WrongClaimState));
        }
        let delivery_reference = row.reference.clone();
        changes.push(ClaimChange { delivery_reference, ..ClaimChange::of(known, ClaimState::Delivered) });
    }
    let after = store::change_in(&tx, &changes).await?;
    deliver::move_stock_in(&tx, &after, StockMove::deliver).await?;
    for claim in &after {
        let known = before.iter().find(|before| before.id == claim.id);
        audit::record_in(&tx, OPERATION, claim.id.uuid(), known, claim).await?;
    }
    claim::announce_in(&tx, &after).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { claims: ids }).await?;
    tx.commit().await?;
    Ok(Settled { claims: after, replayed: false })
}

fn check(rows: &[Fulfilment]) -> Result<(), Refusal<ActivityErrorCode>> {
    let explain = |field: String, chinese, english| {
        Err(Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english))
    };
    let mut seen = HashSet::new();
    if !(1..=MAXIMUM_CLAIMS).contains(&rows.len()) || !rows.iter().all(|row| seen.insert(row.claim)) {
        return explain("claims".into(), "须有 1 到 100 个领取记录，且不重复。", "Name 1 to 100 claims, each once.");
    }
    let bad = rows.iter().position(|row| row.reference.as_deref().is_some_and(|name| !is_reference(name)));
    match bad {
        None => Ok(()),
        Some(place) => explain(
            format!("claims.{place}.reference"),
            "发放编号须为 1 到 64 个可见 ASCII 字符。",
            "A reference has 1 to 64 visible ASCII characters.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_claim_is_named_once_and_its_reference_can_be_written() {
        let row = |reference: Option<&str>| Fulfilment {
            claim: ClaimId::generate(),
            reference: reference.map(str::to_owned),
        };
        assert!(check(&[row(None), row(Some("SF1234567890"))]).is_ok());
        assert!(check(&[]).is_err());
        assert!(check(&vec![row(None); 2]).is_err(), "the same twice");
        assert!(check(&(0..101).map(|_| row(None)).collect::<Vec<_>>()).is_err());
        assert!(check(&[row(Some("with blank"))]).is_err());
        assert!(check(&[row(Some(""))]).is_err());
    }
}
