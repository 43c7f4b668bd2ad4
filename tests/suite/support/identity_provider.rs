//! A certified OpenID Connect provider run by Node.js, and somebody's browser. What it can do stands in
//! `tests/clients/oidc-provider.mjs`.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use minthouse::bridges::oidc::{Callback, Registration};
use minthouse::platform::outbound::{Answer, Outbound, Reach};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

use crate::transport::clients;

/// Nothing listens there: the browser stops in front of it.
pub const REDIRECT_URI: &str = "http://127.0.0.1:1/sso/callback";
pub const SECRET: &str = "a secret: with + and / in it";

pub struct IdentityProvider {
    pub issuer: String,
    /// Its standard input is held open, and dropping it ends the process.
    _process: Child,
}

/// How often it was asked for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Asked {
    pub metadata: u32,
    pub keys: u32,
    pub token: u32,
}

impl IdentityProvider {
    /// Knows the clients `us` and `them`, and the users alice and bob.
    pub async fn start() -> Self {
        Self::with(json!({})).await
    }

    /// The same, with other parameters of the script's.
    pub async fn with(parameters: Value) -> Self {
        let client = |id: &str| {
            let secret = (parameters["authentication"] != "none").then_some(SECRET);
            let algorithm = parameters["algorithm"].as_str().unwrap_or("RS256");
            let mut client =
                json!({"client_id": id, "redirect_uris": [REDIRECT_URI], "id_token_signed_response_alg": algorithm});
            if let Some(secret) = secret {
                client["client_secret"] = json!(secret);
            }
            client
        };
        let mut all = json!({
            "clients": [client("us"), client("them")],
            "users": {
                "alice": {"name": "爱丽丝", "corp_open_id": "corp-1", "roles": ["ADMIN", "FINANCE"]},
                "bob": {"name": "Bob", "corp_open_id": "corp-2", "roles": "AUDITOR"},
            },
            "claims": {"profile": ["name"], "corp": ["corp_open_id", "roles"]},
        });
        all.as_object_mut().unwrap().extend(parameters.as_object().expect("parameters are an object").clone());

        clients::installed().await;
        let mut process = Command::new("node")
            .args(["oidc-provider.mjs", &all.to_string()])
            .current_dir(clients::folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node can be run");
        let mut errors = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let complaints = tokio::spawn(async move {
            let mut all = String::new();
            while let Ok(Some(line)) = errors.next_line().await {
                all += &line;
                all.push('\n');
            }
            all
        });
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let first = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await;
        let Ok(Ok(Some(first))) = first else {
            process.start_kill().expect("it can be ended");
            panic!("the provider did not start:\n{}", complaints.await.unwrap_or_default());
        };
        let first: Value = serde_json::from_str(&first).expect("one line of JSON");
        Self { issuer: first["issuer"].as_str().expect("an issuer").to_owned(), _process: process }
    }

    /// Gives an order (see the script), and how often the provider was asked up to now.
    pub async fn control(&self, order: Value) -> Asked {
        let address = Url::parse(&format!("{}/control", self.issuer)).unwrap();
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let answer = outbound().send(Method::POST, &address, headers, order.to_string().into()).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{order}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub async fn asked(&self) -> Asked {
        self.control(json!({})).await
    }

    /// The published keys.
    pub async fn keys(&self) -> Vec<Value> {
        let answer = outbound().get(&Url::parse(&format!("{}/jwks", self.issuer)).unwrap()).await.unwrap();
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        document["keys"].as_array().unwrap().clone()
    }

    pub fn registration(&self) -> Registration {
        self.registration_of("us")
    }

    pub fn registration_of(&self, client_id: &str) -> Registration {
        Registration {
            issuer: self.issuer.clone(),
            client_id: client_id.to_owned(),
            client_secret: Some(SECRET.to_owned()),
            redirect_uri: REDIRECT_URI.to_owned(),
            scopes: "profile corp".to_owned(),
        }
    }
}

pub fn outbound() -> Outbound {
    Outbound::trusting(rustls::RootCertStore::empty(), Reach::Anywhere).expect("a client can be made")
}

/// With what the browser comes back to us.
pub struct Return {
    pub state: String,
    pub callback: Callback,
}

/// Goes where a browser would go, from one redirect to the next with its cookies, until it is sent back to us.
pub async fn browse(address: &Url) -> Return {
    let outbound = outbound();
    let mut cookies = HashMap::new();
    let mut address = address.clone();
    for _ in 0..10 {
        if address.as_str().starts_with(REDIRECT_URI) {
            let parameters: HashMap<_, _> = address.query_pairs().into_owned().collect();
            let parameter = |name: &str| parameters.get(name).cloned();
            return Return {
                state: parameter("state").expect("the state comes back"),
                callback: Callback { code: parameter("code"), iss: parameter("iss"), error: parameter("error") },
            };
        }
        let sent: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(sent.join("; ")).unwrap())]);
        let answer = outbound.send(Method::GET, &address, headers, Bytes::new()).await.unwrap();
        keep(&mut cookies, &answer);
        let next = answer.headers.get(LOCATION).unwrap_or_else(|| {
            panic!("{address} answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body))
        });
        address = address.join(next.to_str().unwrap()).unwrap();
    }
    panic!("the provider sends the browser round in circles");
}

fn keep(cookies: &mut HashMap<String, String>, answer: &Answer) {
    for cookie in answer.headers.get_all(SET_COOKIE) {
        let first = cookie.to_str().unwrap().split(';').next().unwrap();
        let (name, value) = first.split_once('=').unwrap();
        if value.is_empty() {
            cookies.remove(name);
        } else {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}
