//! An enterprise's endpoint for custom rules, as strict as one should be. It judges signatures and decrypts in code of
//! its own: what the house has got wrong must not be got wrong here in the same way.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use minthouse::platform::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use url::Url;

pub const TOKEN: &str = "spamtest";
/// Its last letter has spare bits that are set, as real ones have.
pub const ENCODING_AES_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

type Judge = dyn Fn(&Value) -> Value + Send + Sync;

/// How it answers a question that it has found good.
#[derive(Clone)]
pub enum Script {
    /// Always the same.
    Answer(Value),
    /// What the closure makes of the decrypted question.
    Judge(Arc<Judge>),
    /// What another script answers, after a time.
    Slow(Duration, Box<Script>),
    /// Nothing, ever.
    Hang,
    /// Bytes that are no JSON, with a good status.
    Garbage,
    Status(u16),
    /// Ends the connection in the middle of an answer.
    Drop,
}

impl Script {
    pub fn judge(judge: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Self {
        Self::Judge(Arc::new(judge))
    }

    pub fn slow(time: Duration, then: Script) -> Self {
        Self::Slow(time, Box::new(then))
    }
}

/// What an endpoint is to look at before it answers. A good one looks at everything.
#[derive(Clone, Copy, Debug)]
pub struct Care {
    pub signature: bool,
    pub timestamp: bool,
    pub nonce: bool,
}

impl Care {
    pub const FULL: Care = Care { signature: true, timestamp: true, nonce: true };
}

/// How its side of the connection is set up.
pub struct Builder {
    trailing_id: String,
    algorithm: &'static Algorithm,
    clock: Arc<dyn Clock>,
    care: Care,
    script: Script,
}

/// Runs until the test ends.
pub struct Partner {
    pub url: Url,
    inner: Arc<Inner>,
}

struct Inner {
    key: [u8; 32],
    trailing_id: String,
    algorithm: &'static Algorithm,
    clock: Arc<dyn Clock>,
    care: Care,
    script: Mutex<Script>,
    asked: Mutex<Vec<Value>>,
    refused: Mutex<Vec<&'static str>>,
    nonces: Mutex<HashSet<String>>,
}

impl Partner {
    /// With SHA-1, no ID behind the message and the machine's clock; lets everybody draw.
    pub fn builder() -> Builder {
        Builder {
            trailing_id: String::new(),
            algorithm: &SHA1_FOR_LEGACY_USE_ONLY,
            clock: Arc::new(SystemClock),
            care: Care::FULL,
            script: Script::Answer(json!({"code": 200, "msg": "ok", "lottery": 1})),
        }
    }

    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// From the next question on.
    pub fn play(&self, script: Script) {
        *self.inner.script.lock().unwrap() = script;
    }

    /// The questions that were found good, decrypted, in order.
    pub fn asked(&self) -> Vec<Value> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Why questions were refused, in order.
    pub fn refused(&self) -> Vec<&'static str> {
        self.inner.refused.lock().unwrap().clone()
    }
}

impl Builder {
    pub fn trailing_id(self, trailing_id: &str) -> Self {
        Self { trailing_id: trailing_id.to_owned(), ..self }
    }

    pub fn sha256(self) -> Self {
        Self { algorithm: &SHA256, ..self }
    }

    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    pub fn care(self, care: Care) -> Self {
        Self { care, ..self }
    }

    pub fn script(self, script: Script) -> Self {
        Self { script, ..self }
    }

    pub async fn start(self) -> Partner {
        let Self { trailing_id, algorithm, clock, care, script } = self;
        let inner = Arc::new(Inner {
            key: key(),
            trailing_id,
            algorithm,
            clock,
            care,
            script: Mutex::new(script),
            asked: Mutex::default(),
            refused: Mutex::default(),
            nonces: Mutex::default(),
        });
        let routes = Router::new().route("/secret-path/rule", post(serve)).with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/secret-path/rule", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Partner { url: Url::parse(&url).unwrap(), inner }
    }
}

async fn serve(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    match inner.judge(&headers, &body) {
        Ok(question) => {
            inner.asked.lock().unwrap().push(question.clone());
            let script = inner.script.lock().unwrap().clone();
            answer(script, &question).await
        }
        Err(why) => {
            inner.refused.lock().unwrap().push(why);
            axum::Json(json!({"code": 403, "msg": why})).into_response()
        }
    }
}

async fn answer(mut script: Script, question: &Value) -> Response {
    while let Script::Slow(time, then) = script {
        tokio::time::sleep(time).await;
        script = *then;
    }
    match script {
        Script::Answer(answer) => axum::Json(answer).into_response(),
        Script::Judge(judge) => axum::Json(judge(question)).into_response(),
        Script::Garbage => ([("content-type", "application/json")], &b"{\"code\": 200, \xff"[..]).into_response(),
        Script::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Script::Drop => {
            let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
            Body::from_stream(broken).into_response()
        }
        Script::Hang | Script::Slow(..) => std::future::pending().await,
    }
}

impl Inner {
    /// The decrypted question, or why it is refused.
    fn judge(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, &'static str> {
        if headers.get("content-type").is_none_or(|kind| kind != "application/json") {
            return Err("no JSON");
        }
        let fields: HashMap<String, String> = serde_json::from_slice(body).map_err(|_| "not four texts")?;
        let field = |name: &str| fields.get(name).map(String::as_str).ok_or("a field is missing");
        let (timestamp, nonce) = (field("timestamp")?, field("nonce")?);
        let (signature, cipher) = (field("signature")?, field("msgEncrypt")?);
        if fields.len() != 4 {
            return Err("more than four fields");
        }
        let mut parts = [TOKEN.as_bytes(), timestamp.as_bytes(), nonce.as_bytes(), cipher.as_bytes()];
        parts.sort();
        let own: String =
            digest(self.algorithm, &parts.concat()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if self.care.signature && own != signature {
            return Err("signature");
        }
        let seconds: i64 = timestamp.parse().map_err(|_| "timestamp")?;
        if self.care.timestamp && (self.clock.now().timestamp() - seconds).abs() > 300 {
            return Err("timestamp");
        }
        if nonce.is_empty() || (!self.nonces.lock().unwrap().insert(nonce.to_owned()) && self.care.nonce) {
            return Err("nonce");
        }
        let message = self.decrypt(cipher).ok_or("decryption")?;
        serde_json::from_slice(&message).map_err(|_| "no JSON inside")
    }

    /// Block by block: each is decrypted and joined with the one before it, the first with the key's beginning.
    fn decrypt(&self, text: &str) -> Option<Vec<u8>> {
        let text = base64(text)?;
        if text.is_empty() || text.len() % 32 != 0 {
            return None;
        }
        let cipher = Aes256::new(&self.key.into());
        let mut clear = Vec::with_capacity(text.len());
        let mut before = &self.key[..16];
        for block in text.chunks(16) {
            let mut opened = <[u8; 16]>::try_from(block).ok()?.into();
            cipher.decrypt_block(&mut opened);
            clear.extend(opened.iter().zip(before).map(|(byte, mask)| byte ^ mask));
            before = block;
        }
        let padding = usize::from(*clear.last()?);
        if !(1..=32).contains(&padding)
            || clear[clear.len() - padding..].iter().any(|byte| usize::from(*byte) != padding)
        {
            return None;
        }
        clear.truncate(clear.len() - padding);
        let length = u32::from_be_bytes(clear.get(16..20)?.try_into().ok()?) as usize;
        let message = clear.get(20..20 + length)?;
        (&clear[20 + length..] == self.trailing_id.as_bytes()).then(|| message.to_vec())
    }
}

/// Six bits a letter, from the left; what is left over of a last byte is dropped.
fn base64(text: &str) -> Option<Vec<u8>> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        held = held << 6 | letters.iter().position(|known| *known == letter)? as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

fn key() -> [u8; 32] {
    base64(ENCODING_AES_KEY).and_then(|bytes| bytes.try_into().ok()).expect("43 letters are 32 bytes")
}
