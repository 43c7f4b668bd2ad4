//! Subscriptions over server-sent events, read one result at a time.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::app::{TestApp, client};

pub struct Stream {
    response: reqwest::Response,
    read: String,
}

impl Stream {
    pub async fn open(app: &TestApp, token: Option<&str>, query: &str, variables: Value) -> Self {
        let body = json!({ "query": query, "variables": variables });
        let mut request = client().post(app.url()).header("accept", "text/event-stream").json(&body);
        request = request.header("accept-language", "en");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        Self { response: request.send().await.expect("the server answers"), read: String::new() }
    }

    /// The next result; nothing once the stream is complete.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.find("\n\n") {
                let frame: String = self.read.drain(..end + 2).collect();
                match frame.trim_end().split_once("\ndata:") {
                    Some(("event: next", data)) => return Some(serde_json::from_str(data).expect("data is JSON")),
                    Some(("event: complete", _)) => return None,
                    _ if frame.starts_with("event: complete") => return None,
                    _ => continue,
                }
            }
            let chunk = timeout(Duration::from_secs(20), self.response.chunk()).await.expect("a result in time");
            self.read += std::str::from_utf8(&chunk.expect("the stream is whole")?).expect("it is text");
        }
    }

    /// The data of the next result's only field, which must be there.
    pub async fn data(&mut self) -> Value {
        let mut result = self.next().await.expect("another result");
        assert!(result.get("errors").is_none(), "{result:#}");
        result["data"].as_object_mut().and_then(|data| data.values_mut().next()).expect("one field").take()
    }
}
