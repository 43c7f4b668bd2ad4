//! Texts in two languages, in and out.

use async_graphql::{Context, InputObject, Object};

use crate::api::context::ContextExt;
use crate::platform::language::Language;

/// A text that an enterprise wrote in two languages.
pub struct LocalizedText {
    pub chinese: String,
    pub english: String,
}

impl LocalizedText {
    pub fn new(chinese: &str, english: &str) -> Self {
        Self { chinese: chinese.to_owned(), english: english.to_owned() }
    }
}

/// A text in two languages.
#[Object]
impl LocalizedText {
    /// In the language of `Accept-Language`, or in the other where that one is empty.
    async fn text(&self, ctx: &Context<'_>) -> &str {
        let (wished, other) = match ctx.language() {
            Language::Chinese => (&self.chinese, &self.english),
            Language::English => (&self.english, &self.chinese),
        };
        if wished.is_empty() { other } else { wished }
    }

    /// In Chinese.
    async fn chinese(&self) -> &str {
        &self.chinese
    }

    /// In English.
    async fn english(&self) -> &str {
        &self.english
    }
}

/// A text in two languages.
#[derive(Clone, Debug, InputObject)]
pub struct LocalizedTextInput {
    /// In Chinese.
    pub chinese: String,
    /// In English.
    pub english: String,
}
