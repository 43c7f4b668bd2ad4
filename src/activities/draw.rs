//! A holder draws.
//!
//! [`draw`] hands the wish to the activity's lane; [`batch`] serves the wishes that waited there together, in one
//! transaction. Row locks and unique keys are what keeps it right: a second lane for the same activity, on another
//! server, costs speed and nothing else. A draw has no audit record of its own: its record is chained.

use std::collections::HashMap;

use futures_util::try_join;
use serde_json::json;
use uuid::Uuid;

use crate::activities::engine::{PlannedPrize, Stock, Terms, Turn};
use crate::activities::lane::Lanes;
use crate::activities::model::{ActivityErrorCode, ActivityId, ActivityKind, Draw, DrawId, PrizePlanId, WhyClosed};
use crate::activities::record::{self, Kept, Made, OPERATION};
use crate::activities::store::draws::{self, Standing};
use crate::activities::{publish, store};
use crate::catalog::model::AllotmentId;
use crate::catalog::stock;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::idempotency::{self, IdempotencyKey, Settled};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HolderScope, TenantScope, TenantTx};
use crate::wallets::model::HolderId;

/// The longest text that a holder's side may mix into the outcome, in characters.
const CLIENT_SEED_LENGTH: usize = 64;

#[derive(Clone, Debug)]
pub struct DrawRequest {
    pub activity: ActivityId,
    pub client_seed: String,
}

/// A draw as it was recorded, now or by an earlier request with the same key.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub draw: Draw,
    pub replayed: bool,
}

/// Draws once. That nothing is won is a result like any other.
pub async fn draw(
    lanes: &Lanes,
    scope: &HolderScope,
    request: &DrawRequest,
    key: &IdempotencyKey,
) -> Result<Drawn, Refusal<ActivityErrorCode>> {
    scope.require_active()?; // the lane works for the enterprise, and would ask nobody
    if request.client_seed.chars().count() > CLIENT_SEED_LENGTH || request.client_seed.contains('\0') {
        return Err(Refusal::explained(
            "clientSeed",
            ActivityErrorCode::InvalidInput,
            "客户端种子不能超过 64 个字符，且不能包含空字符。",
            "A client seed has at most 64 characters and no NUL.",
        ));
    }
    let input = json!({ "activity": request.activity, "clientSeed": request.client_seed });
    let wish = Wish {
        holder: scope.holder(),
        client_seed: request.client_seed.clone(),
        key: key.clone(),
        input_hash: idempotency::input_hash(&input)?,
    };
    lanes.draw(scope.tenant(), request.activity, wish).await?.map_err(|code| match code {
        ActivityErrorCode::IdempotencyKeyReused => Refusal::at("idempotencyKey", code),
        _ => Refusal::at("activityId", code),
    })
}

/// One holder's wish to draw, as it waits in a lane.
#[derive(Clone, Debug)]
pub struct Wish {
    pub holder: HolderId,
    pub client_seed: String,
    pub key: IdempotencyKey,
    pub input_hash: Vec<u8>,
}

pub type Answer = Result<Drawn, ActivityErrorCode>;

/// What a lane remembers of a published activity from batch to batch. None of it changes while the plan's ID stays.
pub struct Remembered {
    plan: PrizePlanId,
    terms: Terms,
}

/// Serves wishes in the order given, in one transaction: one answer for each, or a fault for all.
pub async fn batch(
    platform: &Platform,
    tenant: EnterpriseId,
    activity: ActivityId,
    remembered: &mut Option<Remembered>,
    wishes: &[Wish],
) -> Result<Vec<Answer>, Fault> {
    let tx = TenantScope::of_system(tenant).write(&platform.database).await?;
    let Some(head) = draws::lock_lane_in(&tx, activity).await? else {
        tx.commit().await?;
        return Ok(wishes.iter().map(|_| Err(ActivityErrorCode::NotFound)).collect());
    };
    let holders = holders_of(wishes);
    let keys: Vec<_> = wishes.iter().map(|wish| (wish.holder.uuid(), wish.key.clone())).collect();
    let (standing, known, chances) = try_join!(
        draws::standing(&tx, activity),
        idempotency::look_up_in::<Kept>(&tx, OPERATION, &keys),
        draws::lock_participants_in(&tx, activity, &holders),
    )?;

    let mut desk = Desk { known, made_under: HashMap::new(), answers: Vec::with_capacity(wishes.len()) };
    let made = match open(&standing) {
        Err(code) => {
            desk.refuse(wishes, code);
            Vec::new()
        }
        Ok(()) => {
            let terms = terms(platform, &tx, activity, &standing, remembered).await?;
            let stock = lock_stock_in(&tx, terms).await?;
            let left = holders
                .iter()
                .map(|holder| (*holder, chances.get(holder).copied().unwrap_or(standing.chances_per_holder)))
                .collect();
            let mut turn = Turn::new(terms, head, stock, left);
            let made = desk.decide(wishes, &mut turn, terms, &standing);
            if !made.is_empty() {
                record::record_in(&tx, terms, &standing, &chances, (head, turn.head), &made).await?;
            }
            made
        }
    };
    let replayed = match desk.replayed() {
        ids if ids.is_empty() => HashMap::new(),
        ids => draws::draws_by_id(&tx, &ids).await?,
    };
    tx.commit().await?;
    desk.finish(&made, replayed)
}

enum Step {
    Refused(ActivityErrorCode),
    /// At this place among the draws made by the batch.
    Made {
        place: usize,
        replayed: bool,
    },
    Replayed(DrawId),
}

/// Sorts wishes into those that were served before, those refused, and those to decide.
struct Desk {
    known: HashMap<(Uuid, String), Settled<Kept>>,
    /// The place of the draw that a key of this very batch led to.
    made_under: HashMap<(Uuid, String), usize>,
    answers: Vec<Step>,
}

impl Desk {
    fn refuse(&mut self, wishes: &[Wish], code: ActivityErrorCode) {
        for wish in wishes {
            let step = self.served_before(wish, &[]).unwrap_or(Step::Refused(code));
            self.answers.push(step);
        }
    }

    fn decide<'a>(
        &mut self,
        wishes: &'a [Wish],
        turn: &mut Turn<'_>,
        terms: &Terms,
        standing: &Standing,
    ) -> Vec<Made<'a>> {
        let mut made = Vec::with_capacity(wishes.len());
        for wish in wishes {
            let step =
                self.served_before(wish, &made).unwrap_or_else(|| match turn.draw(wish.holder, &wish.client_seed) {
                    Err(_) => Step::Refused(ActivityErrorCode::NoChanceLeft),
                    Ok(decided) => {
                        self.made_under.insert(key_of(wish), made.len());
                        made.push(record::written(wish, terms, standing, decided));
                        Step::Made { place: made.len() - 1, replayed: false }
                    }
                });
            self.answers.push(step);
        }
        made
    }

    /// What the key of this wish led to, if it led to anything. A refused wish leaves no trace under its key.
    fn served_before(&self, wish: &Wish, made: &[Made<'_>]) -> Option<Step> {
        let key = key_of(wish);
        if let Some(settled) = self.known.get(&key) {
            return Some(match &settled.result {
                Kept { draw } if settled.input_hash == wish.input_hash => Step::Replayed(*draw),
                _ => Step::Refused(ActivityErrorCode::IdempotencyKeyReused),
            });
        }
        let place = *self.made_under.get(&key)?;
        Some(match made.get(place) {
            Some(first) if first.wish.input_hash == wish.input_hash => Step::Made { place, replayed: true },
            _ => Step::Refused(ActivityErrorCode::IdempotencyKeyReused),
        })
    }

    fn replayed(&self) -> Vec<DrawId> {
        self.answers.iter().filter_map(|step| if let Step::Replayed(id) = step { Some(*id) } else { None }).collect()
    }

    fn finish(self, made: &[Made<'_>], replayed: HashMap<DrawId, Draw>) -> Result<Vec<Answer>, Fault> {
        let lost = |id: DrawId| Fault::internal(anyhow::anyhow!("{id} stands under a key and was never recorded"));
        let answer = |step| match step {
            Step::Refused(code) => Ok(Err(code)),
            Step::Made { place, replayed } => Ok(Ok(Drawn { draw: made[place].draw.clone(), replayed })),
            Step::Replayed(id) => {
                replayed.get(&id).map(|draw| Ok(Drawn { draw: draw.clone(), replayed: true })).ok_or_else(|| lost(id))
            }
        };
        self.answers.into_iter().map(answer).collect()
    }
}

fn open(standing: &Standing) -> Result<(), ActivityErrorCode> {
    if standing.kind != ActivityKind::Draw {
        return Err(ActivityErrorCode::NotFound);
    }
    standing.window().judge().map_err(|why| match why {
        // A draft is not to be told from nothing.
        WhyClosed::NotPublished => ActivityErrorCode::NotFound,
        why => why.into(),
    })
}

fn holders_of(wishes: &[Wish]) -> Vec<HolderId> {
    let mut holders: Vec<HolderId> = wishes.iter().map(|wish| wish.holder).collect();
    holders.sort_unstable();
    holders.dedup();
    holders
}

fn key_of(wish: &Wish) -> (Uuid, String) {
    (wish.holder.uuid(), wish.key.as_str().to_owned())
}

/// The terms of the plan that stands, from memory or from the database.
async fn terms<'a>(
    platform: &Platform,
    tx: &TenantTx,
    activity: ActivityId,
    standing: &Standing,
    remembered: &'a mut Option<Remembered>,
) -> Result<&'a Terms, Fault> {
    if remembered.as_ref().is_none_or(|memory| memory.plan != standing.plan_id) {
        let seed = publish::seed(platform, tx, activity).await?;
        let mut prizes = Vec::new();
        for prize in store::prizes_of_activities(tx, &[activity]).await?.remove(&activity).unwrap_or_default() {
            let allotment = prize.allotment_id.filter(|_| prize.plan_id == standing.plan_id);
            prizes.push(PlannedPrize {
                id: prize.id,
                odds_per_million: prize.odds_per_million.unsigned_abs(),
                collectible: prize.collectible_id,
                allotment: allotment
                    .ok_or_else(|| Fault::internal(anyhow::anyhow!("{} is drawn without stock", prize.id)))?,
            });
        }
        let plan_version = standing.plan_version.unsigned_abs();
        *remembered =
            Some(Remembered { plan: standing.plan_id, terms: Terms { activity, plan_version, prizes, seed } });
    }
    remembered.as_ref().map(|memory| &memory.terms).ok_or(Fault::NotFound)
}

/// The stock of each prize, under lock, beside the terms' prizes.
async fn lock_stock_in(tx: &TenantTx, terms: &Terms) -> Result<Vec<Stock>, Fault> {
    let ids: Vec<AllotmentId> = terms.prizes.iter().map(|prize| prize.allotment).collect();
    let allotments = stock::lock_in(tx, &ids).await?;
    Ok(ids
        .iter()
        .map(|id| &allotments[id])
        .map(|row| Stock { left: row.available.unsigned_abs(), next_serial: row.next_serial })
        .collect())
}
