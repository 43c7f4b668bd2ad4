//! Tells whoever builds an endpoint what is left to mend before it is used: real questions are asked with a sample, and
//! then some that a good endpoint refuses.
//!
//! The questions are as real as any. An endpoint counts them as draws, so the sample should be a person of the
//! enterprise's own tests. After a check that all others stand on, the examination ends: what was not tried has no line.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::Endpoint;
use super::answer::Reply;
use super::envelope::{Envelope, Stamp};
use super::request::{ChanceCount, ClaimCode, DrawRule, Kind, PrizeReview};
use crate::platform::clock::Clock;
use crate::platform::outbound::{Outbound, OutboundError};
use crate::platform::randomness::Randomness;

mod gist;
mod words;

use gist::{Gist, is_accepted, is_json};
use words::{detail, forbidden, judged, no_answer, prefixed};

/// A nickname in letters of two, three and four bytes.
const WIDE: &str = "Zoë 微信昵称 🎁";

/// What the questions are made of.
#[derive(Clone, Debug)]
pub enum Sample {
    DrawRule(DrawRule),
    ChanceCount(ChanceCount),
    ClaimCode(ClaimCode),
    PrizeReview(PrizeReview),
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The check's name, one of [`CHECKS`].
    pub check: &'static str,
    pub passed: bool,
    pub detail: Detail,
}

/// A sentence for a developer, in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    pub chinese: String,
    pub english: String,
}

const ADDRESS: &str = "ADDRESS_ALLOWED";
const IN_TIME: &str = "ANSWERS_IN_TIME";
const STATUS: &str = "STATUS_SUCCESSFUL";
const JSON: &str = "CONTENT_IS_JSON";
const WELL_FORMED: &str = "ANSWER_WELL_FORMED";
const STEADY: &str = "SAME_QUESTION_SAME_ANSWER";
const UNIQUE: &str = "CLAIM_CODES_DIFFER";
const WIDE_LETTERS: &str = "WIDE_LETTERS_UNDERSTOOD";
const BAD_SIGNATURE: &str = "BROKEN_SIGNATURE_REFUSED";
const STALE: &str = "OLD_TIMESTAMP_REFUSED";
const REPLAY: &str = "REPEATED_NONCE_REFUSED";

/// Every check, in the order in which they are made.
pub const CHECKS: [&str; 11] =
    [ADDRESS, IN_TIME, STATUS, JSON, WELL_FORMED, STEADY, UNIQUE, WIDE_LETTERS, BAD_SIGNATURE, STALE, REPLAY];

/// Examines the endpoint with the sample's kind of question.
pub async fn examine(
    outbound: &Outbound,
    endpoint: &Endpoint,
    sample: &Sample,
    clock: &dyn Clock,
    randomness: &dyn Randomness,
) -> Vec<Line> {
    let mut examiner = Examiner { outbound, endpoint, sample, clock, randomness, lines: Vec::new() };
    // Nothing says more than the lines that were written when it stopped.
    let _stopped = examiner.run().await;
    examiner.lines
}

struct Examiner<'a> {
    outbound: &'a Outbound,
    endpoint: &'a Endpoint,
    sample: &'a Sample,
    clock: &'a dyn Clock,
    randomness: &'a dyn Randomness,
    lines: Vec<Line>,
}

/// A check failed that the others stand on.
struct Stop;

impl Examiner<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        self.may_be_called()?;
        let envelope = self.seal(self.clock.now(), &self.sample.message());
        let gist = self.answers_well(&envelope).await?;
        self.is_steady(&gist).await;
        if self.sample.kind() != Kind::ClaimCode {
            self.understands_wide_letters().await;
        }
        self.refuses_a_broken_signature().await;
        self.refuses_an_old_timestamp().await;
        self.refuses_a_repeated_nonce(&envelope).await;
        Ok(())
    }

    fn may_be_called(&mut self) -> Result<(), Stop> {
        let allowed = self.outbound.allows(&self.endpoint.url);
        let (passed, detail) = match allowed {
            Ok(()) => (true, detail("地址格式符合要求", "the address has an allowed form")),
            Err(error) => (false, forbidden(&error)),
        };
        self.demand(ADDRESS, passed, detail)
    }

    async fn answers_well(&mut self, envelope: &Envelope) -> Result<Gist, Stop> {
        let answer = match self.endpoint.post(self.outbound, envelope).await {
            Ok(answer) => answer,
            Err(error @ (OutboundError::BadAddress(_) | OutboundError::PrivateAddress(_))) => {
                // What the name leads to shows only now.
                self.lines.clear();
                self.demand(ADDRESS, false, forbidden(&error))?;
                return Err(Stop);
            }
            Err(error) => {
                self.demand(IN_TIME, false, no_answer(&error))?;
                return Err(Stop);
            }
        };
        self.note(IN_TIME, true, detail("在时限内应答", "answered in time"));
        let (chinese, english) = (
            format!("应答状态码为 {}；处理成功时应返回 200", answer.status.as_u16()),
            format!(
                "answered with the status {}; a question that was dealt with is answered with 200",
                answer.status.as_u16()
            ),
        );
        self.demand(STATUS, answer.status.is_success(), Detail { chinese, english })?;
        self.note(
            JSON,
            is_json(&answer),
            detail("应答头应为 Content-Type: application/json", "the answer's Content-Type has to be application/json"),
        );
        let outcome = self.sample.read(&answer.body);
        let (passed, words) = judged(&outcome);
        self.demand(WELL_FORMED, passed, words)?;
        match outcome {
            Ok(Reply::Answer(gist)) => Ok(gist),
            _ => Err(Stop),
        }
    }

    async fn is_steady(&mut self, first: &Gist) {
        let second = self.ask(&self.sample.message()).await;
        match (first, &second) {
            (Gist::ClaimCode(first), Ok(Gist::ClaimCode(second))) => {
                self.note(STEADY, true, detail("两次应答结果一致", "two answers were of one kind"));
                self.note(UNIQUE, first != second, detail("每次请求都应返回不同的兑奖码", "each request has to be answered with another claim code"));
            }
            (first, Ok(second)) => self.note(
                STEADY,
                first == second,
                detail(
                    "对同一请求连续两次应答应一致（可否抽奖、拒绝、已开奖三者之一不变；次数查询与审核结论不变）",
                    "the same question has to be answered alike twice: may draw, refused or decided; a count; allowed or refused",
                ),
            ),
            (_, Err(words)) => self.note(STEADY, false, prefixed("第二次请求未正常应答：", "the second request was not answered well: ", words)),
        }
    }

    async fn understands_wide_letters(&mut self) {
        let Ok(Value::Object(mut message)) = serde_json::from_slice(&self.sample.message()) else { return };
        message.insert("nickName".to_owned(), json!(WIDE));
        let outcome = self.ask(Value::Object(message).to_string().as_bytes()).await;
        let words = match &outcome {
            Ok(_) => {
                detail("能够处理含中文与表情符号的昵称", "a nickname with Chinese letters and an emoji is understood")
            }
            Err(words) => prefixed(
                "请求含中文与表情符号的昵称时未正常应答；消息长度按 UTF-8 字节计，请以 UTF-8 解码：",
                "a question with a nickname in Chinese letters and an emoji was not answered well; the length counts bytes of UTF-8, so decode as UTF-8: ",
                words,
            ),
        };
        self.note(WIDE_LETTERS, outcome.is_ok(), words);
    }

    async fn refuses_a_broken_signature(&mut self) {
        let mut envelope = self.seal(self.clock.now(), &self.sample.message());
        let last = if envelope.signature.pop() == Some('0') { '1' } else { '0' };
        envelope.signature.push(last);
        let repair = detail(
            "收到签名错误的请求时必须拒绝：将 token、timestamp、nonce、msgEncrypt 按字节排序后拼接并计算摘要，与 signature 比较，不一致则返回非 200 的 code",
            "a request with a wrong signature has to be refused: sort token, timestamp, nonce and msgEncrypt by their bytes, join them, hash them, compare with `signature`, and answer with a code other than 200 if they differ",
        );
        self.refuses(BAD_SIGNATURE, &envelope, repair).await;
    }

    async fn refuses_an_old_timestamp(&mut self) {
        let envelope = self.seal(self.clock.now() - TimeDelta::hours(1), &self.sample.message());
        let repair = detail(
            "timestamp（秒）与当前时间相差超过 5 分钟的请求必须拒绝，返回非 200 的 code；请同时校准服务器时间",
            "a request whose timestamp (in seconds) is more than 5 minutes off has to be refused with a code other than 200; set the server's clock too",
        );
        self.refuses(STALE, &envelope, repair).await;
    }

    /// The first envelope again, byte for byte.
    async fn refuses_a_repeated_nonce(&mut self, envelope: &Envelope) {
        let repair = detail(
            "重复的 nonce 必须拒绝：请至少保存 10 分钟内收到的 nonce，再次出现时返回非 200 的 code",
            "a nonce that was seen before has to be refused: keep each for at least 10 minutes, and answer with a code other than 200 when it comes again",
        );
        self.refuses(REPLAY, envelope, repair).await;
    }

    async fn refuses(&mut self, check: &'static str, envelope: &Envelope, repair: Detail) {
        let (passed, words) = match self.endpoint.post(self.outbound, envelope).await {
            Ok(answer) if !is_accepted(&answer) => (true, detail("已按要求拒绝", "refused, as it has to be")),
            Ok(_) => (false, repair),
            Err(error) => (
                false,
                prefixed(
                    &format!("{}。未收到应答：", repair.chinese),
                    &format!("{}. There was no answer: ", repair.english),
                    &no_answer(&error),
                ),
            ),
        };
        self.note(check, passed, words);
    }

    async fn ask(&self, message: &[u8]) -> Result<Gist, Detail> {
        let envelope = self.seal(self.clock.now(), message);
        let answer = self.endpoint.post(self.outbound, &envelope).await.map_err(|error| no_answer(&error))?;
        let outcome = self.sample.read(&answer.body);
        match outcome {
            Ok(Reply::Answer(gist)) if answer.status.is_success() => Ok(gist),
            _ if !answer.status.is_success() => {
                let status = answer.status.as_u16();
                Err(Detail {
                    chinese: format!("应答状态码为 {status}"), english: format!("the status was {status}")
                })
            }
            outcome => Err(judged(&outcome).1),
        }
    }

    fn seal(&self, at: DateTime<Utc>, message: &[u8]) -> Envelope {
        self.endpoint.keys.seal(&Stamp::new(at, self.randomness), message)
    }

    fn note(&mut self, check: &'static str, passed: bool, detail: Detail) {
        self.lines.push(Line { check, passed, detail });
    }

    fn demand(&mut self, check: &'static str, passed: bool, detail: Detail) -> Result<(), Stop> {
        self.note(check, passed, detail);
        if passed { Ok(()) } else { Err(Stop) }
    }
}
