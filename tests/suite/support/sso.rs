//! What single sign-on is tried with: a browser, a partner's server, and partners with branches.

use std::collections::HashMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ACCEPT_LANGUAGE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use minthouse::platform::clock::{Clock, SystemClock};
use reqwest::Response;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use url::Url;

use super::app::{TestApp, text};
use super::identity_provider::{IdentityProvider, SECRET};
use super::play::key;
use super::tenants::{BRANCH_CREATE, branch_of};

pub const CONNECT: &str = "mutation($input: SsoConnectionCreateInput!) { ssoConnectionCreate(input: $input) {
    connection { id issuer startUrl redirectUri hasClientSecret roles { value role } } userErrors { code field } } }";
pub const KEY: &str = "mutation($input: SsoKeyCreateInput!) { ssoKeyCreate(input: $input) {
    key { id profile publicJwk state } secret userErrors { code field } } }";
pub const ORIGIN_ADD: &str = "mutation($origin: String!) { ssoOriginAdd(input: {origin: $origin}) {
    origin { origin state } userErrors { code field } } }";
pub const SPEND: &str = "mutation($input: SsoTicketSpendInput!) { ssoTicketSpend(input: $input) {
    token expiresAt operator { id name role signIn } enterprise { id slug } userErrors { code field } } }";

/// The nonce of whoever asks for a ticket.
pub const NONCE: &str = "a nonce of the tests";

fn http() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("the client is sound")
}

/// Somebody's browser: keeps cookies, and goes one redirect at a time.
#[derive(Default)]
pub struct Browser {
    pub cookies: HashMap<String, String>,
    http: Option<reqwest::Client>,
}

impl Browser {
    pub async fn get(&mut self, address: &str) -> Response {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.http.get_or_insert_with(http).get(address).header(ACCEPT_LANGUAGE, "en");
        let response = request.header(COOKIE, cookies.join("; ")).send().await.expect("somebody answers");
        for cookie in response.headers().get_all(SET_COOKIE) {
            let mut parts = cookie.to_str().unwrap().split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            if value.is_empty() || parts.any(|part| part == "Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        response
    }

    /// Follows redirects until one leads to a path that `stops`; that one is not followed.
    pub async fn follow(&mut self, address: &str, stops: &str) -> String {
        let mut address = Url::parse(address).expect("an address");
        for _ in 0..12 {
            if address.path().contains(stops) {
                return address.into();
            }
            let response = self.get(address.as_str()).await;
            let Some(next) = location(&response) else {
                panic!("{address} answered {}: {}", response.status(), response.text().await.unwrap());
            };
            address = address.join(&next).expect("an address");
        }
        panic!("the browser is sent round in circles");
    }

    /// The nonce that our callback leaves for the page at the end.
    pub fn nonce(&self) -> Option<String> {
        self.cookies.get("minthouse-sso-nonce").cloned()
    }
}

pub fn location(response: &Response) -> Option<String> {
    response.headers().get(LOCATION).map(|value| value.to_str().unwrap().to_owned())
}

/// What stands in the address of the page at the end.
pub fn ticket_in(address: &str) -> String {
    let (page, ticket) = address.split_once("#ticket=").unwrap_or_else(|| panic!("{address} carries no ticket"));
    assert!(page.ends_with("/sso/done"), "{address}");
    ticket.to_owned()
}

/// The code that a page of refusal shows.
pub async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let page = response.text().await.expect("a page");
    let code = page.split("id=\"code\">").nth(1).and_then(|rest| rest.split('<').next());
    (status, code.unwrap_or_else(|| panic!("no page of refusal: {page}")).to_owned())
}

/// A partner's server with a pair of its own.
pub struct Signer {
    pub pkcs8: Vec<u8>,
    /// The public half.
    pub x: String,
    pub enterprise: String,
    pub key: String,
}

impl Signer {
    /// Without a registered key.
    pub fn unregistered() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        Self { x, pkcs8: pkcs8.as_ref().to_vec(), enterprise: String::new(), key: String::new() }
    }

    /// With a key of the enterprise's that maps `staff` to AUDITOR and `boss` to ADMIN.
    pub async fn of(app: &TestApp, slug: &str) -> Self {
        let mut signer = Self::unregistered();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": signer.x});
        let input = json!({"name": "server", "profile": "JWT", "publicJwk": jwk, "roles": roles()});
        let made = app.done(&app.owner(slug).await, KEY, json!({ "input": input })).await;
        signer.key = text(&made["key"]["id"]);
        signer.enterprise = app.enterprise(slug).await.to_string();
        signer
    }

    /// Claims that are good, with changes; what is null is left out.
    pub fn claims(&self, change: Value) -> Value {
        let now = SystemClock.now().timestamp();
        let mut claims = json!({
            "iss": self.enterprise, "aud": "minthouse", "sub": "user-1", "iat": now, "exp": now + 120,
            "jti": format!("jti-{}", key()), "nonce": NONCE, "role": "staff", "name": "小明",
        });
        let map = claims.as_object_mut().unwrap();
        map.extend(change.as_object().expect("an object").clone());
        map.retain(|_, value| !value.is_null());
        claims
    }

    pub fn sign(&self, change: Value) -> String {
        self.sign_as(&self.key, &self.claims(change))
    }

    pub fn sign_as(&self, kid: &str, claims: &Value) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &EncodingKey::from_ed_der(&self.pkcs8)).unwrap()
    }
}

pub fn roles() -> Value {
    json!([{"value": "staff", "role": "AUDITOR"}, {"value": "boss", "role": "ADMIN"}])
}

impl TestApp {
    /// Our own origin, as a browser names it.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has one of the manifest's enterprises, which are of the other kind, create a branch as a partner.
    pub async fn branch_of(&self, partner: &str, corp_open_id: &str, slug: &str) {
        let tenant = self.enterprise(partner).await;
        self.sql(&format!("UPDATE enterprises SET kind = 'PLATFORM' WHERE tenant_id = '{}'", tenant.uuid()));
        self.app.standings.forget(tenant);
        let mut branch = branch_of(corp_open_id);
        branch["input"]["slug"] = json!(slug);
        self.done(&self.owner(partner).await, BRANCH_CREATE, branch).await;
    }

    /// Connects the provider's client `us`. Gives the connection's ID.
    pub async fn connect(&self, slug: &str, provider: &IdentityProvider, more: Value) -> String {
        let mut input = json!({
            "name": "Provider", "issuer": provider.issuer, "clientId": "us", "clientSecret": SECRET,
            "scopes": "openid profile corp", "roleClaim": "roles",
            "roles": [
                {"value": "ADMIN", "role": "ADMIN"}, {"value": "FINANCE", "role": "FINANCE"},
                {"value": "AUDITOR", "role": "AUDITOR"},
            ],
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.done(&self.owner(slug).await, CONNECT, json!({ "input": input })).await;
        text(&made["connection"]["id"])
    }

    /// Tells the provider where the browsers of these connections come back to.
    pub async fn register_at(&self, provider: &IdentityProvider, connections: &[&str]) {
        let uris: Vec<String> = connections.iter().map(|id| self.callback_url(id)).collect();
        provider.control(json!({ "redirectUris": uris })).await;
    }

    pub fn start_url(&self, connection: &str, user: &str) -> String {
        format!("{}/sso/oidc/{connection}/start?login_hint={user}", self.origin())
    }

    pub fn callback_url(&self, connection: &str) -> String {
        format!("{}/sso/oidc/{connection}/callback", self.origin())
    }

    /// Signs somebody in, as far as the page at the end: the ticket and the nonce.
    pub async fn sign_in_at(&self, connection: &str, user: &str) -> (String, String) {
        let mut browser = Browser::default();
        let end = browser.follow(&self.start_url(connection, user), "/sso/done").await;
        (ticket_in(&end), browser.nonce().expect("the callback leaves a nonce"))
    }

    pub async fn add_origin(&self, slug: &str, origin: &str) {
        self.done(&self.owner(slug).await, ORIGIN_ADD, json!({ "origin": origin })).await;
    }

    /// Spends a ticket from a page of `origin`; gives the payload.
    pub async fn spend_from(&self, origin: Option<&str>, input: Value) -> Value {
        let mut request = http().post(self.url()).json(&json!({"query": SPEND, "variables": {"input": input}}));
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let mut answer: Value = request.send().await.expect("the server answers").json().await.expect("JSON");
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"]["ssoTicketSpend"].take()
    }

    pub async fn spend(&self, ticket: &str, nonce: &str) -> Value {
        self.spend_from(Some(&self.origin()), json!({ "ticket": ticket, "nonce": nonce })).await
    }

    /// Asks for a ticket as a partner's server: the status, and the answer.
    pub async fn vouch(&self, assertion: &str) -> (u16, Value) {
        self.ask_ticket(http().post(format!("{}/sso/tickets", self.origin())).json(&json!({ "assertion": assertion })))
            .await
    }

    pub async fn vouch_form(&self, parameters: &[(String, String)]) -> (u16, Value) {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let request = http().post(format!("{}/sso/tickets", self.origin())).body(form);
        self.ask_ticket(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    async fn ask_ticket(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.header(ACCEPT_LANGUAGE, "en").send().await.expect("the server answers");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    /// A ticket that must be given.
    pub async fn ticket(&self, assertion: &str) -> String {
        let (status, answer) = self.vouch(assertion).await;
        assert_eq!((status, &answer["expiresIn"]), (201, &json!(60)), "{answer:#}");
        text(&answer["ticket"])
    }
}

/// The first code of a payload that did nothing.
pub fn code_of(payload: &Value) -> String {
    assert_eq!(payload["token"], Value::Null, "{payload:#}");
    text(&payload["userErrors"][0]["code"])
}
