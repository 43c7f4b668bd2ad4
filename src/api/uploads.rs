//! `PUT /uploads/{ticket}`: the bytes of one file, straight into the object store.
//!
//! Who may upload what was decided when the ticket was written (`platform::objects`); here it is only held to that. What
//! the file then means is for the use case that asks for it next: nothing is believed of it here, and a client's
//! `Content-Type` and file name are not even read. To let something new be uploaded, write a ticket for it; this route
//! stays as it is.
//!
//! The body is taken by a task of its own: a client that goes away half way ends the request's handler, and what had
//! arrived must be taken back all the same.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use axum::{Extension, Json, Router};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::api::transport::RequestId;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::platform::media::MediaType;
use crate::platform::objects::{Content, NoTicket, NotReceived, Ticket};
use crate::platform::vault::hex;

/// Uploads that this server takes at the same time. Each holds some parts of its file in memory.
const AT_ONCE: usize = 32;

/// How long a client may be silent in the middle of a file, and how long the whole may take.
const SILENCE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What is read and thrown away of a file that was refused. A client that is still sending reads no answer, and one
/// whose connection is closed meanwhile never sees it.
const DRAINED_BYTES: usize = 32 * 1024 * 1024;
const DRAINING: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Intake {
    platform: Arc<Platform>,
    places: Arc<Semaphore>,
}

pub fn router(platform: Arc<Platform>) -> Router {
    let intake = Intake { platform, places: Arc::new(Semaphore::new(AT_ONCE)) };
    Router::new().route("/uploads/{ticket}", put(upload)).with_state(intake)
}

async fn upload(
    State(intake): State<Intake>,
    Path(ticket): Path<String>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let language = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let language = Language::from_accept_language(language);
    let received = tokio::spawn(async move {
        let mut body = pin!(in_time(body));
        let received = receive(&intake, &ticket, &headers, &mut body).await;
        if received.is_err() {
            drain(&mut body).await;
        }
        received
    });
    match received.await.unwrap_or_else(|panic| Err(Fault::internal(panic).into())) {
        Ok(content) => (StatusCode::CREATED, NOT_STORED, Json(describe(&content))).into_response(),
        Err(refusal) => refuse(&refusal, language, &request_id),
    }
}

/// Answers are about one file of one client.
const NOT_STORED: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

fn describe(content: &Content) -> serde_json::Value {
    json!({
        "size": content.size,
        "sha256": hex(&content.sha256),
        "mediaType": content.media_type.map(MediaType::as_str),
    })
}

/// Why a file was not taken.
#[derive(Debug)]
enum Refusal {
    Ticket(NoTicket),
    TooLarge { max_bytes: u64 },
    Exists,
    Empty,
    BrokeOff,
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

async fn receive(
    intake: &Intake,
    ticket: &str,
    headers: &HeaderMap,
    body: &mut (impl Stream<Item = Result<Bytes, Late>> + Unpin),
) -> Result<Content, Refusal> {
    let Platform { objects, clock, .. } = &*intake.platform;
    let Ticket { key, max_bytes, .. } = objects.read_ticket(ticket, clock.now()).map_err(Refusal::Ticket)?;
    // What a client says of the size is believed only where it speaks against it.
    let claimed = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if claimed.is_some_and(|claimed| claimed > max_bytes) {
        return Err(Refusal::TooLarge { max_bytes });
    }
    let Ok(_place) = intake.places.try_acquire() else {
        return Err(Fault::Unavailable(anyhow::anyhow!("{AT_ONCE} uploads are under way")).into());
    };
    objects.receive(&key, max_bytes, body).await.map_err(|reason| match reason {
        NotReceived::Exists => Refusal::Exists,
        NotReceived::TooLarge => Refusal::TooLarge { max_bytes },
        NotReceived::Empty => Refusal::Empty,
        NotReceived::BrokeOff => Refusal::BrokeOff,
        NotReceived::Fault(fault) => Refusal::Fault(fault),
    })
}

/// The body did not arrive, or not in time.
struct Late;

/// The body, which ends with an error where its client falls silent or takes too long.
fn in_time(body: Body) -> impl Stream<Item = Result<Bytes, Late>> {
    let end = Instant::now() + LONGEST;
    async_stream::stream! {
        let mut parts = body.into_data_stream();
        loop {
            match timeout_at(end.min(Instant::now() + SILENCE), parts.next()).await {
                Ok(Some(Ok(part))) => yield Ok(part),
                Ok(None) => return,
                Ok(Some(Err(_))) | Err(_) => {
                    yield Err(Late);
                    return;
                }
            }
        }
    }
}

async fn drain(body: &mut (impl Stream<Item = Result<Bytes, Late>> + Unpin)) {
    let end = Instant::now() + DRAINING;
    let mut drained = 0;
    while drained <= DRAINED_BYTES
        && let Ok(Some(Ok(part))) = timeout_at(end, body.next()).await
    {
        drained += part.len();
    }
}

fn refuse(refusal: &Refusal, language: Language, request_id: &RequestId) -> Response {
    let words = |chinese: &str, english: &str| match language {
        Language::Chinese => chinese.to_owned(),
        Language::English => english.to_owned(),
    };
    let (status, code, message) = match refusal {
        Refusal::Ticket(NoTicket::Forged) => (
            StatusCode::FORBIDDEN,
            "INVALID_UPLOAD_ADDRESS",
            words(
                "上传地址无效：请原样使用接口返回的地址，或重新申请。",
                "This is no upload address of this service: use it exactly as the API gave it, or ask for another.",
            ),
        ),
        Refusal::Ticket(NoTicket::Expired) => (
            StatusCode::FORBIDDEN,
            "UPLOAD_ADDRESS_EXPIRED",
            words("上传地址已过期：请重新申请后上传。", "This upload address has expired: ask for another one."),
        ),
        Refusal::TooLarge { max_bytes } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            words(
                &format!("文件过大：最多 {max_bytes} 字节，请压缩后上传到同一地址。"),
                &format!("The file is too large: send one of at most {max_bytes} bytes to the same address."),
            ),
        ),
        Refusal::Exists => (
            StatusCode::CONFLICT,
            "ALREADY_UPLOADED",
            words(
                "该地址已上传过文件：如需更换，请重新申请上传地址。",
                "A file was uploaded here already and is kept: ask for another address to send another file.",
            ),
        ),
        Refusal::Empty => (
            StatusCode::BAD_REQUEST,
            "BAD_REQUEST",
            words("文件为空：请把文件内容作为请求体发送。", "The file is empty: send its bytes as the request's body."),
        ),
        Refusal::BrokeOff => (
            StatusCode::BAD_REQUEST,
            "BAD_REQUEST",
            words(
                "文件没有完整到达：请重新上传到同一地址。",
                "The file did not arrive whole: send it to the same address again.",
            ),
        ),
        Refusal::Fault(fault) => {
            tracing::error!(request_id = request_id.0, cause = fault.with_causes(), "an upload failed");
            let status = match fault {
                Fault::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, fault.code(), fault.message(language))
        }
    };
    (status, NOT_STORED, Json(json!({ "code": code, "message": message, "requestId": request_id.0 }))).into_response()
}
