//! A stand-in for Tencent Cloud on 127.0.0.1, for tests. It judges a call from its raw request, in code of its own that
//! is written from the documentation and shares nothing with what signs.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Url;
use serde_json::{Value, json};

use super::Credentials;
use crate::platform::clock::{Clock, ScriptedClock};

pub const SECRET_ID: &str = "AKIDdouble";
pub const SECRET_KEY: &str = "a key that only the double knows";

pub fn credentials() -> Credentials {
    Credentials::new(SECRET_ID, SECRET_KEY)
}

/// Shortly before midnight in UTC, when it is tomorrow in Shanghai.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_721_433_500, 0).unwrap()
}

pub fn clock_off_by(by: TimeDelta) -> Arc<dyn Clock> {
    Arc::new(ScriptedClock::at(now() + by))
}

/// One action of one product.
pub struct Double {
    pub url: Url,
}

impl Double {
    /// `obey` is given the parameters of a call that was signed well and answers with its `Response`.
    pub async fn start(
        service: &'static str,
        version: &'static str,
        action: &'static str,
        region: Option<&'static str>,
        obey: impl Fn(&Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        let obey = Arc::new(obey);
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
            let judged = Raw { method, uri, headers, body }.judge(service, SECRET_ID, SECRET_KEY, now());
            let judged = judged.and_then(|call| match () {
                () if call.action != action => Err("InvalidAction"),
                () if call.version != version => Err("NoSuchVersion"),
                () if call.region.as_deref() != region => Err("UnsupportedRegion"),
                () => Ok(call.parameters),
            });
            let mut response = match judged {
                Ok(parameters) => obey(&parameters),
                Err(code) => json!({ "Error": { "Code": code, "Message": "the call is refused" } }),
            };
            response["RequestId"] = "dbc8b4a3-0e8e-4d0f-9d3c-6f1f2a1f7a55".into();
            json!({ "Response": response }).to_string()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url }
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        clock_off_by(TimeDelta::zero())
    }
}

/// A refusal as the cloud words it. `told` is what a message may quote of the call.
pub fn error(code: &str, told: &Value) -> Value {
    json!({ "Error": { "Code": code, "Message": format!("refused: {told}") } })
}

/// A request as it came.
struct Raw {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

struct Judged {
    action: String,
    version: String,
    region: Option<String>,
    parameters: Value,
}

impl Raw {
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// Refuses with a code of the documentation's table of common errors.
    fn judge(
        &self,
        service: &str,
        secret_id: &str,
        secret_key: &str,
        now: DateTime<Utc>,
    ) -> Result<Judged, &'static str> {
        if self.method != Method::POST || self.uri.path_and_query().map(|path| path.as_str()) != Some("/") {
            return Err("UnsupportedProtocol");
        }
        if !self.header("content-type").is_some_and(|media| media.starts_with("application/json")) {
            return Err("UnsupportedProtocol");
        }
        let authorization = self.header("authorization").ok_or("AuthFailure.InvalidAuthorization")?;
        let (algorithm, fields) = authorization.split_once(' ').ok_or("AuthFailure.InvalidAuthorization")?;
        if algorithm != "TC3-HMAC-SHA256" {
            return Err("AuthFailure.InvalidAuthorization");
        }
        let fields: BTreeMap<&str, &str> = fields.split(", ").filter_map(|field| field.split_once('=')).collect();
        let field = |name| fields.get(name).copied().ok_or("AuthFailure.InvalidAuthorization");
        let (credential, signed, signature) = (field("Credential")?, field("SignedHeaders")?, field("Signature")?);

        let seconds: i64 =
            self.header("x-tc-timestamp").and_then(|text| text.parse().ok()).ok_or("MissingParameter")?;
        if (now.timestamp() - seconds).abs() > 300 {
            return Err("AuthFailure.SignatureExpire");
        }
        let day = DateTime::from_timestamp(seconds, 0).ok_or("InvalidParameter")?.date_naive();
        let [id, credential_day, credential_service, end] =
            credential.split('/').collect::<Vec<_>>().try_into().map_err(|_| "AuthFailure.InvalidAuthorization")?;
        if id != secret_id {
            return Err("AuthFailure.SecretIdNotFound");
        }
        if (credential_day, credential_service, end) != (&*day.to_string(), service, "tc3_request") {
            return Err("AuthFailure.SignatureFailure");
        }

        let names: Vec<&str> = signed.split(';').collect();
        if !names.contains(&"content-type") || !names.contains(&"host") || !names.is_sorted() {
            return Err("AuthFailure.InvalidAuthorization");
        }
        let mut canonical = String::from("POST\n/\n\n");
        for name in &names {
            let value = self.header(name).ok_or("AuthFailure.SignatureFailure")?;
            canonical += &format!("{name}:{}\n", value.trim().to_ascii_lowercase());
        }
        canonical += &format!("\n{signed}\n{}", digest_hex(&self.body));
        let text = format!(
            "TC3-HMAC-SHA256\n{seconds}\n{credential_day}/{service}/tc3_request\n{}",
            digest_hex(canonical.as_bytes())
        );
        let mut key = format!("TC3{secret_key}").into_bytes();
        for step in [credential_day, service, "tc3_request"] {
            let step = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), step.as_bytes());
            key = step.as_ref().to_vec();
        }
        let signature = bytes_of(signature).ok_or("AuthFailure.SignatureFailure")?;
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), text.as_bytes(), &signature)
            .map_err(|_| "AuthFailure.SignatureFailure")?;

        Ok(Judged {
            action: self.header("x-tc-action").ok_or("MissingParameter")?.to_owned(),
            version: self.header("x-tc-version").ok_or("MissingParameter")?.to_owned(),
            region: self.header("x-tc-region").map(str::to_owned),
            parameters: serde_json::from_slice(&self.body).map_err(|_| "InvalidParameter")?,
        })
    }
}

fn digest_hex(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lower-case hexadecimal digits as bytes.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (plain && text.len() == 64)
        .then(|| (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect())
}

/// The judge itself is judged by the published example: it must let it pass, and nothing beside it.
#[test]
fn the_double_lets_the_published_example_pass() {
    use super::signature::tests::{BODY, HEADERS, REVISIONS, TIMESTAMP};

    for (key, headers, signature) in REVISIONS {
        let names = HEADERS[..headers].iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential=AKID/2019-02-25/cvm/tc3_request, SignedHeaders={names}, Signature={signature}"
        );
        let mut raw = Raw {
            method: Method::POST,
            uri: Uri::from_static("/"),
            headers: HEADERS.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
            body: Bytes::from_static(BODY.as_bytes()),
        };
        for (name, value) in [
            ("authorization", authorization.as_str()),
            ("x-tc-timestamp", &TIMESTAMP.to_string()),
            ("x-tc-version", "2017-03-12"),
            ("x-tc-region", "ap-guangzhou"),
        ] {
            raw.headers.insert(name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        let now = DateTime::from_timestamp(TIMESTAMP, 0).unwrap();
        let call = raw.judge("cvm", "AKID", key, now).map(|call| (call.action, call.parameters["Limit"].clone()));
        assert_eq!(call, Ok(("DescribeInstances".to_owned(), json!(1))));

        assert_eq!(raw.judge("cvm", "AKID", "other", now).err(), Some("AuthFailure.SignatureFailure"));
        assert_eq!(raw.judge("cbs", "AKID", key, now).err(), Some("AuthFailure.SignatureFailure"));
        let late = now + TimeDelta::seconds(301);
        assert_eq!(raw.judge("cvm", "AKID", key, late).err(), Some("AuthFailure.SignatureExpire"));
        raw.body = Bytes::from(BODY.replace("1", "2"));
        assert_eq!(raw.judge("cvm", "AKID", key, now).err(), Some("AuthFailure.SignatureFailure"));
    }
}
