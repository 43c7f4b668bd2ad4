//! Reads the fields of an answer: with patience for how a number is written, with none for what is not there.

use serde_json::{Map, Value};
use url::Url;

use crate::platform::language::{Language, Text};

const LONGEST_ADDRESS: usize = 2_048;
const LARGEST_DATA: usize = 4_096;

const OBJECT: Text = Text::new("JSON 对象", "a JSON object");
const LIST: Text = Text::new("JSON 数组", "a JSON array");
const CODE: Text =
    Text::new("200，或由字母、数字、“_”、“-”组成的错误码", "200, or an error's code of letters, digits, `_` and `-`");
const TRUTH: Text = Text::new("0、1、true 或 false", "0, 1, true or false");
const TEXT: Text = Text::new("不含 NUL 字符且长度不超限的文本", "a text within its length, without the character NUL");
const ADDRESS: Text =
    Text::new("http 或 https 地址；不跳转时请省略", "an http or https address, or left out for no jump");
const DATA: Text =
    Text::new("不超过 4096 字节且不含 NUL 字符的 JSON", "JSON of at most 4096 bytes, without the character NUL");

/// What is wrong with an answer. Names the field and what should stand there, and nothing of what stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// As a path: `lotteryList[0].prizeLevel`. None is the answer as a whole.
    pub field: Option<String>,
    pub expected: Text,
}

impl std::error::Error for Malformed {}

impl std::fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.in_language(Language::English))
    }
}

impl Malformed {
    pub fn in_language(&self, language: Language) -> String {
        let expected = self.expected.in_language(language);
        match (language, &self.field) {
            (Language::Chinese, Some(field)) => format!("字段“{field}”应为{expected}"),
            (Language::Chinese, None) => format!("应答应为{expected}"),
            (Language::English, Some(field)) => format!("`{field}` has to be {expected}"),
            (Language::English, None) => format!("the answer has to be {expected}"),
        }
    }
}

/// An object of an answer and where it stands. An absent field, `null` and an empty text are the same.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    within: String,
}

/// The JSON of a body, which may begin with a byte order mark.
pub fn parse(body: &[u8]) -> Result<Value, Malformed> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // serde's own words may quote the answer.
    serde_json::from_slice(body).map_err(|_| Malformed { field: None, expected: OBJECT })
}

impl<'a> Fields<'a> {
    pub fn of(value: &'a Value) -> Result<Self, Malformed> {
        let object = value.as_object().ok_or(Malformed { field: None, expected: OBJECT })?;
        Ok(Self { object, within: String::new() })
    }

    pub fn malformed(&self, name: &str, expected: Text) -> Malformed {
        Malformed { field: Some(format!("{}{name}", self.within)), expected }
    }

    pub fn raw(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            _ => true,
        })
    }

    /// The object in this field.
    pub fn inner(&self, name: &str) -> Result<Self, Malformed> {
        let object = self.raw(name).and_then(Value::as_object).ok_or_else(|| self.malformed(name, OBJECT))?;
        Ok(Self { object, within: format!("{}{name}.", self.within) })
    }

    /// The objects in this field; none if it is absent.
    pub fn list(&self, name: &str) -> Result<Vec<Self>, Malformed> {
        let Some(value) = self.raw(name) else { return Ok(Vec::new()) };
        let list = value.as_array().ok_or_else(|| self.malformed(name, LIST))?;
        let element = |(at, value): (usize, &'a Value)| {
            let object = value.as_object().ok_or_else(|| self.malformed(&format!("{name}[{at}]"), OBJECT))?;
            Ok(Self { object, within: format!("{}{name}[{at}].", self.within) })
        };
        list.iter().enumerate().map(element).collect()
    }

    /// The outcome as the endpoint names it: `200` if all is well.
    pub fn code(&self) -> Result<String, Malformed> {
        let code = self.raw("code").and_then(written);
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let code = code.filter(|code| code.len() <= 32 && code.bytes().all(sign));
        code.ok_or_else(|| self.malformed("code", CODE))
    }

    /// A number that has to be there, as a number or as its digits.
    pub fn number(&self, name: &str, expected: Text) -> Result<u32, Malformed> {
        self.raw(name).and_then(integer).ok_or_else(|| self.malformed(name, expected))
    }

    pub fn truth(&self, name: &str) -> Result<Option<bool>, Malformed> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let word = value.as_bool().map(|truth| truth.to_string()).or_else(|| written(value));
        match word.as_deref() {
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            _ => Err(self.malformed(name, TRUTH)),
        }
    }

    /// At most so many characters.
    pub fn text(&self, name: &str, longest: usize) -> Result<Option<String>, Malformed> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let text = written(value).filter(|text| text.chars().count() <= longest && !text.contains('\0'));
        text.map(Some).ok_or_else(|| self.malformed(name, TEXT))
    }

    /// The beginning of a text that is only reported, whatever it is.
    pub fn excerpt(&self, name: &str, longest: usize) -> Option<String> {
        Some(written(self.raw(name)?)?.chars().filter(|character| !character.is_control()).take(longest).collect())
    }

    /// An address that a browser may be sent to.
    pub fn address(&self, name: &str) -> Result<Option<Url>, Malformed> {
        let Some(text) = self.text(name, LONGEST_ADDRESS)? else { return Ok(None) };
        let address = Url::parse(&text).ok().filter(|address| matches!(address.scheme(), "http" | "https"));
        address.map(Some).ok_or_else(|| self.malformed(name, ADDRESS))
    }

    /// Any JSON, as it is.
    pub fn data(&self, name: &str) -> Result<Option<Value>, Malformed> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        if value.to_string().len() > LARGEST_DATA || holds_nul(value) {
            return Err(self.malformed(name, DATA));
        }
        Ok(Some(value.clone()))
    }
}

/// A number or its digits.
pub fn integer(value: &Value) -> Option<u32> {
    let text = written(value)?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A text without the spaces around it, or a whole number as it is written.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// PostgreSQL keeps no NUL, neither in text nor in JSON.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(holds_nul),
        Value::Object(object) => object.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
