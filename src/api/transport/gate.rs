//! The gate: the one place where the transports meet the business.
//!
//! The transports know how a token arrives and how a refusal looks on the wire; who the caller is, and what a
//! resolver needs to find in its context, is for the [`Gate`] to say. To plug in: implement [`Gate`] over the
//! tokens, return a [`Visitor`] that holds the scope, and hand the gate to [`super::router`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use async_graphql::Request;
use async_graphql::parser::types::OperationType;
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::platform::fault::Fault;
use crate::platform::language::Language;

/// Decides who may come in. Asked once for an HTTP request and once for a WebSocket connection.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// A caller without a token is not yet refused: the gate may admit it as a visitor of few rights.
    ///
    /// A token that is there and is not valid must be a [`Fault::Unauthenticated`], never an anonymous visitor:
    /// a client whose token has run out would otherwise read "not found" where it should sign in.
    async fn admit(&self, knock: Knock) -> Result<Arc<dyn Visitor>, Fault>;
}

/// What is known of a caller before anyone has looked at its token.
#[derive(Clone, Debug)]
pub struct Knock {
    /// The token of `Authorization: Bearer …`, or of the payload of `connection_init` on a WebSocket.
    pub bearer: Option<String>,
    /// The host that was asked for, with its port where one was named. A bound domain stands for an enterprise.
    pub host: Option<String>,
    pub language: Language,
    pub request_id: String,
    /// The caller's address, as [`caller_address`](super::caller_address) finds it behind proxies of ours.
    pub peer: Option<IpAddr>,
    /// The program, as its `User-Agent` names it.
    pub agent: Option<String>,
    /// The web origin of the page that asks, as its browser names it.
    pub origin: Option<String>,
}

/// A caller who was admitted. Holds whatever the business knows about it.
pub trait Visitor: Send + Sync {
    /// Puts what resolvers need into the request; called once for each operation, after every check on the
    /// document has passed. The request already holds its [`RequestId`].
    fn prepare(&self, request: Request, kind: OperationType) -> Prepared;

    fn language(&self) -> Language;

    /// Whether `__schema` and `__type` are answered.
    fn may_introspect(&self) -> bool;

    /// Whether documents other than [`Settings::trusted`](super::limits::Settings::trusted) are answered.
    fn may_write_documents(&self) -> bool {
        true
    }

    /// The key of the leaky bucket that pays for the operations: tenant and client.
    fn bucket(&self) -> String;

    /// Whether this caller acts for many people: its bucket is larger by [`CostLimits::crowd`](super::limits::CostLimits::crowd).
    fn speaks_for_many(&self) -> bool {
        false
    }

    /// When the token runs out. A stream does not outlive it.
    fn expires_at(&self) -> Option<SystemTime>;
}

/// A request that is ready to be executed.
pub struct Prepared {
    pub request: Request,
    /// Awaited after the execution and before the answer leaves, also where the execution failed or timed out; for
    /// a subscription after its last event. Not awaited where the client went away first: what must happen in any
    /// case belongs into a destructor.
    pub finish: Option<BoxFuture<'static, ()>>,
    /// What resolvers wait for and what is done in their own task: polled each time that all of them have come to
    /// wait. Yields at each thing done, and never ends. Only for queries and mutations.
    pub errands: Option<BoxStream<'static, ()>>,
}

impl Prepared {
    pub fn new(request: Request) -> Self {
        Self { request, finish: None, errands: None }
    }
}

/// Names one operation in the answer, in the log and in the audit records. Resolvers find it in their context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// An identifier of ours. Version 7, so that log lines sort by time.
    pub fn fresh() -> Self {
        Self(crate::platform::id::generate().to_string())
    }

    /// The client's own identifier where it is fit to be logged and echoed, else a fresh one.
    pub fn from_header(header: Option<&[u8]>) -> Self {
        let sane = |bytes: &&[u8]| {
            !bytes.is_empty()
                && bytes.len() <= 64
                && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
        };
        match header.filter(sane).map(std::str::from_utf8) {
            Some(Ok(text)) => Self(text.to_owned()),
            _ => Self::fresh(),
        }
    }
}
