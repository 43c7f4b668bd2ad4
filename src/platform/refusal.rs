//! Refusals: what the rules of the business say no to. They are data for the caller, not faults of the system.

use crate::platform::fault::Fault;
use crate::platform::language::{Language, Text};
use crate::platform::throttle::Wait;

/// A closed set of reasons, one for each family of mutations.
pub trait Code: Copy + Send + Sync + 'static {
    /// What a person is told, and what they can do about it.
    fn text(self) -> Text;
}

/// One reason, and the input field that it is about.
#[derive(Clone, Debug)]
pub struct Problem<C> {
    pub code: C,
    pub field: Option<String>,
    /// More exact words than the code's own.
    pub detail: Option<Text>,
    /// Where waiting helps.
    pub wait: Option<Wait>,
}

impl<C: Code> Problem<C> {
    pub fn at(field: impl Into<String>, code: C) -> Self {
        Self { code, field: Some(field.into()), detail: None, wait: None }
    }

    pub fn message(&self, language: Language) -> String {
        let text = self.detail.unwrap_or_else(|| self.code.text()).in_language(language);
        match (self.wait.map(Wait::seconds), language) {
            (None, _) => text.to_owned(),
            (Some(seconds), Language::Chinese) => format!("{text}请等待 {seconds} 秒。"),
            (Some(seconds), Language::English) => format!("{text} Wait {seconds} s."),
        }
    }
}

/// Why a use case came to nothing: the rules said no, or something broke.
#[derive(Debug)]
pub enum Refusal<C> {
    Problems(Vec<Problem<C>>),
    Fault(Fault),
}

impl<C> Refusal<C> {
    pub fn code(code: C) -> Self {
        Self::Problems(vec![Problem { code, field: None, detail: None, wait: None }])
    }

    /// Too many attempts: the next one may come after a while.
    pub fn later(code: C, wait: Wait) -> Self {
        Self::Problems(vec![Problem { code, field: None, detail: None, wait: Some(wait) }])
    }

    pub fn at(field: impl Into<String>, code: C) -> Self {
        Self::Problems(vec![Problem { code, field: Some(field.into()), detail: None, wait: None }])
    }

    pub fn explained(field: impl Into<String>, code: C, chinese: &'static str, english: &'static str) -> Self {
        let detail = Some(Text::new(chinese, english));
        Self::Problems(vec![Problem { code, field: Some(field.into()), detail, wait: None }])
    }
}

impl<C> From<Fault> for Refusal<C> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Declares a family's codes with their texts, and its GraphQL types: `codes!(ActivityErrorCode, ActivityUserError, { NotFound = "NOT_FOUND": "中文" / "English", })`.
#[macro_export]
macro_rules! codes {
    ($code:ident, $error:ident, { $($variant:ident = $word:literal : $chinese:literal / $english:literal,)+ }) => {
        /// Why a mutation of this family was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
        pub enum $code {
            $(#[doc = $english] #[graphql(name = $word)] $variant,)+
        }

        impl $code {
            /// What programs branch on.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::platform::refusal::Code for $code {
            fn text(self) -> $crate::platform::language::Text {
                match self {
                    $(Self::$variant => $crate::platform::language::Text::new($chinese, $english),)+
                }
            }
        }

        /// An expected outcome that is not the wished one. Nothing was changed.
        #[derive(Clone, Debug, async_graphql::SimpleObject)]
        pub struct $error {
            /// What programs branch on.
            pub code: $code,
            /// The input field that the error is about, as a path such as `prizes.2.quantity`.
            pub field: Option<String>,
            /// What people read, in the language of `Accept-Language`.
            pub message: String,
            /// Where waiting helps: for how many seconds.
            pub retry_after_seconds: Option<i64>,
        }

        impl $error {
            pub fn from_problem(problem: $crate::platform::refusal::Problem<$code>, language: $crate::platform::language::Language) -> Self {
                let message = problem.message(language);
                let retry_after_seconds = problem.wait.map($crate::platform::throttle::Wait::seconds);
                Self { code: problem.code, field: problem.field, message, retry_after_seconds }
            }
        }
    };
}
