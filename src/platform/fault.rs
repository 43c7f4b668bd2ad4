//! Faults: what goes wrong outside the rules of the business.
//!
//! An expected outcome (sold out, not started) is data and stands in a mutation's payload. A fault is what
//! stops a request altogether. Its code is public and closed; its cause is for the log alone.

use std::time::Duration;

use crate::platform::language::{Language, Text};

/// Why a request could not be carried out. The client sees [`Fault::code`] and [`Fault::message`], never a cause.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("bad request: {0}")]
    BadRequest(String),
    #[error("unauthenticated: {}", .0.english)]
    Unauthenticated(Text),
    /// The caller's role does not give this permission.
    #[error("forbidden: needs {0}")]
    Forbidden(&'static str),
    /// The caller's token was given scopes, and this is none of them.
    #[error("forbidden: needs the scope {0}")]
    OutOfScope(&'static str),
    #[error("needs {}", .0.english)]
    WrongCaller(Text),
    /// Whom the caller acts for does not work at present. What that means to them, and what they can do, they are told
    /// in words of the enterprise's state.
    #[error("not active: {}", .0.english)]
    Inactive(Text),
    #[error("not found")]
    NotFound,
    #[error("rate limited for {0:?}")]
    RateLimited(Duration),
    #[error("too complex: {0}")]
    TooComplex(String),
    #[error("timed out")]
    TimedOut,
    #[error("unavailable")]
    Unavailable(#[source] anyhow::Error),
    /// Lost a race that a second try may win; the edge tries again before a client ever sees this.
    #[error("contended")]
    Contended(#[source] anyhow::Error),
    #[error("internal")]
    Internal(#[source] anyhow::Error),
}

impl Fault {
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::Internal(cause.into())
    }

    /// Nobody said who they are.
    pub const NO_TOKEN: Self = Self::Unauthenticated(Text::new("请求未带令牌", "no token was sent"));

    /// The token is not good, for this reason: a part of a sentence.
    pub const fn unauthenticated(chinese: &'static str, english: &'static str) -> Self {
        Self::Unauthenticated(Text::new(chinese, english))
    }

    /// The token is somebody else's than this one, whose name is a part of a sentence.
    pub const fn wrong_caller(chinese: &'static str, english: &'static str) -> Self {
        Self::WrongCaller(Text::new(chinese, english))
    }

    /// The fault and its causes in one line, for the log. Never for a client.
    pub fn with_causes(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |line, cause| format!("{line}: {cause}"))
    }

    /// The closed set of codes that clients may branch on.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::BadRequest(_) => "BAD_REQUEST",
            Fault::Unauthenticated(_) => "UNAUTHENTICATED",
            Fault::Forbidden(_) | Fault::OutOfScope(_) | Fault::WrongCaller(_) => "FORBIDDEN",
            Fault::Inactive(_) => "ENTERPRISE_NOT_ACTIVE",
            Fault::NotFound => "NOT_FOUND",
            Fault::RateLimited(_) => "RATE_LIMITED",
            Fault::TooComplex(_) => "TOO_COMPLEX",
            Fault::TimedOut => "TIMED_OUT",
            Fault::Unavailable(_) | Fault::Contended(_) => "UNAVAILABLE",
            Fault::Internal(_) => "INTERNAL",
        }
    }

    /// What a person is told, and what they can do about it.
    pub fn message(&self, language: Language) -> String {
        let fixed = |chinese, english| Text::new(chinese, english).in_language(language).to_owned();
        match self {
            Fault::BadRequest(what) => match language {
                Language::Chinese => format!("请求无效：{what}"),
                Language::English => format!("The request is not valid: {what}"),
            },
            Fault::Unauthenticated(why) => match language {
                Language::Chinese => {
                    format!("请先登录，再以 \"Authorization: Bearer …\" 带上有效的令牌重试（{}）。", why.chinese)
                }
                Language::English => {
                    format!("Sign in and send a valid token as \"Authorization: Bearer …\" ({}).", why.english)
                }
            },
            Fault::Forbidden(permission) => match language {
                Language::Chinese => format!("您的角色没有权限 {permission}，请联系企业所有者授权。"),
                Language::English => {
                    format!("Your role lacks the permission {permission}; ask your enterprise's owner for it.")
                }
            },
            Fault::OutOfScope(scope) => match language {
                Language::Chinese => {
                    format!(
                        "该令牌不含权限范围 {scope}：请重新获取包含它的令牌；如无法获取，请企业管理员为应用添加该范围。"
                    )
                }
                Language::English => format!(
                    "This token lacks the scope {scope}: get another token with it; where you may not have it, ask the enterprise's administrators to give it to you."
                ),
            },
            Fault::WrongCaller(token) => match language {
                Language::Chinese => format!("该操作需要{}；所带的令牌属于其他身份。", token.chinese),
                Language::English => {
                    format!("This needs {}; the one that was sent speaks for somebody else.", token.english)
                }
            },
            Fault::Inactive(told) => told.in_language(language).to_owned(),
            Fault::NotFound => fixed("没有找到该对象，请检查 ID。", "Nothing was found under that ID; check the ID."),
            Fault::RateLimited(wait) => match language {
                Language::Chinese => format!("请求过于频繁，请在 {} 秒后重试。", wait.as_secs().max(1)),
                Language::English => format!("Too many requests; try again in {} s.", wait.as_secs().max(1)),
            },
            Fault::TooComplex(what) => match language {
                Language::Chinese => format!("查询过于复杂，请减少字段或分页大小：{what}"),
                Language::English => {
                    format!("The operation is too complex, ask for fewer fields or smaller pages: {what}")
                }
            },
            Fault::TimedOut => fixed(
                "处理超时，请用相同的幂等键重试。",
                "The request took too long; retry it with the same idempotency key.",
            ),
            Fault::Unavailable(_) | Fault::Contended(_) => fixed(
                "服务暂时不可用，请稍后用相同的幂等键重试。",
                "The service is busy or restarting; retry shortly with the same idempotency key.",
            ),
            Fault::Internal(_) => fixed(
                "内部错误，请带上请求编号联系支持。",
                "Something broke on our side; contact support with the request ID.",
            ),
        }
    }
}
