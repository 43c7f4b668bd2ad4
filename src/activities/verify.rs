//! Checks the record of an activity's draws with nothing but the record: no database, no configuration. Pure.
//!
//! Every draw is made once more from the public terms, in order, and must come to the same: the same plan, numbers,
//! prizes and pieces, and the same hash, which hangs on the one before. Before settlement the numbers are taken from the
//! record; once the seed is revealed they are computed, and the seed must be the one that was committed to.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::activities::engine::{Decided, Dice, Drawn, Head, Refused, Rules, Step, Turn};
use crate::activities::fairness::{self, Hash, Numbers, Participant, Seed};
use crate::activities::model::{ActivityId, Draw, PrizeId};
use crate::activities::record;
use crate::activities::ruling::Ruling;
use crate::activities::terms::{self, Terms};
use crate::platform::vault::{hex, unhex};

pub const FORMAT: &str = "minthouse/draws/2";

/// What is public of an activity's draws.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Export {
    pub format: String,
    pub activity: ActivityId,
    /// SHA-256 of the seed, in hexadecimal.
    pub commitment: String,
    /// In hexadecimal, once the activity is settled.
    pub seed: Option<String>,
    pub terms: TermsInForce,
    pub draws: Vec<Recorded>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TermsInForce {
    /// The terms' JSON, byte for byte.
    pub document: String,
    pub since: DateTime<Utc>,
}

/// One draw, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recorded {
    pub sequence: i64,
    /// The alias, in hexadecimal.
    pub participant: String,
    pub at: DateTime<Utc>,
    pub index: u32,
    pub client_seed: String,
    /// Bit by place in the terms, in hexadecimal.
    pub open_plans: String,
    /// What the enterprise's endpoint has ruled, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
    pub numbers: Vec<u32>,
    pub awarded: Option<PrizeId>,
    pub serial: Option<u32>,
    pub hash: String,
}

impl Recorded {
    /// `None` where the draw's steps cannot be read.
    pub fn of(draw: &Draw) -> Option<Self> {
        Some(Self {
            sequence: draw.sequence,
            participant: hex(&Participant::of(draw.activity_id, draw.holder_id).0),
            at: draw.created_at,
            index: draw.place.unsigned_abs(),
            client_seed: draw.client_seed.clone(),
            open_plans: format!("{:x}", draw.open_plans.cast_unsigned()),
            ruling: Some(Ruling::of_bytes(draw.ruling.as_deref())?).filter(|ruling| *ruling != Ruling::Free),
            numbers: numbers(&record::unpack(&draw.steps)?),
            awarded: draw.awarded_prize_id,
            serial: draw.serial.map(i32::unsigned_abs),
            hash: hex(&draw.record_hash),
        })
    }
}

/// What was found to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub draws: usize,
    pub wins: usize,
    pub participants: usize,
    /// Whether the numbers were computed from the seed; otherwise they were taken as recorded.
    pub from_seed: bool,
    /// The last record's hash.
    pub head: Hash,
}

/// Why a record does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("this is no export of draws: {0}")]
    Unreadable(String),
    #[error("the export has the form `{0}`, which this version does not know")]
    OtherFormat(String),
    #[error("the terms are of another activity")]
    OtherTerms,
    #[error("the seed is not the one that was committed to")]
    OtherSeed,
    #[error("these can be no terms: {0}")]
    Terms(&'static str),
    #[error("draw {place}: its sequence is {found}, so a draw was left out or put in")]
    Gap { place: i64, found: i64 },
    #[error("draw {0}: {1}")]
    Draw(i64, &'static str),
}

/// Reads and checks an export.
pub fn verify(text: &str) -> Result<Verified, Flaw> {
    let export: Export = serde_json::from_str(text).map_err(unreadable)?;
    check(&export)
}

pub fn check(export: &Export) -> Result<Verified, Flaw> {
    if export.format != FORMAT {
        return Err(Flaw::OtherFormat(export.format.clone()));
    }
    let TermsInForce { document, since } = &export.terms;
    let terms: Terms = serde_json::from_str(document).map_err(unreadable)?;
    if terms.activity != export.activity {
        return Err(Flaw::OtherTerms);
    }
    terms.check().map_err(Flaw::Terms)?;
    if !terms::is_whole(*since) {
        return Err(Flaw::Terms("the moment that they came into force is finer than a microsecond"));
    }
    let commitment: Hash = array(&export.commitment).ok_or_else(|| unreadable("the commitment is no SHA-256"))?;
    let seed: Option<Seed> = match &export.seed {
        Some(text) => Some(array(text).filter(|seed| fairness::commitment(seed) == commitment).ok_or(Flaw::OtherSeed)?),
        None => None,
    };
    let beginning = fairness::beginning(export.activity, &commitment, terms.version, document, *since);
    let head = Head { next_sequence: 1, hash: beginning };
    let rules = Rules::new(terms);
    let mut turn = Turn::fresh(&rules, head, *since);
    let (mut wins, mut previous) = (0, None);
    for (place, row) in (1..).zip(&export.draws) {
        if row.sequence != place {
            return Err(Flaw::Gap { place, found: row.sequence });
        }
        stands(&rules.terms, previous.replace(row), row).map_err(|why| Flaw::Draw(place, why))?;
        let decided = again(&mut turn, seed.as_ref(), row).map_err(|why| Flaw::Draw(place, why))?;
        compare(&rules, &decided, row).map_err(|why| Flaw::Draw(place, why))?;
        wins += usize::from(decided.awarded.is_some());
    }
    Ok(Verified {
        draws: export.draws.len(),
        wins,
        participants: turn.accounts.len(),
        from_seed: seed.is_some(),
        head: turn.head.hash,
    })
}

/// Whether a draw may stand where it does. Numbers depend on its place in a multi-draw, so that is not free to choose.
fn stands(terms: &Terms, previous: Option<&Recorded>, row: &Recorded) -> Result<(), &'static str> {
    if !(terms.opens_at <= row.at && row.at < terms.closes_at) {
        return Err("it was made outside of the activity's window");
    }
    if !terms::is_whole(row.at) {
        return Err("its moment is finer than a microsecond");
    }
    let follows = |one: &Recorded| {
        let place = one.index.checked_add(1) == Some(row.index) && row.index < terms.draws_at_once;
        place && (&one.participant, one.at, &one.client_seed) == (&row.participant, row.at, &row.client_seed)
    };
    if row.index == 0 || previous.is_some_and(follows) { Ok(()) } else { Err("it follows no draw of the same request") }
}

/// Makes a draw once more.
fn again(turn: &mut Turn<'_>, seed: Option<&Seed>, row: &Recorded) -> Result<Decided, &'static str> {
    if row.at < turn.at {
        return Err("it is older than the one before");
    }
    let who = Participant(array(&row.participant).ok_or("its participant is no alias")?);
    let open_plans = u64::from_str_radix(&row.open_plans, 16).map_err(|_| "its open plans cannot be read")?;
    turn.at = row.at;
    turn.accounts.entry(who).or_default().chosen = open_plans;
    let ruling = row.ruling.unwrap_or_default();
    if row.ruling == Some(Ruling::Free) {
        return Err("it says that nothing was ruled, which is said by saying nothing");
    }
    if !turn.rules().terms.rulings.admits(ruling) {
        return Err("the terms do not let it be ruled so");
    }
    let drawn = Drawn { client_seed: &row.client_seed, index: row.index, ruling };
    let decided = match seed {
        Some(seed) => turn.replay(who, drawn, |of| Numbers::new(seed, of)),
        None => turn.replay(who, drawn, |_| Told(row.numbers.iter())),
    };
    let decided = decided.map_err(|refused| match refused {
        Refused::NoChanceLeft => "it had no chance",
        Refused::NotToday => "its participant had drawn as often as they may on one day",
        Refused::Over => "it was made after the terms had ended the activity",
    })?;
    if decided.open_plans == open_plans { Ok(decided) } else { Err("it was made from a plan that was not open") }
}

fn compare(rules: &Rules, decided: &Decided, row: &Recorded) -> Result<(), &'static str> {
    if numbers(&decided.steps) != row.numbers {
        return Err("its numbers are others");
    }
    if decided.awarded.map(|award| rules.prize(award.place).id) != row.awarded {
        return Err("its numbers do not lead to the prize that was given");
    }
    if decided.awarded.and_then(|award| award.piece).map(|piece| piece.serial) != row.serial {
        return Err("another piece was next");
    }
    if hex(&decided.record_hash) == row.hash { Ok(()) } else { Err("its hash is another") }
}

/// The numbers that were drawn, in order.
pub fn numbers(steps: &[Step]) -> Vec<u32> {
    steps.iter().filter(|step| step.is_drawn()).map(|step| step.number).collect()
}

/// Numbers as they were recorded. Where one is missing or out of bounds, another is given, which leads elsewhere.
pub struct Told<'r>(pub std::slice::Iter<'r, u32>);

impl Dice for Told<'_> {
    fn below(&mut self, bound: u32) -> u32 {
        self.0.next().map_or(0, |number| number % bound)
    }
}

fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex(text)?.try_into().ok()
}

fn unreadable(why: impl ToString) -> Flaw {
    Flaw::Unreadable(why.to_string())
}

#[cfg(test)]
mod tests;
