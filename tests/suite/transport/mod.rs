//! The GraphQL transports, over a small schema and a gate of fixed tokens.

pub mod clients;
mod documents;
mod http;
mod sse;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use async_graphql::parser::types::OperationType;
use async_graphql::{Context, Object, Request, Schema, SimpleObject, Subscription};
use async_trait::async_trait;
use futures_util::{Stream, StreamExt, stream};
use minthouse::api::transport::{Gate, Knock, Prepared, RequestId, Settings, Visitor, raise, router};
use minthouse::platform::fault::Fault;
use minthouse::platform::language::Language;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

struct Query;

#[derive(SimpleObject)]
struct Item {
    name: String,
}

#[Object]
impl Query {
    async fn hello(&self, name: Option<String>) -> String {
        format!("Hello, {}!", name.as_deref().unwrap_or("world"))
    }

    async fn items(&self, first: Option<i32>) -> Vec<Item> {
        (0..first.unwrap_or(20)).map(|number| Item { name: number.to_string() }).collect()
    }

    async fn small(&self, #[graphql(validator(maximum = 5))] number: i32) -> i32 {
        number
    }

    async fn request_id(&self, context: &Context<'_>) -> async_graphql::Result<String> {
        Ok(context.data::<RequestId>()?.0.clone())
    }

    async fn bearer(&self, context: &Context<'_>) -> async_graphql::Result<Option<String>> {
        Ok(context.data::<Knock>()?.bearer.clone())
    }

    /// `Option<Result<…>>`: with `Result<Option<…>>` async-graphql hands the error to the nearest nullable parent.
    async fn missing(&self) -> Option<async_graphql::Result<i32>> {
        Some(Err(raise(Fault::NotFound)))
    }

    async fn leak(&self) -> async_graphql::Result<Option<i32>> {
        Err(std::io::Error::other("password=hunter2"))?
    }

    async fn panics(&self) -> i32 {
        // On a condition, or the compiler finds the code that the macro makes unreachable.
        assert!(std::hint::black_box(false), "password=hunter2");
        0
    }

    async fn hangs(&self) -> i32 {
        std::future::pending().await
    }

    async fn long(&self) -> String {
        "long ".repeat(1_000)
    }
}

struct Mutation;

#[Object]
impl Mutation {
    async fn touch(&self, context: &Context<'_>) -> async_graphql::Result<u32> {
        Ok(context.data::<Arc<AtomicU32>>()?.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

struct Ticks;

#[Subscription]
impl Ticks {
    async fn ticks(&self, to: i32) -> impl Stream<Item = i32> {
        stream::iter(0..to)
    }

    async fn quiet(&self) -> impl Stream<Item = i32> {
        stream::iter([0]).chain(stream::pending())
    }

    async fn flood(&self) -> impl Stream<Item = String> {
        stream::repeat_with(|| "x".repeat(256 * 1024))
    }

    async fn panics(&self) -> impl Stream<Item = i32> {
        stream::iter([1, 0]).map(|divisor| 1 / std::hint::black_box(divisor))
    }

    async fn missing(&self) -> async_graphql::Result<stream::Pending<i32>> {
        Err(raise(Fault::NotFound))
    }
}

/// Admits by the name of the token.
struct Doorman {
    touched: Arc<AtomicU32>,
    finished: Arc<AtomicU32>,
}

struct Guest {
    knock: Knock,
    touched: Arc<AtomicU32>,
    finished: Arc<AtomicU32>,
}

#[async_trait]
impl Gate for Doorman {
    async fn admit(&self, knock: Knock) -> Result<Arc<dyn Visitor>, Fault> {
        match knock.bearer.as_deref() {
            Some("bad") => return Err(Fault::unauthenticated("令牌无效", "the token is not valid")),
            Some("down") => return Err(Fault::Unavailable(anyhow::anyhow!("password=hunter2"))),
            Some("gate-panics") => panic!("password=hunter2"),
            _ => {}
        }
        Ok(Arc::new(Guest { knock, touched: self.touched.clone(), finished: self.finished.clone() }))
    }
}

impl Visitor for Guest {
    fn prepare(&self, request: Request, kind: OperationType) -> Prepared {
        let finished = self.finished.clone();
        let finish = Box::pin(async move {
            finished.fetch_add(1, Ordering::SeqCst);
        });
        let request = request.data(self.knock.clone()).data(self.touched.clone()).data(kind);
        Prepared { finish: Some(finish), ..Prepared::new(request) }
    }

    fn language(&self) -> Language {
        self.knock.language
    }

    fn may_introspect(&self) -> bool {
        self.knock.bearer.as_deref() != Some("holder")
    }

    fn may_write_documents(&self) -> bool {
        self.knock.bearer.as_deref() != Some("page")
    }

    fn bucket(&self) -> String {
        self.knock.bearer.clone().unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "the transports sleep by the machine's clock")]
    fn expires_at(&self) -> Option<SystemTime> {
        let expiring = self.knock.bearer.as_deref() == Some("expiring");
        expiring.then(|| SystemTime::now() + Duration::from_millis(200))
    }
}

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    touched: Arc<AtomicU32>,
    finished: Arc<AtomicU32>,
    client: reqwest::Client,
    _stop: DropGuard,
}

/// One answer, read whole.
struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The code of the first error.
    fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or("none").to_owned()
    }

    fn message(&self) -> String {
        self.json()["errors"][0]["message"].as_str().unwrap_or("none").to_owned()
    }
}

impl Server {
    async fn start() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        let (touched, finished) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let gate = Arc::new(Doorman { touched: touched.clone(), finished: finished.clone() });
        let schema = Schema::build(Query, Mutation, Ticks).finish();
        let shutdown = CancellationToken::new();
        let sdl = schema.sdl();
        let app = router(schema, &sdl, gate, settings, shutdown.clone()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
        });
        // Fails when another test was first, which is as good.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { address, shutdown: shutdown.clone(), touched, finished, client, _stop: shutdown.drop_guard() }
    }

    fn url(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    /// A POST of JSON that accepts GraphQL's own media type and English.
    fn post(&self, body: &Value) -> reqwest::RequestBuilder {
        self.client
            .post(self.url())
            .header("accept", "application/graphql-response+json")
            .header("content-type", "application/json")
            .header("accept-language", "en")
            .body(body.to_string())
    }

    fn get(&self, parameters: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let url = reqwest::Url::parse_with_params(&self.url(), parameters).unwrap();
        self.client.get(url).header("accept", "application/graphql-response+json").header("accept-language", "en")
    }

    async fn query(&self, text: &str) -> Reply {
        reply(self.post(&json!({"query": text}))).await
    }

    async fn query_as(&self, token: &str, text: &str) -> Reply {
        reply(self.post(&json!({"query": text})).bearer_auth(token)).await
    }
}

async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, text: response.text().await.unwrap() }
}
