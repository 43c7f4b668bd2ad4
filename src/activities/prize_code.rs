//! Claim codes (兑奖码): codes of the enterprise's own that prove a win.
//!
//! The enterprise hands them in before it publishes, as many as there are pieces of the prize. The n-th piece has the n-th
//! code, and no two claims have one piece: so no code is given twice, and giving one writes nothing. A code is sealed, and
//! read by its winner alone.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::activities::model::{
    ActivityErrorCode, ActivityState, Claim, ClaimId, ClaimState, Prize, PrizeId, PrizeKind,
};
use crate::activities::store;
use crate::activities::store::codes::{self, NewCode};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::id;
use crate::platform::refusal::Refusal;
use crate::platform::vault::hex;
use crate::tenancy::enterprise::DataKey;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{HolderScope, TenantScope, TenantTx};
use crate::tenancy::sealed::{Purpose, SealedColumn};
use crate::tenancy::{audit, enterprise};
use crate::wallets::points::is_reference;

const ADD: &str = "prizeCodesAdd";
pub const REVEAL: &str = "claimCodeReveal";
pub const MAXIMUM_CODES: usize = 1000;
/// Pieces of one such prize: each has a code.
pub const MAXIMUM_PIECES: i32 = 100_000;

/// What is sealed here.
pub const SEALED: &[SealedColumn] = &[SealedColumn::by_id("prize_claim_codes", "sealed_code", Purpose::OfRow(purpose))];

// The row is bound in: one piece's code is of no use in another's row.
fn purpose(code: Uuid) -> String {
    format!("claim code {code}")
}

fn hash(data_key: &DataKey, code: &str) -> Vec<u8> {
    data_key.hash("claim code", code.as_bytes()).to_vec()
}

#[derive(Debug)]
pub struct Added {
    pub prize: Prize,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    prize: PrizeId,
}

/// Adds codes to a prize that is not public yet, behind those that it has; all of them or none.
pub async fn add(
    platform: &Platform,
    scope: &TenantScope,
    id: PrizeId,
    new: &[String],
    key: &IdempotencyKey,
) -> Result<Added, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    check(new)?;
    let tx = scope.write(&platform.database).await?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    // Codes may be short: the input is told apart by a keyed hash.
    let input = json!({ "prize": id, "codes": hex(&data_key.hash(ADD, new.join("\n").as_bytes())) });
    match idempotency::claim_in(&tx, ADD, key, &input).await? {
        Turn::First => {}
        Turn::Replay(Kept { prize }) => {
            let prize = store::plans::prizes_by_id(&tx, &[prize]).await?.remove(&prize).ok_or(Fault::NotFound)?;
            return Ok(Added { prize, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused)),
    }
    let prize = waiting_in(&tx, id).await?;
    let pieces = store::plans::lots_of_prizes(&tx, &[id]).await?.remove(&id).unwrap_or_default();
    let pieces: i64 = pieces.iter().map(|lot| i64::from(lot.quantity)).sum();
    let there = codes::counts(&tx, &[id]).await?.remove(&id).unwrap_or(0);
    if there + i64::try_from(new.len()).map_err(Fault::internal)? > pieces {
        return Err(Refusal::explained(
            "codes",
            ActivityErrorCode::InvalidInput,
            "兑奖码数量不能超过奖品数量。",
            "A prize has as many codes as pieces; these are too many.",
        ));
    }
    let hashes: Vec<Vec<u8>> = new.iter().map(|code| hash(&data_key, code)).collect();
    let mut known = codes::known(&tx, id, &hashes).await?;
    known.extend(codes::published(&tx, &hashes).await?);
    if let Some(place) = hashes.iter().position(|hash| known.contains(hash)) {
        return Err(Refusal::at(format!("codes.{place}"), ActivityErrorCode::DuplicateCode));
    }
    let first = i32::try_from(there + 1).map_err(Fault::internal)?;
    let rows: Vec<NewCode> = (first..)
        .zip(new.iter().zip(hashes))
        .map(|(position, (code, hash))| {
            let id = id::generate();
            let sealed = data_key.seal(&*platform.randomness, &purpose(id), code.as_bytes());
            NewCode { id, position, hash, sealed }
        })
        .collect();
    codes::insert_codes_in(&tx, id, &rows).await?;
    audit::record_in(&tx, ADD, id.uuid(), None, &json!({ "first": first, "count": new.len() })).await?;
    idempotency::settle_in(&tx, ADD, key, &Kept { prize: id }).await?;
    tx.commit().await?;
    Ok(Added { prize, replayed: false })
}

/// A prize of codes whose activity is not public yet, under the activity's lock: nothing else adds codes or publishes.
async fn waiting_in(tx: &TenantTx, id: PrizeId) -> Result<Prize, Refusal<ActivityErrorCode>> {
    let missing = || Refusal::at("prizeId", ActivityErrorCode::PrizeNotFound);
    let prize = store::plans::prizes_by_id(tx, &[id]).await?.remove(&id).ok_or_else(missing)?;
    let plan = store::plans::plans_by_id(tx, &[prize.plan_id]).await?.remove(&prize.plan_id).ok_or_else(missing)?;
    let activity = store::lock_activity_in(tx, plan.activity_id).await?.ok_or_else(missing)?;
    if prize.kind != PrizeKind::ClaimCode {
        return Err(Refusal::explained(
            "prizeId",
            ActivityErrorCode::InvalidInput,
            "只有 CLAIM_CODE 类奖品才有兑奖码。",
            "Only a prize of kind CLAIM_CODE has codes.",
        ));
    }
    match activity.state {
        ActivityState::Draft | ActivityState::InReview | ActivityState::Approved | ActivityState::Rejected => Ok(prize),
        _ => Err(Refusal::at("prizeId", ActivityErrorCode::WrongState)),
    }
}

/// Makes the codes of a prize that is being published public: each piece must have one, and no other public prize the same.
pub async fn publish_in(tx: &TenantTx, prize: PrizeId, pieces: i32) -> Result<Result<(), ActivityErrorCode>, Fault> {
    let pieces = usize::try_from(pieces).map_err(Fault::internal)?;
    let count = codes::counts(tx, &[prize]).await?.remove(&prize).unwrap_or(0);
    if usize::try_from(count).map_err(Fault::internal)? != pieces {
        return Ok(Err(ActivityErrorCode::NotEnoughCodes));
    }
    let new = codes::publish_in(tx, prize).await?;
    Ok(if new == pieces { Ok(()) } else { Err(ActivityErrorCode::DuplicateCode) })
}

/// The code of a claim that was taken up. Nothing where it has none. The caller has seen whose claim it is.
pub async fn read(platform: &Platform, tx: &TenantTx, claim: &Claim) -> Result<Option<String>, Fault> {
    if claim.kind != PrizeKind::ClaimCode || claim.state != ClaimState::Delivered {
        return Ok(None);
    }
    let missing = || Fault::internal(anyhow::anyhow!("{} has no code", claim.id));
    let (id, sealed) = codes::of_piece(tx, claim.prize_id, claim.serial).await?.ok_or_else(missing)?;
    let code = enterprise::data_key(platform, tx).await?.open(&purpose(id), &sealed).map_err(Fault::internal)?;
    String::from_utf8(code).map(Some).map_err(Fault::internal)
}

pub struct Revealed {
    pub claim: Claim,
    pub code: String,
}

/// A winner looks at their code again. Each look is recorded, as somebody may say that they never saw it.
pub async fn reveal(
    platform: &Platform,
    scope: &HolderScope,
    id: ClaimId,
) -> Result<Revealed, Refusal<ActivityErrorCode>> {
    let tx = scope.write(&platform.database).await?;
    let claim = store::claims::claims_by_id(&tx, &[id])
        .await?
        .remove(&id)
        // Somebody else's claim is not to be told from none.
        .filter(|claim| claim.holder_id == scope.holder())
        .ok_or_else(|| Refusal::at("id", ActivityErrorCode::ClaimNotFound))?;
    let code = read(platform, &tx, &claim).await?.ok_or_else(|| {
        Refusal::explained(
            "id",
            ActivityErrorCode::WrongClaimState,
            "该领取记录没有兑奖码，或尚未领取。",
            "This claim has no code, or was not taken up yet.",
        )
    })?;
    audit::record_in(&tx, REVEAL, id.uuid(), None, &claim).await?;
    tx.commit().await?;
    Ok(Revealed { claim, code })
}

fn check(codes: &[String]) -> Result<(), Refusal<ActivityErrorCode>> {
    let explain = |field: String, chinese, english| {
        Err(Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english))
    };
    if !(1..=MAXIMUM_CODES).contains(&codes.len()) {
        return explain("codes".into(), "每次须有 1 到 1000 个兑奖码。", "Hand in 1 to 1000 codes at a time.");
    }
    if let Some(place) = codes.iter().position(|code| !is_reference(code)) {
        return explain(
            format!("codes.{place}"),
            "兑奖码须为 1 到 64 个可见 ASCII 字符。",
            "A claim code has 1 to 64 visible ASCII characters.",
        );
    }
    let mut seen = HashSet::with_capacity(codes.len());
    match codes.iter().position(|code| !seen.insert(code)) {
        None => Ok(()),
        Some(place) => Err(Refusal::at(format!("codes.{place}"), ActivityErrorCode::DuplicateCode)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(codes: &[&str]) -> Option<(String, ActivityErrorCode)> {
        match check(&codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>()) {
            Ok(()) => None,
            Err(Refusal::Problems(problems)) => {
                problems.into_iter().next().map(|it| (it.field.unwrap_or_default(), it.code))
            }
            Err(Refusal::Fault(fault)) => panic!("{fault}"),
        }
    }

    #[test]
    fn each_code_of_a_list_is_there_once() {
        use ActivityErrorCode::*;
        assert_eq!(refused(&["A-1", "a-1"]), None, "capitals tell codes apart: they are the enterprise's");
        assert_eq!(refused(&[]), Some(("codes".into(), InvalidInput)));
        assert_eq!(refused(&["A", "with blank"]), Some(("codes.1".into(), InvalidInput)));
        assert_eq!(refused(&["A", "B", "A"]), Some(("codes.2".into(), DuplicateCode)));
        assert_eq!(refused(&["A"; 1001]), Some(("codes".into(), InvalidInput)));
    }
}
