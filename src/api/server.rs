//! The HTTP surface around GraphQL: health, metrics, public keys.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::ledger::checkpoint::LedgerKeys;
use crate::platform::Platform;
use crate::tenancy::scope::HouseTx;
use crate::tenancy::store;
use crate::tenancy::token::Tokens;

#[derive(Clone)]
pub struct Surface {
    pub platform: Arc<Platform>,
    pub tokens: Arc<Tokens>,
    pub ledger_keys: LedgerKeys,
    pub metrics: PrometheusHandle,
}

pub fn router(surface: Surface) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/ledger-keys.json", get(ledger_keys))
        .with_state(surface)
}

/// Ready once the database answers under the server's own role.
async fn ready(State(surface): State<Surface>) -> Response {
    let asked = async { store::count_enterprises(&HouseTx::read(&surface.platform.database).await?).await };
    match tokio::time::timeout(std::time::Duration::from_secs(2), asked).await {
        Ok(Ok(_)) => Json(json!({ "ready": true })).into_response(),
        Ok(Err(fault)) => {
            tracing::warn!("not ready: {}", fault.with_causes());
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Json(json!({ "ready": false, "because": "the database does not answer" })),
            )
                .into_response()
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "because": "the database is slow" })))
            .into_response(),
    }
}

async fn metrics(State(surface): State<Surface>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], surface.metrics.render()).into_response()
}

async fn jwks(State(surface): State<Surface>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(surface.tokens.jwks().clone())).into_response()
}

/// The public keys that checkpoints of the ledger are checked with, old ones among them.
async fn ledger_keys(State(surface): State<Surface>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(surface.ledger_keys.published())).into_response()
}
