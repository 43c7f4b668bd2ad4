//! What an enterprise's endpoint is asked. The names of the fields are those of Eqxiu's published interface
//! (自定义活动逻辑), down to `amont`; the review of a prize is our own and follows them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::answer::{ChanceAnswer, ClaimCodeAnswer, DrawAnswer, Reply, ReviewAnswer};
use super::fields::Malformed;

/// A question and how its answer is read.
pub trait Question {
    type Answer;

    const KIND: Kind;

    /// The JSON that is encrypted.
    fn message(&self) -> Vec<u8>;

    fn read(&self, body: &[u8]) -> Result<Reply<Self::Answer>, Malformed>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    DrawRule,
    ChanceCount,
    ClaimCode,
    PrizeReview,
}

/// The activity's ID: a number for those that came from a platform with numbers, a text for ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ActivityId {
    Number(u64),
    Text(String),
}

/// Who takes part.
#[derive(Clone, PartialEq, Eq)]
pub enum Person {
    Mobile(String),
    WeChat(WeChat),
    /// The name that the enterprise itself knows the person by.
    Custom {
        open_id: String,
    },
}

#[derive(Clone, Default, PartialEq, Eq)]
pub struct WeChat {
    pub open_id: String,
    pub nick_name: Option<String>,
    /// In WeChat's words: 0 unknown, 1 male, 2 female.
    pub gender: Option<String>,
    pub city: Option<String>,
    pub country: Option<String>,
}

/// What questions have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occasion {
    pub id: ActivityId,
    /// The activity's short code.
    pub code: String,
    pub person: Person,
    pub union_id: Option<String>,
    pub channel_key: Option<String>,
    /// The enterprise's own ID on a platform of many.
    pub corp_open_id: Option<String>,
}

/// Costs and thresholds by the names that the enterprise gave them. Holds no name of the protocol's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Parameters(BTreeMap<String, String>);

/// May somebody draw, and is there a prize already?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawRule {
    pub occasion: Occasion,
    /// How many draws at once, from 1. Sent from 2 on.
    pub draws: u32,
    pub parameters: Parameters,
}

/// How many chances has somebody?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChanceCount {
    pub occasion: Occasion,
    pub prize_code: Option<String>,
    pub amount: Option<u64>,
    pub parameters: Parameters,
}

/// A code for whoever claims a prize. Says nothing of the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimCode;

/// May this prize be given to this person?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrizeReview {
    pub occasion: Occasion,
    /// From 0.
    pub prize_level: u32,
    pub prize_code: Option<String>,
    pub prize_name: String,
    /// Our name of the draw: the same when we ask again about the same prize.
    pub record_id: String,
    pub parameters: Parameters,
}

/// Every name that a question may have. No parameter may have one of them.
const FIELDS: [&str; 18] = [
    "id",
    "code",
    "prizeCode",
    "amont",
    "mobile",
    "openId",
    "unionId",
    "nickName",
    "gender",
    "city",
    "country",
    "channelKey",
    "drawNum",
    "corpOpenId",
    "customLotteryParams",
    "prizeLevel",
    "prizeName",
    "recordId",
];

/// A parameter has the name of one of the protocol's fields, or one that is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a parameter's name is up to 64 letters, digits, `_` and `-`, begins with a letter and is no field's of the protocol"
)]
pub struct BadParameter;

/// Whether a cost or a threshold may be sent under this name. Fields are told apart without regard to case, as many
/// readers of JSON do so: `MOBILE` would stand for the phone number there.
pub fn is_parameter_name(name: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let form =
        name.len() <= 64 && name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && name.bytes().all(sign);
    form && !FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
}

/// Without the person.
impl fmt::Debug for Person {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Mobile(_) => "Mobile(…)",
            Self::WeChat(_) => "WeChat(…)",
            Self::Custom { .. } => "Custom(…)",
        })
    }
}

impl Parameters {
    pub fn new<N: Into<String>, V: Into<String>>(
        parameters: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, BadParameter> {
        let parameters: BTreeMap<String, String> =
            parameters.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        if parameters.keys().all(|name| is_parameter_name(name)) { Ok(Self(parameters)) } else { Err(BadParameter) }
    }
}

/// A question as it is written. What is not said is left out.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a ActivityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prize_code: Option<&'a str>,
    /// So spelled in the interface.
    #[serde(rename = "amont", skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mobile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    union_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nick_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gender: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draw_num: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corp_open_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_lottery_params: Option<&'a Parameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prize_level: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prize_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<&'a str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a Parameters>,
}

impl<'a> Wire<'a> {
    fn of(occasion: &'a Occasion) -> Self {
        let wire = Self {
            id: Some(&occasion.id),
            code: Some(&occasion.code),
            union_id: occasion.union_id.as_deref(),
            channel_key: occasion.channel_key.as_deref(),
            corp_open_id: occasion.corp_open_id.as_deref(),
            ..Self::default()
        };
        match &occasion.person {
            Person::Mobile(mobile) => Self { mobile: Some(mobile), ..wire },
            Person::Custom { open_id } => Self { open_id: Some(open_id), ..wire },
            Person::WeChat(person) => Self {
                open_id: Some(&person.open_id),
                nick_name: person.nick_name.as_deref(),
                gender: person.gender.as_deref(),
                city: person.city.as_deref(),
                country: person.country.as_deref(),
                ..wire
            },
        }
    }

    fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are written as JSON")
    }
}

impl Question for DrawRule {
    type Answer = DrawAnswer;

    const KIND: Kind = Kind::DrawRule;

    fn message(&self) -> Vec<u8> {
        let draw_num = (self.draws > 1).then_some(self.draws);
        Wire { draw_num, parameters: Some(&self.parameters), ..Wire::of(&self.occasion) }.write()
    }

    fn read(&self, body: &[u8]) -> Result<Reply<DrawAnswer>, Malformed> {
        DrawAnswer::read(body, self.draws)
    }
}

impl Question for ChanceCount {
    type Answer = ChanceAnswer;

    const KIND: Kind = Kind::ChanceCount;

    fn message(&self) -> Vec<u8> {
        let wire = Wire {
            prize_code: self.prize_code.as_deref(),
            amount: self.amount.map(|amount| amount.to_string()),
            custom_lottery_params: Some(&self.parameters),
            ..Wire::of(&self.occasion)
        };
        wire.write()
    }

    fn read(&self, body: &[u8]) -> Result<Reply<ChanceAnswer>, Malformed> {
        ChanceAnswer::read(body)
    }
}

impl Question for ClaimCode {
    type Answer = ClaimCodeAnswer;

    const KIND: Kind = Kind::ClaimCode;

    fn message(&self) -> Vec<u8> {
        Wire::default().write()
    }

    fn read(&self, body: &[u8]) -> Result<Reply<ClaimCodeAnswer>, Malformed> {
        ClaimCodeAnswer::read(body)
    }
}

impl Question for PrizeReview {
    type Answer = ReviewAnswer;

    const KIND: Kind = Kind::PrizeReview;

    fn message(&self) -> Vec<u8> {
        let wire = Wire {
            prize_level: Some(self.prize_level),
            prize_code: self.prize_code.as_deref(),
            prize_name: Some(&self.prize_name),
            record_id: Some(&self.record_id),
            parameters: Some(&self.parameters),
            ..Wire::of(&self.occasion)
        };
        wire.write()
    }

    fn read(&self, body: &[u8]) -> Result<Reply<ReviewAnswer>, Malformed> {
        ReviewAnswer::read(body)
    }
}

#[cfg(test)]
mod tests;
