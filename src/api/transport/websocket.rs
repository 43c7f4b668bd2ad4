//! `graphql-transport-ws` (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>).
//!
//! async-graphql's own handler closes with wrong codes, writes a malformed close frame for a long reason, never pings
//! and has no caps, hence a loop of our own. How a connection ends:
//!
//! | code | because |
//! |---|---|
//! | 1001 | the server shuts down; reconnect |
//! | 1009 | a message is larger than [`Settings::body_bytes`](super::limits::Settings::body_bytes) |
//! | 1013 | the gate is not available; reconnect later |
//! | 4400 | a message that the protocol does not know |
//! | 4401 | an operation before `connection_init` |
//! | 4403 | the token is not valid, or has run out: graphql-ws reconnects with a fresh one |
//! | 4406 | the client does not speak `graphql-transport-ws` |
//! | 4408 | no `connection_init` in time |
//! | 4409 | an operation of that name is running |
//! | 4412 | the consumer is too slow: its queue stayed full; reconnect and resume from the last cursor |
//! | 4413 | the peer answered no ping |
//! | 4429 | a second `connection_init` |
//! | 4500 | the gate failed |

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Executor, ServerError};
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::Edge;
use super::errors::{Body, Protocol, Refusal, is_request_error, json};
use super::gate::{RequestId, Visitor};
use super::http::{Call, bearer_of};
use super::operation::{Carries, Gauge};
use super::parameters::Parameters;
use super::running::{Operations, Outbox, Place, Unwelcome};
use super::sse::until;
use crate::platform::fault::Fault;
use crate::platform::language::{Language, Text};

const PROTOCOL: &str = "graphql-transport-ws";

/// A close frame holds 125 bytes, two of them the code.
const REASON_BYTES: usize = 123;

const TOO_MANY_OPERATIONS: Protocol = Protocol::new(
    axum::http::StatusCode::TOO_MANY_REQUESTS,
    "RATE_LIMITED",
    Text::new(
        "同一连接上的操作过多：请先结束一些，或另开连接。",
        "Too many operations run on this connection: complete some of them, or open another connection.",
    ),
);

/// How a connection ends.
struct Farewell(u16, String);

impl Farewell {
    fn frame(self) -> CloseFrame {
        let mut end = self.1.len().min(REASON_BYTES);
        while !self.1.is_char_boundary(end) {
            end -= 1;
        }
        CloseFrame { code: self.0, reason: self.1[..end].into() }
    }
}

fn farewell<T>(code: u16, reason: impl Into<String>) -> Result<T, Farewell> {
    Err(Farewell(code, reason.into()))
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Outgoing<'a> {
    ConnectionAck,
    Pong,
    Next { id: &'a str, payload: Body<'a> },
    Error { id: &'a str, payload: &'a [ServerError] },
    Complete { id: &'a str },
}

impl Outgoing<'_> {
    fn message(&self) -> Message {
        Message::text(json(self))
    }
}

pub fn accept<E: Executor>(edge: Arc<Edge<E>>, call: Call, upgrade: WebSocketUpgrade) -> Response {
    let most = edge.settings.body_bytes;
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(most).max_frame_size(most);
    upgrade.on_upgrade(move |socket| serve(edge, call, socket))
}

async fn serve<E: Executor>(edge: Arc<Edge<E>>, call: Call, socket: WebSocket) {
    let _open = Gauge::up("graphql_websockets_open");
    let limits = &edge.settings.streams;
    let speaks = socket.protocol().is_some_and(|protocol| protocol == PROTOCOL);
    let (sink, mut incoming) = socket.split();
    let (outbox, queue) = Outbox::new(limits.queue, limits.patience);
    let (close, closed) = oneshot::channel();
    let writer = tokio::spawn(write(sink, queue, closed, limits.farewell));
    let operations = Operations::new(limits.operations);
    let grace = limits.farewell;

    let mut connection =
        Connection { edge: edge.clone(), call, outbox, operations: operations.clone(), bearer: None, visitor: None };
    let ended = if speaks {
        connection.listen(&mut incoming).await
    } else {
        farewell(4406, "Subprotocol not acceptable: use graphql-transport-ws")
    };
    drop(connection);
    if let Err(farewell) = ended {
        tracing::debug!(code = farewell.0, reason = farewell.1, "closing a WebSocket");
        close.send(farewell.frame()).ok();
        // The peer answers the close frame; until then what it still sends must be read, or it could block.
        timeout(grace, async { while let Some(Ok(_)) = incoming.next().await {} }).await.ok();
    }
    timeout(grace, writer).await.ok();
}

/// Writes what is queued, until the close frame or the end of the connection.
///
/// A close frame does not wait for the queue: where the consumer is slow it would never be its turn. A message that is
/// being written is finished first, since half a frame would garble the rest.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Message>,
    mut close: oneshot::Receiver<CloseFrame>,
    grace: Duration,
) {
    let forward = async {
        while let Some(message) = queue.recv().await {
            if sink.send(message).await.is_err() {
                break;
            }
        }
    };
    let frame = tokio::select! {
        biased;
        frame = &mut close => frame.ok(),
        () = forward => close.await.ok(),
    };
    let end = async {
        if let Some(frame) = frame {
            sink.send(Message::Close(Some(frame))).await.ok();
        }
        sink.close().await.ok();
    };
    timeout(grace, end).await.ok();
}

struct Connection<E: Executor> {
    edge: Arc<Edge<E>>,
    call: Call,
    outbox: Outbox<Message>,
    operations: Arc<Operations>,
    /// What it showed when it was acknowledged.
    bearer: Option<String>,
    /// Known once `connection_init` was acknowledged.
    visitor: Option<Arc<dyn Visitor>>,
}

/// However the connection ends, a panic of the gate included, its operations end with it.
impl<E: Executor> Drop for Connection<E> {
    fn drop(&mut self) {
        self.operations.close();
    }
}

impl<E: Executor> Connection<E> {
    /// Reads until the peer leaves or has to.
    async fn listen(&mut self, incoming: &mut SplitStream<WebSocket>) -> Result<(), Farewell> {
        let limits = self.edge.settings.streams.clone();
        let (cut, shutdown) = (self.outbox.cut.clone(), self.edge.shutdown.clone());
        let init_deadline = Instant::now() + limits.init_timeout;
        let mut ping = tokio::time::interval_at(Instant::now() + limits.ping, limits.ping);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut heard = true;
        let mut expiry = Box::pin(until(None));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return farewell(1001, "The server shuts down: reconnect"),
                () = cut.cancelled() => return farewell(4412, "The consumer is too slow: reconnect and resume"),
                () = &mut expiry => return farewell(4403, "The token has run out: reconnect with a fresh one"),
                () = tokio::time::sleep_until(init_deadline), if self.visitor.is_none() => {
                    return farewell(4408, "Connection initialisation timeout");
                }
                _ = ping.tick() => {
                    if !std::mem::take(&mut heard) {
                        return farewell(4413, "The peer answered no ping");
                    }
                    if self.visitor.is_some() {
                        self.look_again().await?;
                    }
                    // Where the queue is full there is no need to ask whether the peer reads: patience decides.
                    self.outbox.try_send(Message::Ping(bytes::Bytes::new()));
                }
                message = incoming.next() => {
                    heard = true;
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            let known = self.visitor.is_some();
                            self.handle(text.as_str()).await?;
                            if !known && let Some(visitor) = &self.visitor {
                                expiry = Box::pin(until(visitor.expires_at()));
                            }
                        }
                        Some(Ok(Message::Binary(_))) => return farewell(4400, "Invalid message: text is expected"),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Close(_))) | None => return Ok(()),
                        Some(Err(error)) if is_too_large(&error) => {
                            return farewell(1009, "The message is too large");
                        }
                        Some(Err(_)) => return Ok(()),
                    }
                }
            }
        }
    }

    async fn handle(&mut self, text: &str) -> Result<(), Farewell> {
        let Ok(serde_json::Value::Object(mut message)) = serde_json::from_str(text) else {
            return farewell(4400, "Invalid message: a JSON object is expected");
        };
        let id = message.get("id").and_then(|id| id.as_str()).filter(|id| !id.is_empty()).map(str::to_owned);
        let payload = message.remove("payload").filter(|payload| !payload.is_null());
        let kind = message.remove("type");
        let kind = kind.as_ref().and_then(|kind| kind.as_str());
        if matches!(kind, Some("connection_init" | "ping" | "pong"))
            && payload.as_ref().is_some_and(|payload| !payload.is_object())
        {
            return farewell(4400, "Invalid message: payload is an object");
        }
        match (kind, id, payload) {
            (Some("connection_init"), _, payload) => self.initialise(payload.unwrap_or_default()).await,
            (Some("ping"), ..) => {
                self.send(Outgoing::Pong.message()).await;
                Ok(())
            }
            (Some("pong"), ..) => Ok(()),
            (Some("subscribe"), Some(id), Some(payload)) => self.subscribe(id, payload).await,
            (Some("complete"), Some(id), _) => {
                self.operations.cancel(&id);
                Ok(())
            }
            _ => farewell(4400, "Invalid message: see the graphql-transport-ws protocol"),
        }
    }

    /// A full queue must not keep the loop from seeing that the connection is to be cut.
    async fn send(&self, message: Message) {
        self.outbox.send(message).await;
    }

    async fn initialise(&mut self, payload: serde_json::Value) -> Result<(), Farewell> {
        if self.visitor.is_some() {
            return farewell(4429, "Too many initialisation requests");
        }
        if let Some(header) = text_of(&payload, "accept-language") {
            self.call.language = Language::from_accept_language(header);
        }
        let bearer = match (text_of(&payload, "token"), text_of(&payload, "authorization")) {
            (Some(token), _) => Ok(Some(token.to_owned())),
            (None, Some(header)) => match bearer_of(header) {
                Some(token) => Ok(Some(token)),
                None => return farewell(4403, "Forbidden: Authorization is not \"Bearer …\""),
            },
            (None, None) => self.call.bearer(),
        };
        let admitted = match bearer {
            Ok(bearer) => {
                self.bearer.clone_from(&bearer);
                let admission = self.edge.gate.admit(self.call.knock(bearer, &self.edge.settings.proxies));
                timeout(self.edge.settings.timeout, admission).await.unwrap_or(Err(Fault::TimedOut))
            }
            Err(fault) => Err(fault),
        };
        match admitted {
            Ok(visitor) => {
                self.visitor = Some(visitor);
                self.send(Outgoing::ConnectionAck.message()).await;
                Ok(())
            }
            Err(fault) => {
                let code = match &fault {
                    Fault::RateLimited(_) | Fault::TimedOut | Fault::Unavailable(_) => 1013,
                    Fault::Internal(_) => 4500,
                    _ => 4403,
                };
                // Through the answer, so that a cause is logged under the connection's request ID.
                let answer = Refusal::from(fault).answer(self.call.language, &self.call.request_id);
                let reason = answer.response.errors.first().map(|error| error.message.clone());
                farewell(code, reason.unwrap_or_default())
            }
        }
    }

    /// Asks the gate anew: a connection lives long, and what its token says may have ceased to hold. A gate that cannot
    /// answer just now leaves things as they are; the operation itself will tell.
    async fn look_again(&mut self) -> Result<(), Farewell> {
        let admission = self.edge.gate.admit(self.call.knock(self.bearer.clone(), &self.edge.settings.proxies));
        match timeout(self.edge.settings.timeout, admission).await.unwrap_or(Err(Fault::TimedOut)) {
            Ok(visitor) => {
                self.visitor = Some(visitor);
                Ok(())
            }
            Err(fault @ Fault::Unauthenticated(_)) => farewell(4403, fault.message(self.call.language)),
            Err(_) => Ok(()),
        }
    }

    async fn subscribe(&mut self, id: String, payload: serde_json::Value) -> Result<(), Farewell> {
        if self.visitor.is_some() {
            self.look_again().await?;
        }
        let Some(visitor) = self.visitor.clone() else { return farewell(4401, "Unauthorized") };
        let parameters = match Parameters::from_value(payload) {
            Ok(parameters) => parameters,
            Err(refused) => {
                return farewell(4400, format!("Invalid message: {}", refused.message.english));
            }
        };
        let request_id = RequestId::fresh();
        let refuse = |refusal: Refusal| refusal.answer(visitor.language(), &request_id).response.errors;
        let refused = match self.operations.reserve(id.clone()) {
            Err(Unwelcome::Taken) => {
                let (beginning, end) = ("Subscriber for ", " already exists");
                let room = REASON_BYTES - beginning.len() - end.len();
                let short: String = id.chars().take(room / 4).collect();
                return farewell(4409, format!("{beginning}{short}{end}"));
            }
            Err(Unwelcome::Closed) => return Ok(()),
            Err(Unwelcome::Full) => refuse(TOO_MANY_OPERATIONS.into()),
            Ok(place) => match self.edge.ready(&visitor, parameters, Carries::Everything, &request_id) {
                Ok(ready) => {
                    let responses = self.edge.stream(ready);
                    let outbox = self.outbox.clone();
                    place.run(|place| forward(responses, outbox, id, place));
                    return Ok(());
                }
                Err(refusal) => refuse(refusal),
            },
        };
        self.send(Outgoing::Error { id: &id, payload: &refused }.message()).await;
        Ok(())
    }
}

/// Hands an operation's answers on. A request error ends the operation with `error`, everything else with `complete`.
async fn forward(
    mut responses: futures_util::stream::BoxStream<'static, async_graphql::Response>,
    outbox: Outbox<Message>,
    id: String,
    place: Place,
) {
    while let Some(response) = responses.next().await {
        if is_request_error(&response) {
            drop(place);
            outbox.send(Outgoing::Error { id: &id, payload: &response.errors }.message()).await;
            return;
        }
        if !outbox.send(Outgoing::Next { id: &id, payload: Body::of(&response) }.message()).await {
            return;
        }
    }
    drop(place);
    outbox.send(Outgoing::Complete { id: &id }.message()).await;
}

/// A text of the payload, its name in any case as with headers.
fn text_of<'a>(payload: &'a serde_json::Value, name: &str) -> Option<&'a str> {
    payload.as_object()?.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?.1.as_str()
}

fn is_too_large(error: &axum::Error) -> bool {
    use tokio_tungstenite::tungstenite::Error;
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(Error::Capacity(_)) = cause.downcast_ref::<Error>() {
            return true;
        }
        source = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_its_frame_whatever_the_alphabet() {
        for reason in ["x".repeat(200), "订".repeat(60), String::new()] {
            let frame = Farewell(4400, reason.clone()).frame();
            assert!(frame.reason.len() <= REASON_BYTES && reason.starts_with(frame.reason.as_str()));
            assert!(reason.is_empty() || frame.reason.len() > REASON_BYTES - 3);
        }
    }
}
