//! What a batch of draws leaves behind: the draws and their claims, the ledgers of chances and stock, keys and events.

use std::collections::{BTreeMap, HashMap};

use futures_util::try_join;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::activities::claim::{self, Piece};
use crate::activities::draw::Wish;
use crate::activities::engine::{Decided, Head, PlannedPrize, Terms};
use crate::activities::model::{ActivityId, Claim, ClaimSource, Draw, DrawId};
use crate::activities::store;
use crate::activities::store::draws::{self, ChanceEntry, ChanceReason, Standing, Use};
use crate::catalog::model::{StockMove, StockReason};
use crate::catalog::stock;
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::fault::Fault;
use crate::platform::vault::hex;
use crate::tenancy::idempotency;
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::HolderId;

/// The operation that a draw's idempotency key is kept for.
pub const OPERATION: &str = "activityDraw";

/// What is kept under a draw's key.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Kept {
    pub draw: DrawId,
}

/// A draw decided, before it is written.
pub struct Made<'a> {
    pub wish: &'a Wish,
    pub draw: Draw,
    pub claim: Option<Claim>,
}

/// What a decided draw will be recorded as.
pub fn written<'a>(wish: &'a Wish, terms: &Terms, standing: &Standing, decided: Decided) -> Made<'a> {
    let id = DrawId::generate();
    let claims = claim::Terms {
        activity: terms.activity,
        source: ClaimSource::Draw,
        claim_days: standing.claim_days,
        at: standing.at,
    };
    let claim = decided.awarded.map(|(place, serial)| {
        let PlannedPrize { id: prize, collectible, allotment, .. } = terms.prizes[place];
        claims.owe(wish.holder, id.uuid(), Piece { prize, collectible, allotment, serial })
    });
    let draw = Draw {
        id,
        activity_id: terms.activity,
        plan_id: standing.plan_id,
        holder_id: wish.holder,
        sequence: decided.sequence,
        client_seed: wish.client_seed.clone(),
        roll: decided.roll,
        picked_prize_id: decided.picked.map(|place| terms.prizes[place].id),
        awarded_prize_id: claim.as_ref().map(|claim| claim.prize_id),
        serial: claim.as_ref().map(|claim| claim.serial),
        claim_id: claim.as_ref().map(|claim| claim.id),
        record_hash: decided.record_hash.to_vec(),
        created_at: standing.at,
    };
    Made { wish, draw, claim }
}

/// Writes all that was decided. The statements do not build on one another, so they travel together.
pub async fn record_in(
    tx: &TenantTx,
    terms: &Terms,
    standing: &Standing,
    chances: &HashMap<HolderId, i32>,
    (from, to): (Head, Head),
    made: &[Made<'_>],
) -> Result<(), Fault> {
    let activity = terms.activity;
    let rows: Vec<Draw> = made.iter().map(|made| made.draw.clone()).collect();
    let claims: Vec<Claim> = made.iter().filter_map(|made| made.claim.clone()).collect();
    let (uses, entries) = chances_used(activity, standing, chances, &rows);
    let moves: Vec<StockMove> =
        claims.iter().map(|claim| StockMove::award(claim.allotment_id, StockReason::Won, claim.id.uuid(), 1)).collect();
    let mut keys = Vec::with_capacity(made.len());
    let mut events = Vec::with_capacity(made.len() + claims.len());
    for made in made {
        let kept = Kept { draw: made.draw.id };
        keys.push((made.wish.holder.uuid(), made.wish.key.clone(), made.wish.input_hash.clone(), kept));
        events.push(event(&made.draw, terms.plan_version)?);
    }
    for claim in &claims {
        events.push(claim::event(claim)?);
    }
    let (firsts, ..) = try_join!(
        stock::move_in(tx, &moves),
        draws::use_chances_in(tx, activity, &uses),
        draws::insert_chance_entries_in(tx, activity, &entries),
        draws::insert_draws_in(tx, activity, standing.plan_id, &rows),
        store::claims::insert_claims_in(tx, &claims),
        idempotency::settle_all_in(tx, OPERATION, &keys),
        outbox::emit_all_in(tx, &events),
        draws::advance_lane_in(tx, activity, from.next_sequence, &to),
    )?;
    // The numbers were given from the locked rows: the stock must have handed out the same.
    for (allotment, first) in firsts {
        if claims.iter().find(|claim| claim.allotment_id == allotment).is_none_or(|claim| claim.serial != first) {
            return Err(Fault::internal(anyhow::anyhow!("{allotment} handed out other numbers than were decided")));
        }
    }
    Ok(())
}

/// What each holder used, and the ledger lines that say so.
fn chances_used(
    activity: ActivityId,
    standing: &Standing,
    before: &HashMap<HolderId, i32>,
    made: &[Draw],
) -> (Vec<Use>, Vec<ChanceEntry>) {
    let mut counts: BTreeMap<HolderId, i32> = BTreeMap::new();
    for draw in made {
        *counts.entry(draw.holder_id).or_default() += 1;
    }
    let mut uses = Vec::with_capacity(counts.len());
    let mut entries = Vec::with_capacity(counts.len() + made.len());
    for (holder, count) in counts {
        let granted = standing.chances_per_holder;
        uses.push(Use { holder, count, granted: granted.max(count) });
        if !before.contains_key(&holder) {
            entries.push(ChanceEntry {
                holder,
                reason: ChanceReason::Joined,
                delta: granted,
                subject: activity.uuid(),
            });
        }
    }
    entries.extend(made.iter().map(|draw| ChanceEntry {
        holder: draw.holder_id,
        reason: ChanceReason::Drawn,
        delta: -1,
        subject: draw.id.uuid(),
    }));
    (uses, entries)
}

/// All that is needed to verify the draw, once the seed is revealed.
fn event(draw: &Draw, plan_version: u32) -> Result<NewEvent, Fault> {
    let data = json!({
        "drawId": draw.id,
        "activityId": draw.activity_id,
        "planVersion": plan_version,
        "holderId": draw.holder_id,
        "sequence": draw.sequence,
        "clientSeed": draw.client_seed,
        "roll": draw.roll,
        "pickedPrizeId": draw.picked_prize_id,
        "awardedPrizeId": draw.awarded_prize_id,
        "serial": draw.serial,
        "claimId": draw.claim_id,
        "recordHash": hex(&draw.record_hash),
    });
    NewEvent::new(EventType::DrawRecorded, draw.id.uuid(), 1, data)
}
