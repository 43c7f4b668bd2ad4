//! Tencent Cloud's API 3.0: one signed POST a call, JSON both ways.
//!
//! Source: the common pages "Request Structure", "Common Params", "Signature v3" and "Responses" of Tencent Cloud's API
//! documentation (the same for every product; for instance tencentcloud.com/document/api/614/42761).
//!
//! A product is a file: its host, its version, and for each action what is sent and what the answer means. The answer
//! to a refused call has status 200 too and reads `{"Response":{"Error":{"Code","Message"},"RequestId"}}`. Of it only
//! the code leaves this module: the message may quote what was sent.

mod signature;

#[cfg(test)]
mod double;
pub mod id_card;
pub mod sms;

use std::fmt;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Request, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bridges::exchange::{Exchange, Lost};
use crate::platform::clock::Clock;

const JSON: &str = "application/json; charset=utf-8";

/// An account's API key.
#[derive(Clone)]
pub struct Credentials {
    secret_id: String,
    secret_key: String,
}

impl Credentials {
    pub fn new(secret_id: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { secret_id: secret_id.into(), secret_key: secret_key.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

/// Why a call came to nothing. The texts hold nothing of what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The provider understood the call and did not obey it. The code is a word of its documentation, such as
    /// `LimitExceeded.PhoneNumberDailyLimit` or `AuthFailure.SignatureFailure`.
    #[error("the provider refused the call: {code}")]
    Refused { code: String },
    /// No answer. The provider may have obeyed the call all the same.
    #[error("the provider cannot be reached")]
    Unreachable,
    #[error("the provider's answer is not what its documentation says")]
    Nonsense,
}

impl From<Lost> for CallError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unreachable => Self::Unreachable,
            Lost::Nonsense => Self::Nonsense,
        }
    }
}

/// What is fixed for a product of the cloud: its name in the credential's scope, and the version of its actions.
struct Product {
    name: &'static str,
    version: &'static str,
}

/// Calls the actions of one product at one address with one account.
struct Caller {
    product: Product,
    exchange: Exchange,
    clock: Arc<dyn Clock>,
    credentials: Credentials,
    endpoint: Url,
    region: Option<String>,
}

impl Caller {
    /// Of the endpoint only scheme, host and port count: an action's path is always `/`.
    fn new(product: Product, http: Client, clock: Arc<dyn Clock>, credentials: Credentials, endpoint: &Url) -> Self {
        let mut endpoint = endpoint.clone();
        endpoint.set_path("/");
        endpoint.set_query(None);
        endpoint.set_fragment(None);
        Self { product, exchange: Exchange::new(http), clock, credentials, endpoint, region: None }
    }

    fn in_region(self, region: impl Into<String>) -> Self {
        Self { region: Some(region.into()), ..self }
    }

    /// Sends the parameters of an action and reads the `Response` of a call that was obeyed.
    async fn call<A: DeserializeOwned>(&self, action: &str, parameters: &impl Serialize) -> Result<A, CallError> {
        // Parameters are texts and lists of them, which always have a JSON form.
        let body = serde_json::to_vec(parameters).map_err(|_| CallError::Nonsense)?;
        let request = self.request(action, body).map_err(|error| {
            tracing::error!(action, "a call cannot be written; are credentials and endpoint plain ASCII? {error}");
            CallError::Unreachable
        })?;
        let mut answer: Value = self.exchange.ask(request).await?;
        let response = answer.get_mut("Response").map(Value::take).ok_or(CallError::Nonsense)?;
        let request_id = response["RequestId"].as_str().and_then(word).unwrap_or("none");
        if let Some(error) = response.get("Error") {
            let code = error["Code"].as_str().and_then(word).ok_or(CallError::Nonsense)?;
            tracing::warn!(action, code, request_id, "Tencent Cloud refused a call");
            return Err(CallError::Refused { code: code.to_owned() });
        }
        tracing::debug!(action, request_id, "Tencent Cloud obeyed a call");
        serde_json::from_value(response).map_err(|_| CallError::Nonsense)
    }

    fn request(&self, action: &str, body: Vec<u8>) -> reqwest::Result<Request> {
        let host = self.endpoint.host_str().unwrap_or_default();
        let host = self.endpoint.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let timestamp = self.clock.now().timestamp();
        let call = signature::Call {
            service: self.product.name,
            timestamp,
            // In the order of their names. Host and media type must be signed; the action is, as in the documentation.
            headers: &[("content-type", JSON), ("host", &host), ("x-tc-action", action)],
            body: &body,
        };
        let authorization = call.authorization(&self.credentials);
        let mut request = self
            .exchange
            .http
            .post(self.endpoint.clone())
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, JSON)
            .header("X-TC-Action", action)
            .header("X-TC-Version", self.product.version)
            .header("X-TC-Timestamp", timestamp);
        if let Some(region) = &self.region {
            request = request.header("X-TC-Region", region);
        }
        request.body(body).build()
    }
}

/// Codes and request IDs are short words. What is none may be anything and is not passed on.
fn word(text: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (!text.is_empty() && text.len() <= 100 && text.bytes().all(plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use reqwest::header::{HOST, HeaderValue};
    use serde_json::json;

    use super::double::{self, Double};
    use super::*;

    const ECHO: &str = "Echo";

    async fn echo() -> Double {
        Double::start("test", "2020-02-02", ECHO, None, |parameters| json!({ "Heard": parameters["Say"] })).await
    }

    fn caller(double: &Double, credentials: Credentials) -> Caller {
        let product = Product { name: "test", version: "2020-02-02" };
        Caller::new(product, crate::bridges::client().unwrap(), double.clock(), credentials, &double.url)
    }

    async fn say(caller: &Caller) -> Result<Value, CallError> {
        caller.call(ECHO, &json!({ "Say": "你好" })).await
    }

    fn refused(code: &str) -> CallError {
        CallError::Refused { code: code.to_owned() }
    }

    #[tokio::test]
    async fn a_signed_call_is_obeyed() {
        let double = echo().await;
        assert_eq!(say(&caller(&double, double::credentials())).await.unwrap()["Heard"], "你好");
        let elsewhere = Url::parse(&format!("{}some/path?and=query", double.url)).unwrap();
        let product = Product { name: "test", version: "2020-02-02" };
        let http = crate::bridges::client().unwrap();
        let caller = Caller::new(product, http, double.clock(), double::credentials(), &elsewhere);
        assert_eq!(say(&caller).await.unwrap()["Heard"], "你好");
    }

    #[tokio::test]
    async fn a_wrong_key_is_refused() {
        let double = echo().await;
        let wrong = caller(&double, Credentials::new(double::SECRET_ID, "another key"));
        assert_eq!(say(&wrong).await, Err(refused("AuthFailure.SignatureFailure")));
        let unknown = caller(&double, Credentials::new("AKIDnobody", double::SECRET_KEY));
        assert_eq!(say(&unknown).await, Err(refused("AuthFailure.SecretIdNotFound")));
    }

    #[tokio::test]
    async fn a_clock_may_be_five_minutes_off() {
        for (seconds, obeyed) in [(-301, false), (-300, true), (300, true), (301, false)] {
            let double = echo().await;
            let mut caller = caller(&double, double::credentials());
            caller.clock = double::clock_off_by(TimeDelta::seconds(seconds));
            let outcome = say(&caller).await.map(drop);
            assert_eq!(outcome, if obeyed { Ok(()) } else { Err(refused("AuthFailure.SignatureExpire")) }, "{seconds}");
        }
    }

    #[tokio::test]
    async fn what_is_changed_on_the_way_is_refused() {
        let double = echo().await;
        let caller = caller(&double, double::credentials());
        type Change = fn(&mut Request);
        let changes: [(Change, &str); 7] = [
            (|_| {}, ""),
            (|request| *request.body_mut() = Some(r#"{"Say":"no"}"#.into()), "AuthFailure.SignatureFailure"),
            (|request| header(request, CONTENT_TYPE.as_str(), "application/json"), "AuthFailure.SignatureFailure"),
            (|request| header(request, CONTENT_TYPE.as_str(), "text/plain"), "UnsupportedProtocol"),
            (|request| header(request, HOST.as_str(), "elsewhere.example"), "AuthFailure.SignatureFailure"),
            (|request| header(request, "x-tc-action", "Other"), "AuthFailure.SignatureFailure"),
            (|request| header(request, "x-tc-version", "2019-01-01"), "NoSuchVersion"),
        ];
        for (change, code) in changes {
            let mut request = caller.request(ECHO, br#"{"Say":"yes"}"#.to_vec()).unwrap();
            change(&mut request);
            let answer: Value = caller.exchange.ask(request).await.unwrap();
            assert_eq!(answer["Response"]["Error"]["Code"].as_str().unwrap_or_default(), code, "{answer}");
        }
    }

    fn header(request: &mut Request, name: &'static str, value: &'static str) {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }

    #[tokio::test]
    async fn a_code_that_is_no_word_is_not_passed_on() {
        for (answer, outcome) in [
            (json!({ "Error": { "Code": "InternalError", "Message": "你好" } }), refused("InternalError")),
            (json!({ "Error": { "Code": "about 你好", "Message": "" } }), CallError::Nonsense),
            (json!({ "Error": { "Message": "" } }), CallError::Nonsense),
            (json!({ "Error": null }), CallError::Nonsense),
        ] {
            let double = Double::start("test", "2020-02-02", ECHO, None, move |_| answer.clone()).await;
            assert_eq!(say(&caller(&double, double::credentials())).await, Err(outcome));
        }
    }

    #[test]
    fn credentials_do_not_show_their_key() {
        let shown = format!("{:?}", double::credentials());
        assert!(shown.contains(double::SECRET_ID) && !shown.contains(double::SECRET_KEY));
    }
}
