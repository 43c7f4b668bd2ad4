//! What a client reads when something goes wrong, and what the log reads instead.
//!
//! Every error that leaves has `extensions.code` and `extensions.requestId`. A resolver raises a [`Fault`]; the
//! transport finds it again by its type, words it in the visitor's language and logs its cause. An error that holds
//! neither a fault nor a message that is known to be harmless is an internal error: driver text never leaves.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use async_graphql::{ErrorExtensionValues, Response, ServerError, Value};
use axum::http::StatusCode;
use serde::Serialize;

use super::gate::RequestId;
use crate::platform::fault::Fault;
use crate::platform::language::{Language, Text};

/// Turns a fault into a resolver's error. The fault travels as the error's source.
///
/// There is no `From<Fault>` of ours because async-graphql has one for everything that can be displayed. That one
/// keeps the source as well, so that a stray `?` on a fault is worded and logged no differently.
///
/// Where the fault of a nullable field should leave its siblings alone, the resolver returns `Option<Result<T>>`: the
/// error of a `Result<Option<T>>` makes the nearest nullable parent null, at worst the whole answer.
pub fn raise(fault: Fault) -> async_graphql::Error {
    let mut error = async_graphql::Error::new(fault.code());
    error.source = Some(std::sync::Arc::new(fault));
    error
}

/// Why an operation was not executed.
#[derive(Debug)]
pub enum Refusal {
    Fault(Fault),
    /// The document is no GraphQL, or no valid one. Messages for programmers, in English as the specification's are.
    Document(&'static str, Vec<ServerError>),
    /// A persisted query that this server has not seen: the client sends the text next. Not a failure, and worded
    /// as Apollo's clients expect.
    PersistedQueryNotFound,
    /// HTTP was not spoken as GraphQL over HTTP asks for.
    Protocol(Protocol),
}

#[derive(Debug)]
pub struct Protocol {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: Text,
    /// What a parser said, or what may be asked for instead.
    pub detail: Option<String>,
    /// The methods of an `Allow` header.
    pub allow: Option<&'static str>,
}

impl Protocol {
    pub const fn new(status: StatusCode, code: &'static str, message: Text) -> Self {
        Self { status, code, message, detail: None, allow: None }
    }

    pub fn because(mut self, detail: impl Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Protocol> for Refusal {
    fn from(protocol: Protocol) -> Self {
        Self::Protocol(protocol)
    }
}

/// How far an operation came. GraphQL over HTTP makes the status depend on it and on the media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Fields were resolved: 200, errors or not.
    Executed,
    /// A well-formed request whose operation was refused: 400, but 200 for `application/json`.
    Refused,
    /// Refused by HTTP's own rules: this status, whatever the media type.
    Barred(StatusCode),
}

/// An answer, not yet written down for a transport.
pub struct Answer {
    pub response: Response,
    pub standing: Standing,
    pub retry_after: Option<Duration>,
    pub allow: Option<&'static str>,
}

impl Answer {
    /// The answer of an execution, its errors already finished.
    pub fn executed(response: Response) -> Self {
        let fault = response.errors.iter().find_map(|error| error.source::<Fault>());
        let standing = match fault {
            _ if !is_request_error(&response) => Standing::Executed,
            Some(fault) => standing_of(fault),
            None => Standing::Refused,
        };
        Self { response, standing, retry_after: None, allow: None }
    }
}

/// Whether nothing was executed, so that `data` must be left out: errors of execution have a path.
pub fn is_request_error(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

impl Refusal {
    pub fn answer(self, language: Language, request_id: &RequestId) -> Answer {
        let (mut standing, mut retry_after, mut allow) = (Standing::Refused, None, None);
        let errors = match self {
            Refusal::Fault(fault) => {
                standing = standing_of(&fault);
                if let Fault::RateLimited(wait) = fault {
                    retry_after = Some(wait);
                }
                vec![word(&fault, language, request_id)]
            }
            Refusal::Document(code, mut errors) => {
                for error in &mut errors {
                    label(error, code);
                }
                errors
            }
            Refusal::PersistedQueryNotFound => {
                standing = Standing::Barred(StatusCode::OK);
                vec![coded("PersistedQueryNotFound".to_owned(), "PERSISTED_QUERY_NOT_FOUND")]
            }
            Refusal::Protocol(protocol) => {
                standing = Standing::Barred(protocol.status);
                allow = protocol.allow;
                let message = protocol.message.in_language(language);
                let message = match protocol.detail {
                    Some(detail) => format!("{message} ({detail})"),
                    None => message.to_owned(),
                };
                vec![coded(message, protocol.code)]
            }
        };
        let mut response = Response::from_errors(errors);
        stamp(&mut response, request_id);
        Answer { response, standing, retry_after, allow }
    }
}

/// By code, so that a fault that is new to this module is at worst an error of ours.
fn standing_of(fault: &Fault) -> Standing {
    Standing::Barred(match fault.code() {
        "BAD_REQUEST" | "NOT_FOUND" | "TOO_COMPLEX" => return Standing::Refused,
        "UNAUTHENTICATED" => StatusCode::UNAUTHORIZED,
        "FORBIDDEN" => StatusCode::FORBIDDEN,
        "RATE_LIMITED" => StatusCode::TOO_MANY_REQUESTS,
        "TIMED_OUT" => StatusCode::GATEWAY_TIMEOUT,
        "UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    })
}

fn coded(message: String, code: &'static str) -> ServerError {
    let mut error = ServerError::new(message, None);
    label(&mut error, code);
    error
}

fn label(error: &mut ServerError, code: &str) {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code);
}

fn word(fault: &Fault, language: Language, request_id: &RequestId) -> ServerError {
    log(fault, request_id);
    coded(fault.message(language), fault.code())
}

/// Logs what the client is not told. Faults that have no cause are the client's own business.
fn log(fault: &Fault, request_id: &RequestId) {
    let chain = std::iter::successors(std::error::Error::source(fault), |cause| cause.source());
    let causes: Vec<String> = chain.map(ToString::to_string).collect();
    if !causes.is_empty() {
        tracing::error!(request_id = request_id.0, code = fault.code(), cause = causes.join(": "), "fault");
    }
}

fn stamp(response: &mut Response, request_id: &RequestId) {
    for error in &mut response.errors {
        error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("requestId", request_id.0.clone());
    }
}

/// Gives every error of an execution its code, its wording and its request ID, and keeps the inside in.
pub fn finish(response: &mut Response, language: Language, request_id: &RequestId) {
    for error in &mut response.errors {
        let coded_by_resolver = error.extensions.as_ref().is_some_and(|values| values.get("code").is_some());
        if let Some(fault) = error.source::<Fault>() {
            log(fault, request_id);
            (error.message, error.extensions) = (fault.message(language), None);
            let code = error.source::<Fault>().map_or("INTERNAL", Fault::code);
            label(error, code);
        } else if error.source.is_none() && error.path.is_empty() {
            // async-graphql validates before the first field is resolved, so an error without a path is validation's.
            label(error, "GRAPHQL_VALIDATION_FAILED");
        } else if error.source.is_none() && coded_by_resolver {
            // Worded for the client on purpose.
        } else if error.source.is_none() && is_about_an_argument(&error.message) {
            label(error, "BAD_REQUEST");
        } else {
            let fault = Fault::internal(anyhow::anyhow!("{} at {:?}", error.message, error.path));
            let (locations, path) = (std::mem::take(&mut error.locations), std::mem::take(&mut error.path));
            *error = ServerError { locations, path, ..word(&fault, language, request_id) };
        }
    }
    stamp(response, request_id);
}

/// The two beginnings of what async-graphql says of an argument that does not fit its type. Whatever else comes
/// without a source may name Rust types (`Data … does not exist`).
fn is_about_an_argument(message: &str) -> bool {
    ["Failed to parse \"", "Expected input type \"", "Invalid value for argument \""]
        .iter()
        .any(|beginning| message.starts_with(beginning))
}

/// The body of an answer. `data` is left out where nothing was executed, and null where execution came to nothing.
#[derive(Serialize)]
pub struct Body<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: &'a [ServerError],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: &'a BTreeMap<String, Value>,
}

impl<'a> Body<'a> {
    pub fn of(response: &'a Response) -> Self {
        Self {
            errors: &response.errors,
            data: (!is_request_error(response)).then_some(&response.data),
            extensions: &response.extensions,
        }
    }
}

/// Writes JSON down. What we serialize has string keys and no failing serializers, so it cannot fail.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        r#"{"errors":[{"message":"INTERNAL","extensions":{"code":"INTERNAL"}}]}"#.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use async_graphql::PathSegment;

    use super::*;

    fn finished(mut error: ServerError, path: bool) -> (String, String) {
        if path {
            error.path = vec![PathSegment::Field("field".to_owned())];
        }
        let mut response = Response::from_errors(vec![error]);
        finish(&mut response, Language::English, &RequestId("r-1".to_owned()));
        let error = serde_json::to_value(&response.errors[0]).unwrap();
        assert_eq!(error["extensions"]["requestId"], "r-1");
        (error["extensions"]["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
    }

    #[test]
    fn only_what_is_known_to_be_harmless_leaves() {
        let from = |error: async_graphql::Error| error.into_server_error(async_graphql::Pos::default());

        let raised = from(raise(Fault::internal(anyhow::anyhow!("password=hunter2"))));
        let questioned = from(Fault::internal(anyhow::anyhow!("password=hunter2")).into());
        let foreign = from(std::io::Error::other("password=hunter2").into());
        let disguised = from(std::io::Error::other("Failed to parse \"Dsn\": password=hunter2").into());
        let of_the_library = ServerError::new("Data `minthouse::Secret` does not exist.", None);
        for error in [raised, questioned, foreign, disguised, of_the_library] {
            let (code, message) = finished(error, true);
            assert_eq!(code, "INTERNAL");
            assert!(!message.contains("hunter2") && !message.contains("Secret"), "{message}");
        }

        let (code, message) = finished(from(raise(Fault::NotFound)), true);
        assert_eq!((code.as_str(), message), ("NOT_FOUND", Fault::NotFound.message(Language::English)));
        let argument = "Failed to parse \"Int\": must be less than 5";
        assert_eq!(finished(ServerError::new(argument, None), true), ("BAD_REQUEST".into(), argument.into()));
        let unknown = "Unknown field \"x\" on type \"Query\".";
        assert_eq!(
            finished(ServerError::new(unknown, None), false),
            ("GRAPHQL_VALIDATION_FAILED".into(), unknown.into())
        );
    }
}
