//! `PUT /uploads/{ticket}`: the bytes of one file, straight into the object store.
//!
//! Who may upload what was decided when the ticket was written (`platform::objects`); here it is only held to that. What
//! the file then means is for the use case that asks for it next: nothing is believed of it here, and a client's
//! `Content-Type` and file name are not even read. To let something new be uploaded, write a ticket for it; this route
//! stays as it is.
//!
//! The body is taken by a task of its own: a client that goes away half way ends the request's handler, and what had
//! arrived must be taken back all the same.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
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
use tokio::time::{Instant, timeout_at};

use crate::api::transport::RequestId;
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::platform::media::MediaType;
use crate::platform::objects::{Content, Key, NoTicket, NotReceived, Ticket};
use crate::platform::vault::hex;

/// Uploads that this server takes at the same time, and for one owner of files. Each holds some parts of its file in
/// memory.
const AT_ONCE: usize = 32;
const OF_ONE_OWNER: usize = 4;

/// How long a client may be silent in the middle of a file, and how long the whole may take. Over all it sends so many
/// bytes a second (a poor telephone line), after a beginning as long as a silence: a place is not held by a trickle.
const SILENCE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(15 * 60);
const SLOWEST: u32 = 16 * 1024;

/// What is read and thrown away of a file that was refused. A client that is still sending reads no answer, and one
/// whose connection is closed meanwhile never sees it.
const DRAINED_BYTES: usize = 32 * 1024 * 1024;
const DRAINING: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Intake {
    platform: Arc<Platform>,
    places: Arc<Places>,
}

/// The files that are being received, each once.
#[derive(Default)]
struct Places(Mutex<HashSet<Key>>);

/// A place among [`Places`], given up when it is dropped.
struct Place<'a> {
    places: &'a Places,
    key: Key,
}

impl Places {
    fn take(&self, key: &Key) -> Result<Place<'_>, Refusal> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.contains(key) {
            return Err(Refusal::UnderWay);
        }
        if taken.iter().filter(|other| other.owner() == key.owner()).count() >= OF_ONE_OWNER {
            return Err(Refusal::TooMany);
        }
        if taken.len() >= AT_ONCE {
            return Err(Fault::Unavailable(anyhow::anyhow!("{AT_ONCE} uploads are under way")).into());
        }
        taken.insert(key.clone());
        Ok(Place { places: self, key: key.clone() })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.places.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

pub fn router(platform: Arc<Platform>) -> Router {
    let intake = Intake { platform, places: Arc::default() };
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
    UnderWay,
    TooMany,
    Empty,
    Differs,
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
    let Ticket { key, max_bytes, sha256, .. } = objects.read_ticket(ticket, clock.now()).map_err(Refusal::Ticket)?;
    // What a client says of the size is believed only where it speaks against it.
    let claimed = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if claimed.is_some_and(|claimed| claimed > max_bytes) {
        return Err(Refusal::TooLarge { max_bytes });
    }
    let _place = intake.places.take(&key)?;
    objects.receive(&key, (max_bytes, sha256), body).await.map_err(|reason| match reason {
        NotReceived::Exists => Refusal::Exists,
        NotReceived::TooLarge => Refusal::TooLarge { max_bytes },
        NotReceived::Empty => Refusal::Empty,
        NotReceived::Differs => Refusal::Differs,
        NotReceived::BrokeOff => Refusal::BrokeOff,
        NotReceived::Fault(fault) => Refusal::Fault(fault),
    })
}

/// The body did not arrive, or not in time.
struct Late;

/// The body, which ends with an error where its client falls silent, trickles or takes too long.
fn in_time(body: Body) -> impl Stream<Item = Result<Bytes, Late>> {
    async_stream::stream! {
        let mut parts = body.into_data_stream();
        let mut pace = Pace::begin(Instant::now());
        loop {
            match timeout_at(pace.end(Instant::now()), parts.next()).await {
                Ok(Some(Ok(part))) => {
                    pace.paid += Duration::from_secs_f64(part.len() as f64 / f64::from(SLOWEST));
                    yield Ok(part);
                }
                Ok(None) => return,
                Ok(Some(Err(_))) | Err(_) => {
                    yield Err(Late);
                    return;
                }
            }
        }
    }
}

/// How fast a body comes.
struct Pace {
    begun: Instant,
    /// What has arrived pays for the time until the next.
    paid: Duration,
}

impl Pace {
    fn begin(begun: Instant) -> Self {
        Self { begun, paid: SILENCE }
    }

    /// When the next part comes too late.
    fn end(&self, now: Instant) -> Instant {
        (self.begun + self.paid.min(LONGEST)).min(now + SILENCE)
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
        Refusal::UnderWay => (
            StatusCode::CONFLICT,
            "UPLOAD_UNDER_WAY",
            words(
                "该地址正在接收文件：请等其完成；如连接已中断，请半分钟后重试。",
                "A file is being received at this address: let it arrive, or try again in half a minute if it broke off.",
            ),
        ),
        Refusal::TooMany => (
            StatusCode::TOO_MANY_REQUESTS,
            "TOO_MANY_UPLOADS",
            words(
                &format!("同时上传的文件过多：请最多同时上传 {OF_ONE_OWNER} 个，待其中一个完成后再试。"),
                &format!("You are sending {OF_ONE_OWNER} files already: send this one when one of them has arrived."),
            ),
        ),
        Refusal::Empty => (
            StatusCode::BAD_REQUEST,
            "BAD_REQUEST",
            words("文件为空：请把文件内容作为请求体发送。", "The file is empty: send its bytes as the request's body."),
        ),
        Refusal::Differs => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "UPLOAD_DIFFERS",
            words(
                "文件与声明的大小或 SHA-256 不一致，未保存：请把所声明的文件上传到同一地址；如需上传其他文件，请重新申请。",
                "The file has another size or SHA-256 than was announced and was not kept: send the one that was announced to the same address, or ask for another address to send this one.",
            ),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many seconds a client is cut off that sends so much every second.
    fn cut_off_after(bytes: u32) -> u64 {
        let begun = Instant::now();
        let mut pace = Pace::begin(begun);
        let mut second = 0;
        while second < 10_000 {
            let now = begun + Duration::from_secs(second);
            if pace.end(now) <= now {
                break;
            }
            pace.paid += Duration::from_secs_f64(f64::from(bytes) / f64::from(SLOWEST));
            second += 1;
        }
        second
    }

    #[test]
    fn a_trickle_holds_no_place_and_a_poor_line_is_good_enough() {
        assert!((30..=31).contains(&cut_off_after(1)), "{}", cut_off_after(1));
        assert!((59..=61).contains(&cut_off_after(SLOWEST / 2)), "{}", cut_off_after(SLOWEST / 2));
        assert_eq!(
            cut_off_after(SLOWEST),
            900,
            "ten megabytes take 640 seconds, and nothing may take longer than this"
        );
        assert_eq!(cut_off_after(u32::MAX), 900);
        let begun = Instant::now();
        let fast = Pace { begun, paid: LONGEST };
        assert_eq!(fast.end(begun + SILENCE), begun + SILENCE + SILENCE, "who was fast may not fall silent either");
    }

    #[test]
    fn one_file_one_owner_and_one_server_have_so_many_places() {
        let key = |owner: u128, object: u128| {
            Key::new("documents", uuid::Uuid::from_u128(owner), uuid::Uuid::from_u128(object))
        };
        let places = Places::default();
        let first = places.take(&key(1, 0)).expect("there is room");
        assert!(matches!(places.take(&key(1, 0)), Err(Refusal::UnderWay)));
        let mut held: Vec<Place<'_>> =
            (1..4).map(|object| places.take(&key(1, object)).expect("there is room")).collect();
        assert!(matches!(places.take(&key(1, 4)), Err(Refusal::TooMany)));
        held.extend((4..32).map(|owner| places.take(&key(owner, 1)).expect("others have room")));
        assert!(matches!(places.take(&key(99, 1)), Err(Refusal::Fault(Fault::Unavailable(_)))));
        drop(first);
        assert!(places.take(&key(1, 0)).is_ok(), "a place is given up");
    }
}
