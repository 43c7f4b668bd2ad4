//! How an enterprise shows that a host is theirs.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::StatusCode;
use reqwest::redirect::Policy;

use crate::platform::address::is_public;
use crate::sales::model::ProofFailure;

/// Looks for a token where only the host's owner can put it. Called outside any transaction.
#[async_trait]
pub trait DomainProof: Send + Sync + 'static {
    async fn check(&self, host: &str, token: &str) -> Result<(), ProofFailure>;
}

/// Which addresses may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only those of the public internet.
    Public,
    /// Our own network too. For development only: whoever binds a domain could look around in it.
    Anywhere,
}

const PATH: &str = "/.well-known/minthouse-domain";
const TIME: Duration = Duration::from_secs(3);
const MAXIMUM_BYTES: usize = 1024;

/// The token is the whole text of `http://<host>/.well-known/minthouse-domain`.
pub struct WellKnownFile {
    reach: Reach,
    port: u16,
}

impl WellKnownFile {
    pub fn new(reach: Reach) -> Self {
        Self { reach, port: 80 }
    }

    /// Asks another port than 80.
    pub fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    async fn fetch(&self, host: &str) -> Result<Vec<u8>, ProofFailure> {
        let unreachable = |error: &dyn std::fmt::Display| {
            tracing::info!(host, "a domain's file could not be fetched: {error}");
            ProofFailure::Unreachable
        };
        let addresses: Vec<SocketAddr> =
            tokio::net::lookup_host((host, self.port)).await.map_err(|error| unreachable(&error))?.collect();
        if self.reach == Reach::Public && !addresses.iter().all(|address| is_public(address.ip())) {
            return Err(ProofFailure::PrivateAddress);
        }
        // The addresses that were looked at are the ones that are asked: a second look-up might say something else.
        let client = reqwest::Client::builder()
            .resolve_to_addrs(host, &addresses)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(TIME)
            .tls_backend_preconfigured(no_tls().map_err(|error| unreachable(&error))?)
            .build()
            .map_err(|error| unreachable(&error))?;
        let address = format!("http://{host}:{}{PATH}", self.port);
        let mut response = client.get(address).send().await.map_err(|error| unreachable(&error))?;
        if response.status() != StatusCode::OK {
            return Err(ProofFailure::NotFound);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAXIMUM_BYTES {
                return Err(ProofFailure::WrongContent);
            }
        }
        Ok(body)
    }
}

#[async_trait]
impl DomainProof for WellKnownFile {
    async fn check(&self, host: &str, token: &str) -> Result<(), ProofFailure> {
        let body = tokio::time::timeout(TIME, self.fetch(host)).await.map_err(|_| ProofFailure::Unreachable)??;
        if body.trim_ascii() == token.as_bytes() { Ok(()) } else { Err(ProofFailure::WrongContent) }
    }
}

// The client wants a TLS configuration even for plain HTTP. It is given one that trusts nobody, rather than the
// process-wide provider, which a library must not set.
fn no_tls() -> Result<rustls::ClientConfig, rustls::Error> {
    Ok(rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::header::LOCATION;
    use axum::response::IntoResponse;
    use axum::routing::get;

    use super::*;

    async fn serve(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let routes = Router::new()
            .route(PATH, get(move || async move { answer }))
            .route("/elsewhere", get(|| async { "token" }));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        port
    }

    async fn check(port: u16) -> Result<(), ProofFailure> {
        WellKnownFile::new(Reach::Anywhere).on_port(port).check("localhost", "token").await
    }

    #[tokio::test]
    async fn only_the_token_itself_proves_a_host() {
        assert_eq!(check(serve("token\n").await).await, Ok(()));
        assert_eq!(check(serve("tokens").await).await, Err(ProofFailure::WrongContent));
        let long = format!("token{}", " ".repeat(MAXIMUM_BYTES));
        assert_eq!(check(serve(long).await).await, Err(ProofFailure::WrongContent));
        assert_eq!(check(serve(StatusCode::NO_CONTENT).await).await, Err(ProofFailure::NotFound));
        let redirect = (StatusCode::FOUND, [(LOCATION, "/elsewhere")]);
        assert_eq!(check(serve(redirect).await).await, Err(ProofFailure::NotFound));
    }

    #[tokio::test]
    async fn our_own_network_is_not_asked() {
        let port = serve("token").await;
        let outcome = WellKnownFile::new(Reach::Public).on_port(port).check("localhost", "token").await;
        assert_eq!(outcome, Err(ProofFailure::PrivateAddress));
    }

    #[tokio::test]
    async fn a_host_that_says_nothing_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = tokio::spawn(async move {
            let _held = listener.accept().await;
            std::future::pending::<()>().await;
        });
        assert_eq!(check(port).await, Err(ProofFailure::Unreachable));
        silent.abort();
    }
}
