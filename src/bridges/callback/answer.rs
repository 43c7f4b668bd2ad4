//! What an enterprise's endpoint answers, checked. A prize hangs on it, so an answer that could mean two things is
//! malformed; fields that are not named here are ignored.

use serde_json::Value;
use url::Url;

use super::fields::{self, Fields, Malformed};
use crate::platform::language::Text;

const LONGEST_MESSAGE: usize = 500;
const LONGEST_PRIZE_CODE: usize = 64;
const LONGEST_PRIZE_NAME: usize = 256;
/// A claim code is shorter than this, in characters.
const CLAIM_CODE_BOUND: usize = 16;
const MOST_LEVELS: usize = 100;

const LOTTERY: Text = Text::new("1、2、3 或 4", "1, 2, 3 or 4");
const REFUSAL_MESSAGE: Text = Text::new(
    "拒绝（lottery 为 2，或 review 为 2）时展示给用户的提示，不可为空",
    "the words that a person is shown who is refused (`lottery` 2, or `review` 2); they must not be empty",
);
const WIN_SCOPE: Text = Text::new(
    "从 1 开始的奖品等级数组，至少一项、最多 100 项；不限等级时请省略",
    "a JSON array of 1 to 100 prize levels from 1, or left out for all levels",
);
const PRIZE_LEVEL: Text =
    Text::new("中奖的奖品等级，从 0 开始的整数", "the level of the prize that was won, a whole number from 0");
const ONE_RESULT: Text = Text::new(
    "单抽的一条结果；也可省略并返回 prizeLevel",
    "the one result of a single draw, or left out beside `prizeLevel`",
);
const RESULTS: Text =
    Text::new("JSON 数组，条数与请求的 drawNum 相同", "a JSON array of as many results as the request's `drawNum`");
const IS_WIN: Text = Text::new("是否中奖：1 或 0", "whether the draw has won: 1 or 0");
const COUNT: Text = Text::new("剩余次数，从 0 开始的整数", "the number of chances, a whole number from 0");
const CLAIM_CODE: Text = Text::new(
    "兑奖码：1 至 15 个字符，不含空格和控制字符",
    "the claim code: 1 to 15 characters without spaces and control characters",
);
const REVIEW: Text = Text::new("1（通过）或 2（拒绝）", "1 (allowed) or 2 (refused)");

/// An answer, or the endpoint's word that it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<A> {
    Answer(A),
    Rejected(Rejection),
}

/// A code other than 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// At most 32 letters, digits, `_` and `-`.
    pub code: String,
    /// The endpoint's words, cut. For the enterprise's own eyes: nobody knows what stands in them.
    pub msg: Option<String>,
}

/// Which prizes a person may win, by their levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WinScope {
    All,
    /// From 1, in order, each once; never empty.
    Levels(Vec<u32>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrawAnswer {
    /// `lottery` 1: the draw is ours.
    May { win_scope: WinScope },
    /// `lottery` 2: no draw, and the chance is kept.
    Refused { message: String, url: Option<Url> },
    /// `lottery` 3: no prize in any of the draws, and the chance is gone.
    NoPrize { message: Option<String> },
    /// `lottery` 4: a result for each draw, in order. Some may have lost, or all.
    Won(Vec<DrawResult>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawResult {
    pub is_win: bool,
    /// From 0. There if it is a win.
    pub prize_level: Option<u32>,
    pub prize_code: Option<String>,
    pub prize_name: Option<String>,
    /// What the enterprise wants shown with the prize, in a form of its own.
    pub dyn_data: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChanceAnswer {
    pub count: u32,
    /// Shown if there is no chance.
    pub message: Option<String>,
    pub url: Option<Url>,
}

/// The endpoint answers for each claim with another code; that it does is to be checked by who keeps the codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimCodeAnswer {
    pub code: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewAnswer {
    Allowed,
    Refused { message: String },
}

/// Reads what stands in an answer with code 200.
fn read<A>(body: &[u8], answer: impl FnOnce(&Fields<'_>) -> Result<A, Malformed>) -> Result<Reply<A>, Malformed> {
    let value = fields::parse(body)?;
    let fields = Fields::of(&value)?;
    match fields.code()? {
        code if code == "200" => Ok(Reply::Answer(answer(&fields)?)),
        code => Ok(Reply::Rejected(Rejection { code, msg: fields.excerpt("msg", LONGEST_MESSAGE) })),
    }
}

/// The same, where `success` stands beside the code: one that contradicts it is a rejection.
fn read_success<A>(
    body: &[u8],
    answer: impl FnOnce(&Fields<'_>) -> Result<A, Malformed>,
) -> Result<Reply<A>, Malformed> {
    let reply = read(body, |fields| match fields.truth("success")? {
        Some(false) => Ok(Err(Rejection { code: fields.code()?, msg: fields.excerpt("msg", LONGEST_MESSAGE) })),
        Some(true) | None => Ok(Ok(answer(fields)?)),
    })?;
    Ok(match reply {
        Reply::Answer(Ok(answer)) => Reply::Answer(answer),
        Reply::Answer(Err(rejection)) | Reply::Rejected(rejection) => Reply::Rejected(rejection),
    })
}

impl DrawAnswer {
    /// The answer to a request for so many draws at once.
    pub fn read(body: &[u8], draws: u32) -> Result<Reply<Self>, Malformed> {
        read(body, |fields| match fields.number("lottery", LOTTERY)? {
            1 => Ok(Self::May { win_scope: WinScope::read(fields)? }),
            2 => Ok(Self::Refused { message: refusal(fields)?, url: fields.address("url")? }),
            3 => Ok(Self::NoPrize { message: fields.text("message", LONGEST_MESSAGE)? }),
            4 => Ok(Self::Won(DrawResult::read_all(fields, draws)?)),
            _ => Err(fields.malformed("lottery", LOTTERY)),
        })
    }
}

fn refusal(fields: &Fields<'_>) -> Result<String, Malformed> {
    fields.text("message", LONGEST_MESSAGE)?.ok_or_else(|| fields.malformed("message", REFUSAL_MESSAGE))
}

impl WinScope {
    fn read(fields: &Fields<'_>) -> Result<Self, Malformed> {
        let Some(value) = fields.raw("winScope") else { return Ok(Self::All) };
        let list = value.as_array().filter(|list| (1..=MOST_LEVELS).contains(&list.len()));
        let levels = list.and_then(|list| list.iter().map(level_from_1).collect::<Option<Vec<u32>>>());
        let mut levels = levels.ok_or_else(|| fields.malformed("winScope", WIN_SCOPE))?;
        levels.sort_unstable();
        levels.dedup();
        Ok(Self::Levels(levels))
    }
}

fn level_from_1(value: &Value) -> Option<u32> {
    fields::integer(value).filter(|level| *level >= 1)
}

impl DrawResult {
    fn read_all(fields: &Fields<'_>, draws: u32) -> Result<Vec<Self>, Malformed> {
        let list = fields.list("lotteryList")?;
        match (draws, list.len()) {
            (0 | 1, 0) => Ok(vec![Self::read(fields, true)?]),
            (0 | 1, 2..) => Err(fields.malformed("lotteryList", ONE_RESULT)),
            (draws, length) if length == draws.max(1) as usize => list.iter().map(Self::read_listed).collect(),
            _ => Err(fields.malformed("lotteryList", RESULTS)),
        }
    }

    fn read_listed(fields: &Fields<'_>) -> Result<Self, Malformed> {
        let is_win = fields.truth("isWin")?.ok_or_else(|| fields.malformed("isWin", IS_WIN))?;
        Self::read(fields, is_win)
    }

    /// Of a draw that has not won nothing is taken: some endpoints write -1 as its level.
    fn read(fields: &Fields<'_>, is_win: bool) -> Result<Self, Malformed> {
        if !is_win {
            return Ok(Self { is_win, prize_level: None, prize_code: None, prize_name: None, dyn_data: None });
        }
        Ok(Self {
            is_win,
            prize_level: Some(fields.number("prizeLevel", PRIZE_LEVEL)?),
            prize_code: fields.text("prizeCode", LONGEST_PRIZE_CODE)?,
            prize_name: fields.text("prizeName", LONGEST_PRIZE_NAME)?,
            dyn_data: fields.data("dynData")?,
        })
    }
}

impl ChanceAnswer {
    pub fn read(body: &[u8]) -> Result<Reply<Self>, Malformed> {
        read_success(body, |fields| {
            let fields = fields.inner("obj")?;
            Ok(Self {
                count: fields.number("count", COUNT)?,
                message: fields.text("message", LONGEST_MESSAGE)?,
                url: fields.address("url")?,
            })
        })
    }
}

impl ClaimCodeAnswer {
    pub fn read(body: &[u8]) -> Result<Reply<Self>, Malformed> {
        read_success(body, |fields| {
            let code = fields.text("obj", CLAIM_CODE_BOUND - 1).ok().flatten();
            let code = code.filter(|code| !code.chars().any(|sign| sign.is_whitespace() || sign.is_control()));
            Ok(Self { code: code.ok_or_else(|| fields.malformed("obj", CLAIM_CODE))? })
        })
    }
}

impl ReviewAnswer {
    pub fn read(body: &[u8]) -> Result<Reply<Self>, Malformed> {
        read(body, |fields| match fields.number("review", REVIEW)? {
            1 => Ok(Self::Allowed),
            2 => Ok(Self::Refused { message: refusal(fields)? }),
            _ => Err(fields.malformed("review", REVIEW)),
        })
    }
}

#[cfg(test)]
mod tests;
