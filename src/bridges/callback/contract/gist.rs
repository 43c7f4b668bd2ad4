//! What an answer comes to, for whoever only asks whether it is one.

use http::header::CONTENT_TYPE;

use super::Sample;
use crate::bridges::callback::answer::{DrawAnswer, Rejection, Reply, ReviewAnswer};
use crate::bridges::callback::fields::{self, Fields, Malformed};
use crate::bridges::callback::request::{Kind, Question};
use crate::platform::outbound::Answer;

/// As far as a second answer to the same question has to come to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gist {
    MayDraw,
    Refused,
    /// Won or lost: chance may decide otherwise the second time.
    Decided,
    Counted,
    Allowed,
    ClaimCode(String),
}

impl Sample {
    pub fn kind(&self) -> Kind {
        match self {
            Self::DrawRule(_) => Kind::DrawRule,
            Self::ChanceCount(_) => Kind::ChanceCount,
            Self::ClaimCode(_) => Kind::ClaimCode,
            Self::PrizeReview(_) => Kind::PrizeReview,
        }
    }

    pub(super) fn message(&self) -> Vec<u8> {
        match self {
            Self::DrawRule(question) => question.message(),
            Self::ChanceCount(question) => question.message(),
            Self::ClaimCode(question) => question.message(),
            Self::PrizeReview(question) => question.message(),
        }
    }

    pub(super) fn read(&self, body: &[u8]) -> Result<Reply<Gist>, Malformed> {
        Ok(match self {
            Self::DrawRule(question) => of(question.read(body)?, |answer| match answer {
                DrawAnswer::May { .. } => Gist::MayDraw,
                DrawAnswer::Refused { .. } => Gist::Refused,
                DrawAnswer::NoPrize { .. } | DrawAnswer::Won(_) => Gist::Decided,
            }),
            Self::ChanceCount(question) => of(question.read(body)?, |_| Gist::Counted),
            Self::ClaimCode(question) => of(question.read(body)?, |answer| Gist::ClaimCode(answer.code)),
            Self::PrizeReview(question) => of(question.read(body)?, |answer| match answer {
                ReviewAnswer::Allowed => Gist::Allowed,
                ReviewAnswer::Refused { .. } => Gist::Refused,
            }),
        })
    }
}

fn of<A>(reply: Reply<A>, gist: impl FnOnce(A) -> Gist) -> Reply<Gist> {
    match reply {
        Reply::Answer(answer) => Reply::Answer(gist(answer)),
        Reply::Rejected(Rejection { code, msg }) => Reply::Rejected(Rejection { code, msg }),
    }
}

/// Whether the endpoint took the question on: a good status and the code 200, whatever else it says.
pub fn is_accepted(answer: &Answer) -> bool {
    let value = fields::parse(&answer.body).ok();
    let code = value.as_ref().and_then(|value| Fields::of(value).ok()?.code().ok());
    answer.status.is_success() && code.is_some_and(|code| code == "200")
}

pub fn is_json(answer: &Answer) -> bool {
    let written = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = written.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
