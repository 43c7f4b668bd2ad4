//! The parameters of a request: query, operationName, variables, extensions. Strict about their types, since a
//! server that guesses hides the client's mistake.

use async_graphql::{Name, Value, Variables};
use axum::http::{StatusCode, Uri};

use super::documents::PersistedQuery;
use super::errors::Protocol;
use crate::platform::language::Text;

#[derive(Debug, Default)]
pub struct Parameters {
    pub query: Option<String>,
    pub operation_name: Option<String>,
    pub variables: Variables,
    pub persisted: Option<PersistedQuery>,
    /// The name of an operation in a single event stream.
    pub operation_id: Option<String>,
}

const MALFORMED: Protocol = Protocol::new(
    StatusCode::BAD_REQUEST,
    "BAD_REQUEST",
    Text::new(
        "请求格式不对：query 和 operationName 应为字符串，variables 和 extensions 应为 JSON 对象。",
        "The request is malformed: query and operationName are strings, variables and extensions JSON objects.",
    ),
);

const BATCH: Protocol = Protocol::new(
    StatusCode::BAD_REQUEST,
    "BATCH_REFUSED",
    Text::new(
        "不支持批量请求：请逐个发送，或把多个字段写在一个操作里。",
        "Batches are not supported: send the requests one by one, or several fields in one operation.",
    ),
);

impl Parameters {
    pub fn from_json(body: &[u8]) -> Result<Self, Protocol> {
        let value = serde_json::from_slice(body).map_err(|error| MALFORMED.because(error))?;
        Self::from_value(value)
    }

    pub fn from_value(value: serde_json::Value) -> Result<Self, Protocol> {
        let mut fields = match value {
            serde_json::Value::Object(fields) => fields,
            serde_json::Value::Array(_) => return Err(BATCH),
            _ => return Err(MALFORMED),
        };
        let mut part = |name: &str| fields.remove(name).filter(|value| !value.is_null());
        let mut parameters = Self {
            query: part("query").map(|value| text(value, "query")).transpose()?,
            operation_name: part("operationName").map(|value| text(value, "operationName")).transpose()?,
            ..Self::default()
        };
        parameters.set_variables(part("variables"))?;
        parameters.set_extensions(part("extensions"))?;
        parameters.operation_name = parameters.operation_name.filter(|name| !name.is_empty());
        Ok(parameters)
    }

    pub fn from_uri(uri: &Uri) -> Result<Self, Protocol> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let mut fields = serde_json::Map::new();
        for (name, value) in pairs.map_err(|error| MALFORMED.because(error))?.0 {
            let value = match name.as_str() {
                "query" | "operationName" => serde_json::Value::String(value),
                "variables" | "extensions" if value.is_empty() => serde_json::Value::Null,
                "variables" | "extensions" => {
                    serde_json::from_str(&value).map_err(|error| MALFORMED.because(format!("{name}: {error}")))?
                }
                _ => continue,
            };
            if fields.insert(name.clone(), value).is_some() {
                return Err(MALFORMED.because(format!("{name}: twice")));
            }
        }
        Self::from_value(serde_json::Value::Object(fields))
    }

    fn set_variables(&mut self, value: Option<serde_json::Value>) -> Result<(), Protocol> {
        for (name, value) in object(value, "variables")? {
            let value = Value::from_json(value).map_err(|error| MALFORMED.because(error))?;
            self.variables.insert(Name::new(name), value);
        }
        Ok(())
    }

    fn set_extensions(&mut self, value: Option<serde_json::Value>) -> Result<(), Protocol> {
        let mut extensions = object(value, "extensions")?;
        let mut part = |name: &str| extensions.remove(name).filter(|value| !value.is_null());
        self.persisted = part("persistedQuery").as_ref().map(PersistedQuery::from_extension).transpose()?;
        self.operation_id = part("operationId").map(|value| text(value, "extensions.operationId")).transpose()?;
        Ok(())
    }
}

fn text(value: serde_json::Value, name: &str) -> Result<String, Protocol> {
    match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(MALFORMED.because(name)),
    }
}

fn object(
    value: Option<serde_json::Value>,
    name: &str,
) -> Result<serde_json::Map<String, serde_json::Value>, Protocol> {
    match value {
        None => Ok(serde_json::Map::new()),
        Some(serde_json::Value::Object(fields)) => Ok(fields),
        Some(_) => Err(MALFORMED.because(name)),
    }
}
