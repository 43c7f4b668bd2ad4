//! The two languages that a message to a person is written in.

/// A language that Minthouse answers in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// Simplified Chinese, the default of this field.
    #[default]
    Chinese,
    English,
}

/// One message in both languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    pub chinese: &'static str,
    pub english: &'static str,
}

impl Text {
    pub const fn new(chinese: &'static str, english: &'static str) -> Self {
        Self { chinese, english }
    }

    pub fn in_language(&self, language: Language) -> &'static str {
        match language {
            Language::Chinese => self.chinese,
            Language::English => self.english,
        }
    }
}

impl Language {
    /// The language of a tag such as `zh`, `zh-CN` or `en-GB`, if it is one of ours.
    pub fn from_tag(tag: &str) -> Option<Self> {
        match tag.split('-').next()?.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Chinese),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// As HTML names it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }

    /// The best of ours for an `Accept-Language` header: highest `q` wins, the first named among equals.
    /// A header that names neither language gives the default.
    pub fn from_accept_language(header: &str) -> Self {
        let mut best: Option<(f32, Language)> = None;
        for part in header.split(',') {
            let mut pieces = part.split(';');
            let named = Self::from_tag(pieces.next().unwrap_or("").trim());
            let quality = pieces.find_map(|piece| piece.trim().strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            let Some(language) = named else { continue };
            if quality > 0.0 && best.is_none_or(|(q, _)| quality > q) {
                best = Some((quality, language));
            }
        }
        best.map(|(_, language)| language).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_quality_wins_and_strangers_are_passed_over() {
        let pick = Language::from_accept_language;
        assert_eq!(pick("en-GB,en;q=0.9,zh;q=0.8"), Language::English);
        assert_eq!(pick("fr, zh-CN;q=0.4, en;q=0.5"), Language::English);
        assert_eq!(pick("fr"), Language::Chinese);
        assert_eq!(pick("en;q=0, zh;q=0.1"), Language::Chinese);
        assert_eq!(pick(""), Language::Chinese);
    }
}
