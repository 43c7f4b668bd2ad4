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
    #[error("unauthenticated: {0}")]
    Unauthenticated(&'static str),
    #[error("forbidden: needs {0}")]
    Forbidden(&'static str),
    #[error("needs {0}")]
    WrongCaller(&'static str),
    /// Whom the caller acts for does not work at present; the word is its state.
    #[error("the enterprise is {0}")]
    Inactive(&'static str),
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
            Fault::Forbidden(_) | Fault::WrongCaller(_) => "FORBIDDEN",
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
                Language::Chinese => format!("请先登录，再带上有效的令牌重试（{why}）。"),
                Language::English => {
                    format!("Sign in and send a valid token as \"Authorization: Bearer …\" ({why}).")
                }
            },
            Fault::Forbidden(permission) => match language {
                Language::Chinese => format!("没有权限：需要 {permission}，请联系企业所有者授权。"),
                Language::English => {
                    format!("Your role lacks the permission {permission}; ask your enterprise's owner for it.")
                }
            },
            Fault::WrongCaller(token) => match language {
                Language::Chinese => format!("该操作需要另一种身份的令牌（{token}）。"),
                Language::English => format!("This needs {token}; the one that was sent speaks for somebody else."),
            },
            Fault::Inactive(state) => match language {
                Language::Chinese => format!("企业当前状态为 {state}，暂不能进行该操作；请联系平台运营方。"),
                Language::English => format!(
                    "The enterprise is {state}: what exists can be looked at, and nothing else can be done; contact the house that runs this service."
                ),
            },
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
