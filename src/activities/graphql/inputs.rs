//! What mutations on activities take.

use async_graphql::InputObject;
use chrono::{DateTime, Utc};

use crate::activities::create::{ActivityRequest, PrizeRequest};
use crate::activities::model::{ActivityId, ActivityKind, ClaimId, PrizeId};
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
    /// How often each holder may draw, 1 to 1000; 1 if left out. Only for kind `DRAW`.
    pub chances_per_holder: Option<i32>,
    /// How many days a claim stays open, 1 to 365; 30 if left out.
    pub claim_days: Option<i32>,
    /// What may be won or is given: 1 to 50 for kinds `DRAW` and `AIRDROP`, none for `SALE`.
    #[graphql(default)]
    pub prizes: Vec<PrizeInput>,
}

/// A prize of a new activity.
#[derive(InputObject)]
pub struct PrizeInput {
    /// What whoever wins it gets a piece of. It must be issued before the activity is published.
    pub collectible_id: CollectibleId,
    /// How high a prize it is, 0 to 99; 0 is the highest.
    pub level: i32,
    /// What it is called, 1 to 30 characters in each language.
    pub name: LocalizedTextInput,
    /// How many of a million draws win it, 1 to 1,000,000. All prizes together have at most 1,000,000; the rest is no
    /// prize. Only for kind `DRAW`.
    pub odds_per_million: Option<i32>,
    /// How many pieces are set aside for it.
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
            claim_days: input.claim_days,
            prizes: input.prizes.into_iter().map(PrizeRequest::from).collect(),
        }
    }
}

impl From<PrizeInput> for PrizeRequest {
    fn from(input: PrizeInput) -> Self {
        Self {
            collectible: input.collectible_id,
            level: input.level,
            name: (input.name.chinese, input.name.english),
            odds_per_million: input.odds_per_million,
            quantity: input.quantity,
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

/// Draws once.
#[derive(InputObject)]
pub struct ActivityDrawInput {
    /// A running activity of kind `DRAW`.
    pub activity_id: ActivityId,
    /// A text of the holder's own choice that is mixed into the outcome, at most 64 characters.
    pub client_seed: Option<String>,
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
