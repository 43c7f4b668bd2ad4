//! An endpoint of the enterprise's own is asked about a draw, between two visits to the lane.
//!
//! The intent is committed before the call and the answer after it, so no transaction is open while somebody else's server
//! thinks, a wish is asked about once at a time, and an answer that was given is used, whichever server the wish comes back
//! to. An answer that refuses is not kept: the chance is not used, and the next try asks again. An endpoint that fails
//! again and again is left in peace for a while ([`Breakers`]).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::activities::custom_rule;
use crate::activities::draw::Wish;
use crate::activities::model::{ActivityErrorCode, ActivityId, CustomRuleId, CustomRuleKind, CustomRuleState};
use crate::activities::ruling::Ruling;
use crate::activities::store::custom_rules as store;
use crate::bridges::callback::{
    self, CallError, DrawAnswer, Endpoint, Occasion, Parameters, Person, Question, Stamp, WinScope,
};
use crate::events::model::EventType;
use crate::events::outbox::{self, NewEvent};
use crate::platform::Platform;
use crate::platform::breaker::{Admission, Breakers, Change, Outcome, Policy};
use crate::platform::fault::Fault;
use crate::platform::outbound::{Outbound, Reach};
use crate::platform::refusal::Refusal;
use crate::platform::throttle::Wait;
use crate::tenancy::idempotency::IdempotencyKey;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::TenantScope;
use crate::wallets::contact::{self, Contact};
use crate::wallets::model::HolderId;

/// How long one call may take. A holder waits for it with a finger on the screen.
const TIME: Duration = Duration::from_secs(3);
/// How long an answer may be.
const MAXIMUM_BYTES: usize = 64 * 1024;
/// How long a wish counts as being asked about: two calls, and then some.
const ASKING: TimeDelta = TimeDelta::seconds(10);
/// How many troubled endpoints are watched.
const WATCHED: usize = 10_000;

/// Whom an activity asks, and which levels its prizes have.
#[derive(Clone, Debug)]
pub struct Asking {
    pub asked: Vec<Asked>,
    pub levels: BTreeSet<u32>,
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub kind: CustomRuleKind,
    pub rule: CustomRuleId,
    pub parameters: Parameters,
    /// It must decide each draw.
    pub decides: bool,
}

impl Asking {
    /// Whether an endpoint counts people's chances.
    pub fn counts(&self) -> bool {
        self.asked.iter().any(|asked| asked.kind == CustomRuleKind::ChanceCount)
    }
}

/// What endpoints have said of a wish that may be drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consulted {
    /// For each draw, where one was asked.
    pub rulings: Option<Vec<Ruling>>,
    /// Whether one has counted the chances that it takes.
    pub counted: bool,
}

/// The enterprise's own words to somebody who may not draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub message: Option<String>,
    pub url: Option<String>,
}

/// Why there is no ruling.
enum Trouble {
    /// It is not asked at present.
    Resting,
    Failed(&'static str),
}

/// Asks endpoints. Each server has its own.
pub struct Callbacks {
    platform: Arc<Platform>,
    outbound: Outbound,
    breakers: Breakers<(EnterpriseId, CustomRuleId)>,
}

impl Callbacks {
    pub fn new(platform: Arc<Platform>, reach: Reach) -> anyhow::Result<Self> {
        let outbound = Outbound::new(reach)?.within(TIME).at_most(MAXIMUM_BYTES);
        Ok(Self { platform, outbound, breakers: Breakers::new(Policy::CALLS, WATCHED) })
    }

    pub fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// What was learned of an endpoint does not count any more.
    pub fn forget(&self, tenant: EnterpriseId, rule: CustomRuleId) {
        self.breakers.forget(&(tenant, rule));
    }

    pub fn allows(&self, address: &url::Url) -> bool {
        self.outbound.allows(address).is_ok()
    }

    /// What the activity's endpoints say of a wish, or the words with which they refuse it. It goes on to its end in a task of
    /// its own: an endpoint that has answered has taken something, whether or not anybody still waits.
    pub async fn consult(
        self: Arc<Self>,
        tenant: EnterpriseId,
        activity: ActivityId,
        asking: Arc<Asking>,
        wish: Wish,
    ) -> Result<Result<Consulted, Words>, Refusal<ActivityErrorCode>> {
        tokio::spawn(async move { self.ask(tenant, activity, &asking, &wish).await }).await.map_err(Fault::internal)?
    }

    async fn ask(
        &self,
        tenant: EnterpriseId,
        activity: ActivityId,
        asking: &Asking,
        wish: &Wish,
    ) -> Result<Result<Consulted, Words>, Refusal<ActivityErrorCode>> {
        let of = (wish.holder, &wish.key);
        let (endpoints, person, asked_at) = match self.intend(tenant, activity, asking, wish).await? {
            Intent::Answered(consulted) => return Ok(Ok(consulted)),
            Intent::Ask { endpoints, person, asked_at } => (endpoints, person, asked_at),
        };
        let call = Call { callbacks: self, tenant, activity, person, draws: wish.times.unsigned_abs() };
        let mut consulted = Consulted { rulings: None, counted: false };
        for (asked, endpoint) in asking.asked.iter().zip(&endpoints) {
            let said = match asked.kind {
                CustomRuleKind::ChanceCount => call.count(asked, endpoint).await,
                CustomRuleKind::DrawRule => call.rule(asked, endpoint, &asking.levels).await,
            };
            match said {
                Ok(Said::Counted) => consulted.counted = true,
                Ok(Said::Ruled(rulings)) => consulted.rulings = Some(rulings),
                Ok(Said::Refused(words)) => {
                    self.let_go(tenant, activity, (of, asked_at), None).await?;
                    return Ok(Err(words));
                }
                Err(trouble) => {
                    let failed = if let Trouble::Failed(word) = trouble { Some((asked, word)) } else { None };
                    self.let_go(tenant, activity, (of, asked_at), failed).await?;
                    return Err(Refusal::at("activityId", ActivityErrorCode::CustomRuleFailed));
                }
            }
        }
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        let now = tx.now().await?;
        if !store::answer_in(&tx, activity, of, json!(consulted), (asked_at, now)).await? {
            // Somebody else has asked meanwhile, and theirs was first: it is what counts.
            return Err(Refusal::at("idempotencyKey", ActivityErrorCode::BeingDecided));
        }
        tx.commit().await?;
        Ok(Ok(consulted))
    }

    /// Writes down that the endpoints will be asked, or finds what they have said.
    async fn intend(
        &self,
        tenant: EnterpriseId,
        activity: ActivityId,
        asking: &Asking,
        wish: &Wish,
    ) -> Result<Intent, Refusal<ActivityErrorCode>> {
        let of = (wish.holder, &wish.key);
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        // Under the holder's lock: the endpoint is asked about one wish of theirs at a time.
        let contact = contact::of_locked_in(&self.platform, &tx, wish.holder).await?;
        let ids: Vec<CustomRuleId> = asking.asked.iter().map(|asked| asked.rule).collect();
        let rules = store::rules_by_id(&tx, &ids).await?;
        if ids.iter().any(|id| rules.get(id).is_none_or(|rule| rule.state != CustomRuleState::Active)) {
            return Err(Refusal::at("activityId", ActivityErrorCode::CustomRuleFailed));
        }
        let now = tx.now().await?;
        let (new, known) = store::intend_in(&tx, activity, of, &wish.input_hash, now).await?;
        // A key may be forgotten after some days; what was drawn by its answer is not drawn again.
        if known.input_hash != wish.input_hash || known.drawn {
            return Err(Refusal::at("idempotencyKey", ActivityErrorCode::IdempotencyKeyReused));
        }
        if let Some(answer) = known.answer {
            return Ok(Intent::Answered(serde_json::from_value(answer).map_err(Fault::internal)?));
        }
        let left = known.asked_at + ASKING - now;
        if !new && left > TimeDelta::zero() {
            return Err(Refusal::later(ActivityErrorCode::BeingDecided, Wait::of(left)));
        }
        if store::is_another_asked(&tx, activity, of, now - ASKING).await? {
            return Err(Refusal::later(ActivityErrorCode::BeingDecided, Wait::of(ASKING)));
        }
        store::ask_in(&tx, activity, of, known.asked_at, now).await?;
        let mut endpoints = Vec::with_capacity(ids.len());
        for id in &ids {
            endpoints.push(custom_rule::endpoint(&self.platform, &tx, &rules[id]).await?);
        }
        tx.commit().await?;
        Ok(Intent::Ask { endpoints, person: person(contact, wish.holder), asked_at: now })
    }

    /// The wish may be asked about again. Where an endpoint has failed, the enterprise hears of it.
    async fn let_go(
        &self,
        tenant: EnterpriseId,
        activity: ActivityId,
        (of, asked_at): ((HolderId, &IdempotencyKey), DateTime<Utc>),
        failed: Option<(&Asked, &'static str)>,
    ) -> Result<(), Fault> {
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        store::ask_in(&tx, activity, of, asked_at, DateTime::UNIX_EPOCH).await?;
        if let Some((asked, reason)) = failed {
            let data = json!({
                "customRuleId": asked.rule,
                "kind": asked.kind,
                "activityId": activity,
                "holderId": of.0,
                "reason": reason,
            });
            let subject = crate::platform::id::generate();
            outbox::emit_in(&tx, NewEvent::new(EventType::CustomRuleFailed, subject, 1, data)?).await?;
        }
        tx.commit().await
    }

    /// An endpoint has let a wish be drawn, and then it was not: the enterprise may take back what it has debited.
    pub async fn tell_unused(
        &self,
        tenant: EnterpriseId,
        activity: ActivityId,
        asking: &Asking,
        wish: &Wish,
        why: ActivityErrorCode,
    ) -> Result<(), Fault> {
        let rules: Vec<CustomRuleId> = asking.asked.iter().map(|asked| asked.rule).collect();
        let data = json!({
            "customRuleIds": rules,
            "activityId": activity,
            "holderId": wish.holder,
            "rulings": wish.consulted.as_ref().and_then(|consulted| consulted.rulings.clone()),
            "draws": wish.times,
            "reason": why.name(),
        });
        let tx = TenantScope::of_system(tenant).write(&self.platform.database).await?;
        let subject = crate::platform::id::generate();
        outbox::emit_in(&tx, NewEvent::new(EventType::CustomRuleUnused, subject, 1, data)?).await?;
        tx.commit().await
    }
}

enum Intent {
    Answered(Consulted),
    Ask { endpoints: Vec<Endpoint>, person: Person, asked_at: DateTime<Utc> },
}

/// Whom the enterprise knows: by phone, by its own name, or at least as the same person each time.
fn person(contact: Contact, holder: HolderId) -> Person {
    match contact {
        Contact::Mobile(mobile) => Person::Mobile(mobile),
        Contact::Partner(name) => Person::Custom { open_id: name },
        Contact::Unknown => Person::Custom { open_id: holder.to_string() },
    }
}

enum Said {
    Counted,
    Ruled(Vec<Ruling>),
    Refused(Words),
}

/// One wish on its way to the endpoints.
struct Call<'a> {
    callbacks: &'a Callbacks,
    tenant: EnterpriseId,
    activity: ActivityId,
    person: Person,
    draws: u32,
}

impl Call<'_> {
    fn occasion(&self) -> Occasion {
        Occasion {
            id: callback::ActivityId::Text(self.activity.to_string()),
            code: self.activity.to_string(),
            person: self.person.clone(),
            union_id: None,
            channel_key: None,
            corp_open_id: None,
        }
    }

    /// Whether somebody has as many chances as they want to use.
    async fn count(&self, asked: &Asked, endpoint: &Endpoint) -> Result<Said, Trouble> {
        let (amount, parameters) = (Some(self.draws.into()), asked.parameters.clone());
        let question = callback::ChanceCount { occasion: self.occasion(), prize_code: None, amount, parameters };
        let answer = self.ask(asked, endpoint, &question).await?;
        if answer.count >= self.draws {
            return Ok(Said::Counted);
        }
        Ok(Said::Refused(Words { message: answer.message, url: answer.url.map(String::from) }))
    }

    async fn rule(&self, asked: &Asked, endpoint: &Endpoint, levels: &BTreeSet<u32>) -> Result<Said, Trouble> {
        let parameters = asked.parameters.clone();
        let question = callback::DrawRule { occasion: self.occasion(), draws: self.draws, parameters };
        let answer = self.ask(asked, endpoint, &question).await?;
        if let Some(word) = unusable(&answer, asked.decides, levels) {
            return Err(Trouble::Failed(word));
        }
        match (Ruling::of_answer(&answer, self.draws as usize), answer) {
            (Some(rulings), _) => Ok(Said::Ruled(rulings)),
            (None, DrawAnswer::Refused { message, url }) => {
                Ok(Said::Refused(Words { message: Some(message), url: url.map(String::from) }))
            }
            (None, _) => Err(Trouble::Failed("MALFORMED")),
        }
    }

    async fn ask<Q: Question>(&self, asked: &Asked, endpoint: &Endpoint, question: &Q) -> Result<Q::Answer, Trouble> {
        let Callbacks { platform, outbound, breakers } = self.callbacks;
        let key = (self.tenant, asked.rule);
        let Admission::Go(pass) = breakers.admit(&key, platform.clock.now()) else { return Err(Trouble::Resting) };
        let stamp = Stamp::new(platform.clock.now(), &*platform.randomness);
        let answer = endpoint.ask(outbound, &stamp, question).await;
        let outcome =
            if answer.as_ref().is_err_and(CallError::is_trouble) { Outcome::Failed } else { Outcome::Succeeded };
        match breakers.report(&key, pass, outcome, platform.clock.now()) {
            Some(Change::Opened) => {
                tracing::warn!(tenant = %self.tenant, rule = %asked.rule, "an endpoint is left in peace")
            }
            Some(Change::Closed) => {
                tracing::info!(tenant = %self.tenant, rule = %asked.rule, "an endpoint answers again")
            }
            None => {}
        }
        answer.map_err(|error| {
            tracing::debug!(tenant = %self.tenant, rule = %asked.rule, "an endpoint gave no answer: {error}");
            Trouble::Failed(error.word())
        })
    }
}

/// Why an answer that reads well cannot be drawn by.
fn unusable(answer: &DrawAnswer, decides: bool, levels: &BTreeSet<u32>) -> Option<&'static str> {
    match answer {
        DrawAnswer::May { .. } if decides => Some("NOT_DECIDED"),
        DrawAnswer::May { win_scope: WinScope::Levels(allowed) } => {
            let known = allowed.iter().any(|level| level.checked_sub(1).is_some_and(|level| levels.contains(&level)));
            (!known).then_some("UNKNOWN_LEVEL")
        }
        DrawAnswer::Won(results) => {
            let unknown = |level: Option<u32>| level.is_some_and(|level| !levels.contains(&level));
            results.iter().any(|result| unknown(result.prize_level)).then_some("UNKNOWN_LEVEL")
        }
        DrawAnswer::May { .. } | DrawAnswer::Refused { .. } | DrawAnswer::NoPrize { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridges::callback::DrawResult;

    #[test]
    fn an_answer_names_levels_that_there_are() {
        let levels = BTreeSet::from([0, 2]);
        let won = |level| {
            let result = DrawResult {
                is_win: true,
                prize_level: Some(level),
                prize_code: None,
                prize_name: None,
                dyn_data: None,
            };
            DrawAnswer::Won(vec![result])
        };
        let may = |levels: &[u32]| DrawAnswer::May { win_scope: WinScope::Levels(levels.to_vec()) };
        assert_eq!(unusable(&won(2), true, &levels), None);
        assert_eq!(unusable(&won(1), true, &levels), Some("UNKNOWN_LEVEL"));
        assert_eq!(unusable(&may(&[2, 3]), false, &levels), None, "theirs count from 1");
        assert_eq!(unusable(&may(&[2]), false, &levels), Some("UNKNOWN_LEVEL"));
        assert_eq!(unusable(&may(&[1]), true, &levels), Some("NOT_DECIDED"));
        assert_eq!(unusable(&DrawAnswer::NoPrize { message: None }, true, &levels), None);
    }
}
