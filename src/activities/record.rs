//! What a batch of draws leaves behind: the draws and their claims, the ledgers of chances and stock, keys and events.

use std::collections::{BTreeMap, HashMap};

use futures_util::try_join;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::activities::claim::{self, Piece};
use crate::activities::draw::{Remembered, Wish};
use crate::activities::engine::{Cause, Decided, Place, Step, Turn, Withheld, day_of};
use crate::activities::fairness::Participant;
use crate::activities::model::{ActivityId, ChanceReason, Claim, ClaimSource, Draw, DrawId, PrizeId};
use crate::activities::participation::{Door, free_left};
use crate::activities::report;
use crate::activities::store;
use crate::activities::store::draws::{self, Lane, NewChanceEntry, ParticipantRow, Played, Standing};
use crate::activities::store::reports::Counts;
use crate::activities::store::{custom_rules, participation};
use crate::catalog::model::{AllotmentId, StockMove, StockReason};
use crate::catalog::stock;
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::fault::Fault;
use crate::platform::vault::hex;
use crate::tenancy::idempotency::{self, IdempotencyKey};
use crate::tenancy::scope::TenantTx;
use crate::wallets::model::HolderId;
use crate::wallets::points;

/// The operation that a draw's idempotency key is kept for.
pub const OPERATION: &str = "activityDraw";

/// What is kept under a draw's key.
#[derive(Clone, Serialize, Deserialize)]
pub struct Kept {
    /// None where the draw is from before several could be made at once.
    #[serde(default)]
    pub draws: Vec<DrawId>,
}

/// A draw decided, before it is written.
pub struct Made<'a> {
    pub wish: &'a Wish,
    pub draw: Draw,
    pub claim: Option<Claim>,
    /// Where the given prize stands in the terms.
    pub won: Option<Place>,
}

/// An ID above the lane's last one, whatever this server's clock says.
pub fn next_id(last: Option<DrawId>) -> DrawId {
    let new = DrawId::generate();
    match last {
        Some(last) if new <= last => DrawId::from_uuid(Uuid::from_u128(last.uuid().as_u128() + 1)),
        _ => new,
    }
}

/// What a decided draw will be recorded as.
pub fn written<'a>(wish: &'a Wish, id: DrawId, memory: &Remembered, standing: &Standing, decided: Decided) -> Made<'a> {
    let rules = &memory.rules;
    let claims = claim::Terms {
        activity: rules.terms.activity,
        source: ClaimSource::Draw,
        claim_days: standing.claim_days,
        at: standing.at,
    };
    let claim = decided.awarded.and_then(|award| {
        let (piece, prize) = (award.piece?, rules.prize(award.place));
        let row = &memory.prizes[&prize.id];
        let (allotment, serial) = (memory.allotments[piece.lot], piece.serial.cast_signed());
        let piece = Piece { collectible: rules.lot(piece.lot).collectible, allotment, serial };
        Some(claims.owe(wish.holder, id.uuid(), row, piece))
    });
    let first = decided.steps.first();
    let prize = |plan: usize, prize: usize| rules.prize(Place { plan, prize }).id;
    let draw = Draw {
        id,
        activity_id: rules.terms.activity,
        plan_id: first.map(|step| rules.terms.plans[step.plan].id),
        holder_id: wish.holder,
        version: rules.terms.version.cast_signed(),
        sequence: decided.sequence,
        ordinal: decided.ordinal.cast_signed(),
        place: decided.index.cast_signed(),
        open_plans: decided.open_plans.cast_signed(),
        client_seed: wish.client_seed.clone(),
        roll: first.map(|step| step.number.cast_signed()),
        picked_prize_id: first.and_then(|step| Some(prize(step.plan, step.picked?))),
        awarded_prize_id: decided.awarded.map(|award| rules.prize(award.place).id),
        lot: decided.awarded.and_then(|award| i32::try_from(award.piece?.lot).ok()),
        serial: claim.as_ref().map(|claim| claim.serial),
        claim_id: claim.as_ref().map(|claim| claim.id),
        steps: pack(&decided.steps),
        ruling: decided.ruling.bytes().map(|bytes| bytes.to_vec()),
        record_hash: decided.record_hash.to_vec(),
        created_at: standing.at,
    };
    Made { wish, draw, claim, won: decided.awarded.map(|award| award.place) }
}

const NONE: u8 = u8::MAX;

/// Steps as they are stored, eight bytes each: plan's place, cause, number (u32, big-endian), picked prize's place in the
/// plan (255 for none), why it was withheld (0 where it was not).
pub fn pack(steps: &[Step]) -> Vec<u8> {
    let narrow = |place: usize| u8::try_from(place).unwrap_or(NONE);
    let mut bytes = Vec::with_capacity(8 * steps.len());
    for step in steps {
        bytes.extend_from_slice(&[narrow(step.plan), step.cause.code()]);
        bytes.extend_from_slice(&step.number.to_be_bytes());
        bytes.extend_from_slice(&[step.picked.map_or(NONE, narrow), step.withheld.map_or(0, Withheld::code)]);
    }
    bytes
}

/// What [`pack`] has written; nothing where it has not.
pub fn unpack(bytes: &[u8]) -> Option<Vec<Step>> {
    let (steps, rest) = bytes.as_chunks::<8>();
    let read = |&[plan, cause, a, b, c, d, picked, withheld]: &[u8; 8]| {
        Some(Step {
            plan: plan.into(),
            cause: Cause::of_code(cause)?,
            number: u32::from_be_bytes([a, b, c, d]),
            picked: (picked != NONE).then_some(picked.into()),
            withheld: if withheld == 0 { None } else { Some(Withheld::of_code(withheld)?) },
        })
    };
    if rest.is_empty() { steps.iter().map(read).collect() } else { None }
}

/// Writes all that was decided. The statements do not build on one another, so they travel together.
pub async fn record_in(
    tx: &TenantTx,
    memory: &Remembered,
    standing: &Standing,
    before: &[ParticipantRow],
    (from, turn, door): (&Lane, &Turn<'_>, &Door<'_>),
    made: &[Made<'_>],
) -> Result<(), Fault> {
    let (activity, version) = (memory.rules.terms.activity, memory.rules.terms.version);
    let rows: Vec<Draw> = made.iter().map(|made| made.draw.clone()).collect();
    let claims: Vec<Claim> = made.iter().filter_map(|made| made.claim.clone()).collect();
    let (new, known, entries) = played(standing, before, turn, made);
    let spent = spent(door, made);
    let (tallies, today) = limited_wins(memory, made);
    let moves = moves(&claims);
    let mut events = Vec::with_capacity(made.len() + claims.len());
    for made in made {
        events.push(event(activity, version, &made.draw)?);
    }
    for claim in &claims {
        events.push(claim::event(claim)?);
    }
    let keys = keys(made);
    let ruled = ruled(made);
    let counts = counts(made)?;
    let to = Lane { head: turn.head, last_draw: made.last().map(|made| made.draw.id), last_at: standing.at };
    let (firsts, ..) = try_join!(
        stock::move_in(tx, &moves),
        draws::insert_participants_in(tx, activity, &new),
        draws::move_participants_in(tx, activity, &known),
        draws::insert_chance_entries_in(tx, activity, &entries),
        draws::insert_draws_in(tx, activity, version.cast_signed(), standing.at, &rows),
        draws::add_tallies_in(tx, &tallies),
        draws::add_wins_on_in(tx, day_of(standing.at), &today),
        store::claims::insert_claims_in(tx, &claims),
        idempotency::settle_all_in(tx, OPERATION, &keys),
        outbox::emit_all_in(tx, &events),
        points::spend_in(tx, &spent),
        participation::insert_origins_in(tx, activity, &door.marked),
        custom_rules::set_drawn_in(tx, activity, &ruled),
        report::count_in(tx, activity, standing.at, report::LANE, &counts),
        draws::advance_lane_in(tx, activity, from.head.next_sequence, &to),
    )?;
    // The numbers were given from the locked rows: the stock must have handed out the same.
    for (allotment, first) in firsts {
        if claims.iter().find(|claim| claim.allotment_id == allotment).is_none_or(|claim| claim.serial != first) {
            return Err(Fault::internal(anyhow::anyhow!("{allotment} handed out other numbers than were decided")));
        }
    }
    Ok(())
}

/// What a batch adds to the activity's report.
fn counts(made: &[Made<'_>]) -> Result<Counts, Fault> {
    let number = |of: fn(&Draw) -> bool| {
        i64::try_from(made.iter().filter(|made| of(&made.draw)).count()).map_err(Fault::internal)
    };
    Ok(Counts {
        participants: number(|draw| draw.ordinal == 1)?,
        draws: number(|_| true)?,
        wins: number(|draw| draw.awarded_prize_id.is_some())?,
        ..Counts::default()
    })
}

/// One for each allotment, in the name of the first claim on it: which claims there are, their own rows say.
fn moves(claims: &[Claim]) -> Vec<StockMove> {
    let mut won: BTreeMap<AllotmentId, (Uuid, i32)> = BTreeMap::new();
    for claim in claims {
        won.entry(claim.allotment_id).or_insert((claim.id.uuid(), 0)).1 += 1;
    }
    let award = |(allotment, (first, count))| StockMove::award(allotment, StockReason::Won, first, count);
    won.into_iter().map(award).collect()
}

/// One key a wish, with the draws that it led to.
fn keys(made: &[Made<'_>]) -> Vec<(Uuid, IdempotencyKey, Vec<u8>, Kept)> {
    let wishes = made.chunk_by(|one, next| std::ptr::eq(one.wish, next.wish));
    let key = |made: &[Made<'_>]| {
        let Wish { holder, key, input_hash, .. } = made[0].wish;
        let draws = made.iter().map(|made| made.draw.id).collect();
        (holder.uuid(), key.clone(), input_hash.clone(), Kept { draws })
    };
    wishes.map(key).collect()
}

/// The wishes that an endpoint was asked about.
fn ruled(made: &[Made<'_>]) -> Vec<(HolderId, IdempotencyKey)> {
    let wishes = made.chunk_by(|one, next| std::ptr::eq(one.wish, next.wish)).map(|made| made[0].wish);
    wishes.filter(|wish| wish.consulted.is_some()).map(|wish| (wish.holder, wish.key.clone())).collect()
}

/// What each holder drew and won, those first who are new here, and the ledger lines of their chances that say so.
fn played(
    standing: &Standing,
    before: &[ParticipantRow],
    turn: &Turn<'_>,
    made: &[Made<'_>],
) -> (Vec<Played>, Vec<Played>, Vec<NewChanceEntry>) {
    let rows: HashMap<HolderId, &ParticipantRow> = before.iter().map(|row| (row.holder_id, row)).collect();
    let day = day_of(standing.at);
    let mut counts: BTreeMap<HolderId, Vec<&Made<'_>>> = BTreeMap::new();
    for made in made {
        counts.entry(made.draw.holder_id).or_default().push(made);
    }
    let (mut new, mut known) = (Vec::new(), Vec::new());
    let mut entries = Vec::with_capacity(counts.len() + made.len());
    for (holder, drawn) in counts {
        let activity = drawn[0].draw.activity_id;
        let account = &turn.accounts[&Participant::of(activity, holder)];
        let row = rows.get(&holder);
        let draws = i32::try_from(drawn.len()).unwrap_or(i32::MAX);
        let (last_day, used_free) = row.map_or((day, 0), |row| (row.day, row.day_free));
        // The day's free draws are used before chances that stay.
        let left = free_left(standing.daily_chances, day, last_day, used_free);
        let counted = drawn.iter().filter(|made| made.wish.is_counted_elsewhere()).count();
        let counted = i32::try_from(counted).unwrap_or(i32::MAX);
        let free = left.min(draws - counted);
        let joined = if row.is_none() { standing.chances_per_holder } else { 0 };
        let entry = |reason, delta, subject| NewChanceEntry { holder, reason, delta, subject };
        if joined > 0 {
            entries.push(entry(ChanceReason::Joined, joined, activity.uuid()));
        }
        let mut free_draws = free;
        for Made { wish, draw, .. } in drawn {
            let subject = draw.id.uuid();
            if wish.is_counted_elsewhere() {
                entries.push(entry(ChanceReason::Endpoint, 1, subject));
            } else if free_draws > 0 {
                free_draws -= 1;
                entries.push(entry(ChanceReason::Daily, 1, subject));
            }
            entries.push(entry(ChanceReason::Drawn, -1, subject));
        }
        let played = Played {
            holder,
            draws,
            wins: account.wins.cast_signed() - row.map_or(0, |row| row.wins),
            granted: joined + free + counted,
            day,
            day_draws: account.made_today.on(day).cast_signed(),
            day_wins: account.wins_today.on(day).cast_signed(),
            day_free: standing.daily_chances - left + free,
        };
        if row.is_some() { known.push(played) } else { new.push(played) }
    }
    (new, known, entries)
}

/// What each draw cost in points, where draws cost any.
fn spent(door: &Door<'_>, made: &[Made<'_>]) -> Vec<(HolderId, Uuid, i64)> {
    let Some(cost) = door.rule.rule.points_cost else { return Vec::new() };
    made.iter().map(|made| (made.draw.holder_id, made.draw.id.uuid(), cost)).collect()
}

type HolderWins = Vec<(PrizeId, HolderId, i32)>;
type DayWins = Vec<(PrizeId, i32)>;

/// Wins of prizes that limit them, a holder and a day.
fn limited_wins(memory: &Remembered, made: &[Made<'_>]) -> (HolderWins, DayWins) {
    let (mut of_holders, mut today) = (BTreeMap::new(), BTreeMap::new());
    for made in made {
        let Some(prize) = made.won.map(|place| memory.rules.prize(place)) else { continue };
        if prize.wins_per_holder.is_some() {
            *of_holders.entry((prize.id, made.draw.holder_id)).or_default() += 1;
        }
        if prize.wins_per_day.is_some() {
            *today.entry(prize.id).or_default() += 1;
        }
    }
    let of_holders = of_holders.into_iter().map(|((prize, holder), wins)| (prize, holder, wins));
    (of_holders.collect(), today.into_iter().collect())
}

/// All that is needed to find the draw in the activity's public record.
fn event(activity: ActivityId, version: u32, draw: &Draw) -> Result<NewEvent, Fault> {
    let data = json!({
        "drawId": draw.id,
        "activityId": activity,
        "termsVersion": version,
        "planId": draw.plan_id,
        "holderId": draw.holder_id,
        "sequence": draw.sequence,
        "ordinal": draw.ordinal,
        "index": draw.place,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_rises_also_where_the_clock_does_not() {
        let ahead = DrawId::from_uuid(Uuid::from_u128(u128::MAX >> 1));
        let next = next_id(Some(ahead));
        assert!(next > ahead && next_id(Some(next)) > next);
        let behind = DrawId::from_uuid(Uuid::from_u128(1));
        assert_eq!(next_id(Some(behind)).uuid().get_version_num(), 7);
    }

    proptest! {
        #[test]
        fn steps_come_out_as_they_went_in(
            steps in proptest::collection::vec((0_usize..64, 0..Cause::ALL.len(), any::<u32>(), proptest::option::of(0_usize..50), proptest::option::of(0..Withheld::ALL.len())), 0..5),
            cut in 1_usize..8,
        ) {
            let step = |(plan, cause, number, picked, withheld): (usize, usize, u32, Option<usize>, Option<usize>)| Step {
                plan,
                cause: Cause::ALL[cause],
                number,
                picked,
                withheld: withheld.map(|why| Withheld::ALL[why]),
            };
            let steps: Vec<Step> = steps.into_iter().map(step).collect();
            let packed = pack(&steps);
            prop_assert_eq!(unpack(&packed), Some(steps.clone()));
            if !steps.is_empty() {
                prop_assert_eq!(unpack(&packed[cut..]), None);
            }
        }
    }
}
