//! `GET /downloads/{leave}`: the bytes of one object, to whoever was given the address.
//!
//! Who may have it was decided when the address was written (`platform::objects`); how it is served, `serving` says.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::json;

use crate::api::serving::{Disposition, Serving, serve};
use crate::api::transport::RequestId;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::platform::objects::NoTicket;

pub fn router(platform: Arc<Platform>) -> Router {
    Router::new().route("/downloads/{leave}", get(download)).with_state(platform)
}

async fn download(
    State(platform): State<Arc<Platform>>,
    Path(leave): Path<String>,
    Extension(request_id): Extension<RequestId>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let language = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let language = Language::from_accept_language(language);
    let leave = match platform.objects.read_download(&leave, platform.clock.now()) {
        Ok(leave) => leave,
        Err(why) => return no_leave(why, language, &request_id),
    };
    let serving = Serving {
        key: &leave.key,
        media_type: leave.media_type,
        tag: leave.key.object().simple().to_string(),
        cache: "private, no-store",
        disposition: Disposition::Attachment,
    };
    let served = serve(&platform.objects, &serving, &method, &headers).await;
    served.unwrap_or_else(|fault| refuse(&fault, language, &request_id))
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

/// The words and the status for an object that is not served.
pub fn refuse(fault: &Fault, language: Language, request_id: &RequestId) -> Response {
    let status = match fault {
        Fault::NotFound => StatusCode::NOT_FOUND,
        Fault::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if status != StatusCode::NOT_FOUND {
        tracing::error!(request_id = request_id.0, cause = fault.with_causes(), "an object could not be served");
    }
    answer(status, fault.code(), &fault.message(language), request_id)
}

fn answer(status: StatusCode, code: &str, message: &str, request_id: &RequestId) -> Response {
    let body = json!({ "code": code, "message": message, "requestId": request_id.0 });
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
