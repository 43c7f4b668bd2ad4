//! OAuth 2.0 for API clients: the token endpoint (RFC 6749, sections 2.3, 4.4 and 5) and its metadata (RFC 8414).
//!
//! One grant is offered, `client_credentials`. A client shows its key and secret as HTTP Basic or as form parameters,
//! never both.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::api::gate::TokenGate;
use crate::api::transport::{Call, Knock, caller_scheme};
use crate::platform::address::Block;
use crate::platform::fault::Fault;
use crate::tenancy::client_grant::{self, Credentials, Denied, Granted};
use crate::tenancy::permission::Permission;

pub const TOKEN_PATH: &str = "/oauth/token";

/// What a token request may come to: two texts of some eighty characters and a list of scopes.
const BODY_BYTES: usize = 8 * 1024;

#[derive(Clone)]
pub struct OAuth {
    pub gate: Arc<TokenGate>,
    pub proxies: Arc<[Block]>,
}

pub fn router(oauth: OAuth) -> Router {
    Router::new()
        .route(TOKEN_PATH, post(token))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .with_state(oauth)
}

/// An answer of section 5.2.
struct Problem {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
    retry_after: Option<i64>,
}

impl Problem {
    const fn new(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description, retry_after: None }
    }

    const NO_CREDENTIALS: Self = Self {
        status: StatusCode::UNAUTHORIZED,
        ..Self::new(
            "invalid_client",
            "No key and secret were sent: send them as HTTP Basic, or as client_id and client_secret in the form.",
        )
    };

    /// One answer for whatever was wrong about the client, see `tenancy::client_grant`.
    const CLIENT: Self = Self {
        status: StatusCode::UNAUTHORIZED,
        ..Self::new(
            "invalid_client",
            "The client is unknown or disabled, its secret is wrong or has ended, or it may not come from this address or to this host.",
        )
    };
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Client => Self::CLIENT,
            Denied::Scope => Self::new("invalid_scope", "The client has not all of these scopes; see its `scopes`."),
            Denied::Later(wait) => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                retry_after: Some(wait.seconds()),
                ..Self::new("slow_down", "Too many attempts have failed; wait as long as Retry-After says.")
            },
            Denied::Fault(fault) => {
                let status = match fault {
                    Fault::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                tracing::error!("no token could be granted: {}", fault.with_causes());
                Self { status, ..Self::new("server_error", "The service cannot answer at present; try again shortly.") }
            }
        }
    }
}

/// Tokens and what is said of them stay out of every cache (section 5.1).
fn answer(status: StatusCode, body: Value) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
    (status, headers, Json(body)).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = answer(self.status, body);
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"minthouse\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

async fn token(State(oauth): State<OAuth>, request: Request) -> Response {
    match exchange(&oauth, request).await {
        Ok(Granted { token, seconds, scope }) => answer(
            StatusCode::OK,
            json!({ "access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": scope }),
        ),
        Err(problem) => problem.into_response(),
    }
}

async fn exchange(oauth: &OAuth, request: Request) -> Result<Granted, Problem> {
    let (parts, body) = request.into_parts();
    let call = Call::of(parts);
    let body = axum::body::to_bytes(body, BODY_BYTES).await;
    let body = body.map_err(|_| Problem::new("invalid_request", "The body is too large or broke off."))?;
    let form = Form::read(&call.parts.headers, &body)?;
    let shown = form.credentials(&call.parts.headers)?;
    match form.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(Problem::new("unsupported_grant_type", "Only client_credentials is offered.")),
        None => return Err(Problem::new("invalid_request", "grant_type is missing.")),
    }
    let (key, secret) = shown.ok_or(Problem::NO_CREDENTIALS)?;
    // A token is not asked for here, so none is looked at; the host counts all the same.
    let knock: Knock = call.knock(None, &oauth.proxies);
    let request_id = knock.request_id.clone();
    let admitted = oauth.gate.identify(knock).await.map_err(Denied::from)?;
    let credentials = Credentials {
        key: &key,
        secret: &secret,
        scope: form.scope.as_deref(),
        visit: &admitted.visit,
        site: admitted.site,
        request_id: &request_id,
    };
    Ok(client_grant::grant(&oauth.gate.platform, &oauth.gate.tokens, &credentials).await?)
}

/// The parameters that are understood. One without a value counts as left out, one that comes twice is an error, and
/// one that is not known is passed over (section 3.2).
#[derive(Debug, Default, PartialEq, Eq)]
struct Form {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
}

impl Form {
    fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, Problem> {
        let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Problem::new("invalid_request", "The body must be application/x-www-form-urlencoded."));
        }
        let mut form = Self::default();
        for (name, value) in url::form_urlencoded::parse(body) {
            let place = match &*name {
                "grant_type" => &mut form.grant_type,
                "client_id" => &mut form.client_id,
                "client_secret" => &mut form.client_secret,
                "scope" => &mut form.scope,
                _ => continue,
            };
            if value.is_empty() {
                continue;
            }
            if place.replace(value.into_owned()).is_some() {
                return Err(Problem::new("invalid_request", "A parameter came twice."));
            }
        }
        Ok(form)
    }

    /// Key and secret, from where the client put them; nothing where it put none. A client must not use two methods at
    /// once (section 2.3).
    fn credentials(&self, headers: &HeaderMap) -> Result<Option<(String, String)>, Problem> {
        let Some(authorization) = headers.get(header::AUTHORIZATION) else {
            return Ok(self.client_id.clone().zip(self.client_secret.clone()));
        };
        if self.client_secret.is_some() {
            return Err(Problem::new(
                "invalid_request",
                "Show the secret once: as HTTP Basic or as client_secret, not both.",
            ));
        }
        let basic = authorization.to_str().ok().and_then(basic_of).ok_or(Problem::NO_CREDENTIALS)?;
        if self.client_id.as_ref().is_some_and(|client| *client != basic.0) {
            return Err(Problem::new("invalid_request", "client_id names another client than HTTP Basic."));
        }
        Ok(Some(basic))
    }
}

/// Both parts are form-encoded before they are joined and encoded once more (section 2.3.1).
fn basic_of(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (key, secret) = plain.split_once(':')?;
    let decode = |text: &str| {
        // As the name of a single pair: a text without `=` and `&` is one.
        let mut pairs = url::form_urlencoded::parse(text.as_bytes());
        match (pairs.next(), pairs.next()) {
            (Some((name, value)), None) if value.is_empty() => Some(name.into_owned()),
            _ => None,
        }
    };
    Some((decode(key)?, decode(secret)?))
}

/// What RFC 8414 has a client ask for. The issuer is the origin that was asked, so each host speaks for itself.
async fn metadata(State(oauth): State<OAuth>, request: Request) -> Response {
    let call = Call::of(request.into_parts().0);
    let scheme = caller_scheme(&call.parts.extensions, &call.parts.headers, &oauth.proxies);
    let Some(host) = call.knock(None, &oauth.proxies).host else {
        return Problem::new("invalid_request", "The request names no host.").into_response();
    };
    let issuer = format!("{scheme}://{host}");
    let scopes: Vec<&str> =
        Permission::ALL.iter().filter(|scope| scope.may_be_a_scope()).map(|scope| scope.name()).collect();
    let body = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}{TOKEN_PATH}"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "grant_types_supported": ["client_credentials"],
        // Nobody is sent here by a browser: there is no authorization endpoint.
        "response_types_supported": [],
        "scopes_supported": scopes,
    });
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(media: &'static str, body: &'static str) -> Result<Form, &'static str> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media))]);
        Form::read(&headers, &Bytes::from_static(body.as_bytes())).map_err(|problem| problem.error)
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn parameters_are_read_as_the_rfc_says() {
        let read =
            form("Application/X-WWW-Form-Urlencoded; charset=utf-8", "grant_type=a&scope=B+C%20D&unknown=1&unknown=2");
        let read = read.expect("it is a form");
        assert_eq!((read.grant_type.as_deref(), read.scope.as_deref()), (Some("a"), Some("B C D")));
        assert_eq!(form(FORM, "scope=&client_id="), Ok(Form::default()), "without a value is left out");
        assert_eq!(form(FORM, "scope=A&scope=B"), Err("invalid_request"));
        assert_eq!(form("application/json", "{}"), Err("invalid_request"));
    }

    #[test]
    fn basic_is_decoded_twice() {
        let basic = |plain: &str| basic_of(&format!("basic {}", STANDARD.encode(plain)));
        assert_eq!(basic("key:secret"), Some(("key".into(), "secret".into())));
        assert_eq!(basic("a%3Ab:c+d%26"), Some(("a:b".into(), "c d&".into())));
        assert_eq!(basic("key:se:cret"), Some(("key".into(), "se:cret".into())));
        for garbage in ["key", "key:", ":secret", "key:a&b"] {
            assert_eq!(basic(garbage), None, "{garbage}");
        }
        assert_eq!(basic_of("Bearer abc"), None);
        assert_eq!(basic_of("Basic !!!"), None);
    }

    #[test]
    fn a_secret_is_shown_one_way() {
        let mut headers = HeaderMap::new();
        let both = Form { client_id: Some("key".into()), client_secret: Some("secret".into()), ..Form::default() };
        let pair = Some(("key".to_owned(), "secret".to_owned()));
        assert_eq!(both.credentials(&headers).map_err(|problem| problem.error), Ok(pair.clone()));
        let basic = format!("Basic {}", STANDARD.encode("key:secret"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&basic).expect("a header"));
        assert_eq!(both.credentials(&headers).map_err(|problem| problem.error), Err("invalid_request"));
        let named = |client: &str| Form { client_id: Some(client.into()), ..Form::default() };
        assert_eq!(named("key").credentials(&headers).map_err(|problem| problem.error), Ok(pair));
        assert_eq!(named("other").credentials(&headers).map_err(|problem| problem.error), Err("invalid_request"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer token"));
        assert_eq!(named("key").credentials(&headers).map_err(|problem| problem.error), Err("invalid_client"));
    }
}
