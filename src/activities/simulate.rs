//! What an activity would come to: its plans, drawn from by a made-up crowd. Nothing is written.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Semaphore;

use crate::activities::engine::{Account, Cause, Decided, Head, Place, Refused, Rules, Turn};
use crate::activities::fairness::{Hash, Numbers, NumbersOf, Participant, Seed};
use crate::activities::model::{Activity, ActivityErrorCode, ActivityId, ActivityKind, PrizeId};
use crate::activities::terms::MILLION;
use crate::activities::{force, store};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;

pub const MAXIMUM_DRAWS: i32 = 100_000;
pub const MAXIMUM_POINTS: i32 = 200;
/// A simulation has a processor to itself for a second or more.
const AT_ONCE: usize = 2;

static RUNNING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

#[derive(Clone, Debug)]
pub struct SimulationRequest {
    pub activity: ActivityId,
    pub draws: i32,
    /// Picked at random for each draw. Where it is left out there are as many as it takes, and each uses up their chances.
    pub participants: Option<i32>,
    /// How many of a million participants each personal plan for chosen people is meant for.
    pub chosen_per_million: i32,
    /// What one piece of a prize costs the enterprise.
    pub costs: Vec<(PrizeId, i64)>,
    pub points: i32,
}

/// How things stood after a part of the draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub at: DateTime<Utc>,
    pub draws: u32,
    pub wins: u32,
    pub refused: u32,
    pub left: u32,
    pub cost_minor: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrizeOutcome {
    pub prize: PrizeId,
    /// As often as its odds say, if nothing were ever withheld.
    pub expected_wins: f64,
    pub picked: u32,
    pub wins: u32,
    pub withheld: u32,
    pub left: u32,
    pub gone_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    pub points: Vec<Point>,
    pub prizes: Vec<PrizeOutcome>,
    /// When the terms ended the activity before its window closed.
    pub over_at: Option<DateTime<Utc>>,
}

/// Draws from an activity's plans as they stand, whatever its state. All of its stock counts as there.
pub async fn simulate(
    platform: &Platform,
    scope: &TenantScope,
    request: &SimulationRequest,
) -> Result<Simulation, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    check(request)?;
    let tx = scope.read(&platform.database).await?;
    let activity = store::activities_by_id(&tx, &[request.activity]).await?.remove(&request.activity);
    let activity = activity
        .filter(|activity| activity.kind == ActivityKind::Draw)
        .ok_or_else(|| Refusal::at("id", ActivityErrorCode::NotFound))?;
    let plans = store::plans::whole_plans(&tx, activity.id).await?;
    drop(tx);
    let rules = Rules::new(force::planned(&activity, &plans));
    for (place, (prize, _)) in request.costs.iter().enumerate() {
        if !rules.prizes().any(|known| known.id == *prize) {
            return Err(Refusal::at(format!("costs.{place}.prizeId"), ActivityErrorCode::PrizeNotFound));
        }
    }
    let crowd = Crowd::of(request, &activity, platform.randomness.bytes());
    let permit = RUNNING.clone().acquire_owned().await.map_err(Fault::internal)?;
    let work = move || {
        let done = run(&rules, &crowd);
        drop(permit); // whoever stopped waiting has not stopped the work
        done
    };
    Ok(tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?)
}

fn check(request: &SimulationRequest) -> Result<(), Refusal<ActivityErrorCode>> {
    let within = |holds: bool, field, chinese, english| {
        if holds { Ok(()) } else { Err(Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english)) }
    };
    within(
        (1..=MAXIMUM_DRAWS).contains(&request.draws),
        "draws",
        "模拟次数须为 1 到 100,000。",
        "A simulation makes 1 to 100,000 draws.",
    )?;
    within(
        request.participants.is_none_or(|count| (1..=MAXIMUM_DRAWS).contains(&count)),
        "participants",
        "参与人数须为 1 到 100,000。",
        "A crowd has 1 to 100,000 participants.",
    )?;
    within(
        (0..=MILLION.cast_signed()).contains(&request.chosen_per_million),
        "chosenPerMillion",
        "比例须为百万分之 0 到 1,000,000。",
        "A share lies between 0 and 1,000,000 in a million.",
    )?;
    within(
        (1..=MAXIMUM_POINTS).contains(&request.points),
        "points",
        "数据点须为 1 到 200 个。",
        "A series has 1 to 200 points.",
    )?;
    within(
        request.costs.iter().all(|(_, cost)| (0..=1_000_000_000_000).contains(cost)),
        "costs",
        "单价须为 0 到 1,000,000,000,000 分。",
        "A cost lies between 0 and 1,000,000,000,000.",
    )
}

/// Who draws how often.
#[derive(Clone, Debug)]
struct Crowd {
    seed: Seed,
    draws: u32,
    /// Picked at random; otherwise as many as it takes, in turn.
    participants: Option<u32>,
    chances: u32,
    chosen_per_million: u32,
    costs: Vec<(PrizeId, i64)>,
    points: NonZeroUsize,
}

impl Crowd {
    fn of(request: &SimulationRequest, activity: &Activity, seed: Seed) -> Self {
        let (draws, chances) = (request.draws.unsigned_abs(), activity.chances_per_holder.unsigned_abs().max(1));
        Self {
            seed,
            draws,
            participants: request.participants.map(i32::unsigned_abs),
            chances,
            chosen_per_million: request.chosen_per_million.unsigned_abs(),
            costs: request.costs.clone(),
            points: usize::try_from(request.points).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// Draws one after the other, evenly over the window.
fn run(rules: &Rules, crowd: &Crowd) -> Simulation {
    let terms = &rules.terms;
    let mut turn = Turn::fresh(rules, Head { next_sequence: 1, hash: Hash::default() }, terms.opens_at);
    let nobody = NumbersOf {
        activity: terms.activity,
        version: terms.version,
        participant: Participant::default(),
        ordinal: 0,
        index: 0,
        client_seed: "crowd",
    };
    let mut luck = Numbers::new(&crowd.seed, nobody);
    let mut tally = Tally::new(rules, crowd);
    let window = (terms.closes_at - terms.opens_at).num_microseconds().unwrap_or(i64::MAX);
    for draw in 0..crowd.draws {
        let passed = i128::from(window) * i128::from(draw) / i128::from(crowd.draws);
        turn.at = terms.opens_at + TimeDelta::microseconds(i64::try_from(passed).unwrap_or(window));
        let who = participant(match crowd.participants {
            Some(participants) => luck.below(participants),
            None => draw % crowd.draws.div_ceil(crowd.chances),
        });
        turn.accounts.entry(who).or_insert_with(|| Account {
            chances: crowd.chances,
            chosen: (0..terms.plans.len())
                .filter(|_| luck.below(MILLION) < crowd.chosen_per_million)
                .fold(0, |chosen, place| chosen | 1 << place),
            ..Account::default()
        });
        match turn.draw(&crowd.seed, who, "", 1) {
            Ok(decided) => decided.iter().for_each(|one| tally.count(&turn, one)),
            Err(Refused::NoChanceLeft | Refused::NotToday) => tally.refused += 1,
            Err(Refused::Over) => {
                tally.over_at = Some(turn.at);
                break;
            }
        }
        let (done, points) = (u64::from(draw) + 1, crowd.points.get() as u64);
        if done * points / u64::from(crowd.draws) > u64::from(draw) * points / u64::from(crowd.draws) {
            tally.mark(&turn);
        }
    }
    tally.finish(&turn)
}

fn participant(number: u32) -> Participant {
    let mut alias = [0; 16];
    alias[..4].copy_from_slice(&number.to_be_bytes());
    Participant(alias)
}

struct Tally<'r> {
    rules: &'r Rules,
    costs: Vec<i64>,
    /// How often each plan was rolled for.
    rolls: Vec<u32>,
    prizes: Vec<PrizeOutcome>,
    points: Vec<Point>,
    draws: u32,
    wins: u32,
    refused: u32,
    cost_minor: i64,
    over_at: Option<DateTime<Utc>>,
}

impl<'r> Tally<'r> {
    fn new(rules: &'r Rules, crowd: &Crowd) -> Self {
        let cost = |id: PrizeId| crowd.costs.iter().find(|(prize, _)| *prize == id).map_or(0, |(_, cost)| *cost);
        let outcome = |prize: PrizeId| PrizeOutcome {
            prize,
            expected_wins: 0.0,
            picked: 0,
            wins: 0,
            withheld: 0,
            left: 0,
            gone_at: None,
        };
        Self {
            rules,
            costs: rules.prizes().map(|prize| cost(prize.id)).collect(),
            rolls: vec![0; rules.terms.plans.len()],
            prizes: rules.prizes().map(|prize| outcome(prize.id)).collect(),
            points: Vec::with_capacity(crowd.points.get()),
            draws: 0,
            wins: 0,
            refused: 0,
            cost_minor: 0,
            over_at: None,
        }
    }

    fn count(&mut self, turn: &Turn<'_>, decided: &Decided) {
        self.draws += 1;
        for step in &decided.steps {
            if step.cause == Cause::Roll {
                self.rolls[step.plan] += 1;
            }
            let Some(prize) = step.picked.filter(|_| step.cause != Cause::Piece) else { continue };
            let outcome = &mut self.prizes[self.rules.index(Place { plan: step.plan, prize })];
            outcome.picked += 1;
            outcome.withheld += u32::from(step.withheld.is_some());
        }
        if let Some(award) = decided.awarded {
            let prize = self.rules.index(award.place);
            self.wins += 1;
            self.cost_minor = self.cost_minor.saturating_add(self.costs[prize]);
            let outcome = &mut self.prizes[prize];
            outcome.wins += 1;
            if turn.left(award.place) == 0 {
                outcome.gone_at = Some(turn.at);
            }
        }
    }

    fn mark(&mut self, turn: &Turn<'_>) {
        self.points.push(Point {
            at: turn.at,
            draws: self.draws,
            wins: self.wins,
            refused: self.refused,
            left: turn.lots.iter().map(|lot| lot.left).sum(),
            cost_minor: self.cost_minor,
        });
    }

    fn finish(mut self, turn: &Turn<'_>) -> Simulation {
        if self.over_at.is_some() {
            self.mark(turn);
        }
        for (plan, planned) in self.rules.terms.plans.iter().enumerate() {
            for (prize, planned) in planned.prizes.iter().enumerate() {
                let place = Place { plan, prize };
                let outcome = &mut self.prizes[self.rules.index(place)];
                outcome.left = turn.left(place);
                let odds = if planned.lots.is_empty() { 0 } else { planned.odds_per_million };
                outcome.expected_wins = f64::from(self.rolls[plan]) * f64::from(odds) / f64::from(MILLION);
            }
        }
        Simulation { points: self.points, prizes: self.prizes, over_at: self.over_at }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::activities::model::{PrizeKind, PrizePlanId};
    use crate::activities::terms::{Exhaustion, Lot, Plan, Prize, Rulings, Terms};
    use crate::catalog::model::CollectibleId;

    fn prize(number: u32, odds_per_million: u32, quantity: u32) -> Prize {
        let collectible = CollectibleId::from_uuid(Uuid::from_u128(number.into()));
        Prize {
            id: PrizeId::from_uuid(Uuid::from_u128(number.into())),
            name_chinese: String::new(),
            name_english: String::new(),
            level: 0,
            odds_per_million,
            wins_per_holder: None,
            wins_per_day: None,
            paced: false,
            fallback: false,
            kind: PrizeKind::Collectible,
            lots: vec![Lot { collectible: Some(collectible), first_serial: 1, quantity }],
        }
    }

    fn rules(exhaustion: Exhaustion, prizes: Vec<Prize>) -> Rules {
        let plan = Plan {
            id: PrizePlanId::from_uuid(Uuid::from_u128(1)),
            for_chosen: false,
            from: None,
            until: None,
            priority: 0,
            overlays: false,
            falls_through: false,
            exhaustion,
            prizes,
        };
        Rules::new(Terms {
            activity: ActivityId::from_uuid(Uuid::from_u128(1)),
            version: 1,
            opens_at: DateTime::UNIX_EPOCH,
            closes_at: DateTime::UNIX_EPOCH + TimeDelta::hours(100),
            draws_at_once: 1,
            draws_per_day: None,
            wins_per_holder: None,
            wins_per_day: None,
            rulings: Rulings::None,
            plans: vec![plan],
        })
    }

    fn crowd(draws: u32, participants: u32, chances: u32) -> Crowd {
        Crowd {
            seed: [5; 32],
            draws,
            participants: Some(participants),
            chances,
            chosen_per_million: 0,
            costs: vec![(PrizeId::from_uuid(Uuid::from_u128(1)), 250)],
            points: NonZeroUsize::new(10).expect("ten"),
        }
    }

    #[test]
    fn a_prize_is_gone_when_its_odds_have_used_it_up() {
        let rules = rules(Exhaustion::ToNoPrize, vec![prize(1, 100_000, 500), prize(2, 1_000, 5_000)]);
        let done = run(&rules, &crowd(10_000, 10_000, 100));
        let [first, second] = done.prizes[..] else { panic!("two prizes") };
        assert_eq!((first.wins, first.left, first.wins + first.withheld), (500, 0, first.picked));
        // Half of the 1,000 that were expected were there: they are gone at about half time.
        assert!((900.0..1100.0).contains(&first.expected_wins), "{first:?}");
        let gone = (first.gone_at.expect("it is gone") - DateTime::UNIX_EPOCH).num_hours();
        assert!((40..60).contains(&gone), "{gone}");
        assert!(second.gone_at.is_none() && second.left == 5_000 - second.wins);
        assert_eq!(done.points.len(), 10);
        let last = done.points.last().expect("a point");
        assert_eq!((last.draws, last.refused, last.cost_minor), (10_000, 0, 500 * 250));
        assert_eq!(last.wins, first.wins + second.wins);
        assert!(done.points.is_sorted_by_key(|point| (point.at, point.draws)));
        assert_eq!(done, run(&rules, &crowd(10_000, 10_000, 100)), "the same seed gives the same");
    }

    #[test]
    fn who_has_used_up_their_chances_is_refused() {
        let done = run(&rules(Exhaustion::ToNoPrize, vec![prize(1, 1, 1)]), &crowd(1_000, 10, 3));
        let last = done.points.last().expect("a point");
        assert_eq!((last.draws, last.refused), (30, 970));
    }

    #[test]
    fn a_crowd_of_no_given_size_uses_up_its_chances() {
        for (draws, chances) in [(1_000, 1), (1_000, 7), (3, 10)] {
            let crowd = Crowd { participants: None, ..crowd(draws, 1, chances) };
            let done = run(&rules(Exhaustion::ToNoPrize, vec![prize(1, 1, 1)]), &crowd);
            assert_eq!(done.points.last().map(|point| (point.draws, point.refused)), Some((draws, 0)));
        }
    }

    #[test]
    fn what_ends_with_its_last_piece_ends() {
        let done = run(&rules(Exhaustion::CloseActivity, vec![prize(1, 500_000, 10)]), &crowd(1_000, 1_000, 100));
        assert!(done.over_at.is_some_and(|at| at < DateTime::UNIX_EPOCH + TimeDelta::hours(10)), "{:?}", done.over_at);
        let last = done.points.last().expect("a point");
        assert_eq!((last.wins, last.left), (10, 0));
    }
}
