use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::Server;

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(server: &Server) -> Self {
        Self::with(server, &[("sec-websocket-protocol", "graphql-transport-ws")]).await
    }

    async fn with(server: &Server, headers: &[(&'static str, &'static str)]) -> Self {
        let mut request = format!("ws://{}/graphql", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        Self(connect_async(request).await.unwrap().0)
    }

    async fn initialised(server: &Server, payload: Value) -> Self {
        let mut socket = Self::open(server).await;
        socket.send(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(socket.next().await, json!({"type": "connection_ack"}));
        socket
    }

    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({"type": "subscribe", "id": id, "payload": {"query": query}})).await;
    }

    async fn frame(&mut self) -> Message {
        let frame = timeout(Duration::from_secs(10), self.0.next()).await.expect("a frame in time");
        frame.expect("a frame").expect("a sound frame")
    }

    /// The next message of the protocol.
    async fn next(&mut self) -> Value {
        loop {
            match self.frame().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a message: {other:?}"),
            }
        }
    }

    /// The close code, whatever comes before it.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.frame().await {
                let frame = frame.expect("a code");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }
}

#[tokio::test]
async fn every_kind_of_operation_runs() {
    let server = Server::start().await;
    let mut socket = Socket::initialised(&server, json!({})).await;
    socket.subscribe("s", "subscription { ticks(to: 3) }").await;
    for tick in 0..3 {
        let message = socket.next().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!("s")));
        assert_eq!(message["payload"]["data"], json!({"ticks": tick}));
        assert_eq!(message["payload"]["extensions"]["cost"]["requested"].as_u64(), (tick == 0).then_some(10));
    }
    assert_eq!(socket.next().await, json!({"type": "complete", "id": "s"}));
    for (query, data) in [("{ hello }", json!({"hello": "Hello, world!"})), ("mutation { touch }", json!({"touch": 1}))]
    {
        // A name that is complete may be used again.
        socket.subscribe("s", query).await;
        assert_eq!(socket.next().await["payload"]["data"], data);
        assert_eq!(socket.next().await, json!({"type": "complete", "id": "s"}));
    }
    assert_eq!(server.finished.load(std::sync::atomic::Ordering::SeqCst), 3);
}

#[tokio::test]
async fn errors_end_their_operation_and_nothing_else() {
    let server = Server::start().await;
    let mut socket = Socket::initialised(&server, json!({"Accept-Language": "en"})).await;
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ items(first: 5000) { name } }", "TOO_COMPLEX"),
    ] {
        socket.subscribe("e", query).await;
        let message = socket.next().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("e")), "{message}");
        let extensions = &message["payload"][0]["extensions"];
        assert_eq!(extensions["code"], code);
        assert!(extensions["requestId"].is_string());
    }
    socket.subscribe("e", "subscription { missing }").await;
    let message = socket.next().await;
    assert_eq!(message["payload"]["errors"][0]["extensions"]["code"], "NOT_FOUND", "{message}");
    assert!(message["payload"]["errors"][0]["message"].as_str().unwrap().starts_with("Nothing was found"));
    assert_eq!(socket.next().await["type"], "complete");

    socket.subscribe("e", "subscription { panics }").await;
    assert_eq!(socket.next().await["payload"]["data"]["panics"], 1);
    let message = socket.next().await;
    assert_eq!(message["payload"][0]["extensions"]["code"], "INTERNAL", "{message}");
    assert!(!message.to_string().contains("zero"), "{message}");
    socket.subscribe("e", "{ hello }").await;
    assert_eq!(socket.next().await["payload"]["data"]["hello"], "Hello, world!");
}

#[tokio::test]
async fn a_completed_subscription_says_no_more_and_frees_its_name() {
    let server = Server::start().await;
    let mut socket = Socket::initialised(&server, Value::Null).await;
    socket.subscribe("q", "subscription { quiet }").await;
    assert_eq!(socket.next().await["payload"]["data"]["quiet"], 0);
    socket.send(json!({"type": "complete", "id": "q"})).await;
    socket.subscribe("q", "{ hello }").await;
    assert_eq!(socket.next().await["payload"]["data"]["hello"], "Hello, world!");
}

#[tokio::test]
async fn the_token_comes_with_the_init_or_with_the_upgrade() {
    let server = Server::start().await;
    for payload in
        [json!({"Authorization": "Bearer good"}), json!({"authorization": "bearer good"}), json!({"token": "good"})]
    {
        let mut socket = Socket::initialised(&server, payload).await;
        socket.subscribe("b", "{ bearer }").await;
        assert_eq!(socket.next().await["payload"]["data"]["bearer"], "good");
    }
    let headers = [("sec-websocket-protocol", "graphql-transport-ws"), ("authorization", "Bearer upgrade")];
    let mut socket = Socket::with(&server, &headers).await;
    socket.send(json!({"type": "connection_init"})).await;
    assert_eq!(socket.next().await["type"], "connection_ack");
    socket.subscribe("b", "{ bearer }").await;
    assert_eq!(socket.next().await["payload"]["data"]["bearer"], "upgrade");
}

#[tokio::test]
async fn a_breach_of_the_protocol_closes_with_its_code() {
    let server = Server::with(|settings| settings.streams.init_timeout = Duration::from_millis(100)).await;
    let init = |payload: Value| json!({"type": "connection_init", "payload": payload});
    let quiet = json!({"type": "subscribe", "id": "订".repeat(100), "payload": {"query": "subscription { quiet }"}});
    for (code, messages) in [
        (4408, vec![]),
        (4400, vec![json!("text")]),
        (4400, vec![json!({"type": "unknown"})]),
        (4400, vec![json!({})]),
        (4400, vec![json!({"type": 1})]),
        (4400, vec![init(json!("text"))]),
        (4400, vec![init(Value::Null), json!({"type": "subscribe", "id": "a"})]),
        (4400, vec![init(Value::Null), json!({"type": "subscribe", "id": "a", "payload": {"query": 1}})]),
        (4400, vec![init(Value::Null), json!({"type": "subscribe", "payload": {"query": "{ hello }"}})]),
        (4401, vec![quiet.clone()]),
        (4403, vec![init(json!({"token": "bad"}))]),
        (4403, vec![init(json!({"Authorization": "Basic eDp5"}))]),
        (1013, vec![init(json!({"token": "down"}))]),
        (4409, vec![init(Value::Null), quiet.clone(), quiet]),
        (4429, vec![init(Value::Null), init(Value::Null)]),
    ] {
        let mut socket = Socket::open(&server).await;
        for message in &messages {
            socket.send(message.clone()).await;
        }
        let (closed, reason) = socket.closed().await;
        assert_eq!(closed, code, "{messages:?}: {reason}");
        assert!(!reason.is_empty() && reason.len() <= 123 && !reason.contains("hunter2"), "{reason}");
    }
    let mut stranger = Socket::with(&server, &[]).await;
    assert_eq!(stranger.closed().await.0, 4406);
    let mut binary = Socket::open(&server).await;
    binary.0.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(binary.closed().await.0, 4400);
    let mut large = Socket::open(&server).await;
    large.0.send(Message::text("x".repeat(70_000))).await.unwrap();
    assert_eq!(large.closed().await.0, 1009);
}

#[tokio::test]
async fn a_token_that_runs_out_ends_the_connection() {
    let server = Server::start().await;
    let mut socket = Socket::initialised(&server, json!({"token": "expiring"})).await;
    socket.subscribe("q", "subscription { quiet }").await;
    assert_eq!(socket.next().await["type"], "next");
    assert_eq!(socket.closed().await.0, 4403);
}

#[tokio::test]
async fn a_shutdown_closes_every_connection() {
    let server = Server::start().await;
    let mut socket = Socket::initialised(&server, Value::Null).await;
    socket.subscribe("q", "subscription { quiet }").await;
    assert_eq!(socket.next().await["type"], "next");
    server.shutdown.cancel();
    assert_eq!(socket.closed().await.0, 1001);
}

#[tokio::test]
async fn a_connection_runs_so_many_operations_at_once() {
    let server = Server::with(|settings| settings.streams.operations = 2).await;
    let mut socket = Socket::initialised(&server, Value::Null).await;
    for id in ["a", "b"] {
        socket.subscribe(id, "subscription { quiet }").await;
        assert_eq!(socket.next().await["id"], id);
    }
    socket.subscribe("c", "subscription { quiet }").await;
    let refused = socket.next().await;
    assert_eq!(
        (&refused["type"], &refused["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("RATE_LIMITED"))
    );
    socket.send(json!({"type": "complete", "id": "a"})).await;
    socket.subscribe("c", "subscription { quiet }").await;
    assert_eq!(socket.next().await["type"], "next");
}

#[tokio::test]
async fn both_sides_may_ping() {
    let server = Server::with(|settings| settings.streams.ping = Duration::from_millis(50)).await;
    let mut socket = Socket::initialised(&server, Value::Null).await;
    socket.send(json!({"type": "ping", "payload": {"n": 1}})).await;
    assert_eq!(socket.next().await, json!({"type": "pong"}));
    socket.send(json!({"type": "pong"})).await;
    // tungstenite answers pings while it is read, so the connection outlives several of them.
    for _ in 0..4 {
        assert!(matches!(socket.frame().await, Message::Ping(_)));
    }
    socket.subscribe("h", "{ hello }").await;
    assert_eq!(socket.next().await["type"], "next");
}

/// Speaks TCP, so that nothing answers the pings.
#[tokio::test]
async fn a_dead_peer_is_found_out() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let server = Server::with(|settings| {
        settings.streams.ping = Duration::from_millis(50);
        settings.streams.farewell = Duration::from_millis(50);
    })
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let upgrade = "GET /graphql HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   sec-websocket-protocol: graphql-transport-ws\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await.expect("an end").unwrap();
    let close = [0x88, 2 + "The peer answered no ping".len() as u8, (4413u16 >> 8) as u8, (4413u16 & 0xff) as u8];
    assert!(bytes.windows(4).any(|window| window == close), "{bytes:?}");
}

#[tokio::test]
async fn a_slow_consumer_is_cut_and_told_why() {
    let server = Server::with(|settings| {
        settings.streams.queue = 2;
        settings.streams.patience = Duration::from_millis(100);
    })
    .await;
    let mut slow = Socket::initialised(&server, Value::Null).await;
    let mut quick = Socket::initialised(&server, Value::Null).await;
    slow.subscribe("f", "subscription { flood }").await;
    // Not reading is the fault under test; there is no event to wait for instead.
    tokio::time::sleep(Duration::from_millis(800)).await;
    let (code, reason) = slow.closed().await;
    assert_eq!(code, 4412, "{reason}");
    quick.subscribe("h", "{ hello }").await;
    assert_eq!(quick.next().await["type"], "next");
}
