//! What is handed out as a file: the audit log, a line of JSON for each record; draw codes, one a line.
//!
//! The log's body is made while it is sent, page by page, each in a transaction of its own: memory does not depend on how much
//! there is, and a slow reader holds no connection. At each page the gate is asked again, so that a stream does not
//! outlive its token. A stream that broke off is taken up again after the last number that arrived.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use crate::activities::draw_code;
use crate::api::gate::TokenGate;
use crate::api::transport::{Call, Knock, REQUEST_ID};
use crate::platform::address::Block;
use crate::platform::fault::Fault;
use crate::tenancy::audit::chain::Line;
use crate::tenancy::audit::check::lines_after;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{Caller, TenantScope};

#[derive(Clone)]
pub struct Exports {
    pub gate: Arc<TokenGate>,
    pub proxies: Arc<[Block]>,
}

pub fn router(exports: Exports) -> Router {
    Router::new()
        .route("/exports/audit.ndjson", get(audit))
        .route("/exports/draw-codes/{batch}", get(draw_codes))
        .with_state(exports)
}

/// `GET /exports/audit.ndjson?after=<sequence>`
async fn audit(State(exports): State<Exports>, request: Request) -> Response {
    let call = Call::of(request.into_parts().0);
    let body = begin(&exports, &call).await;
    answer(&call, "audit.ndjson", "application/x-ndjson", body)
}

/// `GET /exports/draw-codes/<batch>.csv`
async fn draw_codes(State(exports): State<Exports>, Path(name): Path<String>, request: Request) -> Response {
    let call = Call::of(request.into_parts().0);
    let body = codes(&exports, &call, &name).await;
    answer(&call, "draw-codes.csv", "text/csv; charset=utf-8", body)
}

async fn codes(exports: &Exports, call: &Call, name: &str) -> Result<Body, Fault> {
    let knock = call.knock(call.bearer()?, &exports.proxies);
    let scope = enterprise(exports.gate.identify(knock).await?.caller)?;
    let batch = name.strip_suffix(".csv").and_then(|id| id.parse().ok()).ok_or(Fault::NotFound)?;
    let codes = draw_code::file(&exports.gate.platform, &scope, batch).await?.ok_or(Fault::NotFound)?;
    Ok(Body::from(format!("code\r\n{}\r\n", codes.join("\r\n"))))
}

fn answer(call: &Call, name: &str, media_type: &'static str, body: Result<Body, Fault>) -> Response {
    let mut response = match body {
        Ok(body) => {
            let headers = [
                (header::CONTENT_TYPE, media_type.to_owned()),
                (header::CACHE_CONTROL, "no-store".to_owned()),
                (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
            ];
            (StatusCode::OK, headers, body).into_response()
        }
        Err(fault) => refuse(&fault, call),
    };
    if let Ok(id) = HeaderValue::from_str(&call.request_id.0) {
        response.headers_mut().insert(REQUEST_ID.clone(), id);
    }
    response
}

/// The first page is read before the answer begins, so that what is wrong from the outset gets a status of its own.
async fn begin(exports: &Exports, call: &Call) -> Result<Body, Fault> {
    let after = after_of(call.parts.uri.query().unwrap_or_default())?;
    let knock = call.knock(call.bearer()?, &exports.proxies);
    let first = page(&exports.gate, &knock, after).await?;
    let gate = exports.gate.clone();
    let pages = stream::try_unfold((gate, knock, first), |(gate, knock, lines)| async move {
        let Some(last) = lines.last().map(|line| line.sequence) else { return Ok(None) };
        let bytes = written(&lines)?;
        let next = page(&gate, &knock, last).await.inspect_err(|fault| {
            tracing::warn!(request_id = knock.request_id, "an export broke off: {}", fault.with_causes());
        })?;
        Ok::<_, Fault>(Some((bytes, (gate, knock, next))))
    });
    Ok(Body::from_stream(pages))
}

async fn page(gate: &TokenGate, knock: &Knock, after: i64) -> Result<Vec<Line>, Fault> {
    let scope = enterprise(gate.identify(knock.clone()).await?.caller)?;
    scope.require(Permission::AuditRead)?;
    lines_after(&gate.platform, &scope, after).await
}

fn enterprise(caller: Caller) -> Result<TenantScope, Fault> {
    match caller {
        Caller::Enterprise(scope) => Ok(scope),
        Caller::House(scope) => Ok(scope.as_enterprise()),
        Caller::Anonymous => Err(Fault::NO_TOKEN),
        Caller::Holder(_) | Caller::Person(_) => Err(Fault::wrong_caller("企业的令牌", "a token of the enterprise")),
    }
}

fn written(lines: &[Line]) -> Result<Bytes, Fault> {
    let mut bytes = Vec::with_capacity(lines.len() * 640);
    for line in lines {
        serde_json::to_writer(&mut bytes, line).map_err(Fault::internal)?;
        bytes.push(b'\n');
    }
    Ok(bytes.into())
}

fn after_of(query: &str) -> Result<i64, Fault> {
    let bad =
        || Fault::BadRequest("`after` is the last sequence number that you have, a whole number from 0 on".into());
    let mut after = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != "after" || after.is_some() {
            return Err(Fault::BadRequest("the only parameter is `after`, once".into()));
        }
        after = Some(value.parse::<i64>().ok().filter(|after| *after >= 0).ok_or_else(bad)?);
    }
    Ok(after.unwrap_or(0))
}

fn refuse(fault: &Fault, call: &Call) -> Response {
    let status = match fault {
        Fault::BadRequest(_) => StatusCode::BAD_REQUEST,
        Fault::NotFound => StatusCode::NOT_FOUND,
        Fault::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        Fault::Forbidden(_) | Fault::OutOfScope(_) | Fault::WrongCaller(_) | Fault::Inactive(_) => {
            StatusCode::FORBIDDEN
        }
        Fault::Unavailable(_) | Fault::Contended(_) | Fault::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if status.is_server_error() {
        tracing::error!(request_id = call.request_id.0, "an export failed: {}", fault.with_causes());
    }
    let body = json!({
        "code": fault.code(),
        "message": fault.message(call.language),
        "requestId": call.request_id.0,
    });
    let mut response = (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_is_a_number_or_nothing() {
        assert_eq!(after_of("").ok(), Some(0));
        assert_eq!(after_of("after=17").ok(), Some(17));
        for bad in ["after=", "after=-1", "after=x", "after=1&after=2", "before=1", "after=99999999999999999999"] {
            assert!(after_of(bad).is_err(), "{bad}");
        }
    }
}
