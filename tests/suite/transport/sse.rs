use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Server, reply};

const TOKEN: &str = "x-graphql-event-stream-token";

/// Reads an event stream frame by frame.
struct Events {
    response: reqwest::Response,
    read: String,
}

impl Events {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.header("accept", "text/event-stream").send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Self { response, read: String::new() }
    }

    /// The next frame, or none at the end of the stream.
    async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.find("\n\n") {
                let frame = self.read[..end].to_owned();
                self.read.drain(..end + 2);
                return Some(frame);
            }
            let chunk = timeout(Duration::from_secs(10), self.response.chunk()).await.expect("a frame in time");
            self.read += std::str::from_utf8(&chunk.unwrap()?).unwrap();
        }
    }

    /// The next event and its data, comments passed over.
    async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let frame = self.frame().await?;
            if frame == ":" {
                continue;
            }
            let (event, data) = frame.split_once('\n').expect("two lines");
            let data = data.strip_prefix("data: ").expect("a data line");
            let data = if data.is_empty() { Value::Null } else { serde_json::from_str(data).unwrap() };
            return Some((event.strip_prefix("event: ").expect("an event line").to_owned(), data));
        }
    }

    async fn expect(&mut self, event: &str) -> Value {
        let (own, data) = self.event().await.expect("an event");
        assert_eq!(own, event, "{data}");
        data
    }
}

fn stream_request(server: &Server, query: &str) -> reqwest::RequestBuilder {
    let request = server.client.post(server.url()).header("content-type", "application/json");
    request.header("accept-language", "en").body(json!({"query": query}).to_string())
}

#[tokio::test]
async fn an_operation_is_answered_in_a_stream_of_its_own() {
    let server = Server::start().await;
    let mut events = Events::of(stream_request(&server, "subscription { ticks(to: 2) }")).await;
    assert_eq!(events.frame().await.as_deref(), Some(":"));
    assert_eq!(events.expect("next").await["data"], json!({"ticks": 0}));
    assert_eq!(events.expect("next").await, json!({"data": {"ticks": 1}}));
    assert_eq!(events.frame().await.as_deref(), Some("event: complete\ndata: "));
    assert_eq!(events.event().await, None);

    let mut events = Events::of(stream_request(&server, "mutation { touch }")).await;
    assert_eq!(events.expect("next").await["data"], json!({"touch": 1}));
    events.expect("complete").await;

    let url = reqwest::Url::parse_with_params(&server.url(), [("query", "subscription { ticks(to: 1) }")]).unwrap();
    let mut events = Events::of(server.client.get(url)).await;
    assert_eq!(events.expect("next").await["data"], json!({"ticks": 0}));
    events.expect("complete").await;
}

#[tokio::test]
async fn refusals_are_told_in_the_stream_or_by_http() {
    let server = Server::start().await;
    for (query, code) in [("{", "GRAPHQL_PARSE_FAILED"), ("subscription { nope }", "GRAPHQL_VALIDATION_FAILED")] {
        let mut events = Events::of(stream_request(&server, query)).await;
        assert_eq!(events.expect("next").await["errors"][0]["extensions"]["code"], code);
        events.expect("complete").await;
        assert_eq!(events.event().await, None);
    }
    let bad = stream_request(&server, "{ hello }").header("accept", "text/event-stream").bearer_auth("bad");
    let bad = reply(bad).await;
    assert_eq!((bad.status, bad.code().as_str()), (401, "UNAUTHENTICATED"));
    let url = reqwest::Url::parse_with_params(&server.url(), [("query", "mutation { touch }")]).unwrap();
    assert_eq!(reply(server.client.get(url).header("accept", "text/event-stream")).await.status, 405);
}

#[tokio::test]
async fn an_idle_stream_is_kept_alive_by_comments() {
    let server = Server::with(|settings| settings.streams.keep_alive = Duration::from_millis(20)).await;
    let mut events = Events::of(stream_request(&server, "subscription { quiet }")).await;
    assert_eq!(events.expect("next").await["data"], json!({"quiet": 0}));
    for _ in 0..3 {
        assert_eq!(events.frame().await.as_deref(), Some(":"));
    }
}

#[tokio::test]
async fn a_stream_ends_without_complete_at_shutdown_and_with_its_token() {
    let server = Server::start().await;
    let mut events = Events::of(stream_request(&server, "subscription { quiet }").bearer_auth("expiring")).await;
    events.expect("next").await;
    assert_eq!(events.event().await, None);
    let mut events = Events::of(stream_request(&server, "subscription { quiet }")).await;
    events.expect("next").await;
    server.shutdown.cancel();
    assert_eq!(events.event().await, None);
}

#[tokio::test]
async fn a_slow_consumer_is_cut() {
    let server = Server::with(|settings| {
        settings.streams.queue = 2;
        settings.streams.patience = Duration::from_millis(100);
    })
    .await;
    let mut events = Events::of(stream_request(&server, "subscription { flood }")).await;
    // Not reading is the fault under test; there is no event to wait for instead.
    tokio::time::sleep(Duration::from_millis(800)).await;
    let mut read = 0;
    while let Some((event, _)) = events.event().await {
        assert_eq!(event, "next");
        read += 1;
        assert!(read < 500, "the stream was not cut");
    }
}

struct Single<'a> {
    server: &'a Server,
    token: String,
}

impl<'a> Single<'a> {
    async fn reserve(server: &'a Server) -> Self {
        let reserved = reply(server.client.put(server.url()).bearer_auth("good")).await;
        assert_eq!((reserved.status, reserved.header("content-type")), (201, "text/plain; charset=utf-8"));
        assert_eq!(reserved.text.len(), 32);
        Self { server, token: reserved.text }
    }

    fn open(&self) -> reqwest::RequestBuilder {
        self.server.client.get(self.server.url()).header(TOKEN, &self.token).bearer_auth("good")
    }

    async fn start(&self, id: Option<&str>, query: &str) -> u16 {
        let body = json!({"query": query, "extensions": {"operationId": id}}).to_string();
        let request = self.server.client.post(self.server.url()).header("content-type", "application/json");
        reply(request.header(TOKEN, &self.token).bearer_auth("good").body(body)).await.status
    }

    async fn cancel(&self, id: &str) -> u16 {
        let url = reqwest::Url::parse_with_params(&self.server.url(), [("operationId", id)]).unwrap();
        reply(self.server.client.delete(url).header(TOKEN, &self.token).bearer_auth("good")).await.status
    }
}

#[tokio::test]
async fn many_operations_share_a_single_stream() {
    let server = Server::start().await;
    let single = Single::reserve(&server).await;
    let mut events = Events::of(single.open()).await;
    assert_eq!(single.start(Some("1"), "subscription { ticks(to: 2) }").await, 202);
    for tick in 0..2 {
        let data = events.expect("next").await;
        assert_eq!((&data["id"], &data["payload"]["data"]["ticks"]), (&json!("1"), &json!(tick)));
    }
    assert_eq!(events.expect("complete").await, json!({"id": "1"}));

    assert_eq!(single.start(Some("2"), "subscription { quiet }").await, 202);
    assert_eq!(events.expect("next").await["id"], "2");
    assert_eq!(single.start(Some("2"), "subscription { quiet }").await, 409);
    assert_eq!(single.start(None, "{ hello }").await, 400);
    assert_eq!(single.start(Some("3"), "{ nope }").await, 202);
    assert_eq!(events.expect("next").await["payload"]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(events.expect("complete").await, json!({"id": "3"}));
    assert_eq!(single.cancel("2").await, 200);
    assert_eq!(single.start(Some("2"), "mutation { touch }").await, 202);
    assert_eq!(events.expect("next").await["payload"]["data"], json!({"touch": 1}));

    assert_eq!(reply(single.open().header("accept", "text/event-stream")).await.status, 409);
}

#[tokio::test]
async fn a_single_stream_is_its_owners_and_ends_with_its_connection() {
    let server = Server::with(|settings| {
        settings.streams.reservations = 1;
        settings.streams.reservation_timeout = Duration::from_millis(150);
    })
    .await;
    let single = Single::reserve(&server).await;
    let full = reply(server.client.put(server.url())).await;
    assert_eq!((full.status, full.code().as_str()), (503, "UNAVAILABLE"));
    let events = Events::of(single.open()).await;
    let thief = server.client.post(server.url()).header("content-type", "application/json");
    let thief = thief.header(TOKEN, &single.token).bearer_auth("thief");
    let body = json!({"query": "{ hello }", "extensions": {"operationId": "1"}}).to_string();
    assert_eq!(reply(thief.body(body)).await.status, 404);

    // The server notices that the connection is gone when it next has something to do with it.
    drop(events);
    let gone = async {
        while single.start(Some("1"), "{ hello }").await != 404 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.expect("the stream is forgotten");

    let unopened = Single::reserve(&server).await;
    let expired = async {
        while unopened.cancel("1").await != 404 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), expired).await.expect("a reservation that nobody opens is forgotten");
}
