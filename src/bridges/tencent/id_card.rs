//! Whether a name and an identity number belong together, asked of Tencent Cloud.
//!
//! Source: IdCardVerification, version 2018-03-01, of the FaceID (人脸核身) API documentation at cloud.tencent.com; its
//! table of results is also in the provider's SDKs. Results 0 and -1 are charged for, the others are not.

use std::sync::Arc;

use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};

use crate::bridges::id_number::IdNumber;
use crate::bridges::tencent::{CallError, Caller, Credentials, Product};
use crate::platform::clock::Clock;

/// Where the product is served.
pub const ENDPOINT: &str = "https://faceid.tencentcloudapi.com";

/// What the register says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Name and number belong together.
    Match,
    /// The number is another person's.
    Mismatch,
    /// The provider takes the number for malformed, though its check character fits.
    IllegalNumber,
    /// The provider takes the name for none.
    IllegalName,
    /// The register does not hold the number. It misses people who serve in the army or moved lately, so this is a
    /// case for a person to look at and no proof of fraud.
    NoRecord,
}

pub struct IdCardVerification {
    caller: Caller,
}

impl IdCardVerification {
    /// The endpoint is [`ENDPOINT`] outside tests; only its scheme, host and port count. The client is
    /// [`crate::bridges::client`]'s.
    pub fn new(http: Client, clock: Arc<dyn Clock>, credentials: Credentials, endpoint: &Url) -> Self {
        let product = Product { name: "faceid", version: "2018-03-01" };
        Self { caller: Caller::new(product, http, clock, credentials, endpoint) }
    }

    /// A failure of the register itself is [`CallError::Refused`] with its result as the code: `-4` out of order, `-6`
    /// being upgraded, `-7` asked too often today.
    pub async fn verify(&self, name: &str, number: &IdNumber) -> Result<Verdict, CallError> {
        let question = Question { id_card: number.expose(), name };
        let answer: Answer = self.caller.call("IdCardVerification", &question).await?;
        match answer.result.as_str() {
            "0" => Ok(Verdict::Match),
            "-1" => Ok(Verdict::Mismatch),
            "-2" => Ok(Verdict::IllegalNumber),
            "-3" => Ok(Verdict::IllegalName),
            "-5" => Ok(Verdict::NoRecord),
            code if is_failure(code) => {
                tracing::warn!(code, "the register of identities cannot answer");
                Err(CallError::Refused { code: code.to_owned() })
            }
            _ => Err(CallError::Nonsense),
        }
    }
}

/// Results that are no verdict are small negative numbers, and new ones are added now and then.
fn is_failure(code: &str) -> bool {
    code.strip_prefix('-').is_some_and(|digits| {
        (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0')
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question<'a> {
    id_card: &'a str,
    name: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    result: String,
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use serde_json::{Value, json};

    use super::*;
    use crate::bridges::tencent::double::{self, Double};

    const NAME: &str = "韦小宝";
    /// The standard's own example.
    const NUMBER: &str = "11010519491231002X";

    fn number() -> IdNumber {
        IdNumber::parse(NUMBER, NaiveDate::from_ymd_opt(2025, 1, 1).unwrap()).unwrap()
    }

    async fn asked(answer: impl Fn(&Value) -> Value + Send + Sync + 'static, name: &str) -> Result<Verdict, CallError> {
        let double = Double::start("faceid", "2018-03-01", "IdCardVerification", None, answer).await;
        let http = crate::bridges::client().unwrap();
        let verification = IdCardVerification::new(http, double.clock(), double::credentials(), &double.url);
        verification.verify(name, &number()).await
    }

    fn result(result: &str) -> Value {
        json!({ "Result": result, "Description": format!("{NAME} {NUMBER}") })
    }

    /// A register of one person.
    fn register(parameters: &Value) -> Value {
        let parameters = parameters.as_object().unwrap();
        if parameters.len() != 2 {
            return double::error("UnknownParameter", &json!(parameters));
        }
        match (parameters["IdCard"].as_str().unwrap(), parameters["Name"].as_str().unwrap()) {
            (_, "") => result("-3"),
            (NUMBER, NAME) => result("0"),
            (NUMBER, _) => result("-1"),
            _ => result("-5"),
        }
    }

    #[tokio::test]
    async fn a_name_matches_its_number_alone() {
        assert_eq!(asked(register, NAME).await, Ok(Verdict::Match));
        assert_eq!(asked(register, "韦大宝").await, Ok(Verdict::Mismatch));
        assert_eq!(asked(register, "").await, Ok(Verdict::IllegalName));
    }

    #[tokio::test]
    async fn each_result_has_its_meaning() {
        let refused = |code: &str| Err(CallError::Refused { code: code.to_owned() });
        for (code, outcome) in [
            ("-2", Ok(Verdict::IllegalNumber)),
            ("-4", refused("-4")),
            ("-5", Ok(Verdict::NoRecord)),
            ("-6", refused("-6")),
            ("-7", refused("-7")),
            ("-12", refused("-12")),
            ("1", Err(CallError::Nonsense)),
            ("-", Err(CallError::Nonsense)),
            ("-0", Err(CallError::Nonsense)),
            ("", Err(CallError::Nonsense)),
            (NUMBER, Err(CallError::Nonsense)),
        ] {
            assert_eq!(asked(move |_| result(code), NAME).await, outcome, "{code}");
        }
        assert_eq!(asked(|_| json!({ "Result": 0 }), NAME).await, Err(CallError::Nonsense));
        assert_eq!(asked(|_| json!({ "Description": "" }), NAME).await, Err(CallError::Nonsense));
    }

    #[tokio::test]
    async fn an_error_tells_neither_name_nor_number() {
        let refused = asked(|parameters| double::error("FailedOperation.UnKnown", parameters), NAME).await;
        let error = refused.unwrap_err();
        assert_eq!(error, CallError::Refused { code: "FailedOperation.UnKnown".to_owned() });
        let told = format!("{error} {error:?}");
        assert!(!told.contains(NAME) && !told.contains(&NUMBER[..6]));
    }
}
