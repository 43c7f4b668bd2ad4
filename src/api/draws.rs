//! The public record of an activity's draws, for anybody to verify: `minthouse verify-draws`; and the proof of a single
//! one: `minthouse verify-draw`.
//!
//! The record's body is made while it is sent, page by page, each in a transaction of its own: memory does not depend on how much
//! there is, and a slow reader holds no connection.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::activities::model::ActivityId;
use crate::activities::prove;
use crate::activities::publication::{self, Place};
use crate::activities::verify::{Export, Recorded};
use crate::api::downloads::refuse;
use crate::api::transport::RequestId;
use crate::ledger::checkpoint::LedgerKeys;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::tenancy::model::EnterpriseId;
use crate::tenancy::scope::TenantScope;

/// Looks into the database at a time: strangers may ask as often as they like, and take only so many of its connections.
const LOOKS_AT_ONCE: usize = 2;
/// How long a page waits for its look.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn router(platform: Arc<Platform>, keys: LedgerKeys) -> Router {
    let public = Public { platform, keys, looks: Arc::new(Semaphore::new(LOOKS_AT_ONCE)) };
    Router::new()
        .route("/draws/{enterprise}/{activity}", get(record))
        .route("/draws/{enterprise}/{activity}/{sequence}", get(proof))
        .with_state(public)
}

#[derive(Clone)]
struct Public {
    platform: Arc<Platform>,
    keys: LedgerKeys,
    looks: Arc<Semaphore>,
}

impl Public {
    /// Held for one transaction, and never while a reader takes their time.
    async fn look(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let look = tokio::time::timeout(PATIENCE, self.looks.acquire()).await;
        look.map_err(|_| Fault::Unavailable(anyhow!("too many records of draws are being read")))?
            .map_err(Fault::internal)
    }
}

/// `GET /draws/<enterprise>/<activity>`
async fn record(
    State(public): State<Public>,
    Path(named): Path<(String, String)>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    match begin(public, &named).await {
        Ok((activity, body)) => (file(&activity.to_string()), body).into_response(),
        Err(fault) => refuse(&fault, language(&headers), &request_id),
    }
}

/// `GET /draws/<enterprise>/<activity>/<sequence>`
async fn proof(
    State(public): State<Public>,
    Path(named): Path<(String, String, String)>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
) -> Response {
    match prove_one(&public, &named).await {
        Ok((name, document)) => (file(&name), document).into_response(),
        Err(fault) => refuse(&fault, language(&headers), &request_id),
    }
}

fn language(headers: &HeaderMap) -> Language {
    let wished = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Language::from_accept_language(wished.unwrap_or_default())
}

/// What is sent before a file of JSON.
fn file(name: &str) -> [(HeaderName, String); 4] {
    [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.json\"")),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ]
}

/// A draw's proof, and a name for it.
async fn prove_one(
    public: &Public,
    (enterprise, activity, sequence): &(String, String, String),
) -> Result<(String, String), Fault> {
    let enterprise: EnterpriseId = enterprise.parse().map_err(|_| Fault::NotFound)?;
    let activity: ActivityId = activity.parse().map_err(|_| Fault::NotFound)?;
    let sequence: i64 = sequence.parse().map_err(|_| Fault::NotFound)?;
    let look = public.look().await?;
    let found = prove::of(&public.platform, &public.keys, enterprise, activity, sequence).await?;
    drop(look);
    Ok((format!("{activity}-{sequence}"), found.ok_or(Fault::NotFound)?.document.json()))
}

async fn begin(public: Public, (enterprise, activity): &(String, String)) -> Result<(ActivityId, Body), Fault> {
    let enterprise: EnterpriseId = enterprise.parse().map_err(|_| Fault::NotFound)?;
    let activity: ActivityId = activity.parse().map_err(|_| Fault::NotFound)?;
    let scope = TenantScope::of_system(enterprise);
    let look = public.look().await?;
    let export = publication::begin(&public.platform, &scope, activity).await?.ok_or(Fault::NotFound)?;
    drop(look);
    let (opening, closing) = around_draws(&export)?;
    let pages = Pages { public, scope, activity, closing };
    let body = stream::try_unfold(Next::Opening(opening, pages), |next| async move {
        match next {
            Next::Opening(bytes, pages) => Ok(Some((bytes, Next::Page(pages, None)))),
            Next::Page(pages, after) => pages.send(after).await.map(Some).inspect_err(|fault| {
                tracing::warn!("a record of draws broke off: {}", fault.with_causes());
            }),
            Next::Nothing => Ok(None),
        }
    });
    Ok((activity, Body::from_stream(body)))
}

struct Pages {
    public: Public,
    scope: TenantScope,
    activity: ActivityId,
    closing: Bytes,
}

enum Next {
    Opening(Bytes, Pages),
    Page(Pages, Place),
    Nothing,
}

impl Pages {
    async fn send(self, after: Place) -> Result<(Bytes, Next), Fault> {
        let look = self.public.look().await?;
        let (draws, last) = publication::page(&self.public.platform, &self.scope, self.activity, after).await?;
        drop(look);
        if last.is_none() {
            return Ok((self.closing, Next::Nothing));
        }
        Ok((written(&draws, after.is_none())?, Next::Page(self, last)))
    }
}

/// What stands before and behind the draws.
fn around_draws(export: &Export) -> Result<(Bytes, Bytes), Fault> {
    let text = serde_json::to_string(export).map_err(Fault::internal)?;
    let end = "]}";
    let opening = text.strip_suffix(end).ok_or_else(|| Fault::internal(anyhow::anyhow!("draws do not come last")))?;
    Ok((Bytes::from(format!("{opening}\n")), Bytes::from(format!("{end}\n"))))
}

/// A line each.
fn written(draws: &[Recorded], first: bool) -> Result<Bytes, Fault> {
    let mut bytes = Vec::with_capacity(draws.len() * 320);
    for (place, draw) in draws.iter().enumerate() {
        if !(first && place == 0) {
            bytes.push(b',');
        }
        serde_json::to_writer(&mut bytes, draw).map_err(Fault::internal)?;
        bytes.push(b'\n');
    }
    Ok(bytes.into())
}
