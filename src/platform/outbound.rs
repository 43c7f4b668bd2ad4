//! The HTTP client for addresses that tenants name: a partner's identity provider, an integrator's webhook, a domain
//! that has to be proved.
//!
//! Whoever may name an address may try to make us look around in our own network, so every such call goes through
//! [`Outbound`]:
//!
//! - Only public addresses are called. The check sits in the client's own look-up of names, so what was checked is
//!   what is connected to, and a name that says something else the second time gains nothing. A name with a public and
//!   a private address is refused whole.
//! - HTTPS alone, unless a caller has a reason to say [`Outbound::plain_too`].
//! - No redirects, no proxy of the environment, no cookies, no credentials in the URL.
//! - A time for the whole call and a size for the answer.
//!
//! In development ([`Reach::Anywhere`]) our own network and plain HTTP are allowed; the other bounds stay.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::platform::address::is_public;

/// Which addresses may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only those of the public internet.
    Public,
    /// Our own network too. For development only: whoever names an address could look around in it.
    Anywhere,
}

const TIME: Duration = Duration::from_secs(5);
const MAXIMUM_BYTES: usize = 256 * 1024;

/// Why an address was not called, or gave nothing. The words are for the log; they hold a host at most, never a path,
/// a query or a body, as these may be secret.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    #[error("the address is no {0} address of a host, without a name and a password in it")]
    BadAddress(&'static str),
    #[error("{0} is not on the public internet")]
    PrivateAddress(String),
    #[error("{host} could not be reached: {cause}")]
    Unreachable { host: String, cause: String },
    #[error("{0} did not answer in time")]
    TimedOut(String),
    #[error("{0} answered with more than {1} bytes")]
    TooLong(String, usize),
}

/// What a host answered. A redirect is an answer like any other.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Made once for a purpose and kept: it holds the trusted roots and the open connections.
#[derive(Clone)]
pub struct Outbound {
    client: reqwest::Client,
    reach: Reach,
    plain: bool,
    time: Duration,
    maximum_bytes: usize,
}

impl Outbound {
    /// A client that trusts the machine's certificate authorities.
    pub fn new(reach: Reach) -> anyhow::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            tracing::warn!(
                "this machine has no certificate authorities, so no HTTPS can be called; install ca-certificates"
            );
        }
        Self::trusting(roots, reach)
    }

    /// A client that trusts these certificate authorities alone.
    pub fn trusting(roots: rustls::RootCertStore, reach: Reach) -> anyhow::Result<Self> {
        // The provider is named: a process-wide one may be missing, and a library must not set it.
        let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(Resolver { reach }))
            .redirect(Policy::none())
            .no_proxy()
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(4)
            .tls_backend_preconfigured(tls)
            .build()?;
        let plain = reach == Reach::Anywhere;
        Ok(Self { client, reach, plain, time: TIME, maximum_bytes: MAXIMUM_BYTES })
    }

    /// Lets plain HTTP through as well, for what is proved by being reachable that way.
    pub fn plain_too(self) -> Self {
        Self { plain: true, ..self }
    }

    /// How long a call may take, from the look-up of the name to the answer's last byte.
    pub fn within(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// How long an answer's body may be.
    pub fn at_most(self, maximum_bytes: usize) -> Self {
        Self { maximum_bytes, ..self }
    }

    /// Whether this address would be called at all. Says nothing about what its name leads to.
    pub fn allows(&self, address: &Url) -> Result<(), OutboundError> {
        let fits = address.scheme() == "https" || (self.plain && address.scheme() == "http");
        let bad = OutboundError::BadAddress(if self.plain { "http or https" } else { "https" });
        if !fits || !address.username().is_empty() || address.password().is_some() {
            return Err(bad);
        }
        // A name is looked at when it is resolved; a number is not resolved.
        let number = match address.host().ok_or(bad)? {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(number) => IpAddr::V4(number),
            Host::Ipv6(number) => IpAddr::V6(number),
        };
        match self.reach {
            Reach::Public if !is_public(number) => Err(OutboundError::PrivateAddress(number.to_string())),
            Reach::Public | Reach::Anywhere => Ok(()),
        }
    }

    pub async fn get(&self, address: &Url) -> Result<Answer, OutboundError> {
        self.send(Method::GET, address, HeaderMap::new(), Bytes::new()).await
    }

    /// Posts a form. `authorization` is the whole value of that header; mark it sensitive.
    pub async fn post_form(
        &self,
        address: &Url,
        form: &[(&str, &str)],
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, OutboundError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        self.send(Method::POST, address, headers, body.into()).await
    }

    /// Sends any request. `headers` that are not given: JSON is asked for, and we say who we are.
    pub async fn send(
        &self,
        method: Method,
        address: &Url,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, OutboundError> {
        self.allows(address)?;
        let host = address.host_str().unwrap_or_default().to_owned();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("minthouse"));
        let request = self.client.request(method, address.clone()).headers(headers).body(body);
        match tokio::time::timeout(self.time, self.receive(request, &host)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(OutboundError::TimedOut(host)),
        }
    }

    async fn receive(&self, request: reqwest::RequestBuilder, host: &str) -> Result<Answer, OutboundError> {
        let mut response = request.send().await.map_err(|error| failed(host, error))?;
        let too_long = || OutboundError::TooLong(host.to_owned(), self.maximum_bytes);
        let announced = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|announced: u64| announced > self.maximum_bytes as u64) {
            return Err(too_long());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(host, error))? {
            if body.len() + chunk.len() > self.maximum_bytes {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status(), headers: response.headers().clone(), body: body.freeze() })
    }
}

/// Gives a name's addresses, if all of them may be called.
struct Resolver {
    reach: Reach,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            // The port is the URL's, whatever stands here.
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if reach == Reach::Public && !addresses.iter().all(|address| is_public(address.ip())) {
                return Err(LeadsInside.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Comes back out of the client as the cause of a failed connection.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to a private address")]
struct LeadsInside;

fn failed(host: &str, error: reqwest::Error) -> OutboundError {
    // Without its URL, whose path and query may be secret.
    let error = error.without_url();
    let causes = || std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    if causes().any(|cause| cause.is::<LeadsInside>()) {
        return OutboundError::PrivateAddress(host.to_owned());
    }
    let cause = causes().map(<dyn std::error::Error>::to_string).last().unwrap_or_else(|| error.to_string());
    OutboundError::Unreachable { host: host.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::header::LOCATION;
    use axum::routing::{get, post};

    use super::*;

    async fn serve(routes: Router) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        port
    }

    fn outbound(reach: Reach) -> Outbound {
        Outbound::trusting(rustls::RootCertStore::empty(), reach).unwrap()
    }

    fn at(address: &str) -> Url {
        Url::parse(address).unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_given_whole_and_a_redirect_is_not_followed() {
        let routes = Router::new()
            .route("/", get(|| async { (StatusCode::IM_A_TEAPOT, [("x-mark", "here")], "tea") }))
            .route("/away", get(|| async { (StatusCode::FOUND, [(LOCATION, "/")]) }))
            .route(
                "/form",
                post(|headers: HeaderMap, body: String| async move {
                    format!(
                        "{} {} {body}",
                        headers["authorization"].to_str().unwrap(),
                        headers["content-type"].to_str().unwrap()
                    )
                }),
            );
        let port = serve(routes).await;
        let outbound = outbound(Reach::Anywhere);
        let answer = outbound.get(&at(&format!("http://localhost:{port}/"))).await.unwrap();
        assert_eq!(
            (answer.status, &answer.headers["x-mark"], &answer.body[..]),
            (StatusCode::IM_A_TEAPOT, &HeaderValue::from_static("here"), &b"tea"[..])
        );
        let answer = outbound.get(&at(&format!("http://127.0.0.1:{port}/away"))).await.unwrap();
        assert_eq!(answer.status, StatusCode::FOUND);
        let form = [("a", "1 & 2"), ("b", "中")];
        let answer = outbound
            .post_form(&at(&format!("http://localhost:{port}/form")), &form, Some(HeaderValue::from_static("Basic x")))
            .await
            .unwrap();
        assert_eq!(&answer.body[..], b"Basic x application/x-www-form-urlencoded a=1+%26+2&b=%E4%B8%AD");
    }

    #[tokio::test]
    async fn our_own_network_is_not_called_by_name_or_by_number() {
        let port = serve(Router::new().route("/", get(|| async { "inside" }))).await;
        let outbound = outbound(Reach::Public).plain_too();
        for host in
            ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"]
        {
            let outcome = outbound.get(&at(&format!("http://{host}:{port}/"))).await;
            assert!(matches!(outcome, Err(OutboundError::PrivateAddress(_))), "{host}: {outcome:?}");
        }
    }

    #[test]
    fn plain_http_other_schemes_and_credentials_are_refused() {
        let public = outbound(Reach::Public);
        let anywhere = outbound(Reach::Anywhere);
        assert!(public.allows(&at("https://example.com/")).is_ok());
        assert!(anywhere.allows(&at("http://example.com/")).is_ok());
        assert!(public.clone().plain_too().allows(&at("http://example.com/")).is_ok());
        for address in ["http://example.com/", "https://name@example.com/", "https://name:word@example.com/"] {
            assert!(matches!(public.allows(&at(address)), Err(OutboundError::BadAddress(_))), "{address}");
        }
        for address in
            ["file:///etc/passwd", "ftp://example.com/", "data:text/plain,x", "http://name:word@example.com/"]
        {
            assert!(matches!(anywhere.allows(&at(address)), Err(OutboundError::BadAddress(_))), "{address}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_given_up() {
        let endless = || async {
            let chunks =
                futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1024])));
            axum::body::Body::from_stream(chunks)
        };
        let routes = Router::new().route("/endless", get(endless)).route("/long", get(|| async { "x".repeat(2_000) }));
        let port = serve(routes).await;
        let outbound = outbound(Reach::Anywhere).at_most(1_999);
        for path in ["endless", "long"] {
            let outcome = outbound.get(&at(&format!("http://localhost:{port}/{path}"))).await;
            assert!(matches!(outcome, Err(OutboundError::TooLong(_, 1_999))), "{path}: {outcome:?}");
        }
        let enough = outbound.at_most(2_000);
        assert_eq!(enough.get(&at(&format!("http://localhost:{port}/long"))).await.unwrap().body.len(), 2_000);
    }

    #[tokio::test]
    async fn a_host_that_says_nothing_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let outbound = outbound(Reach::Anywhere).within(Duration::from_millis(100));
        // The system accepts the connection for the listener, and nobody reads from it.
        let outcome = outbound.get(&at(&format!("http://localhost:{port}/"))).await;
        assert!(matches!(outcome, Err(OutboundError::TimedOut(_))), "{outcome:?}");
        drop(listener);
    }

    #[tokio::test]
    async fn an_error_names_the_host_and_not_the_path() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let outcome = outbound(Reach::Anywhere).get(&at(&format!("http://localhost:{port}/path?code=secret"))).await;
        let words = outcome.unwrap_err().to_string();
        assert!(words.starts_with("localhost could not be reached: "), "{words}");
        assert!(!words.contains("secret") && !words.contains("path"), "{words}");
    }

    /// Answers everybody over TLS with a certificate of its own for `name`. Gives the port and the certificate.
    fn serve_tls(name: &str) -> (u16, rustls::pki_types::CertificateDer<'static>) {
        use std::io::{Read, Write};

        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let session = rustls::ServerConnection::new(config.clone()).unwrap();
                let mut stream = rustls::StreamOwned::new(session, connection.unwrap());
                // A client that does not trust this certificate goes away here.
                if stream.read(&mut [0; 1024]).is_ok() {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nsafe");
                }
            }
        });
        (port, certificate)
    }

    #[tokio::test]
    async fn over_https_a_host_must_be_who_it_says() {
        async fn call(
            port: u16,
            trusted: Option<&rustls::pki_types::CertificateDer<'static>>,
        ) -> Result<Bytes, String> {
            let mut roots = rustls::RootCertStore::empty();
            roots.add_parsable_certificates(trusted.cloned());
            let outbound = Outbound::trusting(roots, Reach::Anywhere).unwrap();
            let answer = outbound.get(&at(&format!("https://localhost:{port}/"))).await;
            answer.map(|answer| answer.body).map_err(|error| error.to_string())
        }
        let (port, certificate) = serve_tls("localhost");
        assert_eq!(call(port, Some(&certificate)).await.as_deref(), Ok(&b"safe"[..]));
        let unknown = call(port, None).await.unwrap_err();
        assert!(unknown.contains("UnknownIssuer"), "{unknown}");
        let (port, certificate) = serve_tls("elsewhere.example");
        let other = call(port, Some(&certificate)).await.unwrap_err();
        assert!(other.contains("not valid for name"), "{other}");
    }
}
