//! Custom rules: an enterprise's own endpoint is asked who may draw, what was won, how many chances there are, which
//! code a claim gets, and whether a prize may be given.
//!
//! A question is JSON in an encrypted and signed envelope, POSTed to the endpoint; the answer is plain JSON. Sources:
//! Eqxiu's published interface (自定义活动逻辑, help.eqxiu.com) for the fields, WeChat's scheme for messages (消息加解密)
//! for the envelope. That Eqxiu's envelope is exactly WeChat's is an assumption, as is that its timestamp counts seconds.
//!
//! - `envelope.rs`: encryption and signature, for what is received in this form too; `request.rs`: the questions;
//!   `answer.rs` and `fields.rs`: how their answers are read; `contract.rs`: tells an enterprise what to mend.
//! - A new question implements [`Question`], and names its fields in `request.rs` so that no parameter takes their place.
//! - How often to ask, what to do while an endpoint is ill (`platform::breaker`) and which nonces were seen are the
//!   caller's. A call is made once: whether an endpoint that did not answer has taken something is not known here.

pub mod answer;
pub mod contract;
pub mod envelope;
mod fields;
pub mod request;

use std::fmt;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use crate::platform::outbound::{Answer, Outbound, OutboundError};

pub use answer::{ChanceAnswer, ClaimCodeAnswer, DrawAnswer, DrawResult, Rejection, Reply, ReviewAnswer, WinScope};
pub use envelope::{BadKeys, Digest, Envelope, Keys, OpenError, Stamp};
pub use fields::Malformed;
pub use request::{
    ActivityId, BadParameter, ChanceCount, ClaimCode, DrawRule, Kind, Occasion, Parameters, Person, PrizeReview,
    Question, WeChat, is_parameter_name,
};

/// Where an enterprise answers, and what it shares with us.
#[derive(Clone)]
pub struct Endpoint {
    pub url: Url,
    pub keys: Keys,
}

/// Why a question has no answer. The texts hold a host at most: no path, nothing of the question, no words of the
/// endpoint's.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The address may not be called at all.
    #[error("{0}")]
    Forbidden(OutboundError),
    #[error("{0}")]
    Unreachable(OutboundError),
    #[error("the endpoint did not answer in time")]
    TimedOut,
    #[error("the endpoint answered with the status {0}")]
    Refused(StatusCode),
    #[error("the endpoint's answer is too long")]
    TooLong,
    #[error("the endpoint's answer is malformed: {0}")]
    Malformed(#[from] Malformed),
    #[error("the endpoint refused the question with the code {}", .0.code)]
    Rejected(Rejection),
}

impl CallError {
    /// The kind of trouble as one word, for events and counters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "FORBIDDEN",
            Self::Unreachable(_) => "UNREACHABLE",
            Self::TimedOut => "TIMED_OUT",
            Self::Refused(_) => "REFUSED",
            Self::TooLong => "TOO_LONG",
            Self::Malformed(_) => "MALFORMED",
            Self::Rejected(_) => "REJECTED",
        }
    }

    /// Whether the endpoint itself is in trouble, so that a breaker should count it. One that rejects a question is well;
    /// one that may not be called has not been.
    pub fn is_trouble(&self) -> bool {
        !matches!(self, Self::Forbidden(_) | Self::Rejected(_))
    }
}

impl From<OutboundError> for CallError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::BadAddress(_) | OutboundError::PrivateAddress(_) => Self::Forbidden(error),
            OutboundError::Unreachable { .. } => Self::Unreachable(error),
            OutboundError::TimedOut(_) => Self::TimedOut,
            OutboundError::TooLong(..) => Self::TooLong,
        }
    }
}

impl Endpoint {
    /// Asks once, within the client's bounds of time and size.
    pub async fn ask<Q: Question>(
        &self,
        outbound: &Outbound,
        stamp: &Stamp,
        question: &Q,
    ) -> Result<Q::Answer, CallError> {
        let answer = self.post(outbound, &self.keys.seal(stamp, &question.message())).await?;
        if !answer.status.is_success() {
            return Err(CallError::Refused(answer.status));
        }
        match question.read(&answer.body)? {
            Reply::Answer(answer) => Ok(answer),
            Reply::Rejected(rejection) => Err(CallError::Rejected(rejection)),
        }
    }

    async fn post(&self, outbound: &Outbound, envelope: &Envelope) -> Result<Answer, OutboundError> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let body = serde_json::to_vec(envelope).expect("texts are written as JSON");
        outbound.send(Method::POST, &self.url, headers, Bytes::from(body)).await
    }
}

/// Without the path and the query, which may be secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str();
        formatter.debug_struct("Endpoint").field("host", &host).field("keys", &self.keys).finish_non_exhaustive()
    }
}
