//! GraphQL over HTTP: one request, one answer; and the door to the other transports, which share the path.
//!
//! async-graphql-axum's handlers run mutations over GET and over text/plain, ignore `operationName` on GET and answer
//! some refusals with the wrong status, hence handlers of our own. The public `graphql-http` audits are run against
//! them (`tests/clients/audits.mjs`).

use std::sync::Arc;

use async_graphql::Executor;
use axum::body::Body as HttpBody;
use axum::extract::{FromRequestParts, Request, State, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::errors::{Answer, Body, Protocol, Refusal, Standing, json};
use super::gate::{Knock, RequestId, Visitor};
use super::negotiate::{self, Media};
use super::operation::Carries;
use super::parameters::Parameters;
use super::peer::caller_address;
use super::{Edge, sse, websocket};
use crate::platform::address::Block;
use crate::platform::fault::Fault;
use crate::platform::language::{Language, Text};

pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const METHODS: &str = "GET, POST, PUT, DELETE";

const METHOD_NOT_ALLOWED: Protocol = Protocol {
    status: StatusCode::METHOD_NOT_ALLOWED,
    code: "METHOD_NOT_ALLOWED",
    message: Text::new("请使用 GET 或 POST。", "Use GET or POST; PUT and DELETE belong to the single event stream."),
    detail: None,
    allow: Some(METHODS),
};

const TOO_LARGE: Protocol = Protocol::new(
    StatusCode::PAYLOAD_TOO_LARGE,
    "PAYLOAD_TOO_LARGE",
    Text::new(
        "请求体过大：请拆分请求，或用变量代替长文档。",
        "The body is too large: split the request; files do not belong into it.",
    ),
);

const BODY_TIMED_OUT: Protocol = Protocol::new(
    StatusCode::REQUEST_TIMEOUT,
    "TIMED_OUT",
    Text::new("请求体没有及时到达，请重试。", "The body did not arrive in time; send it again."),
);

const BODY_BROKE_OFF: Protocol = Protocol::new(
    StatusCode::BAD_REQUEST,
    "BAD_REQUEST",
    Text::new("请求体没有完整到达，请重试。", "The body broke off; send it again."),
);

const BAD_UPGRADE: Protocol = Protocol::new(
    StatusCode::BAD_REQUEST,
    "BAD_REQUEST",
    Text::new(
        "WebSocket 握手无效：请使用 RFC 6455 客户端。",
        "The WebSocket handshake is not valid: use a client that follows RFC 6455.",
    ),
);

const UNREADABLE_TOKEN: Fault =
    Fault::unauthenticated("Authorization 头不是 \"Bearer …\"", "the Authorization header is not \"Bearer …\"");

/// A request without its body, and what every answer to it needs. Routes beside GraphQL's make theirs with
/// [`Call::of`] and show the same gate the same knock.
pub struct Call {
    pub parts: Parts,
    pub language: Language,
    pub request_id: RequestId,
}

impl Call {
    pub fn of(parts: Parts) -> Self {
        let language = language_of(&parts.headers);
        let request_id = parts.extensions.get::<RequestId>().cloned();
        let header = parts.headers.get(&REQUEST_ID).map(HeaderValue::as_bytes);
        let request_id = request_id.unwrap_or_else(|| RequestId::from_header(header));
        Self { parts, language, request_id }
    }

    /// What the gate is shown. `bearer` is that of the header, or of `connection_init`.
    pub fn knock(&self, bearer: Option<String>, proxies: &[Block]) -> Knock {
        let header = |name: HeaderName| self.parts.headers.get(name).and_then(|value| value.to_str().ok());
        let authority = self.parts.uri.authority().map(|authority| authority.as_str());
        Knock {
            bearer,
            host: header(header::HOST).or(authority).map(str::to_owned),
            language: self.language,
            request_id: self.request_id.0.clone(),
            peer: caller_address(&self.parts.extensions, &self.parts.headers, proxies),
            agent: header(header::USER_AGENT).map(str::to_owned),
            origin: header(header::ORIGIN).map(str::to_owned),
        }
    }

    /// The token of the `Authorization` header. A header that is there and cannot be read is a fault: to take its
    /// sender for anonymous would hide the mistake.
    pub fn bearer(&self) -> Result<Option<String>, Fault> {
        match self.parts.headers.get(header::AUTHORIZATION) {
            None => Ok(None),
            Some(value) => value.to_str().ok().and_then(bearer_of).map(Some).ok_or(UNREADABLE_TOKEN),
        }
    }

    pub(super) async fn admit<E: Executor>(&self, edge: &Edge<E>) -> Result<Arc<dyn Visitor>, Fault> {
        let knock = self.knock(self.bearer()?, &edge.settings.proxies);
        tokio::time::timeout(edge.settings.timeout, edge.gate.admit(knock)).await.unwrap_or(Err(Fault::TimedOut))
    }

    /// The best of `offers`, to refuse in where nothing else is known.
    fn fallback(&self) -> Media {
        negotiate::accept(&self.parts.headers, &[Media::GraphqlResponse, Media::Json]).unwrap_or(Media::Json)
    }

    pub(super) fn refuse(&self, refusal: impl Into<Refusal>) -> Response {
        write(refusal.into().answer(self.language, &self.request_id), self.fallback())
    }
}

/// The token of `Bearer …`.
pub fn bearer_of(value: &str) -> Option<String> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

pub fn language_of(headers: &HeaderMap) -> Language {
    let header = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Language::from_accept_language(header.unwrap_or(""))
}

/// Every request to the path.
pub async fn entry<E: Executor>(State(edge): State<Arc<Edge<E>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut call = Call::of(parts);
    let answer = match call.parts.method {
        Method::GET | Method::CONNECT if is_upgrade(&call.parts) => upgrade(&edge, &mut call).await,
        Method::GET => get(&edge, &call).await,
        Method::POST => post(&edge, &call, body).await,
        Method::PUT => sse::reserve(&edge, &call).await,
        Method::DELETE => sse::cancel(&edge, &call).await,
        _ => Err(METHOD_NOT_ALLOWED.into()),
    };
    answer.unwrap_or_else(|refusal| call.refuse(refusal))
}

fn is_upgrade(parts: &Parts) -> bool {
    let upgrade = parts.headers.get(header::UPGRADE);
    parts.method == Method::CONNECT || upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

async fn upgrade<E: Executor>(edge: &Arc<Edge<E>>, call: &mut Call) -> Result<Response, Refusal> {
    let upgrade = WebSocketUpgrade::from_request_parts(&mut call.parts, &()).await;
    let upgrade = upgrade.map_err(|rejection| BAD_UPGRADE.because(rejection))?;
    let call = Call { parts: call.parts.clone(), language: call.language, request_id: call.request_id.clone() };
    Ok(websocket::accept(edge.clone(), call, upgrade))
}

async fn get<E: Executor>(edge: &Arc<Edge<E>>, call: &Call) -> Result<Response, Refusal> {
    let asks = call.parts.uri.query().is_some_and(|query| !query.is_empty());
    let offers = [Media::GraphqlResponse, Media::Json, Media::EventStream, Media::Html];
    let offers = if edge.settings.explorer && !asks { &offers[..] } else { &offers[..3] };
    let media = negotiate::accept(&call.parts.headers, offers)?;
    if media == Media::Html {
        return Ok(page());
    }
    if media == Media::EventStream && sse::token(&call.parts).is_some() {
        return sse::open(edge, call).await;
    }
    let parameters = Parameters::from_uri(&call.parts.uri)?;
    let visitor = call.admit(edge).await?;
    answer(edge, call, &visitor, parameters, media).await
}

async fn post<E: Executor>(edge: &Arc<Edge<E>>, call: &Call, body: HttpBody) -> Result<Response, Refusal> {
    let media = negotiate::accept(&call.parts.headers, &[Media::GraphqlResponse, Media::Json, Media::EventStream])?;
    negotiate::content_type(&call.parts.headers)?;
    let visitor = call.admit(edge).await?;
    let parameters = Parameters::from_json(&read(edge, body).await?)?;
    if media != Media::EventStream && sse::token(&call.parts).is_some() {
        return sse::operate(edge, call, &visitor, parameters);
    }
    answer(edge, call, &visitor, parameters, media).await
}

async fn answer<E: Executor>(
    edge: &Arc<Edge<E>>,
    call: &Call,
    visitor: &Arc<dyn Visitor>,
    parameters: Parameters,
    media: Media,
) -> Result<Response, Refusal> {
    let carries = match (call.parts.method == Method::GET, media == Media::EventStream) {
        (true, false) => Carries::Queries,
        (true, true) => Carries::QueriesAndStreams,
        (false, false) => Carries::Single,
        (false, true) => Carries::Everything,
    };
    let ready = edge.ready(visitor, parameters, carries, &call.request_id);
    if media == Media::EventStream {
        return sse::distinct(edge, call, visitor, ready);
    }
    let answer = match ready {
        Ok(ready) => Answer::executed(edge.execute(ready).await),
        Err(refusal) => refusal.answer(visitor.language(), &call.request_id),
    };
    Ok(write(answer, media))
}

async fn read<E: Executor>(edge: &Edge<E>, body: HttpBody) -> Result<bytes::Bytes, Protocol> {
    let body = Limited::new(body, edge.settings.body_bytes).collect();
    match tokio::time::timeout(edge.settings.timeout, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(TOO_LARGE.because(format!("> {} B", edge.settings.body_bytes)))
        }
        Ok(Err(_)) => Err(BODY_BROKE_OFF),
        Err(_) => Err(BODY_TIMED_OUT),
    }
}

/// Writes an answer down.
pub fn write(mut answer: Answer, media: Media) -> Response {
    let status = match (answer.standing, media) {
        (Standing::Barred(status), _) => status,
        (Standing::Refused, Media::GraphqlResponse) => StatusCode::BAD_REQUEST,
        (Standing::Refused | Standing::Executed, _) => StatusCode::OK,
    };
    let mut headers = std::mem::take(&mut answer.response.http_headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media.content_type()));
    // Answers belong to one visitor, and the media type to one Accept header.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.append(header::VARY, HeaderValue::from_static("accept, accept-language, authorization"));
    if let Some(wait) = answer.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
    }
    if let Some(allow) = answer.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    (status, headers, json(&Body::of(&answer.response))).into_response()
}

fn page() -> Response {
    axum::response::Html(include_str!("explorer.html")).into_response()
}

/// Names the request, and turns a panic of any handler into a well-formed answer. tower-http's layer for panics knows
/// nothing of the request, so it could not name it.
pub async fn identify(mut request: Request, next: axum::middleware::Next) -> Response {
    let request_id = RequestId::from_header(request.headers().get(&REQUEST_ID).map(HeaderValue::as_bytes));
    let language = language_of(request.headers());
    request.extensions_mut().insert(request_id.clone());
    let answer = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(next.run(request))).await;
    let mut response = answer.unwrap_or_else(|panic| {
        let cause = anyhow::anyhow!("a handler panicked: {}", super::operation::panic_message(&*panic));
        write(Refusal::from(Fault::internal(cause)).answer(language, &request_id), Media::Json)
    });
    if let Ok(value) = HeaderValue::from_str(&request_id.0) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    response
}

/// The body of an event stream.
pub fn event_stream(frames: impl futures_util::Stream<Item = bytes::Bytes> + Send + 'static) -> Response {
    let headers = [
        (header::CONTENT_TYPE, Media::EventStream.content_type()),
        (header::CACHE_CONTROL, "no-store"),
        // nginx would collect events before it hands them on.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let frames = frames.map(Ok::<_, std::convert::Infallible>);
    (StatusCode::OK, headers, HttpBody::from_stream(frames)).into_response()
}
