//! Single sign-on over HTTP: browsers that go to a provider and come back, partners' servers that ask for tickets, and
//! the small console that is embedded in partners' pages.
//!
//! What is decided stands in `tenancy::sso`; here are addresses, cookies, headers and pages. No page takes an address to
//! go to from a request, none is put together from what a request says, and none runs a script but our own files
//! (`web/embedded`, which need no build). How a page is made stands in [`page`].

mod page;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use self::page::{Failure, asset, escape, in_language, page};
use crate::api::transport::{self, Call, Knock, Origins};
use crate::bridges::oidc::Callback;
use crate::platform::Platform;
use crate::platform::address::Block;
use crate::platform::language::Language;
use crate::platform::refusal::Refusal;
use crate::tenancy::model::{EnterpriseId, SsoConnectionId};
use crate::tenancy::scope::{HouseTx, TenantScope};
use crate::tenancy::session::Visit;
use crate::tenancy::sso::model::{SignOnError, SsoState};
use crate::tenancy::sso::oidc::{self, Arrival, Wish};
use crate::tenancy::sso::vouch::Desk;
use crate::tenancy::sso::{SsoServices, ticket};
use crate::tenancy::standing::Standings;
use crate::tenancy::store::{self, DirectoryKind};

/// An assertion or a form of a partner's is small.
const BODY_BYTES: usize = 32 * 1024;

const NONCE_COOKIE: &str = "minthouse-sso-nonce";

#[derive(Clone)]
pub struct SignOn {
    pub platform: Arc<Platform>,
    pub services: Arc<SsoServices>,
    pub standings: Arc<Standings>,
    /// Of ours, whose word on a caller's address is believed.
    pub proxies: Arc<[Block]>,
}

pub fn router(sign_on: SignOn) -> Router {
    let router = Router::new()
        .route("/sso/oidc/{connection}/start", get(start))
        .route("/sso/oidc/{connection}/callback", get(callback))
        .route("/sso/done", get(done))
        .route("/sso/assets/{file}", get(asset))
        .route("/sso/tickets", post(tickets))
        .route("/embedded/{slug}", get(embedded))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(sign_on);
    // Nothing here is for pages of other origins to call.
    transport::for_pages(router, &Origins::None)
}

/// What every handler needs of its request.
struct Asked {
    visit: Visit,
    /// The language that the address asks for (`?lang=`).
    wished: Option<Language>,
    /// That one, else what the browser prefers.
    language: Language,
    headers: HeaderMap,
}

impl Asked {
    fn of(sign_on: &SignOn, parts: Parts) -> Self {
        let call = Call::of(parts);
        let Knock { peer, agent, origin, host, language, request_id, .. } = call.knock(None, &sign_on.proxies);
        let visit = Visit { address: peer, agent, origin, host, request_id: Arc::from(request_id) };
        let query = call.parts.uri.query().unwrap_or_default();
        let named = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "lang");
        let wished = named.and_then(|(_, tag)| Language::from_tag(&tag));
        Self { visit, wished, language: wished.unwrap_or(language), headers: call.parts.headers }
    }

    fn kept(&self, own_origin: &str, name: &str) -> Option<Kept<'_>> {
        self.cookie(&cookie_name(own_origin, name)).map(Kept::read)
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let sent = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = sent.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(given, _)| *given == name).map(|(_, value)| value)
    }
}

/// How a cookie of ours is called: where the connection is secure, under the prefix that keeps other hosts of the same
/// domain from setting it.
fn cookie_name(own_origin: &str, name: &str) -> String {
    let prefix = if own_origin.starts_with("https://") { "__Host-" } else { "" };
    format!("{prefix}{name}")
}

fn cookie(own_origin: &str, name: &str, value: &str, seconds: i64, attributes: &str) -> (HeaderName, String) {
    let secure = if own_origin.starts_with("https://") { "; Secure" } else { "" };
    let name = cookie_name(own_origin, name);
    (header::SET_COOKIE, format!("{name}={value}; Path=/; Max-Age={seconds}; SameSite=Lax{attributes}{secure}"))
}

/// What a browser keeps of an attempt, in one cookie.
#[derive(Clone, Copy)]
struct Kept<'a> {
    /// What tells this browser from others.
    secret: &'a str,
    /// The language that was asked for when it set out.
    language: Option<Language>,
}

impl<'a> Kept<'a> {
    fn read(value: &'a str) -> Self {
        // The secret is written in base64url, which has no dot.
        let (secret, tag) = value.split_once('.').unwrap_or((value, ""));
        Self { secret, language: Language::from_tag(tag) }
    }

    fn written(self) -> String {
        let Self { secret, language } = self;
        language.map_or_else(|| secret.to_owned(), |language| format!("{secret}.{}", language.tag()))
    }
}

/// Where a browser is sent, without leaving behind where it was.
fn redirect(address: String, cookies: Vec<(HeaderName, String)>) -> Response {
    let headers = [
        (header::LOCATION, address),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (StatusCode::SEE_OTHER, headers, AppendHeaders(cookies)).into_response()
}

#[derive(Deserialize)]
struct StartParameters {
    origin: Option<String>,
    login_hint: Option<String>,
}

/// `GET /sso/oidc/{connection}/start[?origin=…&login_hint=…&lang=…]`
async fn start(
    State(sign_on): State<SignOn>,
    Path(connection): Path<String>,
    query: Result<Query<StartParameters>, QueryRejection>,
    parts: Parts,
) -> Response {
    let asked = Asked::of(&sign_on, parts);
    depart(&sign_on, &connection, query, &asked)
        .await
        .unwrap_or_else(|refusal| Failure::of(refusal, asked.language).as_page(asked.language))
}

async fn depart(
    sign_on: &SignOn,
    connection: &str,
    query: Result<Query<StartParameters>, QueryRejection>,
    asked: &Asked,
) -> Result<Response, Refusal<SignOnError>> {
    let Query(parameters) = query.map_err(|_| Refusal::code(SignOnError::Malformed))?;
    let id = connection_id(connection)?;
    let own_origin = sign_on.services.own_origin(asked.visit.host.as_deref())?;
    let wish = Wish { origin: parameters.origin.as_deref(), login_hint: parameters.login_hint.as_deref() };
    let departure =
        oidc::start(&sign_on.platform, &sign_on.services, &sign_on.standings, id, &own_origin, wish, &asked.visit)
            .await?;
    let (name, secret) = departure.cookie;
    let kept = Kept { secret: &secret, language: asked.wished }.written();
    let kept = cookie(&own_origin, &name, &kept, oidc::PATIENCE.num_seconds(), "; HttpOnly");
    Ok(redirect(departure.address.into(), vec![kept]))
}

fn connection_id(text: &str) -> Result<SsoConnectionId, Refusal<SignOnError>> {
    text.parse().map_err(|_| Refusal::code(SignOnError::NotFound))
}

#[derive(Deserialize)]
struct CallbackParameters {
    state: String,
    // Named one by one: a flattened struct would take the last of two codes without a word.
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// `GET /sso/oidc/{connection}/callback`: the provider sends the browser back.
async fn callback(
    State(sign_on): State<SignOn>,
    Path(connection): Path<String>,
    query: Result<Query<CallbackParameters>, QueryRejection>,
    parts: Parts,
) -> Response {
    let mut asked = Asked::of(&sign_on, parts);
    asked.wished = asked.wished.or_else(|| language_of_attempt(&sign_on, &query, &asked));
    asked.language = asked.wished.unwrap_or(asked.language);
    arrive(&sign_on, &connection, query, &asked)
        .await
        .unwrap_or_else(|refusal| Failure::of(refusal, asked.language).as_page(asked.language))
}

/// The language that was asked for at the start: the provider hands nothing of that kind back.
fn language_of_attempt(
    sign_on: &SignOn,
    query: &Result<Query<CallbackParameters>, QueryRejection>,
    asked: &Asked,
) -> Option<Language> {
    let Query(CallbackParameters { state, .. }) = query.as_ref().ok()?;
    let own_origin = sign_on.services.own_origin(asked.visit.host.as_deref()).ok()?;
    asked.kept(&own_origin, &oidc::cookie_name(state))?.language
}

async fn arrive(
    sign_on: &SignOn,
    connection: &str,
    query: Result<Query<CallbackParameters>, QueryRejection>,
    asked: &Asked,
) -> Result<Response, Refusal<SignOnError>> {
    let Query(CallbackParameters { state, code, iss, error }) =
        query.map_err(|_| Refusal::code(SignOnError::Malformed))?;
    let id = connection_id(connection)?;
    let own_origin = sign_on.services.own_origin(asked.visit.host.as_deref())?;
    let name = oidc::cookie_name(&state);
    let arrival = Arrival {
        state: &state,
        browser: asked.kept(&own_origin, &name).map(|kept| kept.secret),
        callback: Callback { code, iss, error },
        request_id: &asked.visit.request_id,
    };
    let (platform, services) = (&*sign_on.platform, &*sign_on.services);
    let arrived = oidc::finish(platform, services, &sign_on.standings, id, &own_origin, &arrival).await?;
    let cookies = vec![
        cookie(&own_origin, &name, "", 0, "; HttpOnly"),
        // The page must read it.
        cookie(&own_origin, NONCE_COOKIE, &arrived.nonce, ticket::LIFE.num_seconds(), ""),
    ];
    let language = asked.wished.map(|language| format!("?lang={}", language.tag())).unwrap_or_default();
    Ok(redirect(format!("/sso/done{language}#ticket={}", arrived.ticket), cookies))
}

/// `GET /sso/done`: one page for all, where a sign-in ends.
async fn done(State(sign_on): State<SignOn>, parts: Parts) -> Response {
    let language = Asked::of(&sign_on, parts).language;
    page(StatusCode::OK, in_language(include_str!("../../web/embedded/done.html"), language), "'none'")
}

#[derive(Deserialize)]
struct TicketRequest {
    assertion: String,
}

/// `POST /sso/tickets`: a partner's server vouches for one of its users.
async fn tickets(State(sign_on): State<SignOn>, parts: Parts, body: Bytes) -> Response {
    let asked = Asked::of(&sign_on, parts);
    match vouch(&sign_on, &asked, &body).await {
        Ok(response) => response,
        Err(refusal) => Failure::of(refusal, asked.language).as_json(),
    }
}

async fn vouch(sign_on: &SignOn, asked: &Asked, body: &[u8]) -> Result<Response, Refusal<SignOnError>> {
    let own_origin = sign_on.services.own_origin(asked.visit.host.as_deref())?;
    let desk = Desk {
        platform: &sign_on.platform,
        services: &sign_on.services,
        standings: &sign_on.standings,
        own_origin: &own_origin,
        request_id: &asked.visit.request_id,
    };
    let kind = asked.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let vouched = match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => {
            let request = serde_json::from_slice::<TicketRequest>(body);
            let request = request.map_err(|_| Refusal::code(SignOnError::Malformed))?;
            desk.by_assertion(&request.assertion).await?
        }
        "application/x-www-form-urlencoded" => {
            // What is no UTF-8 would be read as something else than what was signed.
            std::str::from_utf8(body).map_err(|_| Refusal::code(SignOnError::Malformed))?;
            let parameters: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
            desk.by_parameters(&parameters).await?
        }
        _ => return Err(Refusal::code(SignOnError::Malformed)),
    };
    let answer = json!({
        "ticket": vouched.ticket,
        "expiresIn": ticket::LIFE.num_seconds(),
        "url": format!("{own_origin}/embedded/{}", vouched.slug),
    });
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// `GET /embedded/{slug}`: the console for the pages of one enterprise.
async fn embedded(State(sign_on): State<SignOn>, Path(slug): Path<String>, parts: Parts) -> Response {
    let language = Asked::of(&sign_on, parts).language;
    console(&sign_on, &slug, language).await.unwrap_or_else(|refusal| Failure::of(refusal, language).as_page(language))
}

async fn console(sign_on: &SignOn, slug: &str, language: Language) -> Result<Response, Refusal<SignOnError>> {
    let database = &sign_on.platform.database;
    let house = HouseTx::read(database).await?;
    let tenant: Option<EnterpriseId> = store::look_up(&house, DirectoryKind::Slug, slug).await?;
    drop(house);
    let tenant = tenant.ok_or_else(|| Refusal::code(SignOnError::NotFound))?;
    if !sign_on.standings.at_work(tenant).await? {
        return Err(Refusal::code(SignOnError::NotFound));
    }
    let tx = TenantScope::of_system(tenant).read(database).await?;
    let (origins, connections) =
        futures_util::try_join!(store::sso::origins(&tx), store::sso::active_connections(&tx))?;
    let origins: Vec<String> =
        origins.into_iter().filter(|origin| origin.state == SsoState::Active).map(|origin| origin.origin).collect();
    let connections: Vec<_> =
        connections.iter().map(|connection| json!({ "id": connection.id, "name": connection.name })).collect();
    let origins = origins.join(" ");
    let html = in_language(include_str!("../../web/embedded/index.html"), language)
        .replace("{{origins}}", &escape(&origins))
        .replace("{{connections}}", &escape(&serde_json::Value::from(connections).to_string()));
    Ok(page(StatusCode::OK, html, if origins.is_empty() { "'none'" } else { &origins }))
}
