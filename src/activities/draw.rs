//! A holder draws.
//!
//! [`draw`] hands the wish to the activity's lane; [`batch`] serves the wishes that waited there together, in one
//! transaction. Row locks and unique keys are what keeps it right: a second lane for the same activity, on another
//! server, costs speed and nothing else. A draw has no audit record of its own: its record is chained.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use futures_util::try_join;
use serde_json::json;
use uuid::Uuid;

use crate::activities::consult::{Asking, Callbacks, Consulted, Words};
use crate::activities::engine::{Account, Daily, LotLeft, Refused, Rules, Turn, day_of};
use crate::activities::fairness::{Participant, Seed};
use crate::activities::lane::Lanes;
use crate::activities::model::{ActivityErrorCode, ActivityId, ActivityKind, Draw, DrawId, Prize, PrizeId, WhyClosed};
use crate::activities::participation::{Door, Mark, Marks, Origin, Rule, by_mark, free_left, neighbourhood};
use crate::activities::record::{self, Kept, Made, OPERATION};
use crate::activities::ruling::Ruling;
use crate::activities::store::draws::{self, ParticipantRow, Standing};
use crate::activities::store::participation;
use crate::activities::terms;
use crate::activities::{end, force};
use crate::catalog::model::AllotmentId;
use crate::catalog::stock;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::enterprise::DataKey;
use crate::tenancy::idempotency::{self, IdempotencyKey, Settled};
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::{HolderScope, TenantScope, TenantTx};
use crate::wallets::model::HolderId;
use crate::wallets::points;

/// The longest text that a holder's side may mix into the outcome, in characters.
const CLIENT_SEED_LENGTH: usize = 64;
/// The most draws that any activity allows at once.
pub const MAXIMUM_AT_ONCE: i32 = 10;

#[derive(Clone, Debug)]
pub struct DrawRequest {
    pub activity: ActivityId,
    pub client_seed: String,
    /// How many draws, all of them or none.
    pub times: i32,
    pub origin: Origin,
}

/// Draws as they were recorded, now or by an earlier request with the same key.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub draws: Vec<Draw>,
    pub replayed: bool,
}

/// What came of a wish to draw.
#[derive(Clone, Debug)]
pub enum Outcome {
    Drawn(Drawn),
    /// The enterprise's endpoint does not let the holder draw, in its own words. Nothing was used up.
    RuledOut(Words),
}

/// Draws once, or several times in a row. That nothing is won is a result like any other.
///
/// Where the activity asks an endpoint of the enterprise's own, the wish goes to the lane twice: once to learn whether it
/// may be drawn at all, and again with what the endpoint has ruled, which was asked in between, outside of all
/// transactions.
pub async fn draw(
    lanes: &Lanes,
    callbacks: &Arc<Callbacks>,
    scope: &HolderScope,
    request: &DrawRequest,
    key: &IdempotencyKey,
) -> Result<Outcome, Refusal<ActivityErrorCode>> {
    scope.require_active()?; // the lane works for the enterprise, and would ask nobody
    if request.client_seed.chars().count() > CLIENT_SEED_LENGTH || request.client_seed.contains('\0') {
        return Err(Refusal::explained(
            "clientSeed",
            ActivityErrorCode::InvalidInput,
            "客户端种子不能超过 64 个字符，且不能包含空字符。",
            "A client seed has at most 64 characters and no NUL.",
        ));
    }
    if !(1..=MAXIMUM_AT_ONCE).contains(&request.times) {
        return Err(Refusal::at("times", ActivityErrorCode::TooManyAtOnce));
    }
    if !request.origin.is_named_well() {
        return Err(Refusal::explained(
            "device",
            ActivityErrorCode::InvalidInput,
            "设备标识须为 8 到 128 个可见 ASCII 字符。",
            "A device is named by 8 to 128 visible ASCII characters, the same each time.",
        ));
    }
    let input = json!({ "activity": request.activity, "clientSeed": request.client_seed, "times": request.times });
    let mut wish = Wish {
        holder: scope.holder(),
        client_seed: request.client_seed.clone(),
        times: request.times,
        origin: request.origin.clone(),
        key: key.clone(),
        input_hash: idempotency::input_hash(&input)?,
        consulted: None,
    };
    match lanes.draw(scope.tenant(), request.activity, wish.clone()).await?.map_err(refusal)? {
        Answered::Drawn(drawn) => Ok(Outcome::Drawn(drawn)),
        Answered::Consult(asking) => {
            let (tenant, activity) = (scope.tenant(), request.activity);
            match callbacks.clone().consult(tenant, activity, asking.clone(), wish.clone()).await? {
                Ok(consulted) => wish.consulted = Some(consulted),
                Err(words) => return Ok(Outcome::RuledOut(words)),
            }
            match lanes.draw(tenant, activity, wish.clone()).await? {
                Ok(Answered::Drawn(drawn)) => Ok(Outcome::Drawn(drawn)),
                Ok(Answered::Consult(_)) => {
                    Err(Fault::internal(anyhow::anyhow!("a wish that was ruled on is asked about")).into())
                }
                Err(code) => {
                    callbacks.tell_unused(tenant, activity, &asking, &wish, code).await?;
                    Err(refusal(code))
                }
            }
        }
    }
}

fn refusal(code: ActivityErrorCode) -> Refusal<ActivityErrorCode> {
    match code {
        ActivityErrorCode::IdempotencyKeyReused => Refusal::at("idempotencyKey", code),
        ActivityErrorCode::TooManyAtOnce => Refusal::at("times", code),
        ActivityErrorCode::DeviceRequired => Refusal::at("device", code),
        _ => Refusal::at("activityId", code),
    }
}

/// One holder's wish to draw, as it waits in a lane.
#[derive(Clone, Debug)]
pub struct Wish {
    pub holder: HolderId,
    pub client_seed: String,
    pub times: i32,
    pub origin: Origin,
    pub key: IdempotencyKey,
    pub input_hash: Vec<u8>,
    /// What the enterprise's endpoints have said of it, once they were asked.
    pub consulted: Option<Consulted>,
}

impl Wish {
    /// Whether an endpoint has counted the chances that it takes.
    pub fn is_counted_elsewhere(&self) -> bool {
        self.consulted.as_ref().is_some_and(|consulted| consulted.counted)
    }

    fn rulings(&self) -> Vec<Ruling> {
        let ruled = self.consulted.as_ref().and_then(|consulted| consulted.rulings.clone());
        ruled.unwrap_or_else(|| vec![Ruling::Free; self.times.unsigned_abs() as usize])
    }
}

#[derive(Clone, Debug)]
pub enum Answered {
    Drawn(Drawn),
    /// It may be drawn, if the enterprise's endpoints let it.
    Consult(Arc<Asking>),
}

pub type Answer = Result<Answered, ActivityErrorCode>;

/// What a lane remembers of a published activity from batch to batch. None of it changes while its terms are in force.
pub struct Remembered {
    pub rules: Rules,
    pub seed: Seed,
    /// The stock of each lot of the terms.
    pub allotments: Vec<AllotmentId>,
    /// What the terms do not say of them.
    pub prizes: HashMap<PrizeId, Prize>,
    /// Who may draw.
    pub rule: Rule,
    pub data_key: DataKey,
    /// Which endpoints are asked, if any are.
    pub asking: Option<Arc<Asking>>,
}

/// Serves wishes in the order given, in one transaction: one answer for each, or a fault for all.
pub async fn batch(
    platform: &Platform,
    tenant: EnterpriseId,
    activity: ActivityId,
    remembered: &mut Option<Remembered>,
    wishes: &[Wish],
) -> Result<Vec<Answer>, Fault> {
    let tx = TenantScope::of_system(tenant).write_steadily(&platform.database).await?;
    let Some(lane) = draws::lock_lane_in(&tx, activity).await? else {
        tx.commit().await?;
        return Ok(wishes.iter().map(|_| Err(ActivityErrorCode::NotFound)).collect());
    };
    let holders = holders_of(wishes);
    let keys: Vec<_> = wishes.iter().map(|wish| (wish.holder.uuid(), wish.key.clone())).collect();
    let (standing, known, participants) = try_join!(
        draws::standing(&tx, activity, lane.last_at),
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
            if remembered
                .as_ref()
                .is_none_or(|memory| memory.rules.terms.version.cast_signed() != standing.terms_version)
            {
                *remembered = Some(force::remember(platform, &tx, activity, standing.terms_version).await?);
            }
            let memory = remembered.as_ref().ok_or(Fault::NotFound)?;
            let mut turn = Turn::fresh(&memory.rules, lane.head, standing.at);
            let crowd = Crowd { activity, holders: &holders, participants: &participants };
            crowd.seat_in(&tx, memory, &standing, &mut turn).await?;
            let mut door = crowd.door_in(&tx, memory, &standing, wishes).await?;
            let made = desk.decide(wishes, (&mut turn, &mut door), memory, &standing, lane.last_draw);
            if !made.is_empty() {
                record::record_in(&tx, memory, &standing, &participants, (&lane, &turn, &door), &made).await?;
                if turn.is_over() {
                    end::all_is_gone_in(&tx, activity).await?;
                }
            }
            made
        }
    };
    let replayed = match desk.replayed() {
        ids if ids.is_empty() => HashMap::new(),
        ids => draws::draws_by_id(&tx, &ids).await?,
    };
    tx.commit().await?;
    desk.finish(&made, &replayed)
}

/// Who draws in a batch.
struct Crowd<'a> {
    activity: ActivityId,
    holders: &'a [HolderId],
    /// Those who have drawn here before.
    participants: &'a [ParticipantRow],
}

impl Crowd<'_> {
    /// Brings a turn up to where the database stands: what is left, who has won how often, and whom plans are for.
    async fn seat_in(
        &self,
        tx: &TenantTx,
        memory: &Remembered,
        standing: &Standing,
        turn: &mut Turn<'_>,
    ) -> Result<(), Fault> {
        let (rules, day) = (&memory.rules, day_of(standing.at));
        let limited = |limit: fn(&terms::Prize) -> bool| -> Vec<PrizeId> {
            rules.prizes().filter(|prize| limit(prize)).map(|prize| prize.id).collect()
        };
        let a_holder = limited(|prize| prize.wins_per_holder.is_some());
        let a_day = limited(|prize| prize.wins_per_day.is_some());
        let personal: Vec<_> = rules.terms.plans.iter().filter(|plan| plan.for_chosen).map(|plan| plan.id).collect();
        let (lots, tallies, today, chosen) = try_join!(
            lock_lots_in(tx, &memory.allotments),
            draws::tallies(tx, &a_holder, self.holders),
            draws::wins_on(tx, &a_day, day),
            draws::chosen(tx, &personal, self.holders),
        )?;
        turn.lots = lots;
        for (place, prize) in rules.prizes().enumerate() {
            let count = today.get(&prize.id).copied().unwrap_or(0).unsigned_abs();
            turn.won_on[place] = Daily { day, count };
        }
        let mut accounts: HashMap<HolderId, Account> = HashMap::with_capacity(self.holders.len());
        for holder in self.holders {
            let chances = standing.chances_per_holder + standing.daily_chances;
            accounts.insert(*holder, Account { chances: chances.unsigned_abs(), ..Account::default() });
        }
        for row in self.participants {
            accounts.insert(row.holder_id, account(row, standing, day));
        }
        for (prize, holder, wins) in tallies {
            if let Some(place) = rules.prizes().position(|known| known.id == prize) {
                accounts.entry(holder).or_default().won.insert(place, wins.unsigned_abs());
            }
        }
        for (holder, plan) in chosen {
            if let Some(place) = rules.terms.plans.iter().position(|known| known.id == plan) {
                accounts.entry(holder).or_default().chosen |= 1 << place;
            }
        }
        let aliased = accounts.into_iter().map(|(holder, account)| (Participant::of(self.activity, holder), account));
        turn.accounts = aliased.collect();
        Ok(())
    }

    /// What the activity's rule asks about who draws, as the database has it.
    async fn door_in<'m>(
        &self,
        tx: &TenantTx,
        memory: &'m Remembered,
        standing: &Standing,
        wishes: &[Wish],
    ) -> Result<Door<'m>, Fault> {
        let rule = &memory.rule;
        let mut door = Door::new(rule);
        if rule.asks_about_people() || standing.blocks {
            door.people = participation::people(tx, self.activity, self.holders).await?;
        }
        if rule.asks_about_points() {
            door.points = points::lock_in(tx, self.holders).await?;
        }
        if rule.asks_about_origins() {
            let marks = wishes.iter().map(|wish| memory.marks(wish));
            let marks: HashSet<Mark> = marks.flat_map(|marks| [marks.device, marks.address]).flatten().collect();
            door.seen = by_mark(participation::origins(tx, self.activity, &Vec::from_iter(marks)).await?);
        }
        Ok(door)
    }
}

impl Remembered {
    /// Where a wish comes from, in words that nobody can read back.
    fn marks(&self, wish: &Wish) -> Marks {
        if !self.rule.asks_about_origins() {
            return Marks::default();
        }
        let Origin { device, address } = &wish.origin;
        let mark = |what: &str, of: &str| {
            self.data_key.hash("draw origin", format!("{}/{what}/{of}", self.rules.terms.activity).as_bytes())
        };
        Marks {
            device: device.as_deref().map(|device| mark("device", device)),
            address: address.map(|address| mark("address", &neighbourhood(address))),
        }
    }
}

fn account(row: &ParticipantRow, standing: &Standing, day: i32) -> Account {
    let free = free_left(standing.daily_chances, day, row.day, row.day_free);
    let daily = |count: i32| Daily { day: row.day, count: count.unsigned_abs() };
    Account {
        made: row.used.unsigned_abs(),
        chances: (row.granted - row.used + free).unsigned_abs(),
        made_today: daily(row.day_draws),
        wins: row.wins.unsigned_abs(),
        wins_today: daily(row.day_wins),
        ..Account::default()
    }
}

/// The stock of each lot, under lock.
async fn lock_lots_in(tx: &TenantTx, allotments: &[AllotmentId]) -> Result<Vec<LotLeft>, Fault> {
    let rows = stock::lock_in(tx, allotments).await?;
    let left = |id| {
        let row = &rows[id];
        LotLeft { left: row.available.unsigned_abs(), next_serial: row.next_serial.unsigned_abs() }
    };
    Ok(allotments.iter().map(left).collect())
}

enum Step {
    Refused(ActivityErrorCode),
    Consult(Arc<Asking>),
    /// At these places among the draws made by the batch.
    Made {
        places: Range<usize>,
        replayed: bool,
    },
    Replayed(Vec<DrawId>),
}

/// Sorts wishes into those that were served before, those refused, and those to decide.
struct Desk {
    known: HashMap<(Uuid, String), Settled<Kept>>,
    /// The places of the draws that a key of this very batch led to.
    made_under: HashMap<(Uuid, String), Range<usize>>,
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
        (turn, door): (&mut Turn<'_>, &mut Door<'_>),
        memory: &Remembered,
        standing: &Standing,
        mut last: Option<DrawId>,
    ) -> Vec<Made<'a>> {
        let mut made = Vec::with_capacity(wishes.len());
        for wish in wishes {
            let step = self.served_before(wish, &made).unwrap_or_else(|| {
                if wish.times > standing.draws_at_once {
                    return Step::Refused(ActivityErrorCode::TooManyAtOnce);
                }
                let (marks, times) = (memory.marks(wish), wish.times.unsigned_abs());
                if let Err(code) = door.judge(wish.holder, &marks, times) {
                    return Step::Refused(code);
                }
                let who = Participant::of(memory.rules.terms.activity, wish.holder);
                let asking = memory.asking.as_ref().filter(|_| wish.consulted.is_none());
                let lent = wish.is_counted_elsewhere() || asking.is_some_and(|asking| asking.counts());
                if lent {
                    turn.accounts.entry(who).or_default().chances += times;
                }
                let drawn = match asking {
                    Some(_) => turn.judge(who, times).map(|()| Vec::new()),
                    None => turn.draw_as_ruled(&memory.seed, who, &wish.client_seed, &wish.rulings()),
                };
                if lent && (drawn.is_err() || asking.is_some()) {
                    turn.accounts.entry(who).or_default().chances -= times;
                }
                match (drawn, asking) {
                    (Err(refused), _) => Step::Refused(code_of(refused)),
                    (Ok(_), Some(asking)) => Step::Consult(asking.clone()),
                    (Ok(decided), None) => {
                        door.admit(wish.holder, &marks, times);
                        let places = made.len()..made.len() + decided.len();
                        self.made_under.insert(key_of(wish), places.clone());
                        for one in decided {
                            let id = record::next_id(last);
                            last = Some(id);
                            made.push(record::written(wish, id, memory, standing, one));
                        }
                        Step::Made { places, replayed: false }
                    }
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
            let same = settled.input_hash == wish.input_hash;
            return Some(match &settled.result {
                Kept { draws } if same => Step::Replayed(draws.clone()),
                _ => Step::Refused(ActivityErrorCode::IdempotencyKeyReused),
            });
        }
        let places = self.made_under.get(&key)?;
        Some(match made.get(places.start) {
            Some(first) if first.wish.input_hash == wish.input_hash => {
                Step::Made { places: places.clone(), replayed: true }
            }
            _ => Step::Refused(ActivityErrorCode::IdempotencyKeyReused),
        })
    }

    fn replayed(&self) -> Vec<DrawId> {
        let replayed = |step: &Step| if let Step::Replayed(ids) = step { ids.clone() } else { Vec::new() };
        self.answers.iter().flat_map(replayed).collect()
    }

    fn finish(self, made: &[Made<'_>], replayed: &HashMap<DrawId, Draw>) -> Result<Vec<Answer>, Fault> {
        let find = |id: DrawId| {
            let lost = || Fault::internal(anyhow::anyhow!("{id} stands under a key and was never recorded"));
            replayed.get(&id).cloned().ok_or_else(lost)
        };
        let answer = |step| match step {
            Step::Refused(code) => Ok(Err(code)),
            Step::Consult(asking) => Ok(Ok(Answered::Consult(asking))),
            Step::Made { places, replayed } => {
                let draws = made[places].iter().map(|one| one.draw.clone()).collect();
                Ok(Ok(Answered::Drawn(Drawn { draws, replayed })))
            }
            Step::Replayed(ids) => {
                let draws = ids.into_iter().map(find).collect::<Result<Vec<_>, Fault>>()?;
                Ok(Ok(Answered::Drawn(Drawn { draws, replayed: true })))
            }
        };
        self.answers.into_iter().map(answer).collect()
    }
}

fn code_of(refused: Refused) -> ActivityErrorCode {
    match refused {
        Refused::NoChanceLeft => ActivityErrorCode::NoChanceLeft,
        Refused::NotToday => ActivityErrorCode::NotToday,
        Refused::Over => ActivityErrorCode::Closed,
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
