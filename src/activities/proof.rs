//! The proof of one draw: a document that is checked with nothing else at hand, neither a database nor the other draws of
//! its activity. Pure.
//!
//! What it shows by itself: that this record, byte for byte, stands where it says in the chain of which the ledger holds an
//! anchor, and that the terms and the commitment to the seed are those with which that chain began. The draw is also made
//! once more by [`engine`](crate::activities::engine), from what the record says was left of every lot: its plan, its
//! numbers' way to the prize, and the piece. Once the seed is revealed the numbers are computed from it.
//!
//! What only the whole record shows ([`crate::activities::verify`]): that what was left is what the draws before have left,
//! that `ordinal` counts its participant's draws, and that limits of draws and wins were kept, as those count what happened
//! elsewhere. Where terms have such limits, a proof takes the record's word for whether they were reached; and where such a
//! plan then draws among what can still be given, one draw alone cannot be made once more.

use serde::{Deserialize, Serialize};

use crate::activities::anchor::Anchor;
use crate::activities::engine::{Cause, Daily, Decided, Drawn, Head, Place, Rules, Step, Turn, Withheld, day_of};
use crate::activities::fairness::{
    self, AwardOf, Hash, Numbers, NumbersOf, Participant, PieceOf, RecordOf, Seed, StepOf,
};
use crate::activities::model::{ActivityId, PrizeId};
use crate::activities::ruling::Ruling;
use crate::activities::terms::{self, Exhaustion, Terms};
use crate::activities::verify::{Recorded, TermsInForce, Told};
use crate::ledger::checkpoint::Verifier;
use crate::ledger::model::{OperationId, OperationKind};
use crate::ledger::proof::OperationProof;
use crate::ledger::verify::{self as on_ledger, Sealed};
use crate::platform::vault::{hex, unhex};
use crate::tenancy::model::EnterpriseId;

pub const FORMAT: &str = "minthouse/draw-proof/1";

/// Hashes are in hexadecimal throughout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    pub format: String,
    pub enterprise: EnterpriseId,
    pub activity: ActivityId,
    /// SHA-256 of the seed.
    pub commitment: String,
    /// Once the activity is settled.
    pub seed: Option<String>,
    pub terms: TermsInForce,
    /// The draw as it stands in the public record.
    pub draw: Recorded,
    /// Which of its participant's draws it was, from 1.
    pub ordinal: u32,
    /// What its numbers led to.
    pub steps: Vec<StepTaken>,
    /// Of the given piece, by its place among all lots of the terms.
    pub lot: Option<u32>,
    /// What was left of every lot of the terms after the draw.
    pub left: Vec<u32>,
    /// The hash of the record before; of the first draw, what the chain begins with.
    pub previous: String,
    /// None until the stretch of draws that it stands in is anchored.
    pub anchor: Option<Anchored>,
    /// When there will be more to show, in words; nothing is proved by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepTaken {
    /// Its place in the terms.
    pub plan: u32,
    pub cause: Cause,
    /// 0 where none was drawn.
    pub number: u32,
    pub picked: Option<PrizeId>,
    pub withheld: Option<Withheld>,
}

/// The draw in its stretch, and the stretch on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Anchored {
    pub from: u64,
    pub to: u64,
    /// The hash of the stretch's last record.
    pub head: String,
    /// Of the tree over the stretch's records.
    pub root: String,
    /// From the record to the root.
    pub path: Vec<String>,
    pub operation: OperationId,
    /// None until the ledger has confirmed it, a moment later.
    pub ledger: Option<OperationProof>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notice {
    pub chinese: String,
    pub english: String,
}

impl Document {
    /// As it is handed out.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a document holds nothing that JSON cannot say")
    }
}

impl StepTaken {
    pub fn of(rules: &Rules, step: &Step) -> Option<Self> {
        let plan = rules.terms.plans.get(step.plan)?;
        let picked = match step.picked {
            None => None,
            Some(prize) => Some(plan.prizes.get(prize)?.id),
        };
        let (cause, number, withheld) = (step.cause, step.number, step.withheld);
        Some(Self { plan: u32::try_from(step.plan).ok()?, cause, number, picked, withheld })
    }
}

/// What a proof has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Whether the numbers were computed from the seed; otherwise they were taken as recorded.
    pub from_seed: bool,
    pub remade: Remade,
    /// The block of the anchor and when it was sealed, and the checkpoint over it.
    pub sealed: Option<Sealed>,
}

/// How far a single draw could be made once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remade {
    /// It came to the same.
    Whole,
    /// It came to the same, if limits of wins were reached where the record says so and nowhere else.
    LimitsOnItsWord,
    /// Which prizes it was drawn among depends on wins elsewhere.
    NotAlone,
}

/// Why a proof shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("this is no proof of a draw: {0}")]
    Unreadable(String),
    #[error("the proof has the form `{0}`, which this version does not know")]
    OtherFormat(String),
    #[error("the terms are of another activity")]
    OtherTerms,
    #[error("these can be no terms: {0}")]
    Terms(&'static str),
    #[error("the seed is not the one that was committed to")]
    OtherSeed,
    #[error("the draw: {0}")]
    Draw(&'static str),
    #[error("the draw does not stand in the stretch that was anchored")]
    Path,
    #[error("the anchor on the ledger: {0}")]
    Ledger(#[from] on_ledger::Flaw),
    #[error("the ledger's record does not bind this anchor")]
    OtherAnchor,
}

/// Reads a proof.
pub fn read(text: &str) -> Result<Document, Flaw> {
    let document: Document = serde_json::from_str(text).map_err(unreadable)?;
    if document.format == FORMAT { Ok(document) } else { Err(Flaw::OtherFormat(document.format)) }
}

/// Follows a proof from the draw up to the signature on the ledger, which must be `key`'s.
pub fn check(document: &Document, key: Option<&Verifier>) -> Result<Proven, Flaw> {
    let TermsInForce { document: text, since } = &document.terms;
    let terms: Terms = serde_json::from_str(text).map_err(unreadable)?;
    if terms.activity != document.activity {
        return Err(Flaw::OtherTerms);
    }
    terms.check().map_err(Flaw::Terms)?;
    if !terms::is_whole(*since) {
        return Err(Flaw::Terms("the moment that they came into force is finer than a microsecond"));
    }
    let commitment = hash(&document.commitment).ok_or_else(|| unreadable("the commitment is no SHA-256"))?;
    let seed: Option<Seed> = match &document.seed {
        Some(text) => Some(hash(text).filter(|seed| fairness::commitment(seed) == commitment).ok_or(Flaw::OtherSeed)?),
        None => None,
    };
    let beginning = fairness::beginning(document.activity, &commitment, terms.version, text, *since);
    let rules = Rules::new(terms);
    let record = Record::read(document, &rules).map_err(Flaw::Draw)?;
    record.stands(&beginning).map_err(Flaw::Draw)?;
    let remade = record.remade(seed.as_ref()).map_err(Flaw::Draw)?;
    let sealed = match &document.anchor {
        Some(anchored) => anchored.sealed(document, &record, beginning, key)?,
        None => None,
    };
    Ok(Proven { from_seed: seed.is_some() && remade != Remade::NotAlone, remade, sealed })
}

impl Anchored {
    fn sealed(
        &self,
        document: &Document,
        record: &Record<'_>,
        beginning: Hash,
        key: Option<&Verifier>,
    ) -> Result<Option<Sealed>, Flaw> {
        let path: Option<Vec<Hash>> = self.path.iter().map(|step| hash(step)).collect();
        let (head, root) = (hash(&self.head).ok_or(Flaw::Path)?, hash(&self.root).ok_or(Flaw::Path)?);
        let anchor = Anchor { activity: document.activity, beginning, from: self.from, to: self.to, head, root };
        if !anchor.holds(record.sequence, &record.hash, &path.ok_or(Flaw::Path)?) {
            return Err(Flaw::Path);
        }
        let Some(ledger) = &self.ledger else { return Ok(None) };
        let own = ledger.key.parse::<Verifier>();
        let key = match (key, &own) {
            (Some(key), _) => key,
            (None, Ok(key)) => key,
            (None, Err(error)) => return Err(unreadable(error)),
        };
        let sealed = on_ledger::verify_operation(document.enterprise, ledger, key)?;
        let bound = sealed.record.kind == OperationKind::Anchor
            && sealed.record.operation == self.operation
            && sealed.record.digest == Some(hex(&anchor.digest()));
        if bound { Ok(Some(sealed)) } else { Err(Flaw::OtherAnchor) }
    }
}

/// What the document says of the draw, read.
struct Record<'d> {
    document: &'d Document,
    rules: &'d Rules,
    sequence: u64,
    who: Participant,
    open_plans: u64,
    previous: Hash,
    hash: Hash,
    /// Of each step, the prize's place in its plan.
    picked: Vec<Option<usize>>,
}

impl<'d> Record<'d> {
    fn read(document: &'d Document, rules: &'d Rules) -> Result<Self, &'static str> {
        let row = &document.draw;
        let open_plans = u64::from_str_radix(&row.open_plans, 16).map_err(|_| "its open plans cannot be read")?;
        if format!("{open_plans:x}") != row.open_plans {
            return Err("its open plans cannot be read");
        }
        let picked = document.steps.iter().map(|step| {
            let plan = rules.terms.plans.get(step.plan as usize).ok_or("the terms have no such plan")?;
            match step.picked {
                None => Ok(None),
                Some(id) => {
                    let place = plan.prizes.iter().position(|prize| prize.id == id);
                    place.map(Some).ok_or("the plan has no such prize")
                }
            }
        });
        Ok(Self {
            document,
            rules,
            sequence: u64::try_from(row.sequence).map_err(|_| "its sequence is below 1")?,
            who: unhex(&row.participant)
                .and_then(|alias| alias.try_into().ok())
                .map(Participant)
                .ok_or("its participant is no alias")?,
            open_plans,
            previous: hash(&document.previous).ok_or("the hash before it is no SHA-256")?,
            hash: hash(&row.hash).ok_or("its hash is no SHA-256")?,
            picked: picked.collect::<Result<_, _>>()?,
        })
    }

    fn numbers_of(&self) -> NumbersOf<'d> {
        NumbersOf {
            activity: self.document.activity,
            version: self.rules.terms.version,
            participant: self.who,
            ordinal: self.document.ordinal.into(),
            index: self.document.draw.index,
            client_seed: &self.document.draw.client_seed,
        }
    }

    /// Whether it is a record that may stand here, and its hash the one that it has.
    fn stands(&self, beginning: &Hash) -> Result<(), &'static str> {
        let Self { document, rules, .. } = self;
        let (row, terms) = (&document.draw, &rules.terms);
        if self.sequence == 0 || document.ordinal == 0 {
            return Err("draws are counted from 1");
        }
        if row.sequence == i64::MAX || document.ordinal == u32::MAX {
            return Err("nobody counts as far as that");
        }
        if self.sequence == 1 && self.previous != *beginning {
            return Err("it is the first, and does not hang on the chain's beginning");
        }
        if !(terms.opens_at <= row.at && row.at < terms.closes_at) {
            return Err("it was made outside of the activity's window");
        }
        if !terms::is_whole(row.at) {
            return Err("its moment is finer than a microsecond");
        }
        if row.ruling == Some(Ruling::Free) {
            return Err("it says that nothing was ruled, which is said by saying nothing");
        }
        if !terms.rulings.admits(row.ruling.unwrap_or_default()) {
            return Err("the terms do not let it be ruled so");
        }
        if row.index >= terms.draws_at_once {
            return Err("its place in its request is higher than that");
        }
        let drawn = document.steps.iter().filter(|step| step.cause.draws()).map(|step| step.number);
        if !drawn.eq(row.numbers.iter().copied()) {
            return Err("its steps have other numbers");
        }
        let piece = match (document.lot, row.serial) {
            (Some(lot), Some(serial)) => Some(PieceOf { lot, serial }),
            (None, None) => None,
            _ => return Err("a piece is a lot's, and has a serial number"),
        };
        if row.awarded.is_none() && piece.is_some() {
            return Err("it has a piece of no prize");
        }
        let steps: Vec<StepOf> = document.steps.iter().map(step_of).collect();
        let record = RecordOf {
            numbers: self.numbers_of(),
            sequence: self.sequence,
            at: row.at,
            open_plans: self.open_plans,
            steps: &steps,
            awarded: row.awarded.map(|prize| AwardOf { prize, piece }),
            left: &document.left,
            ruling: row.ruling.unwrap_or_default(),
        };
        if fairness::record_hash(&self.previous, &record) == self.hash { Ok(()) } else { Err("its hash is another") }
    }

    /// Makes the draw once more.
    fn remade(&self, seed: Option<&Seed>) -> Result<Remade, &'static str> {
        let Self { document, rules, .. } = self;
        let row = &document.draw;
        let mut turn = Turn::fresh(rules, Head { next_sequence: row.sequence, hash: self.previous }, row.at);
        self.set_lots(&mut turn)?;
        let limited = has_limits(&rules.terms);
        if limited && document.steps.iter().any(|step| self.is_renormalised(step)) {
            return Ok(Remade::NotAlone);
        }
        self.reach_limits(&mut turn);
        let ruling = row.ruling.unwrap_or_default();
        let drawn = Drawn { client_seed: &row.client_seed, index: row.index, ruling };
        let decided = match seed {
            Some(seed) => turn.replay(self.who, drawn, |of| Numbers::new(seed, of)),
            None => turn.replay(self.who, drawn, |_| Told(row.numbers.iter())),
        };
        let decided = decided.map_err(|_| "it was made after the terms had ended the activity")?;
        self.compare(&decided)?;
        Ok(if limited { Remade::LimitsOnItsWord } else { Remade::Whole })
    }

    /// Whether its plan went on among the prizes that could still be given, or found none.
    fn is_renormalised(&self, step: &StepTaken) -> bool {
        let plan = self.rules.terms.plans.get(step.plan as usize);
        step.withheld.is_some() && plan.is_some_and(|plan| plan.exhaustion == Exhaustion::Renormalise)
    }

    /// The lots as they were before the draw.
    fn set_lots(&self, turn: &mut Turn<'_>) -> Result<(), &'static str> {
        let left = &self.document.left;
        if left.len() != turn.lots.len() {
            return Err("it has other lots than the terms");
        }
        for (place, (lot, left)) in turn.lots.iter_mut().zip(left).enumerate() {
            let given = u32::from(self.document.lot.is_some_and(|given| given as usize == place));
            let before = left.checked_add(given).filter(|before| *before <= lot.left);
            let before = before.ok_or("more was left of a lot than there was")?;
            lot.next_serial += lot.left - before;
            lot.left = before;
        }
        Ok(())
    }

    /// Lets those limits be reached that the record says were, and no others.
    fn reach_limits(&self, turn: &mut Turn<'_>) {
        let (terms, day) = (&self.rules.terms, day_of(turn.at));
        let account = turn.accounts.entry(self.who).or_default();
        account.made = self.document.ordinal - 1;
        account.chosen = self.open_plans;
        for (step, picked) in self.document.steps.iter().zip(&self.picked) {
            let Some(prize) = *picked else { continue };
            let place = Place { plan: step.plan as usize, prize };
            let (prize, index) = (self.rules.prize(place), self.rules.index(place));
            let today = |count: Option<u32>| Daily { day, count: count.unwrap_or(0) };
            match step.withheld {
                Some(Withheld::PrizeToday) => turn.won_on[index] = today(prize.wins_per_day),
                Some(Withheld::PrizeOfHolder) => {
                    account.won.insert(index, prize.wins_per_holder.unwrap_or(0));
                }
                Some(Withheld::WinsOfHolder) => account.wins = terms.wins_per_holder.unwrap_or(0),
                Some(Withheld::WinsToday) => account.wins_today = today(terms.wins_per_day),
                Some(Withheld::Gone | Withheld::Paced | Withheld::OutOfScope) | None => {}
            }
        }
    }

    fn compare(&self, decided: &Decided) -> Result<(), &'static str> {
        let Self { document, rules, .. } = self;
        let row = &document.draw;
        if decided.open_plans != self.open_plans {
            return Err("it was made from a plan that was not open");
        }
        let steps: Option<Vec<StepTaken>> = decided.steps.iter().map(|step| StepTaken::of(rules, step)).collect();
        if steps.as_ref() != Some(&document.steps) {
            return Err("its numbers are others, or lead elsewhere");
        }
        if decided.awarded.map(|award| rules.prize(award.place).id) != row.awarded {
            return Err("its numbers do not lead to the prize that was given");
        }
        let piece = decided.awarded.and_then(|award| award.piece);
        if piece.map(|piece| (piece.lot, piece.serial)) != document.lot.map(|lot| lot as usize).zip(row.serial) {
            return Err("another piece was next");
        }
        if decided.record_hash == self.hash { Ok(()) } else { Err("its hash is another") }
    }
}

fn step_of(step: &StepTaken) -> StepOf {
    let StepTaken { plan, cause, number, picked, withheld } = *step;
    StepOf { plan, cause: cause.code(), number, picked, withheld: withheld.map_or(0, Withheld::code) }
}

/// Whether what may be won depends on what was won elsewhere.
fn has_limits(terms: &Terms) -> bool {
    let prizes = || terms.plans.iter().flat_map(|plan| &plan.prizes);
    terms.wins_per_holder.is_some()
        || terms.wins_per_day.is_some()
        || prizes().any(|prize| prize.wins_per_holder.is_some() || prize.wins_per_day.is_some())
}

fn hash(text: &str) -> Option<Hash> {
    unhex(text)?.try_into().ok()
}

fn unreadable(why: impl ToString) -> Flaw {
    Flaw::Unreadable(why.to_string())
}

#[cfg(test)]
mod tests;
