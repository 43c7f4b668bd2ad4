//! The GraphQL transports: HTTP, WebSocket (`graphql-transport-ws`) and server-sent events, all at one path.
//!
//! They are generic over the [`Executor`] and know nothing of the business: who comes in is decided by a [`Gate`],
//! what is allowed stands in [`Settings`]. A request passes
//! `http` (negotiation, parameters) → the gate → `operation` (document, limits, cost, bucket) → the executor →
//! `errors` (codes, wording, the log); `websocket` and `sse` join in at the gate.
//!
//! - A check on documents: add its figure to `shape::Shape`. What depends on variables belongs into `cost`.
//! - A new fault: add it to `platform::fault`, and its HTTP status to `errors`.
//! - A new transport: admit the caller, then `Edge::ready` and `Edge::stream` do the rest.

mod cost;
mod documents;
mod errors;
mod gate;
mod http;
mod limits;
mod negotiate;
mod operation;
mod parameters;
mod peer;
mod running;
mod shape;
mod sse;
mod websocket;

use std::sync::Arc;

use async_graphql::Executor;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header, request};
use axum::routing::any;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use self::errors::raise;
pub use self::gate::{Gate, Knock, Prepared, RequestId, Visitor};
pub use self::http::{Call, REQUEST_ID};
pub use self::limits::{CostLimits, DocumentLimits, Origins, Settings, StreamLimits};
pub use self::peer::{caller_address, caller_scheme};

/// What every transport works with.
struct Edge<E> {
    executor: E,
    gate: Arc<dyn Gate>,
    documents: documents::Documents,
    prices: cost::Prices,
    buckets: limits::Buckets,
    crowds: limits::Buckets,
    streams: sse::Streams,
    settings: Settings,
    shutdown: CancellationToken,
}

/// Serves GraphQL at [`Settings::path`].
///
/// `sdl` is the schema of the executor, from which costs are computed. When `shutdown` fires, WebSockets are closed
/// with 1001 and event streams end, so that a graceful shutdown of the server need only wait for single answers. Let
/// the server hand over its peers (`into_make_service_with_connect_info::<SocketAddr>`) where the gate wants to know
/// addresses. Fails where `sdl` or a trusted document cannot be parsed.
pub fn router<E: Executor>(
    executor: E,
    sdl: &str,
    gate: Arc<dyn Gate>,
    settings: Settings,
    shutdown: CancellationToken,
) -> anyhow::Result<Router> {
    let edge = Arc::new(Edge {
        executor,
        gate,
        documents: documents::Documents::new(settings.documents.clone(), &settings.trusted)?,
        prices: cost::Prices::read(sdl, &settings.cost)?,
        buckets: limits::Buckets::new(&settings.cost),
        crowds: limits::Buckets::of_crowds(&settings.cost),
        streams: sse::Streams::default(),
        settings,
        shutdown,
    });
    // Compressed, events would wait in the encoder.
    let compressed = SizeAbove::new(512).and(NotForContentType::SSE);
    let router = Router::new()
        .route(&edge.settings.path, any(http::entry::<E>))
        .layer(CompressionLayer::new().compress_when(compressed));
    Ok(for_pages(router, &edge.settings.origins).with_state(edge))
}

/// What stands before everything that web pages call: who may call from another origin, a [`RequestId`] for each
/// request, and an answer where a handler panics.
pub fn for_pages<S: Clone + Send + Sync + 'static>(router: Router<S>, origins: &Origins) -> Router<S> {
    router.layer(cors(origins)).layer(axum::middleware::from_fn(http::identify))
}

fn cors(origins: &Origins) -> CorsLayer {
    let origins = match origins {
        Origins::None => return CorsLayer::new(),
        Origins::Any => AllowOrigin::any(),
        // tower-http panics on a star inside a list.
        Origins::Listed(listed) if listed.iter().any(|origin| origin == "*") => AllowOrigin::any(),
        Origins::Listed(listed) => {
            AllowOrigin::list(listed.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
        }
        Origins::Asked(ask) => {
            let ask = ask.clone();
            AllowOrigin::predicate(move |origin: &HeaderValue, _: &request::Parts| {
                origin.to_str().is_ok_and(|origin| ask(origin))
            })
        }
    };
    let stream_token = HeaderName::from_static("x-graphql-event-stream-token");
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::ACCEPT_LANGUAGE,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            http::REQUEST_ID.clone(),
            stream_token,
        ])
        .expose_headers([header::RETRY_AFTER, http::REQUEST_ID.clone()])
        .max_age(std::time::Duration::from_secs(600))
}
