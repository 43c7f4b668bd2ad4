//! `GET /downloads/{leave}`: the bytes of one object, to whoever was given the address.
//!
//! Who may have it was decided when the address was written (`platform::objects`). What is served was once sent by a
//! stranger, so no browser is to make anything of it: it is an attachment of the type that was found in its bytes, under
//! a name of our making, and may not be sniffed, framed or run.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::json;

use crate::api::transport::RequestId;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::platform::media::MediaType;
use crate::platform::objects::{Download, NoTicket};

pub fn router(platform: Arc<Platform>) -> Router {
    Router::new().route("/downloads/{leave}", get(download)).with_state(platform)
}

async fn download(
    State(platform): State<Arc<Platform>>,
    Path(leave): Path<String>,
    Extension(request_id): Extension<RequestId>,
    headers: axum::http::HeaderMap,
) -> Response {
    let language = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let language = Language::from_accept_language(language);
    let Platform { objects, clock, .. } = &*platform;
    let leave = match objects.read_download(&leave, clock.now()) {
        Ok(leave) => leave,
        Err(why) => return no_leave(why, language, &request_id),
    };
    match objects.open(&leave.key).await {
        // As it is read: a client that takes its time costs a piece of the object and not the whole of it.
        Ok(Some((size, pieces))) => {
            let length = [(header::CONTENT_LENGTH, size.to_string())];
            (about(&leave), length, Body::from_stream(pieces)).into_response()
        }
        Ok(None) => refuse(&Fault::NotFound, language, &request_id),
        Err(fault) => refuse(&fault, language, &request_id),
    }
}

fn about(leave: &Download) -> [(HeaderName, String); 7] {
    let extension = match leave.media_type {
        MediaType::Pdf => "pdf",
        MediaType::Png => "png",
        MediaType::Jpeg => "jpg",
    };
    [
        (header::CONTENT_TYPE, leave.media_type.as_str().to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.{extension}\"", leave.key.object().simple())),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-site".to_owned()),
    ]
}

fn no_leave(why: NoTicket, language: Language, request_id: &RequestId) -> Response {
    let (code, chinese, english) = match why {
        NoTicket::Forged => (
            "INVALID_DOWNLOAD_ADDRESS",
            "下载地址无效：请原样使用接口返回的地址，或重新查询。",
            "This is no download address of this service: use it exactly as the API gave it, or ask for another.",
        ),
        NoTicket::Expired => (
            "DOWNLOAD_ADDRESS_EXPIRED",
            "下载地址已过期：请重新查询后下载。",
            "This download address has expired: ask for another one.",
        ),
    };
    let message = match language {
        Language::Chinese => chinese,
        Language::English => english,
    };
    answer(StatusCode::FORBIDDEN, code, message, request_id)
}

fn refuse(fault: &Fault, language: Language, request_id: &RequestId) -> Response {
    let status = match fault {
        Fault::NotFound => StatusCode::NOT_FOUND,
        Fault::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if status != StatusCode::NOT_FOUND {
        tracing::error!(request_id = request_id.0, cause = fault.with_causes(), "a download failed");
    }
    answer(status, fault.code(), &fault.message(language), request_id)
}

fn answer(status: StatusCode, code: &str, message: &str, request_id: &RequestId) -> Response {
    let body = json!({ "code": code, "message": message, "requestId": request_id.0 });
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
