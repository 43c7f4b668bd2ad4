//! One request and one JSON answer, within a time and a size. What every bridge sends goes through here.
//!
//! Addresses are those of well-known providers, set by the house: whoever lets a client of ours name an address needs
//! more than this (see `platform::address`).

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Request, StatusCode};
use serde::de::DeserializeOwned;

/// How long an answer may take, from the connection to its last byte.
const TIME: Duration = Duration::from_secs(5);
/// What most bridges read has some two kilobytes.
const MAXIMUM_BYTES: usize = 64 * 1024;

/// The client that bridges are given: it follows no redirects (a redirect would carry personal data and signatures
/// elsewhere), asks no proxy of the environment, and tells nobody where it came from.
pub fn client() -> anyhow::Result<Client> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    // The provider is named, because the process-wide one is not a library's to set.
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder()
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(TIME)
        .tls_backend_preconfigured(tls)
        .build()?)
}

/// Why there is no answer to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No connection, no answer in time, or a server that says it cannot. The request may have been obeyed.
    Unreachable,
    /// An answer that is none of the protocol's.
    Nonsense,
}

#[derive(Clone)]
pub(super) struct Exchange {
    pub http: Client,
    time: Duration,
    maximum_bytes: usize,
}

impl Exchange {
    pub fn new(http: Client) -> Self {
        Self { http, time: TIME, maximum_bytes: MAXIMUM_BYTES }
    }

    /// For answers that are larger, and take longer, than most.
    pub fn allowing(self, time: Duration, maximum_bytes: usize) -> Self {
        Self { time, maximum_bytes, ..self }
    }

    /// Sends a request and reads the JSON of its answer. The media type is not looked at: WeChat's JSON is text/plain.
    pub async fn ask<A: DeserializeOwned>(&self, mut request: Request) -> Result<A, Lost> {
        let asked = request.url().clone();
        let host = asked.host_str().unwrap_or_default();
        // The address is taken out of errors: it may carry a secret.
        let lost = |error: reqwest::Error| {
            tracing::warn!(host, "a provider does not answer: {}", error.without_url());
            Lost::Unreachable
        };
        let nonsense = |what: &str| {
            tracing::warn!(host, "a provider's answer cannot be read: {what}");
            Lost::Nonsense
        };
        *request.timeout_mut() = Some(self.time);
        let mut response = self.http.execute(request).await.map_err(lost)?;
        match response.status() {
            // A client that was not made by `client` may have been led away.
            StatusCode::OK if *response.url() == asked => {}
            StatusCode::OK => return Err(nonsense("it comes from another address")),
            status if status.is_server_error() => {
                tracing::warn!(host, %status, "a provider cannot answer");
                return Err(Lost::Unreachable);
            }
            status => return Err(nonsense(status.as_str())),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk);
            if body.len() > self.maximum_bytes {
                return Err(nonsense("it is too large"));
            }
        }
        // serde's own words may quote the answer.
        serde_json::from_slice(&body).map_err(|_| nonsense("it is not the JSON that was expected"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::header::LOCATION;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use serde_json::Value;
    use tokio::net::TcpListener;

    use super::*;

    /// Serves one answer at `/`, and counts who comes to `/elsewhere`.
    async fn serve(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
        let strays = Arc::new(AtomicUsize::new(0));
        let counted = strays.clone();
        let elsewhere = move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
            "{}"
        };
        let routes = Router::new().route("/", get(move || async move { answer })).route("/elsewhere", get(elsewhere));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (address, strays)
    }

    async fn ask(http: &Client, address: &str) -> Result<Value, Lost> {
        Exchange::new(http.clone()).ask(http.get(address).build().unwrap()).await
    }

    #[tokio::test]
    async fn an_answer_is_json_of_a_bounded_size() {
        let http = client().unwrap();
        let asked = async |answer: String| ask(&http, &serve(answer).await.0).await;
        assert_eq!(asked(r#"{"a":1}"#.to_owned()).await, Ok(serde_json::json!({ "a": 1 })));
        assert_eq!(asked("<html>".to_owned()).await, Err(Lost::Nonsense));
        let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
        assert_eq!(asked(padded(MAXIMUM_BYTES)).await, Ok(serde_json::json!({})));
        assert_eq!(asked(padded(MAXIMUM_BYTES + 1)).await, Err(Lost::Nonsense));
    }

    #[tokio::test]
    async fn a_status_says_whether_to_try_again() {
        let http = client().unwrap();
        for (status, lost) in [
            (StatusCode::BAD_GATEWAY, Lost::Unreachable),
            (StatusCode::SERVICE_UNAVAILABLE, Lost::Unreachable),
            (StatusCode::NOT_FOUND, Lost::Nonsense),
            (StatusCode::NO_CONTENT, Lost::Nonsense),
        ] {
            let (address, _) = serve((status, "{}")).await;
            assert_eq!(ask(&http, &address).await, Err(lost), "{status}");
        }
    }

    #[tokio::test]
    async fn nobody_is_led_elsewhere() {
        let redirect = (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/elsewhere")]);
        let (address, strays) = serve(redirect).await;
        assert_eq!(ask(&client().unwrap(), &address).await, Err(Lost::Nonsense));
        assert_eq!(strays.load(Ordering::SeqCst), 0);

        // What another client's redirects bring home is not believed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let follower = Client::builder().no_proxy().build().unwrap();
        assert_eq!(ask(&follower, &address).await, Err(Lost::Nonsense));
        assert_eq!(strays.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_provider_that_says_nothing_is_given_up() {
        let http = client().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/?secret=hush", listener.local_addr().unwrap());
        let silent = tokio::spawn(async move {
            let _held = listener.accept().await;
            std::future::pending::<()>().await;
        });
        let exchange = Exchange::new(http.clone()).allowing(Duration::from_millis(50), MAXIMUM_BYTES);
        let asked = exchange.ask::<Value>(http.get(&address).build().unwrap()).await;
        assert_eq!(asked, Err(Lost::Unreachable));
        silent.abort();
        let _ = silent.await;
        // Now nobody listens any more.
        assert_eq!(ask(&http, &address).await, Err(Lost::Unreachable));
    }
}
