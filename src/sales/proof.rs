//! How an enterprise shows that a host is theirs.

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use rustls::RootCertStore;
use url::Url;

use crate::platform::outbound::{Outbound, OutboundError, Reach};
use crate::sales::model::ProofFailure;

/// Looks for a token where only the host's owner can put it. Called outside any transaction.
#[async_trait]
pub trait DomainProof: Send + Sync + 'static {
    async fn check(&self, host: &str, token: &str) -> Result<(), ProofFailure>;
}

const PATH: &str = "/.well-known/minthouse-domain";
const TIME: Duration = Duration::from_secs(3);
const MAXIMUM_BYTES: usize = 1024;

/// The token is the whole text of `http://<host>/.well-known/minthouse-domain`. By plain HTTP, as a host may have no
/// certificate before it is ours to serve; so nobody is trusted to vouch for one.
pub struct WellKnownFile {
    outbound: Outbound,
    port: u16,
}

impl WellKnownFile {
    pub fn new(reach: Reach) -> anyhow::Result<Self> {
        let outbound =
            Outbound::trusting(RootCertStore::empty(), reach)?.plain_too().within(TIME).at_most(MAXIMUM_BYTES);
        Ok(Self { outbound, port: 80 })
    }

    /// Asks another port than 80.
    pub fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

#[async_trait]
impl DomainProof for WellKnownFile {
    async fn check(&self, host: &str, token: &str) -> Result<(), ProofFailure> {
        let address = Url::parse(&format!("http://{host}:{}{PATH}", self.port)).map_err(|error| {
            tracing::info!(host, "a domain is no host: {error}");
            ProofFailure::Unreachable
        })?;
        let answer = self.outbound.get(&address).await.map_err(|error| {
            tracing::info!(host, "a domain's file could not be fetched: {error}");
            match error {
                OutboundError::PrivateAddress(_) => ProofFailure::PrivateAddress,
                OutboundError::TooLong(..) => ProofFailure::WrongContent,
                _ => ProofFailure::Unreachable,
            }
        })?;
        if answer.status != StatusCode::OK {
            return Err(ProofFailure::NotFound);
        }
        if answer.body.trim_ascii() == token.as_bytes() { Ok(()) } else { Err(ProofFailure::WrongContent) }
    }
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
        WellKnownFile::new(Reach::Anywhere).unwrap().on_port(port).check("localhost", "token").await
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
        let outcome = WellKnownFile::new(Reach::Public).unwrap().on_port(port).check("localhost", "token").await;
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
