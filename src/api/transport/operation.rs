//! One operation, from its parameters to its answer; the same for every transport.
//!
//! The order of the checks is that of their price: what refuses a hostile request cheapest comes first. A schema
//! extension could do most of this too, but every extension slows every field, so it stands here.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_graphql::parser::types::OperationType;
use async_graphql::{Executor, Response, ServerError, Value};
use axum::http::StatusCode;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{BoxStream, StreamExt};
use tracing::Instrument;

use super::Edge;
use super::errors::{self, Protocol, Refusal};
use super::gate::{Prepared, RequestId, Visitor};
use super::limits::{Bill, Buckets};
use super::parameters::Parameters;
use super::shape::over;
use crate::platform::fault::Fault;
use crate::platform::language::{Language, Text};

/// Which operations a transport carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// GET: what a link or a prefetch may do.
    Queries,
    /// POST with one answer.
    Single,
    /// GET with an event stream.
    QueriesAndStreams,
    Everything,
}

/// An operation that has passed every check and is paid for.
pub struct Ready {
    prepared: Prepared,
    kind: OperationType,
    bill: Bill,
    language: Language,
    request_id: RequestId,
    span: tracing::Span,
}

const GET_IS_FOR_QUERIES: Protocol = Protocol {
    status: StatusCode::METHOD_NOT_ALLOWED,
    code: "METHOD_NOT_ALLOWED",
    message: Text::new("GET 只能执行查询：请改用 POST。", "GET is for queries: send this operation by POST."),
    detail: None,
    allow: Some("POST"),
};

const NEEDS_A_STREAM: Protocol = Protocol::new(
    StatusCode::NOT_ACCEPTABLE,
    "NOT_ACCEPTABLE",
    Text::new(
        "订阅需要流：请用 WebSocket（graphql-transport-ws）或 Accept: text/event-stream。",
        "A subscription needs a stream: use a WebSocket (graphql-transport-ws) or Accept: text/event-stream.",
    ),
);

const COST: Text = Text::new("费用", "cost");

const NOT_TRUSTED: Text = Text::new(
    "此处只接受预先登记的文档：请发送其哈希，或升级页面",
    "only trusted documents are answered here: send the hash of one, or reload the page for its current version",
);

impl<E: Executor> Edge<E> {
    /// Checks the operation, takes its cost out of the visitor's bucket and lets the visitor prepare it.
    pub fn ready(
        &self,
        visitor: &Arc<dyn Visitor>,
        parameters: Parameters,
        carries: Carries,
        request_id: &RequestId,
    ) -> Result<Ready, Refusal> {
        let bucket = visitor.bucket();
        self.check(visitor, parameters, carries, request_id, &bucket).inspect_err(|refusal| {
            // Refusing took a parse as well; free of charge it would be a way around the bucket.
            if !matches!(refusal, Refusal::Fault(Fault::RateLimited(_))) {
                self.buckets_of(visitor).charge(&bucket, 1).ok();
            }
            metrics::counter!("graphql_operations_total", "kind" => "unknown", "outcome" => "refused").increment(1);
        })
    }

    pub fn buckets_of(&self, visitor: &Arc<dyn Visitor>) -> &Buckets {
        if visitor.speaks_for_many() { &self.crowds } else { &self.buckets }
    }

    fn check(
        &self,
        visitor: &Arc<dyn Visitor>,
        parameters: Parameters,
        carries: Carries,
        request_id: &RequestId,
        bucket: &String,
    ) -> Result<Ready, Refusal> {
        let language = visitor.language();
        let document = self.documents.find(parameters.query.as_deref(), parameters.persisted, language)?;
        let (name, operation) = document.operation(parameters.operation_name.as_deref())?;
        let kind = operation.node.ty;
        match (carries, kind) {
            (Carries::Queries, OperationType::Mutation | OperationType::Subscription)
            | (Carries::QueriesAndStreams, OperationType::Mutation) => return Err(GET_IS_FOR_QUERIES.into()),
            (Carries::Single, OperationType::Subscription) => return Err(NEEDS_A_STREAM.into()),
            _ => {}
        }
        if !document.trusted && !visitor.may_write_documents() {
            return Err(Fault::BadRequest(NOT_TRUSTED.in_language(language).to_owned()).into());
        }
        if document.shape.introspects && !visitor.may_introspect() {
            return Err(Fault::Forbidden("schema.introspect").into());
        }
        let cost = self.prices.cost(&document.executable, &operation.node, &parameters.variables);
        let maximum = self.settings.cost.maximum;
        let Some(cost) = u32::try_from(cost).ok().filter(|cost| *cost <= maximum) else {
            return Err(Fault::TooComplex(over(COST, cost, u64::from(maximum), language)).into());
        };
        let bill = self.buckets_of(visitor).charge(bucket, cost)?;

        let span = tracing::info_span!(
            "graphql.operation",
            name = name.map(|name| &name[..name.len().min(64)]),
            kind = %kind,
            request_id = request_id.0,
            cost,
        );
        let mut request =
            async_graphql::Request::new(parameters.query.unwrap_or_default()).variables(parameters.variables);
        request.operation_name = parameters.operation_name;
        request.set_parsed_query(document.executable.clone());
        let prepared = visitor.prepare(request.data(request_id.clone()), kind);
        Ok(Ready { prepared, kind, bill, language, request_id: request_id.clone(), span })
    }

    /// Executes an operation that a transport may answer piece by piece: a subscription's events, or the one answer of
    /// a query or a mutation.
    pub fn stream(self: &Arc<Self>, ready: Ready) -> BoxStream<'static, Response> {
        if ready.kind != OperationType::Subscription {
            let edge = self.clone();
            return async move { edge.execute(ready).await }.into_stream().boxed();
        }
        let Ready { prepared, bill, language, request_id, span, .. } = ready;
        let open = Gauge::up("graphql_subscriptions_open");
        let timeout = self.settings.timeout;
        let events = self.executor.execute_stream(prepared.request, None);
        async_stream::stream! {
            let _open = open;
            let mut events = AssertUnwindSafe(events).catch_unwind();
            let (mut first, mut outcome) = (true, "ok");
            while let Some(event) = events.next().instrument(span.clone()).await {
                let panicked = event.is_err();
                let mut response = event.unwrap_or_else(|panic| panic_response(&*panic));
                errors::finish(&mut response, language, &request_id);
                if !response.errors.is_empty() {
                    outcome = if panicked { "panicked" } else { "failed" };
                }
                if std::mem::take(&mut first) {
                    attach(&mut response, bill);
                }
                yield response;
                if panicked {
                    break;
                }
            }
            conclude(prepared.finish, timeout, &span).await;
            count(OperationType::Subscription, outcome);
        }
        .boxed()
    }

    /// Executes a query or a mutation.
    pub async fn execute(&self, ready: Ready) -> Response {
        let Ready { prepared, kind, bill, language, request_id, span } = ready;
        let started = Instant::now();
        let timeout = self.settings.timeout;
        let execution = with_errands(self.executor.execute(prepared.request), prepared.errands);
        let execution = AssertUnwindSafe(execution).catch_unwind();
        let (mut response, failure) = match tokio::time::timeout(timeout, execution.instrument(span.clone())).await {
            Ok(Ok(response)) => (response, "failed"),
            Ok(Err(panic)) => (panic_response(&*panic), "panicked"),
            Err(_) => (fault_response(Fault::TimedOut), "timed_out"),
        };
        conclude(prepared.finish, timeout, &span).await;
        span.in_scope(|| errors::finish(&mut response, language, &request_id));
        let outcome = if response.errors.is_empty() { "ok" } else { failure };
        count(kind, outcome);
        metrics::histogram!("graphql_operation_seconds", "kind" => label(kind)).record(started.elapsed().as_secs_f64());
        attach(&mut response, bill);
        response
    }
}

/// Runs errands whenever the execution has come to wait, all of it in one task.
async fn with_errands(execution: impl Future<Output = Response>, errands: Option<BoxStream<'static, ()>>) -> Response {
    let Some(mut errands) = errands else { return execution.await };
    let mut execution = std::pin::pin!(execution);
    std::future::poll_fn(|context| {
        loop {
            if let Poll::Ready(response) = execution.as_mut().poll(context) {
                return Poll::Ready(response);
            }
            if !matches!(errands.poll_next_unpin(context), Poll::Ready(Some(()))) {
                return Poll::Pending;
            }
        }
    })
    .await
}

async fn conclude(finish: Option<BoxFuture<'static, ()>>, timeout: Duration, span: &tracing::Span) {
    let Some(finish) = finish else { return };
    let finish = tokio::time::timeout(timeout, AssertUnwindSafe(finish).catch_unwind()).instrument(span.clone());
    if !matches!(finish.await, Ok(Ok(()))) {
        span.in_scope(|| tracing::error!("what follows an operation panicked or timed out"));
    }
}

fn fault_response(fault: Fault) -> Response {
    let mut error = ServerError::new(fault.code(), None);
    error.source = Some(Arc::new(fault));
    Response::from_errors(vec![error])
}

fn panic_response(panic: &(dyn std::any::Any + Send)) -> Response {
    fault_response(Fault::internal(anyhow::anyhow!("a resolver panicked: {}", panic_message(panic))))
}

pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn attach(response: &mut Response, bill: Bill) {
    let figures = [("requested", bill.requested), ("remaining", bill.remaining), ("limit", bill.limit)];
    let figures = figures.map(|(name, figure)| (async_graphql::Name::new(name), Value::from(figure)));
    response.extensions.insert("cost".to_owned(), Value::Object(figures.into_iter().collect()));
}

fn label(kind: OperationType) -> &'static str {
    match kind {
        OperationType::Query => "query",
        OperationType::Mutation => "mutation",
        OperationType::Subscription => "subscription",
    }
}

fn count(kind: OperationType, outcome: &'static str) {
    metrics::counter!("graphql_operations_total", "kind" => label(kind), "outcome" => outcome).increment(1);
}

/// Counts something that is open, for as long as it lives.
pub struct Gauge(&'static str);

impl Gauge {
    pub fn up(name: &'static str) -> Self {
        metrics::gauge!(name).increment(1.0);
        Self(name)
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        metrics::gauge!(self.0).decrement(1.0);
    }
}
