//! What people are to the house beside their tokens: phones that get messages, names in a register, WeChat.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::extract::Query;
use axum::routing::get;
use axum::{Json, Router};
use minthouse::bridges::id_number::IdNumber;
use minthouse::bridges::wechat::SignIn;
use minthouse::wallets::WalletServices;
use minthouse::wallets::holder::Phone;
use minthouse::wallets::real_name::{RealNameProvider, Unavailable};
use minthouse::wallets::sms::{Code, SmsError, SmsSender};
use serde_json::{Value, json};

use super::app::{TestApp, text};
use super::play::Person;

pub const SEND: &str = "mutation($phone: String!, $purpose: CodePurpose!, $enterprise: String) {
    verificationCodeSend(input: {phone: $phone, purpose: $purpose, enterprise: $enterprise}) {
        expiresInSeconds userErrors { code field retryAfterSeconds } } }";
pub const SIGN_IN: &str = "mutation($phone: String!, $code: String!, $enterprise: String) {
    holderSignIn(input: {phone: $phone, code: $code, enterprise: $enterprise}) {
        holder { id nickname phoneMasked } token refreshToken userErrors { code field } } }";
pub const WECHAT: &str = "mutation($app: String!, $code: String!, $enterprise: String) {
    holderWeChatSignIn(input: {appId: $app, code: $code, enterprise: $enterprise}) {
        holder { id phoneMasked } token userErrors { code field } } }";
pub const BIND: &str = "mutation($phone: String!, $code: String!) {
    holderPhoneBind(input: {phone: $phone, code: $code}) { holder { id phoneMasked } userErrors { code field } } }";
pub const VERIFY: &str = "mutation($name: String!, $number: String!, $key: String!) {
    holderRealNameVerify(input: {name: $name, idNumber: $number, idempotencyKey: $key}) {
        holder { id nameMasked idNumberMasked verifiedAt } replayed userErrors { code field } } }";
pub const ADD_WECHAT: &str = "mutation($kind: WeChatAppKind!, $app: String!, $secret: String!) {
    wechatAppCreate(input: {kind: $kind, appId: $app, secret: $secret}) { wechatApp { id appId state } userErrors { code field } } }";

/// Keeps what would have been sent.
#[derive(Default)]
pub struct Messages {
    sent: Mutex<Vec<(String, String)>>,
    /// Why the next messages do not leave, if they do not.
    pub trouble: Mutex<Option<SmsError>>,
}

impl Messages {
    /// The newest code that was sent to a phone.
    pub fn to(&self, phone: &str) -> String {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sent.iter().rev().find(|(to, _)| to == phone);
        found.unwrap_or_else(|| panic!("nothing was sent to {phone}")).1.clone()
    }

    pub fn count(&self) -> usize {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn fail_with(&self, trouble: Option<SmsError>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

#[async_trait]
impl SmsSender for Messages {
    async fn send_code(&self, phone: &Phone, code: &Code) -> Result<(), SmsError> {
        let trouble = *self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody knows: then it arrives all the same.
        if trouble != Some(SmsError::NotSent) {
            let message = (phone.digits().to_owned(), code.expose().to_owned());
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        }
        trouble.map_or(Ok(()), Err)
    }
}

/// The name that the register has for nobody.
pub const STRANGER: &str = "无此人";

/// A register in which every number is everybody's but [`STRANGER`]'s.
#[derive(Default)]
pub struct Register {
    pub asked: AtomicUsize,
    pub down: AtomicBool,
}

#[async_trait]
impl RealNameProvider for Register {
    fn name(&self) -> &'static str {
        "TEST"
    }

    async fn belong_together(&self, name: &str, _: &IdNumber) -> Result<bool, Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) { Err(Unavailable) } else { Ok(name != STRANGER) }
    }
}

/// The identity number of a person of the house's own making: a well-formed one for each `number` below a thousand.
pub fn id_number(number: usize) -> String {
    let body = format!("11010519900307{number:03}");
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: usize = body.bytes().zip(weights).map(|(digit, weight)| usize::from(digit - b'0') * weight).sum();
    format!("{body}{}", char::from(b"10X98765432"[sum % 11]))
}

pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

type Asked = Query<HashMap<String, String>>;

/// WeChat on 127.0.0.1. The code `open:union:n` is that of the person with these names; each code is good once.
pub async fn wechat() -> String {
    let used: Arc<Mutex<HashSet<String>>> = Arc::default();
    let judge = |used: Arc<Mutex<HashSet<String>>>, code_name: &'static str| {
        move |Query(asked): Asked| {
            let used = used.clone();
            async move {
                if asked.get("secret").map(String::as_str) != Some(SECRET) {
                    return Json(json!({ "errcode": 40125, "errmsg": "invalid appsecret" }));
                }
                let code = asked.get(code_name).cloned().unwrap_or_default();
                let names: Vec<&str> = code.split(':').collect();
                let [open, union, _] = names[..] else {
                    return Json(json!({ "errcode": 40029, "errmsg": "invalid code" }));
                };
                if !used.lock().unwrap_or_else(PoisonError::into_inner).insert(code.clone()) {
                    return Json(json!({ "errcode": 40163, "errmsg": "code been used" }));
                }
                let union = if union.is_empty() { Value::Null } else { json!(union) };
                Json(json!({ "openid": open, "unionid": union, "session_key": "k" }))
            }
        }
    };
    let routes = Router::new()
        .route("/sns/jscode2session", get(judge(used.clone(), "js_code")))
        .route("/sns/oauth2/access_token", get(judge(used, "code")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// The outside world of a test.
#[derive(Clone, Default)]
pub struct World {
    pub messages: Arc<Messages>,
    pub register: Arc<Register>,
}

impl World {
    /// With WeChat at an address; without one nobody answers there.
    pub fn services(&self, wechat: Option<&str>) -> WalletServices {
        let wechat = wechat.unwrap_or("http://127.0.0.1:1/").parse().expect("a URL");
        WalletServices {
            sms: self.messages.clone(),
            real_name: self.register.clone(),
            wechat: SignIn::new(minthouse::bridges::client().expect("the client is sound"), &wechat),
        }
    }
}

impl TestApp {
    /// Forgets how often codes were asked for, so that the next may be sent at once.
    pub fn forget_sent_codes(&self) {
        self.sql("DELETE FROM throttles WHERE kind LIKE 'code.%'");
    }

    /// A code sent to a phone.
    pub async fn code(&self, token: Option<&str>, phone: &str, purpose: &str, enterprise: Option<&str>) -> String {
        self.forget_sent_codes();
        let before = self.world.messages.count();
        let asked = json!({ "phone": phone, "purpose": purpose, "enterprise": enterprise });
        let answer = self.ok(token, SEND, asked).await;
        assert_eq!(answer["verificationCodeSend"]["userErrors"], json!([]), "{answer:#}");
        assert_eq!(self.world.messages.count(), before + 1);
        self.world.messages.to(phone)
    }

    /// A person who signs in with a code.
    pub async fn came_in(&self, slug: &str, phone: &str) -> Person {
        let code = self.code(None, phone, "SIGN_IN", Some(slug)).await;
        let input = json!({ "phone": phone, "code": code, "enterprise": slug });
        let answer = self.ok(None, SIGN_IN, input).await;
        let done = &answer["holderSignIn"];
        assert_eq!(done["userErrors"], json!([]), "{answer:#}");
        Person { token: text(&done["token"]), id: text(&done["holder"]["id"]) }
    }

    /// The codes of the user errors that a stranger gets.
    pub async fn turned_away(&self, query: &str, variables: Value) -> Vec<String> {
        let data = self.ok(None, query, variables).await;
        let payload = data.as_object().and_then(|fields| fields.values().next()).cloned().expect("one field");
        let errors = payload["userErrors"].as_array().expect("userErrors is selected");
        errors.iter().map(|error| text(&error["code"])).collect()
    }
}
