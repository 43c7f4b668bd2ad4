//! The draw decision, pure: wishes in, outcomes out. Everything that it reads was locked before, and everything that
//! it decides is written after, in one transaction. Whoever verifies draws runs the same over the public records.
//!
//! One draw goes so. Of the plans that are open to the participant, the one that goes before the others is drawn from
//! (user and time, user, time, neither; then the higher priority). Its prizes share the numbers below a million in their
//! order; the number rolled falls on one of them or on none. A prize that cannot be given is withheld, and the plan
//! says what then happens ([`Exhaustion`]). Where the roll falls on none, a plan that overlays hands the draw on to the
//! next open plan. A plan that falls through is passed over once nothing is left of it. Of a prize with several lots a
//! further number picks the piece; a prize without lots is nothing, under a name. Every number that is drawn is a step of
//! the record.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::activities::fairness::{
    self, AwardOf, Hash, Numbers, NumbersOf, Participant, PieceOf, RecordOf, Seed, StepOf,
};
use crate::activities::ruling::Ruling;
use crate::activities::terms::{Exhaustion, Lot, MILLION, Plan, Prize, Terms};

/// Words that records know by a number.
macro_rules! coded {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $code:literal, $word:literal,)+ }) => {
        $crate::words! {
            $(#[$meta])*
            pub enum $name {
                $($(#[$variant_meta])* $variant = $word,)+
            }
        }

        impl $name {
            pub fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            pub fn of_code(code: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.code() == code)
            }
        }
    };
}

/// Days of business begin at midnight in Shanghai, which knows no summer time.
const SHANGHAI: TimeDelta = TimeDelta::hours(8);

/// What does not change while terms are in force, laid out for drawing.
#[derive(Clone, Debug)]
pub struct Rules {
    pub terms: Terms,
    by_precedence: Vec<usize>,
    /// Where each plan's prizes begin among all.
    first_prize: Vec<usize>,
    /// Where each prize's lots begin among all.
    first_lot: Vec<usize>,
    lots: Vec<Lot>,
}

impl Rules {
    pub fn new(terms: Terms) -> Self {
        let (mut first_prize, mut first_lot, mut lots) = (Vec::new(), Vec::new(), Vec::new());
        for plan in &terms.plans {
            first_prize.push(first_lot.len());
            for prize in &plan.prizes {
                first_lot.push(lots.len());
                lots.extend_from_slice(&prize.lots);
            }
        }
        Self { by_precedence: terms.by_precedence(), first_prize, first_lot, lots, terms }
    }

    /// All prizes of all plans, in order.
    pub fn prizes(&self) -> impl Iterator<Item = &Prize> {
        self.terms.plans.iter().flat_map(|plan| &plan.prizes)
    }

    /// What is left of each lot before the first draw.
    pub fn full_lots(&self) -> Vec<LotLeft> {
        self.lots.iter().map(|lot| LotLeft { left: lot.quantity, next_serial: lot.first_serial }).collect()
    }

    pub fn prize(&self, place: Place) -> &Prize {
        &self.terms.plans[place.plan].prizes[place.prize]
    }

    /// How many lots there are in all.
    pub fn lots(&self) -> usize {
        self.lots.len()
    }

    /// The lot at this place among all.
    pub fn lot(&self, place: usize) -> &Lot {
        &self.lots[place]
    }

    /// A prize's place among all.
    pub fn index(&self, place: Place) -> usize {
        self.first_prize[place.plan] + place.prize
    }

    fn lots_of(&self, place: Place) -> std::ops::Range<usize> {
        let first = self.first_lot[self.index(place)];
        first..first + self.prize(place).lots.len()
    }
}

/// Where a prize stands in the terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub plan: usize,
    pub prize: usize,
}

/// What is left of one lot, and the serial number that goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LotLeft {
    pub left: u32,
    pub next_serial: u32,
}

/// The end of an activity's chain of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub next_sequence: i64,
    pub hash: Hash,
}

/// How often something happened on one day; on any other it has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Daily {
    pub day: i32,
    pub count: u32,
}

impl Daily {
    pub fn on(self, day: i32) -> u32 {
        if self.day == day { self.count } else { 0 }
    }

    pub fn add(&mut self, day: i32, count: u32) {
        *self = Self { day, count: self.on(day) + count };
    }
}

/// The day of business that a moment falls into, counted from 1970.
pub fn day_of(at: DateTime<Utc>) -> i32 {
    i32::try_from((at + SHANGHAI).timestamp().div_euclid(24 * 3600)).unwrap_or(i32::MAX)
}

/// A participant, as the draws before have left them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Draws made so far.
    pub made: u32,
    pub chances: u32,
    pub made_today: Daily,
    /// Fallback prizes are not counted.
    pub wins: u32,
    pub wins_today: Daily,
    /// How often they won each prize, by its place among all. Only prizes with a limit a holder need be told.
    pub won: HashMap<usize, u32>,
    /// For which plans they were chosen, bit by place.
    pub chosen: u64,
}

coded! {
    /// Why a number was drawn.
    pub enum Cause {
        /// The plan's first number.
        Roll = 1, "ROLL",
        /// The first number fell on a prize that could not be given.
        Redraw = 2, "REDRAW",
        /// The same, over the prizes that can be given.
        Renormalised = 3, "RENORMALISED",
        /// The plan's fallback prize took the place of the picked one. No number was drawn.
        Fallback = 4, "FALLBACK",
        /// Which piece of the prize.
        Piece = 5, "PIECE",
        /// The enterprise's endpoint has ruled that it is won. No number was drawn.
        Endpoint = 6, "ENDPOINT",
    }
}

impl Cause {
    /// Whether a number is drawn for it.
    pub fn draws(self) -> bool {
        !matches!(self, Self::Fallback | Self::Endpoint)
    }
}

coded! {
    /// Why a picked prize was not given.
    pub enum Withheld {
        /// None of it is left.
        Gone = 1, "GONE",
        /// It was won as often today as it may be on one day.
        PrizeToday = 2, "PRIZE_TODAY",
        /// The participant has won it as often as they may.
        PrizeOfHolder = 3, "PRIZE_OF_HOLDER",
        /// The participant has won as often as they may.
        WinsOfHolder = 4, "WINS_OF_HOLDER",
        /// The same, for one day.
        WinsToday = 5, "WINS_TODAY",
        /// What is left is kept for later hours.
        Paced = 6, "PACED",
        /// The enterprise's endpoint has allowed other levels.
        OutOfScope = 7, "OUT_OF_SCOPE",
    }
}

/// One number, and what it led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub plan: usize,
    pub cause: Cause,
    pub number: u32,
    /// The prize's place in its plan.
    pub picked: Option<usize>,
    pub withheld: Option<Withheld>,
}

impl Step {
    /// Whether a number was drawn for it.
    pub fn is_drawn(&self) -> bool {
        self.cause.draws()
    }
}

/// Where a draw's numbers come from.
pub trait Dice {
    /// 0 to `bound` − 1.
    fn below(&mut self, bound: u32) -> u32;
}

impl Dice for Numbers<'_> {
    fn below(&mut self, bound: u32) -> u32 {
        Numbers::below(self, bound)
    }
}

/// What was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Award {
    pub place: Place,
    pub piece: Option<Piece>,
}

/// One numbered piece, of the lot at this place among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub lot: usize,
    pub serial: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub sequence: i64,
    /// Which of the participant's draws this is, from 1.
    pub ordinal: u32,
    /// Its place in a multi-draw, from 0.
    pub index: u32,
    pub open_plans: u64,
    pub ruling: Ruling,
    pub steps: Vec<Step>,
    pub awarded: Option<Award>,
    pub record_hash: Hash,
}

/// What a draw is made of beside its participant.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    pub client_seed: &'a str,
    /// Its place in a multi-draw.
    pub index: u32,
    pub ruling: Ruling,
}

/// Why somebody may not draw. Nothing was moved, not even the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NoChanceLeft,
    NotToday,
    /// Nothing is left, and the terms end the activity with that.
    Over,
}

/// An activity's turn: its state under lock, moved on draw by draw.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    rules: &'a Rules,
    pub head: Head,
    pub at: DateTime<Utc>,
    pub lots: Vec<LotLeft>,
    /// How often each prize was won on a day, by its place among all. Only those with a limit a day need be told.
    pub won_on: Vec<Daily>,
    pub accounts: HashMap<Participant, Account>,
}

impl<'a> Turn<'a> {
    /// Where nothing was drawn yet.
    pub fn fresh(rules: &'a Rules, head: Head, at: DateTime<Utc>) -> Self {
        let won_on = vec![Daily::default(); rules.first_lot.len()];
        Self { rules, head, at, lots: rules.full_lots(), won_on, accounts: HashMap::new() }
    }

    pub fn rules(&self) -> &'a Rules {
        self.rules
    }

    /// Whether somebody may draw so often in a row.
    pub fn judge(&self, who: Participant, times: u32) -> Result<(), Refused> {
        if self.is_over() {
            return Err(Refused::Over);
        }
        let stranger = Account::default();
        let account = self.accounts.get(&who).unwrap_or(&stranger);
        if account.chances < times {
            return Err(Refused::NoChanceLeft);
        }
        self.within_the_day(account, times)
    }

    fn within_the_day(&self, account: &Account, times: u32) -> Result<(), Refused> {
        let made = account.made_today.on(day_of(self.at));
        let too_many = self.rules.terms.draws_per_day.is_some_and(|most| made + times > most);
        if too_many { Err(Refused::NotToday) } else { Ok(()) }
    }

    /// Draws `times` in a row, or not at all.
    pub fn draw(
        &mut self,
        seed: &Seed,
        who: Participant,
        client_seed: &str,
        times: u32,
    ) -> Result<Vec<Decided>, Refused> {
        self.draw_as_ruled(seed, who, client_seed, &vec![Ruling::Free; times as usize])
    }

    /// Draws as often as there are rulings, or not at all.
    pub fn draw_as_ruled(
        &mut self,
        seed: &Seed,
        who: Participant,
        client_seed: &str,
        rulings: &[Ruling],
    ) -> Result<Vec<Decided>, Refused> {
        let times = u32::try_from(rulings.len()).map_err(|_| Refused::NoChanceLeft)?;
        self.judge(who, times)?;
        self.accounts.entry(who).or_default().chances -= times;
        let once = |(index, ruling): (u32, &Ruling)| {
            self.once(who, Drawn { client_seed, index, ruling: *ruling }, |of| Numbers::new(seed, of))
        };
        Ok((0..).zip(rulings).map(once).collect())
    }

    /// One draw of the record once more, with numbers from wherever the caller has them. Chances are not looked at: how
    /// somebody came by them is no part of the record.
    pub fn replay<'n, D: Dice>(
        &mut self,
        who: Participant,
        drawn: Drawn<'n>,
        dice: impl FnOnce(NumbersOf<'n>) -> D,
    ) -> Result<Decided, Refused> {
        if drawn.index == 0 && self.is_over() {
            return Err(Refused::Over);
        }
        if let Some(account) = self.accounts.get(&who) {
            self.within_the_day(account, 1)?;
        }
        Ok(self.once(who, drawn, dice))
    }

    fn once<'n, D: Dice>(
        &mut self,
        who: Participant,
        Drawn { client_seed, index, ruling }: Drawn<'n>,
        dice: impl FnOnce(NumbersOf<'n>) -> D,
    ) -> Decided {
        let terms = &self.rules.terms;
        let mut account = self.accounts.remove(&who).unwrap_or_default();
        account.made += 1;
        account.made_today.add(day_of(self.at), 1);
        let of = NumbersOf {
            activity: terms.activity,
            version: terms.version,
            participant: who,
            ordinal: account.made.into(),
            index,
            client_seed,
        };
        let open_plans = terms.open_plans(self.at, account.chosen);
        let mut dealer = Dealer { turn: self, account: &account, ruling, dice: dice(of), steps: Vec::new() };
        let awarded = dealer.rule(open_plans);
        let steps = dealer.steps;
        if let Some(award) = awarded {
            self.take(&mut account, award);
        }
        let ordinal = account.made;
        self.accounts.insert(who, account);
        let record_hash = self.record(of, open_plans, &steps, awarded, ruling);
        let sequence = self.head.next_sequence;
        self.head = Head { next_sequence: sequence + 1, hash: record_hash };
        Decided { sequence, ordinal, index, open_plans, ruling, steps, awarded, record_hash }
    }

    fn take(&mut self, account: &mut Account, award: Award) {
        let (day, prize) = (day_of(self.at), self.rules.index(award.place));
        if let Some(piece) = award.piece {
            self.lots[piece.lot].left -= 1;
            self.lots[piece.lot].next_serial += 1;
        }
        self.won_on[prize].add(day, 1);
        *account.won.entry(prize).or_default() += 1;
        if !self.rules.prize(award.place).fallback {
            account.wins += 1;
            account.wins_today.add(day, 1);
        }
    }

    fn record(
        &self,
        numbers: NumbersOf<'_>,
        open_plans: u64,
        steps: &[Step],
        awarded: Option<Award>,
        ruling: Ruling,
    ) -> Hash {
        let narrow = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let id = |plan, prize| self.rules.prize(Place { plan, prize }).id;
        let steps: Vec<StepOf> = steps
            .iter()
            .map(|step| StepOf {
                plan: narrow(step.plan),
                cause: step.cause.code(),
                number: step.number,
                picked: step.picked.map(|prize| id(step.plan, prize)),
                withheld: step.withheld.map_or(0, Withheld::code),
            })
            .collect();
        let awarded = awarded.map(|award| AwardOf {
            prize: id(award.place.plan, award.place.prize),
            piece: award.piece.map(|piece| PieceOf { lot: narrow(piece.lot), serial: piece.serial }),
        });
        let left: Vec<u32> = self.lots.iter().map(|lot| lot.left).collect();
        let sequence = self.head.next_sequence.unsigned_abs();
        let (at, steps, left) = (self.at, &steps[..], &left[..]);
        let record = RecordOf { numbers, sequence, at, open_plans, steps, awarded, left, ruling };
        fairness::record_hash(&self.head.hash, &record)
    }

    /// Whether the terms end the activity, as nothing is left of a plan that says so.
    pub fn is_over(&self) -> bool {
        let plans = self.rules.terms.plans.iter().enumerate();
        plans
            .filter(|(_, plan)| plan.exhaustion == Exhaustion::CloseActivity)
            .any(|(place, _)| self.is_exhausted(place))
    }

    /// Whether nothing is left that a plan could give.
    fn is_exhausted(&self, plan: usize) -> bool {
        let planned = &self.rules.terms.plans[plan];
        let falls_back = planned.exhaustion == Exhaustion::ToFallback;
        let prizes = planned.prizes.iter().enumerate();
        prizes
            .filter(|(_, prize)| prize.odds_per_million > 0 || (prize.fallback && falls_back))
            .all(|(prize, _)| self.left(Place { plan, prize }) == 0)
    }

    /// How much of a prize is left, all lots together.
    pub fn left(&self, place: Place) -> u32 {
        self.lots[self.rules.lots_of(place)].iter().map(|lot| lot.left).sum()
    }
}

/// Deals one draw's numbers to prizes. It sees the turn and changes nothing.
struct Dealer<'t, D> {
    turn: &'t Turn<'t>,
    account: &'t Account,
    ruling: Ruling,
    dice: D,
    steps: Vec<Step>,
}

impl<D: Dice> Dealer<'_, D> {
    fn rule(&mut self, open_plans: u64) -> Option<Award> {
        match self.ruling {
            Ruling::Free | Ruling::Levels(_) => self.deal(open_plans),
            Ruling::NoPrize => None,
            Ruling::Won(level) => self.grant(open_plans, level),
        }
    }

    /// The first prize of a level that can be given, plan by plan.
    fn grant(&mut self, open_plans: u64, level: u32) -> Option<Award> {
        let rules = self.turn.rules;
        for &plan in rules.by_precedence.iter().filter(|plan| open_plans & (1 << **plan) != 0) {
            for (prize, planned) in rules.terms.plans[plan].prizes.iter().enumerate() {
                if planned.level == level
                    && let Some(Ok(prize)) = self.step(plan, Cause::Endpoint, 0, Some(prize))
                {
                    return Some(self.piece_of(Place { plan, prize }));
                }
            }
        }
        None
    }

    fn deal(&mut self, open_plans: u64) -> Option<Award> {
        let rules = self.turn.rules;
        for &place in rules.by_precedence.iter().filter(|place| open_plans & (1 << **place) != 0) {
            let plan = &rules.terms.plans[place];
            if plan.falls_through && self.turn.is_exhausted(place) {
                continue;
            }
            if let Some(prize) = self.draw_from(place, plan) {
                return Some(self.piece_of(Place { plan: place, prize }));
            }
            let missed = self.steps.last().is_none_or(|step| step.picked.is_none());
            if !(plan.overlays && missed) {
                return None;
            }
        }
        None
    }

    /// The prize of this plan that is given, by its place there.
    fn draw_from(&mut self, place: usize, plan: &Plan) -> Option<usize> {
        let odds = || plan.prizes.iter().map(|prize| prize.odds_per_million);
        let roll = self.dice.below(MILLION);
        let picked = fairness::pick(odds(), roll);
        match self.step(place, Cause::Roll, roll, picked) {
            Some(Ok(prize)) => return Some(prize),
            None => return None,
            Some(Err(_)) => {}
        }
        let second = match plan.exhaustion {
            Exhaustion::ToNoPrize | Exhaustion::CloseActivity => None,
            Exhaustion::ToFallback => {
                let fallback = plan.prizes.iter().position(|prize| prize.fallback)?;
                self.step(place, Cause::Fallback, 0, Some(fallback))
            }
            Exhaustion::RedrawOnce => {
                let number = self.dice.below(MILLION);
                self.step(place, Cause::Redraw, number, fairness::pick(odds(), number))
            }
            Exhaustion::Renormalise => {
                let shares = plan.prizes.iter().enumerate().map(|(prize, planned)| {
                    let given = self.withheld(Place { plan: place, prize }).is_none();
                    if given { planned.odds_per_million } else { 0 }
                });
                let shares: Vec<u32> = shares.collect();
                let all = shares.iter().sum();
                if all == 0 {
                    return None;
                }
                let number = self.dice.below(all);
                self.step(place, Cause::Renormalised, number, fairness::pick(shares, number))
            }
        };
        second.and_then(Result::ok)
    }

    /// Writes a step down. What was picked, if anything, and whether it is given. A prize without lots is nothing: it stands
    /// in the record as picked, is neither given nor withheld, and no other plan has its turn after it.
    fn step(
        &mut self,
        plan: usize,
        cause: Cause,
        number: u32,
        picked: Option<usize>,
    ) -> Option<Result<usize, Withheld>> {
        let something = picked.filter(|prize| !self.turn.rules.prize(Place { plan, prize: *prize }).lots.is_empty());
        let withheld = something.and_then(|prize| self.withheld(Place { plan, prize }));
        self.steps.push(Step { plan, cause, number, picked, withheld });
        something.map(|prize| withheld.map_or(Ok(prize), Err))
    }

    fn withheld(&self, place: Place) -> Option<Withheld> {
        let Self { turn, account, .. } = self;
        let (rules, day) = (turn.rules, day_of(turn.at));
        let (terms, prize, index) = (&rules.terms, rules.prize(place), rules.index(place));
        let left = turn.left(place);
        let reached = |most: Option<u32>, count: u32| most.is_some_and(|most| count >= most);
        if !prize.fallback && !self.ruling.allows(prize.level) {
            Some(Withheld::OutOfScope)
        } else if left == 0 {
            Some(Withheld::Gone)
        } else if reached(prize.wins_per_day, turn.won_on[index].on(day)) {
            Some(Withheld::PrizeToday)
        } else if reached(prize.wins_per_holder, account.won.get(&index).copied().unwrap_or(0)) {
            Some(Withheld::PrizeOfHolder)
        } else if !prize.fallback && reached(terms.wins_per_holder, account.wins) {
            Some(Withheld::WinsOfHolder)
        } else if !prize.fallback && reached(terms.wins_per_day, account.wins_today.on(day)) {
            Some(Withheld::WinsToday)
        } else if prize.paced && prize.quantity().saturating_sub(left) >= terms.released(prize.quantity(), turn.at) {
            Some(Withheld::Paced)
        } else {
            None
        }
    }

    fn piece_of(&mut self, place: Place) -> Award {
        let mut lots = self.turn.rules.lots_of(place);
        let lot = if lots.len() > 1 {
            let number = self.dice.below(self.turn.left(place));
            self.steps.push(Step {
                plan: place.plan,
                cause: Cause::Piece,
                number,
                picked: Some(place.prize),
                withheld: None,
            });
            let left = self.turn.lots[lots.clone()].iter().map(|lot| lot.left);
            fairness::pick(left, number).map(|lot| lots.start + lot)
        } else {
            lots.next()
        };
        let piece = lot.map(|lot| Piece { lot, serial: self.turn.lots[lot].next_serial });
        Award { place, piece }
    }
}

#[cfg(test)]
mod tests;
