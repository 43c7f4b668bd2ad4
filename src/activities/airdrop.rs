//! The enterprise gives pieces to people that it names by their phone numbers.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::activities::claim::{self, Piece, Terms};
use crate::activities::model::{
    ActivityErrorCode, ActivityId, ActivityKind, Airdrop, AirdropId, AirdropState, Claim, ClaimSource, PrizeId,
    PrizeLot,
};
use crate::activities::{store, window};
use crate::catalog::model::{StockMove, StockReason};
use crate::catalog::stock;
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::platform::vault::hex;
use crate::tenancy::idempotency::{self, IdempotencyKey, Turn};
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;
use crate::tenancy::{audit, enterprise};
use crate::wallets::holder::{self, Phone};

const OPERATION: &str = "airdropStart";

pub const MAXIMUM_PHONES: usize = 1000;

#[derive(Clone, Debug)]
pub struct AirdropRequest {
    pub activity: ActivityId,
    pub prize: PrizeId,
    pub phones: Vec<String>,
}

pub struct Started {
    pub airdrop: Airdrop,
    pub replayed: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    airdrop: AirdropId,
}

/// One piece for each person, or nothing at all. Who is not known yet is signed on.
pub async fn start(
    platform: &Platform,
    scope: &TenantScope,
    request: &AirdropRequest,
    key: &IdempotencyKey,
) -> Result<Started, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let phones = people(&request.phones)?;
    let count = i32::try_from(phones.len()).map_err(Fault::internal)?;

    let tx = scope.write(&platform.database).await?;
    // A plain hash of a phone number is as good as the number, so the input is told apart by a keyed one.
    let list = enterprise::data_key(platform, &tx).await?.hash(OPERATION, request.phones.join("\n").as_bytes());
    let input = json!({ "activity": request.activity, "prize": request.prize, "phones": hex(&list) });
    match idempotency::claim_in(&tx, OPERATION, key, &input).await? {
        Turn::First => {}
        Turn::Replay(Kept { airdrop }) => {
            let airdrop = store::airdrops_by_id(&tx, &[airdrop]).await?.remove(&airdrop).ok_or(Fault::NotFound)?;
            return Ok(Started { airdrop, replayed: true });
        }
        Turn::Reused => return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused)),
    }
    let activity = window::hold_open_in(&tx, request.activity, ActivityKind::Airdrop)
        .await?
        .map_err(|why| Refusal::at("activityId", ActivityErrorCode::from(why)))?;
    let (prize, lots) = store::plans::published_prize(&tx, activity.id, request.prize)
        .await?
        .ok_or_else(|| Refusal::at("prizeId", ActivityErrorCode::PrizeNotFound))?;
    let [PrizeLot { collectible_id: collectible, allotment_id: Some(allotment), .. }] = lots[..] else {
        return Err(Fault::internal(anyhow::anyhow!("{} is no prize of one lot that is set aside", prize.id)).into());
    };
    if stock::lock_in(&tx, &[allotment]).await?.get(&allotment).is_none_or(|stock| stock.available < count) {
        return Err(Refusal::at("phones", ActivityErrorCode::NotEnoughStock));
    }

    let id = AirdropId::generate();
    let unnamed: Vec<(Phone, String)> = phones.iter().map(|phone| (phone.clone(), String::new())).collect();
    let holders = holder::register_in(platform, &tx, &unnamed).await?;
    let award = StockMove::award(allotment, StockReason::Airdropped, id.uuid(), count);
    let first_serial = stock::move_in(&tx, &[award]).await?.remove(&allotment);
    let first_serial =
        first_serial.ok_or_else(|| Fault::internal(anyhow::anyhow!("{allotment} gave no serial number")))?;
    let terms = Terms {
        activity: activity.id,
        source: ClaimSource::Airdrop,
        claim_days: activity.claim_days,
        at: activity.read_at,
    };
    let claims: Vec<Claim> = (first_serial..)
        .zip(&phones)
        .map(|(serial, phone)| {
            let piece = Piece { collectible, allotment, serial };
            terms.owe(holders[phone], id.uuid(), &prize, piece)
        })
        .collect();
    store::claims::insert_claims_in(&tx, &claims).await?;
    let airdrop = store::insert_airdrop_in(&tx, id, activity.id, prize.id, count, AirdropState::Completed).await?;
    audit::record_in(&tx, OPERATION, id.uuid(), None, &airdrop).await?;

    let mut events = vec![event(&airdrop)?];
    for claim in &claims {
        events.push(claim::event(claim)?);
    }
    outbox::emit_all_in(&tx, &events).await?;
    idempotency::settle_in(&tx, OPERATION, key, &Kept { airdrop: id }).await?;
    tx.commit().await?;
    Ok(Started { airdrop, replayed: false })
}

/// The people of the list, each once.
fn people(phones: &[String]) -> Result<Vec<Phone>, Refusal<ActivityErrorCode>> {
    if !(1..=MAXIMUM_PHONES).contains(&phones.len()) {
        return Err(Refusal::explained(
            "phones",
            ActivityErrorCode::InvalidInput,
            "名单须有 1 到 1000 个手机号。",
            "A list names 1 to 1000 phone numbers.",
        ));
    }
    let mut seen = HashSet::with_capacity(phones.len());
    let mut people = Vec::with_capacity(phones.len());
    for (row, text) in phones.iter().enumerate() {
        let at = |code| Refusal::at(format!("phones.{row}"), code);
        let phone = Phone::parse(text).ok_or_else(|| at(ActivityErrorCode::InvalidPhone))?;
        if !seen.insert(phone.clone()) {
            return Err(at(ActivityErrorCode::DuplicatePhone));
        }
        people.push(phone);
    }
    Ok(people)
}

fn event(airdrop: &Airdrop) -> Result<NewEvent, Fault> {
    let data = json!({
        "airdropId": airdrop.id,
        "activityId": airdrop.activity_id,
        "prizeId": airdrop.prize_id,
        "rowCount": airdrop.row_count,
        "state": airdrop.state,
    });
    NewEvent::new(EventType::AirdropChanged, airdrop.id.uuid(), airdrop.version, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(phones: &[&str]) -> Option<(Option<String>, ActivityErrorCode)> {
        let phones: Vec<String> = phones.iter().map(|phone| (*phone).to_owned()).collect();
        match people(&phones) {
            Ok(found) => {
                assert_eq!(found.len(), phones.len());
                None
            }
            Err(Refusal::Problems(problems)) => problems.into_iter().next().map(|it| (it.field, it.code)),
            Err(Refusal::Fault(fault)) => panic!("{fault}"),
        }
    }

    #[test]
    fn a_list_names_each_person_once() {
        use ActivityErrorCode::*;
        assert_eq!(refused(&["13800000001", "13800000002"]), None);
        assert_eq!(refused(&[]), Some((Some("phones".into()), InvalidInput)));
        assert_eq!(refused(&["13800000001"; 1001]), Some((Some("phones".into()), InvalidInput)));
        assert_eq!(refused(&["13800000001", "12"]), Some((Some("phones.1".into()), InvalidPhone)));
        let twice = ["13800000001", "13800000002", "+86 138-0000-0001"];
        assert_eq!(refused(&twice), Some((Some("phones.2".into()), DuplicatePhone)));
    }
}
