//! Operators at their consoles: they sign in from some address, are invited, and hold an authenticator app.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::app::{MANIFEST, TestApp, client, text};

pub const SIGN_IN: &str = "mutation($input: OperatorSignInInput!) { operatorSignIn(input: $input) {
    token refreshToken deviceToken expiresAt operator { id role } userErrors { code field message retryAfterSeconds } } }";
pub const INVITE: &str = "mutation($input: OperatorInviteInput!) { operatorInvite(input: $input) {
    invitation { id signIn role state expiresAt } secret userErrors { code field } } }";
pub const ACCEPT: &str = "mutation($secret: String!, $password: String!) {
    invitationAccept(input: {secret: $secret, password: $password}) {
        token refreshToken deviceToken operator { id role signIn state } userErrors { code field } } }";
pub const UPDATE: &str = "mutation($input: OperatorUpdateInput!) { operatorUpdate(input: $input) {
    operator { id name role state version } userErrors { code field } } }";
pub const DISABLE: &str = "mutation($id: ID!) { operatorDisable(input: {id: $id}) {
    operator { id state } userErrors { code field } } }";
pub const ENABLE: &str = "mutation($id: ID!) { operatorEnable(input: {id: $id}) {
    operator { id state } userErrors { code field } } }";
pub const REFRESH: &str = "mutation($token: String!) { sessionRefresh(input: {refreshToken: $token}) {
    token refreshToken userErrors { code } } }";
pub const ME: &str = "{ viewer { kind operator { id signIn role hasTotp } } }";

/// A password that no rule refuses.
pub const PASSWORD: &str = "herons-fold-paper-by-candle";

/// The password that the manifest gives an operator.
pub fn password_of(sign_in: &str) -> String {
    fn find(value: &toml::Value, sign_in: &str) -> Option<String> {
        match value {
            toml::Value::Table(table) => match table.get("sign_in").and_then(toml::Value::as_str) {
                Some(name) if name == sign_in => table.get("password")?.as_str().map(str::to_owned),
                _ => table.values().find_map(|inner| find(inner, sign_in)),
            },
            toml::Value::Array(items) => items.iter().find_map(|inner| find(inner, sign_in)),
            _ => None,
        }
    }
    let manifest = std::fs::read_to_string(MANIFEST).expect("the manifest can be read");
    let manifest: toml::Value = toml::from_str(&manifest).expect("the manifest is sound");
    find(&manifest, sign_in).unwrap_or_else(|| panic!("no {sign_in} in the manifest"))
}

/// Somebody who has signed in.
#[derive(Clone, Debug)]
pub struct Seat {
    pub id: String,
    pub sign_in: String,
    pub token: String,
    pub refresh_token: String,
    pub device_token: String,
}

impl Seat {
    fn of(sign_in: &str, payload: &Value) -> Self {
        Self {
            id: text(&payload["operator"]["id"]),
            sign_in: sign_in.to_owned(),
            token: text(&payload["token"]),
            refresh_token: text(&payload["refreshToken"]),
            device_token: text(&payload["deviceToken"]),
        }
    }

    /// The UUID behind the ID.
    pub fn uuid(&self) -> uuid::Uuid {
        minthouse::platform::id::parse(&self.id).expect("an ID").1
    }
}

/// A machine that calls from an address of its own; every 127.0.0.0/24 is another block.
pub struct Desk<'a> {
    app: &'a TestApp,
    http: reqwest::Client,
}

impl TestApp {
    pub fn desk(&self, block: u8, host: u8) -> Desk<'_> {
        drop(client()); // sets the process's cryptography up
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, block, host));
        let http = reqwest::Client::builder().no_proxy().local_address(address).build().expect("the client is sound");
        Desk { app: self, http }
    }

    /// The manifest's owner of an enterprise, or the house's, signed in.
    pub async fn seat(&self, sign_in: &str) -> Seat {
        self.desk(0, 2).seat(sign_in, &password_of(sign_in)).await
    }

    /// Somebody new at the console of whoever invites them.
    pub async fn colleague(&self, inviter: &str, sign_in: &str, role: &str) -> Seat {
        let input = json!({ "input": { "signIn": sign_in, "name": "A colleague", "role": role } });
        let invited = self.done(inviter, INVITE, input).await;
        let accepted =
            self.ok(None, ACCEPT, json!({ "secret": invited["secret"], "password": PASSWORD })).await["invitationAccept"]
                .take();
        assert_eq!(accepted["userErrors"], json!([]), "{accepted:#}");
        Seat::of(sign_in, &accepted)
    }

    /// Whether a token opens nothing.
    pub async fn is_out(&self, token: &str) -> bool {
        self.send(Some(token), ME, json!({})).await["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    }

    /// Lets everybody's counted attempts lie `time` further back.
    pub fn wait_out(&self, time: &str) {
        self.sql(&format!(
            "UPDATE throttles SET began_at = began_at - interval '{time}', last_at = last_at - interval '{time}'"
        ));
    }
}

impl Desk<'_> {
    pub async fn send(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        let mut request = self.http.post(self.app.url()).header("accept-language", "en");
        request = request.json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.expect("the server answers").json().await.expect("the answer is JSON")
    }

    /// The payload of a sign-in, whatever came of it.
    pub async fn try_sign_in(&self, input: Value) -> Value {
        let mut answer = self.send(None, SIGN_IN, json!({ "input": input })).await;
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"]["operatorSignIn"].take()
    }

    /// The code that a guess at a password is refused with; `None` where it was right.
    pub async fn guess(&self, sign_in: &str, password: &str) -> Option<String> {
        let payload = self.try_sign_in(json!({ "signIn": sign_in, "password": password })).await;
        payload["userErrors"][0]["code"].as_str().map(str::to_owned)
    }

    pub async fn seat(&self, sign_in: &str, password: &str) -> Seat {
        let payload = self.try_sign_in(json!({ "signIn": sign_in, "password": password })).await;
        assert_eq!(payload["userErrors"], json!([]), "{sign_in}");
        Seat::of(sign_in, &payload)
    }
}

/// The session that an access token names.
pub fn session_of(token: &str) -> String {
    let body = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("three parts")).expect("base 64");
    let claims: Value = serde_json::from_slice(&body).expect("JSON");
    text(&claims["sid"])
}

/// What an authenticator app shows at this moment for a secret in base 32 (RFC 6238).
pub fn code_of(app: &TestApp, secret: &str) -> String {
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base 32");
    let now: i64 = app.count("SELECT floor(extract(epoch FROM now()))::bigint::text");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key), &(now / 30).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let word: [u8; 4] = tag.as_ref()[at..at + 4].try_into().expect("four bytes");
    format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000)
}

/// Waits for what happens beside a request.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
