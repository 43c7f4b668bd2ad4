//! Server-sent events: the GraphQL over SSE protocol in both of its modes
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>).
//!
//! *Distinct connections*: a request that accepts `text/event-stream` is answered by `next` events and `complete`.
//! *Single connection*, for browsers on HTTP/1.1 with their six connections: PUT reserves a stream and yields its
//! token, GET opens it, POST starts an operation in it, DELETE stops one. Reservations are in this server's memory, so
//! a balancer in front of several must keep a client on one of them; with HTTP/2 use the distinct mode.
//!
//! A stream ends without `complete` where the server shuts down, where the token runs out and where the consumer is
//! too slow; the client takes that for a broken connection and comes back, with a fresh token and from its cursor.
//!
//! Frames are written by hand: axum writes no `data` line for empty data, and a browser ignores an event without one.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_graphql::Executor;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::Either;
use serde::Serialize;
use tokio::sync::mpsc;

use super::Edge;
use super::errors::{Body, Protocol, Refusal, Standing, json};
use super::gate::{Knock, Visitor};
use super::http::{Call, event_stream};
use super::operation::{Carries, Gauge, Ready};
use super::parameters::Parameters;
use super::running::{Operations, Outbox, Unwelcome};
use crate::platform::fault::Fault;
use crate::platform::language::Text;

const TOKEN_HEADER: &str = "x-graphql-event-stream-token";

const NO_STREAM: Protocol = Protocol::new(
    StatusCode::NOT_FOUND,
    "NOT_FOUND",
    Text::new("没有该事件流：请用 PUT 重新申请。", "There is no such event stream: reserve one by PUT."),
);

const STREAM_IS_OPEN: Protocol = Protocol::new(
    StatusCode::CONFLICT,
    "CONFLICT",
    Text::new("该事件流已打开：请用 PUT 另行申请。", "That event stream is open already: reserve another by PUT."),
);

const NO_OPERATION_ID: Protocol = Protocol::new(
    StatusCode::BAD_REQUEST,
    "BAD_REQUEST",
    Text::new(
        "缺少操作编号：POST 放在 extensions.operationId，DELETE 放在 ?operationId=。",
        "The operation has no name: give extensions.operationId in a POST, ?operationId= in a DELETE.",
    ),
);

const OPERATION_EXISTS: Protocol = Protocol::new(
    StatusCode::CONFLICT,
    "CONFLICT",
    Text::new("该 operationId 的操作仍在进行。", "An operation with that operationId is running: use another."),
);

const TOO_MANY_OPERATIONS: Protocol = Protocol::new(
    StatusCode::TOO_MANY_REQUESTS,
    "RATE_LIMITED",
    Text::new(
        "同时进行的操作过多：请先结束一些。",
        "Too many operations run in this stream: complete some of them first.",
    ),
);

const TOO_MANY_STREAMS: Protocol = Protocol::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "UNAVAILABLE",
    Text::new("事件流过多，请稍后重试。", "Too many event streams are open on this server; retry shortly."),
);

/// The event streams of the single connection mode.
#[derive(Default)]
pub struct Streams {
    reserved: Mutex<HashMap<String, Arc<Channel>>>,
}

struct Channel {
    /// Whose stream it is: a token that leaked is of no use to another.
    bucket: String,
    operations: Arc<Operations>,
    outbox: Outbox<Bytes>,
    /// Until the stream is opened.
    queue: Mutex<Option<mpsc::Receiver<Bytes>>>,
}

impl Streams {
    fn reserved(&self) -> MutexGuard<'_, HashMap<String, Arc<Channel>>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, call: &Call, visitor: &Arc<dyn Visitor>) -> Result<(String, Arc<Channel>), Protocol> {
        let token = token(&call.parts).ok_or(NO_STREAM)?;
        let channel = self.reserved().get(&token).cloned().ok_or(NO_STREAM)?;
        if channel.bucket == visitor.bucket() { Ok((token, channel)) } else { Err(NO_STREAM) }
    }
}

/// The token of a reserved stream, from the header or, for browsers' `EventSource`, from the query.
pub fn token(parts: &Parts) -> Option<String> {
    let header = parts.headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok());
    header.map(str::to_owned).or_else(|| query_parameter(parts, "token"))
}

fn query_parameter(parts: &Parts, name: &str) -> Option<String> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).ok()?.0;
    pairs.into_iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

/// One event. JSON as we write it has no line breaks, so that one `data` line holds it.
fn frame(event: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {event}\ndata: {data}\n\n"))
}

const COMMENT: Bytes = Bytes::from_static(b":\n\n");

#[derive(Serialize)]
struct Next<'a> {
    id: &'a str,
    payload: Body<'a>,
}

#[derive(Serialize)]
struct Complete<'a> {
    id: &'a str,
}

fn next(id: Option<&str>, response: &async_graphql::Response) -> Bytes {
    let payload = Body::of(response);
    frame("next", &id.map_or_else(|| json(&payload), |id| json(&Next { id, payload: Body::of(response) })))
}

fn complete(id: Option<&str>) -> Bytes {
    frame("complete", &id.map_or_else(String::new, |id| json(&Complete { id })))
}

/// Distinct connections mode. What HTTP itself refuses keeps its status; an operation that was refused is told in the
/// stream, as the protocol asks.
pub fn distinct<E: Executor>(
    edge: &Arc<Edge<E>>,
    call: &Call,
    visitor: &Arc<dyn Visitor>,
    ready: Result<Ready, Refusal>,
) -> Result<Response, Refusal> {
    let ready = match ready {
        Ok(ready) => Ok(ready),
        Err(refusal) => Err(told_in_stream(refusal, call, visitor)?),
    };
    let (outbox, queue) = Outbox::new(edge.settings.streams.queue, edge.settings.streams.patience);
    let operations = Operations::new(1);
    if let Ok(place) = operations.reserve(String::new()) {
        let (edge, outbox) = (edge.clone(), outbox.clone());
        place.run(|place| async move {
            feed(edge, ready, outbox, None).await;
            drop(place);
        });
    }
    let knock = call.knock(call.bearer()?, &edge.settings.proxies);
    Ok(event_stream(frames(edge, (visitor, knock), outbox, queue, operations, || ())))
}

/// The answer to put into the stream, or the refusal itself where HTTP has a status for it.
fn told_in_stream(
    refusal: Refusal,
    call: &Call,
    visitor: &Arc<dyn Visitor>,
) -> Result<async_graphql::Response, Refusal> {
    if matches!(refusal, Refusal::Protocol(_) | Refusal::Fault(Fault::RateLimited(_))) {
        return Err(refusal);
    }
    let answer = refusal.answer(visitor.language(), &call.request_id);
    debug_assert_ne!(answer.standing, Standing::Executed);
    Ok(answer.response)
}

/// Sends what an operation yields.
async fn feed<E: Executor>(
    edge: Arc<Edge<E>>,
    ready: Result<Ready, async_graphql::Response>,
    outbox: Outbox<Bytes>,
    id: Option<String>,
) {
    match ready {
        Ok(ready) => {
            let mut responses = edge.stream(ready);
            while let Some(response) = responses.next().await {
                if !outbox.send(next(id.as_deref(), &response)).await {
                    return;
                }
            }
        }
        Err(refused) => {
            outbox.send(next(id.as_deref(), &refused)).await;
        }
    }
    if id.is_none() {
        outbox.send(complete(None)).await;
    }
}

/// What goes down the wire: the queue, comments that keep it open, and an end where the stream may not go on. When the
/// client goes away the body is dropped and everything that feeds it stops. The gate is asked anew from time to time: a
/// stream lives long, and what its token says may have ceased to hold.
fn frames<E: Executor>(
    edge: &Arc<Edge<E>>,
    (visitor, knock): (&Arc<dyn Visitor>, Knock),
    outbox: Outbox<Bytes>,
    mut queue: mpsc::Receiver<Bytes>,
    operations: Arc<Operations>,
    on_end: impl FnOnce() + Send + 'static,
) -> impl futures_util::Stream<Item = Bytes> + Send + 'static {
    let keep_alive = edge.settings.streams.keep_alive;
    let (gate, shutdown, cut) = (edge.gate.clone(), edge.shutdown.clone(), outbox.cut.clone());
    let expiry = until(visitor.expires_at());
    // A distinct stream ends when the one task that feeds it lets go of its end; a single one lives in its channel.
    drop(outbox);
    let end = OnDrop(Some(move || {
        operations.close();
        on_end();
    }));
    async_stream::stream! {
        let _end = end;
        let _open = Gauge::up("graphql_event_streams_open");
        let mut expiry = std::pin::pin!(expiry);
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + keep_alive, keep_alive);
        // The first comment makes proxies and browsers hand over the headers.
        yield COMMENT;
        loop {
            let step = tokio::select! {
                biased;
                () = cut.cancelled() => None,
                () = shutdown.cancelled() => None,
                () = &mut expiry => None,
                _ = tick.tick() => match gate.admit(knock.clone()).await {
                    Err(Fault::Unauthenticated(_)) => None,
                    _ => Some(COMMENT),
                },
                frame = queue.recv() => frame,
            };
            match step {
                Some(frame) => yield frame,
                None => break,
            }
        }
    }
}

struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}

/// Sleeps until a token runs out; for ever where it does not.
#[expect(clippy::disallowed_methods, reason = "it sleeps by the machine's clock, so it must read that one")]
pub fn until(expiry: Option<SystemTime>) -> impl Future<Output = ()> + Send {
    match expiry {
        Some(expiry) => {
            let left = expiry.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
            Either::Left(tokio::time::sleep(left))
        }
        None => Either::Right(std::future::pending()),
    }
}

/// PUT: reserves a stream.
pub async fn reserve<E: Executor>(edge: &Arc<Edge<E>>, call: &Call) -> Result<Response, Refusal> {
    let visitor = call.admit(edge).await?;
    let limits = &edge.settings.streams;
    let (outbox, queue) = Outbox::new(limits.queue, limits.patience);
    let channel = Channel {
        bucket: visitor.bucket(),
        operations: Operations::new(limits.operations),
        outbox,
        queue: Mutex::new(Some(queue)),
    };
    edge.buckets_of(&visitor).charge(&channel.bucket, 1)?;
    // 128 random bits: a version 7 identifier could be guessed in part.
    let token = random_token()?;
    {
        let mut reserved = edge.streams.reserved();
        if reserved.len() >= limits.reservations {
            return Err(TOO_MANY_STREAMS.into());
        }
        reserved.insert(token.clone(), Arc::new(channel));
    }
    let (edge, own, wait) = (edge.clone(), token.clone(), limits.reservation_timeout);
    tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = edge.shutdown.cancelled() => {}
        }
        let mut reserved = edge.streams.reserved();
        let unopened = |channel: &Arc<Channel>| lock(&channel.queue).is_some();
        if reserved.get(&own).is_some_and(unopened)
            && let Some(channel) = reserved.remove(&own)
        {
            channel.operations.close();
        }
    });
    Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], token).into_response())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random_token() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|error| Fault::internal(anyhow::anyhow!("no randomness: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// GET: opens a reserved stream, once.
pub async fn open<E: Executor>(edge: &Arc<Edge<E>>, call: &Call) -> Result<Response, Refusal> {
    let visitor = call.admit(edge).await?;
    let (token, channel) = edge.streams.find(call, &visitor)?;
    let queue = lock(&channel.queue).take().ok_or(STREAM_IS_OPEN)?;
    let forget = {
        let edge = edge.clone();
        move || {
            edge.streams.reserved().remove(&token);
        }
    };
    let (outbox, operations) = (channel.outbox.clone(), channel.operations.clone());
    let knock = call.knock(call.bearer()?, &edge.settings.proxies);
    Ok(event_stream(frames(edge, (&visitor, knock), outbox, queue, operations, forget)))
}

/// POST: starts an operation in a reserved stream.
pub fn operate<E: Executor>(
    edge: &Arc<Edge<E>>,
    call: &Call,
    visitor: &Arc<dyn Visitor>,
    mut parameters: Parameters,
) -> Result<Response, Refusal> {
    let (_, channel) = edge.streams.find(call, visitor)?;
    let id = parameters.operation_id.take().filter(|id| !id.is_empty()).ok_or(NO_OPERATION_ID)?;
    let place = channel.operations.reserve(id.clone()).map_err(|unwelcome| match unwelcome {
        Unwelcome::Taken => OPERATION_EXISTS,
        Unwelcome::Full => TOO_MANY_OPERATIONS,
        Unwelcome::Closed => NO_STREAM,
    })?;
    let ready = match edge.ready(visitor, parameters, Carries::Everything, &call.request_id) {
        Ok(ready) => Ok(ready),
        Err(refusal) => Err(told_in_stream(refusal, call, visitor)?),
    };
    let (edge, outbox) = (edge.clone(), channel.outbox.clone());
    place.run(|place| async move {
        feed(edge, ready, outbox.clone(), Some(id.clone())).await;
        drop(place);
        outbox.send(complete(Some(&id))).await;
    });
    Ok(StatusCode::ACCEPTED.into_response())
}

/// DELETE: stops an operation of a reserved stream. One that is already complete is stopped as well as can be.
pub async fn cancel<E: Executor>(edge: &Arc<Edge<E>>, call: &Call) -> Result<Response, Refusal> {
    let visitor = call.admit(edge).await?;
    let (_, channel) = edge.streams.find(call, &visitor)?;
    let id = query_parameter(&call.parts, "operationId").ok_or(NO_OPERATION_ID)?;
    channel.operations.cancel(&id);
    Ok(StatusCode::OK.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_data_line() {
        assert_eq!(complete(None), "event: complete\ndata: \n\n");
        assert_eq!(complete(Some("a\nb")), "event: complete\ndata: {\"id\":\"a\\nb\"}\n\n");
        let response = async_graphql::Response::new("line\nbreak");
        assert_eq!(next(None, &response), "event: next\ndata: {\"data\":\"line\\nbreak\"}\n\n");
        assert_eq!(
            next(Some("1"), &response),
            "event: next\ndata: {\"id\":\"1\",\"payload\":{\"data\":\"line\\nbreak\"}}\n\n"
        );
    }
}
