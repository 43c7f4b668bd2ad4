//! A client of the public API, as an integrator would write one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

enum Attempt {
    Done(Value),
    Wait(Duration),
}

/// One connection to the API.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: String,
}

impl Client {
    /// A client with a connection of its own.
    pub fn new(url: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(1)
            .timeout(Duration::from_secs(30))
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self { http, endpoint: format!("{}/graphql", url.trim_end_matches('/')) })
    }

    /// The data of an answer; a fault is an error. Where the server asks to wait, we wait and ask again.
    pub async fn send(&self, token: Option<&str>, operation: &str, variables: Value) -> Result<Value> {
        loop {
            match self.attempt(token, operation, &variables).await? {
                Attempt::Done(data) => return Ok(data),
                Attempt::Wait(time) => tokio::time::sleep(time).await,
            }
        }
    }

    async fn attempt(&self, token: Option<&str>, operation: &str, variables: &Value) -> Result<Attempt> {
        let mut request = self.http.post(&self.endpoint).header("accept-language", "en");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.json(&json!({ "query": operation, "variables": variables })).send().await;
        let answer = answer.with_context(|| format!("no answer from {}; is the server running?", self.endpoint))?;
        if answer.status() == reqwest::StatusCode::TOO_MANY_REQUESTS {
            let seconds = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            return Ok(Attempt::Wait(Duration::from_secs(seconds.unwrap_or(1))));
        }
        let mut body: Value = answer.json().await.context("the answer is no JSON; is this a Minthouse server?")?;
        if let Some(errors) = body.get("errors") {
            bail!("{operation}\n{errors:#}");
        }
        Ok(Attempt::Done(body["data"].take()))
    }

    /// What is served at a path to anybody.
    pub async fn get(&self, path: &str) -> Result<String> {
        let address = format!("{}{path}", self.endpoint.trim_end_matches("/graphql"));
        let answer = self.http.get(&address).send().await.with_context(|| format!("no answer from {address}"))?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// The payload of a mutation, which is the answer's only field; a user error is an error.
    pub async fn mutate(&self, token: Option<&str>, operation: &str, variables: Value) -> Result<Value> {
        let mut data = self.send(token, operation, variables).await?;
        let payload = data.as_object_mut().and_then(|fields| fields.values_mut().next()).map(Value::take);
        let payload = payload.ok_or_else(|| anyhow!("the answer is empty"))?;
        match payload["userErrors"].as_array() {
            Some(errors) if !errors.is_empty() => bail!("{operation}\n{:#}", payload["userErrors"]),
            _ => Ok(payload),
        }
    }
}

/// A subscription over a WebSocket of its own (`graphql-transport-ws`).
pub struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Subscription {
    pub async fn open(url: &str, token: &str, operation: &str, variables: Value) -> Result<Self> {
        let endpoint = format!("{}/graphql", url.trim_end_matches('/').replacen("http", "ws", 1));
        let mut request = endpoint.into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
        let (mut socket, _) =
            tokio_tungstenite::connect_async(request).await.context("the server takes no WebSocket")?;
        let init = json!({ "type": "connection_init", "payload": { "Authorization": format!("Bearer {token}") } });
        socket.send(Message::text(init.to_string())).await?;
        let mut subscription = Self { socket };
        match subscription.message().await? {
            Some(message) if message["type"] == "connection_ack" => {}
            other => bail!("the server did not acknowledge: {other:?}"),
        }
        let start =
            json!({ "type": "subscribe", "id": "1", "payload": { "query": operation, "variables": variables } });
        subscription.socket.send(Message::text(start.to_string())).await?;
        Ok(subscription)
    }

    /// The data of the next event, or nothing where the subscription is complete.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        while let Some(mut message) = self.message().await? {
            match message["type"].as_str() {
                Some("next") if message["payload"].get("errors").is_some() => {
                    bail!("{:#}", message["payload"]["errors"])
                }
                Some("next") => return Ok(Some(message["payload"]["data"].take())),
                Some("complete") => return Ok(None),
                Some("error") => bail!("{:#}", message["payload"]),
                _ => {}
            }
        }
        Ok(None)
    }

    async fn message(&mut self) -> Result<Option<Value>> {
        while let Some(frame) = self.socket.next().await {
            match frame? {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text)?;
                    if message["type"] == "ping" {
                        self.socket.send(Message::text(json!({ "type": "pong" }).to_string())).await?;
                        continue;
                    }
                    return Ok(Some(message));
                }
                Message::Close(frame) => bail!("the server closed the subscription: {frame:?}"),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// A key that no run has used before.
pub fn key(what: &str, run: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{what}-{run}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The text of a field that must be there.
pub fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| anyhow!("a text was due, {value} came"))
}

pub fn number(value: &Value) -> Result<i64> {
    value.as_i64().ok_or_else(|| anyhow!("a number was due, {value} came"))
}
