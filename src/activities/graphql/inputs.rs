//! What mutations on activities take.

use async_graphql::InputObject;
use chrono::{DateTime, Utc};

use super::chances::{ParticipationRuleInput, TaskInput};
use super::custom_rules::ActivityCustomRuleInput;
use crate::activities::create::{ActivityRequest, AwardRequest, Limits, LotRequest, PlanRequest, PrizeRequest};
use crate::activities::custom_rule::UseRequest;
use crate::activities::model::{ActivityId, ActivityKind, ClaimId, PrizeId, PrizeKind};
use crate::activities::participation::Rule;
use crate::activities::simulate::SimulationRequest;
use crate::activities::task::TaskRequest;
use crate::activities::terms::Exhaustion;
use crate::api::text::LocalizedTextInput;
use crate::catalog::model::CollectibleId;

/// A new activity.
#[derive(InputObject)]
pub struct ActivityCreateInput {
    /// What it does.
    pub kind: ActivityKind,
    /// What it is called, 1 to 60 characters in each language.
    pub name: LocalizedTextInput,
    /// Its rules for people to read, at most 2000 characters in each language.
    pub rules: Option<LocalizedTextInput>,
    /// When its window opens.
    pub opens_at: DateTime<Utc>,
    /// When its window closes; later than it opens.
    pub closes_at: DateTime<Utc>,
    /// How many chances each holder has from the outset, 0 to 1000; 1 if left out. Only for kind `DRAW`, as are all limits,
    /// rules and tasks.
    pub chances_per_holder: Option<i32>,
    /// How many draws a day in Shanghai are free, 0 to 1000. They are used before chances, and those of one day are gone
    /// with it.
    pub daily_chances: Option<i32>,
    /// What is asked of who wants to draw.
    pub participation: Option<ParticipationRuleInput>,
    /// What earns chances, at most 20.
    #[graphql(default)]
    pub tasks: Vec<TaskInput>,
    /// Endpoints of the enterprise's own that are asked about each draw, one of each kind.
    #[graphql(default)]
    pub custom_rules: Vec<ActivityCustomRuleInput>,
    /// How many draws one request may make, 1 to 10; 1 if left out.
    pub draws_at_once: Option<i32>,
    /// How often each holder may draw on one day in Shanghai, 1 to 1000.
    pub draws_per_day: Option<i32>,
    /// How often each holder may win, 1 to 1000. Fallback prizes do not count.
    pub wins_per_holder: Option<i32>,
    /// The same, on one day in Shanghai.
    pub wins_per_day: Option<i32>,
    /// How many days a claim stays open, 1 to 365; 30 if left out.
    pub claim_days: Option<i32>,
    /// What may be won by everybody, or is given: 1 to 50 for kinds `DRAW` and `AIRDROP`, none for `SALE`.
    #[graphql(default)]
    pub prizes: Vec<PrizeInput>,
    /// What becomes of a draw whose picked prize cannot be given.
    #[graphql(default_with = "Exhaustion::ToNoPrize")]
    pub exhaustion: Exhaustion,
    /// What may be won for some time, or by some people, at most 20 plans. For each draw, a plan for chosen people with
    /// a time goes before one for chosen people, this before one with a time, this before `prizes`; then the higher
    /// priority. Only for kind `DRAW`.
    #[graphql(default)]
    pub personal_plans: Vec<PrizePlanInput>,
}

/// What may be won for some time, by some people, or both.
#[derive(InputObject)]
pub struct PrizePlanInput {
    /// For holders who have one of these tags, at most 20; for everybody if empty.
    #[graphql(default)]
    pub tags: Vec<String>,
    /// From when on; as long as the activity if left out.
    pub starts_at: Option<DateTime<Utc>>,
    /// Until when; that moment is no longer within.
    pub ends_at: Option<DateTime<Utc>>,
    /// Which of several plans of one kind goes before, −1000 to 1000. Two that may be open at once must not have the same.
    #[graphql(default)]
    pub priority: i32,
    /// Whether a draw that this plan has no prize for goes on to the next plan.
    #[graphql(default)]
    pub overlays: bool,
    /// Whether the plan is passed over once all of its prizes are gone.
    #[graphql(default)]
    pub falls_through: bool,
    /// What becomes of a draw whose picked prize cannot be given. `CLOSE_ACTIVITY` is for `prizes` alone.
    #[graphql(default_with = "Exhaustion::ToNoPrize")]
    pub exhaustion: Exhaustion,
    /// 1 to 50.
    pub prizes: Vec<PrizeInput>,
}

/// A prize of a new activity.
#[derive(InputObject)]
pub struct PrizeInput {
    /// What it is.
    #[graphql(default_with = "PrizeKind::Collectible")]
    pub kind: PrizeKind,
    /// What whoever wins it gets a piece of. It must be issued before the activity is published. Only for `COLLECTIBLE`.
    pub collectible_id: Option<CollectibleId>,
    /// How many pieces are set aside for it. There is no end of `NOTHING`, and of `CLAIM_CODE` as many as it has codes by
    /// the time of publication (`prizeCodesAdd`).
    pub quantity: Option<i32>,
    /// How many points each win gives, 1 to 1,000,000,000. Only for `POINTS`.
    pub points: Option<i64>,
    /// What your own system knows it as, 1 to 64 visible ASCII characters: a card's ID, a gift's number. It comes with the
    /// event of each win. Only for `BENEFIT`, `WECHAT_CARD` and `OWN_GIFT`.
    pub reference: Option<String>,
    /// How its winner gets it, for people to read, at most 1000 characters in each language.
    pub instructions: Option<LocalizedTextInput>,
    /// Whether a win waits for your word (`claimsReview`) before its winner may take it. Only for kind `DRAW`.
    #[graphql(default)]
    pub reviewed: bool,
    /// For `COLLECTIBLE`, in place of `collectibleId` and `quantity`: pieces of several collectibles, of which each is equally likely (a blind box), at most 20.
    #[graphql(default)]
    pub lots: Vec<PrizeLotInput>,
    /// How high a prize it is, 0 to 99; 0 is the highest.
    pub level: i32,
    /// What it is called, 1 to 30 characters in each language.
    pub name: LocalizedTextInput,
    /// How many of a million draws win it, 1 to 1,000,000. All prizes of a plan together have at most 1,000,000; the rest
    /// is no prize. Only for kind `DRAW`, as is all that follows.
    pub odds_per_million: Option<i32>,
    /// How often one holder may win it.
    pub wins_per_holder: Option<i32>,
    /// How often it may be won on one day in Shanghai.
    pub wins_per_day: Option<i32>,
    /// Whether it is given out evenly over the hours of the window; what one hour leaves goes to the next.
    #[graphql(default)]
    pub paced: bool,
    /// Whether it is what the policy `TO_FALLBACK` gives. It needs no odds.
    #[graphql(default)]
    pub fallback: bool,
}

/// Pieces of one collectible within a prize.
#[derive(InputObject)]
pub struct PrizeLotInput {
    /// Each once in a prize. It must be issued before the activity is published.
    pub collectible_id: CollectibleId,
    /// How many pieces of it are set aside.
    pub quantity: i32,
}

impl From<ActivityCreateInput> for ActivityRequest {
    fn from(input: ActivityCreateInput) -> Self {
        Self {
            kind: input.kind,
            name: (input.name.chinese, input.name.english),
            rules: input.rules.map_or_else(Default::default, |rules| (rules.chinese, rules.english)),
            opens_at: input.opens_at,
            closes_at: input.closes_at,
            chances_per_holder: input.chances_per_holder,
            daily_chances: input.daily_chances,
            participation: input.participation.map(Rule::from).unwrap_or_default(),
            tasks: input.tasks.into_iter().map(TaskRequest::from).collect(),
            custom_rules: input.custom_rules.into_iter().map(UseRequest::from).collect(),
            limits: Limits {
                draws_at_once: input.draws_at_once,
                draws_per_day: input.draws_per_day,
                wins_per_holder: input.wins_per_holder,
                wins_per_day: input.wins_per_day,
            },
            claim_days: input.claim_days,
            exhaustion: input.exhaustion,
            prizes: input.prizes.into_iter().map(PrizeRequest::from).collect(),
            personal_plans: input.personal_plans.into_iter().map(PlanRequest::from).collect(),
        }
    }
}

impl From<PrizePlanInput> for PlanRequest {
    fn from(input: PrizePlanInput) -> Self {
        Self {
            tags: input.tags,
            starts_at: input.starts_at,
            ends_at: input.ends_at,
            priority: input.priority,
            overlays: input.overlays,
            falls_through: input.falls_through,
            exhaustion: input.exhaustion,
            prizes: input.prizes.into_iter().map(PrizeRequest::from).collect(),
        }
    }
}

impl From<PrizeInput> for PrizeRequest {
    fn from(input: PrizeInput) -> Self {
        let several =
            input.lots.iter().map(|lot| LotRequest { collectible: Some(lot.collectible_id), quantity: lot.quantity });
        let named = input.collectible_id.is_some() || input.quantity.is_some();
        let one = LotRequest { collectible: input.collectible_id, quantity: input.quantity.unwrap_or(0) };
        let lots = match (input.kind, named, input.lots.is_empty()) {
            (_, false, _) => several.collect(),
            (_, true, true) => vec![one],
            (PrizeKind::Collectible, true, false) => Vec::new(), // both ways at once: refused as no lots at all
            (_, true, false) => several.chain([one]).collect(),
        };
        let award = AwardRequest {
            kind: input.kind,
            points: input.points,
            reference: input.reference,
            instructions: input.instructions.map_or_else(Default::default, |text| (text.chinese, text.english)),
            reviewed: input.reviewed,
        };
        Self {
            award,
            lots,
            level: input.level,
            name: (input.name.chinese, input.name.english),
            odds_per_million: input.odds_per_million,
            wins_per_holder: input.wins_per_holder,
            wins_per_day: input.wins_per_day,
            paced: input.paced,
            fallback: input.fallback,
        }
    }
}

/// Names an activity to hand to the house.
#[derive(InputObject)]
pub struct ActivitySubmitInput {
    /// A draft, or one that the house sent back.
    pub id: ActivityId,
}

/// Publishes an activity.
#[derive(InputObject)]
pub struct ActivityPublishInput {
    /// An approved activity.
    pub id: ActivityId,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Names an activity to hold.
#[derive(InputObject)]
pub struct ActivityPauseInput {
    /// A published activity.
    pub id: ActivityId,
}

/// Names an activity to let go on.
#[derive(InputObject)]
pub struct ActivityResumeInput {
    /// A held activity.
    pub id: ActivityId,
}

/// Names an activity to end.
#[derive(InputObject)]
pub struct ActivityEndInput {
    /// A published or held activity.
    pub id: ActivityId,
}

/// Names an activity to settle.
#[derive(InputObject)]
pub struct ActivitySettleInput {
    /// An activity that is over.
    pub id: ActivityId,
}

/// Draws.
#[derive(InputObject)]
pub struct ActivityDrawInput {
    /// A running activity of kind `DRAW`.
    pub activity_id: ActivityId,
    /// A text that the holder's side mixes into the outcome, at most 64 characters. It is public for good, so make it of
    /// random characters, and never of anything personal.
    pub client_seed: Option<String>,
    /// How many draws to make in a row, all or none (连抽): at most the activity's `drawsAtOnce`.
    #[graphql(default = 1)]
    pub times: i32,
    /// What the page calls the phone, 8 to 128 visible ASCII characters, the same each time. Needed where
    /// `participation.holdersPerDevice` is set; otherwise it is not looked at.
    pub device: Option<String>,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Takes a claim up.
#[derive(InputObject)]
pub struct ClaimTakeInput {
    /// A pending claim of the caller's own.
    pub id: ClaimId,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Gives a piece to each person of a list.
#[derive(InputObject)]
pub struct AirdropStartInput {
    /// A running activity of kind `AIRDROP`.
    pub activity_id: ActivityId,
    /// The prize of that activity that each person gets.
    pub prize_id: PrizeId,
    /// 1 to 1000 mainland mobile numbers, each once. Who is not known yet is signed on.
    pub phones: Vec<String>,
    /// The same key and input give the first result again.
    pub idempotency_key: String,
}

/// Tries an activity out.
#[derive(InputObject)]
pub struct ActivitySimulateInput {
    /// An activity of kind `DRAW`, in whatever state. All of its stock counts as there.
    pub id: ActivityId,
    /// How many draws to try, 1 to 100,000, evenly over the activity's window.
    #[graphql(default = 100_000)]
    pub draws: i32,
    /// By how many people, 1 to 100,000, each draw by one picked at random. If left out, there are as many as it takes for
    /// each to use up their chances.
    pub participants: Option<i32>,
    /// How many of a million people each personal plan with tags is meant for.
    #[graphql(default)]
    pub chosen_per_million: i32,
    /// What a piece of each prize costs, in minor units of whatever currency; those left out cost nothing.
    #[graphql(default)]
    pub costs: Vec<PrizeCostInput>,
    /// How many points the series has, 1 to 200.
    #[graphql(default = 48)]
    pub points: i32,
}

/// What a piece of a prize costs the enterprise.
#[derive(InputObject)]
pub struct PrizeCostInput {
    /// A prize of the activity.
    pub prize_id: PrizeId,
    /// 0 to 1,000,000,000,000.
    pub cost_minor: i64,
}

impl From<ActivitySimulateInput> for SimulationRequest {
    fn from(input: ActivitySimulateInput) -> Self {
        Self {
            activity: input.id,
            draws: input.draws,
            participants: input.participants,
            chosen_per_million: input.chosen_per_million,
            costs: input.costs.into_iter().map(|cost| (cost.prize_id, cost.cost_minor)).collect(),
            points: input.points,
        }
    }
}
