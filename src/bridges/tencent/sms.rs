//! Short messages through Tencent Cloud.
//!
//! Source: SendSms, version 2021-01-11, of the SMS API documentation (tencentcloud.com/document/product/382/40536).
//! The documentation allows 200 numbers a call; here it is one, because the answer then has one meaning.

use std::fmt;
use std::sync::Arc;

use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};

use crate::bridges::tencent::{CallError, Caller, Credentials, Product, word};
use crate::platform::clock::Clock;

/// Where the product is served to the mainland.
pub const ENDPOINT: &str = "https://sms.tencentcloudapi.com";

/// A telephone number by E.164: `+`, the country's code, the subscriber's number. Personal data: it does not show
/// itself.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// `None` where the text is not `+` and 7 to 15 digits, the first not 0.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let plain = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        (plain && !digits.starts_with('0')).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PhoneNumber(…)")
    }
}

/// Whose messages they are, as approved by the provider.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The SMS application's number, such as `1400006666`. It is not the WeChat or the cloud account's AppId.
    pub sdk_app_id: String,
    /// The approved signature's text, without the brackets that recipients see around it.
    pub sign_name: String,
}

/// A message that the provider has taken on. Whether it arrives is told later, by this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub serial_number: String,
}

pub struct Sms {
    caller: Caller,
    sender: Sender,
}

impl Sms {
    /// `region` is one of the product's (`ap-beijing`, `ap-guangzhou`, `ap-nanjing`). The endpoint is [`ENDPOINT`]
    /// outside tests; only its scheme, host and port count. The client is [`crate::bridges::client`]'s.
    pub fn new(
        http: Client,
        clock: Arc<dyn Clock>,
        credentials: Credentials,
        endpoint: &Url,
        region: &str,
        sender: Sender,
    ) -> Self {
        let product = Product { name: "sms", version: "2021-01-11" };
        Self { caller: Caller::new(product, http, clock, credentials, endpoint).in_region(region), sender }
    }

    /// Sends an approved template to a number, its `{1}`, `{2}`, … filled in order.
    ///
    /// A refusal of the number (`LimitExceeded.…`, `FailedOperation.PhoneNumberInBlacklist`) is told like a refusal of
    /// the call. After [`CallError::Unreachable`] the message may be on its way: sending again may send it twice.
    pub async fn send(&self, to: &PhoneNumber, template_id: &str, parameters: &[&str]) -> Result<Accepted, CallError> {
        let message = SendSms {
            phone_number_set: [&to.0],
            sms_sdk_app_id: &self.sender.sdk_app_id,
            sign_name: &self.sender.sign_name,
            template_id,
            template_param_set: parameters,
        };
        let answer: SendSmsAnswer = self.caller.call("SendSms", &message).await?;
        let [status] = answer.send_status_set;
        if status.phone_number.trim_start_matches('+') != to.0.trim_start_matches('+') {
            return Err(CallError::Nonsense);
        }
        match word(&status.code) {
            Some("Ok") => Ok(Accepted { serial_number: status.serial_no }),
            Some(code) => {
                tracing::warn!(code, "Tencent Cloud refused a number");
                Err(CallError::Refused { code: code.to_owned() })
            }
            None => Err(CallError::Nonsense),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendSms<'a> {
    phone_number_set: [&'a str; 1],
    sms_sdk_app_id: &'a str,
    sign_name: &'a str,
    template_id: &'a str,
    template_param_set: &'a [&'a str],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendSmsAnswer {
    send_status_set: [SendStatus; 1],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendStatus {
    serial_no: String,
    phone_number: String,
    code: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::bridges::tencent::double::{self, Double};

    const PHONE: &str = "+8613711112222";

    /// The product as documented: each parameter there and none beside, numbers in E.164, the number's own outcome.
    fn send_sms(parameters: &Value, outcome: &str) -> Value {
        let mut names: Vec<&String> = parameters.as_object().unwrap().keys().collect();
        names.sort();
        if names != ["PhoneNumberSet", "SignName", "SmsSdkAppId", "TemplateId", "TemplateParamSet"] {
            return double::error("UnknownParameter", parameters);
        }
        if parameters["SmsSdkAppId"] != "1400006666" {
            return double::error("UnauthorizedOperation.SmsSdkAppIdVerifyFail", parameters);
        }
        if parameters["SignName"] != "铸坊" {
            return double::error("FailedOperation.SignatureIncorrectOrUnapproved", parameters);
        }
        if parameters["TemplateId"] != "1110" || parameters["TemplateParamSet"] != json!(["493817", "5"]) {
            return double::error("FailedOperation.TemplateIncorrectOrUnapproved", parameters);
        }
        let [phone] = &parameters["PhoneNumberSet"].as_array().unwrap()[..] else {
            return double::error("LimitExceeded.PhoneNumberCountLimit", parameters);
        };
        if !phone.as_str().unwrap().starts_with("+86") {
            return double::error("InvalidParameterValue.IncorrectPhoneNumber", parameters);
        }
        json!({ "SendStatusSet": [{
            "SerialNo": if outcome == "Ok" { "5000:1045710669157053657849499619" } else { "" },
            "PhoneNumber": phone,
            "Fee": 1,
            "SessionContext": "",
            "Code": outcome,
            "Message": format!("{phone}: {outcome}"),
            "IsoCode": "CN",
        }] })
    }

    async fn double(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Double {
        Double::start("sms", "2021-01-11", "SendSms", Some("ap-guangzhou"), answer).await
    }

    fn sms(double: &Double) -> Sms {
        Sms::new(
            crate::bridges::client().unwrap(),
            double.clock(),
            double::credentials(),
            &double.url,
            "ap-guangzhou",
            Sender { sdk_app_id: "1400006666".to_owned(), sign_name: "铸坊".to_owned() },
        )
    }

    async fn send(double: &Double, template_id: &str) -> Result<Accepted, CallError> {
        sms(double).send(&PhoneNumber::parse(PHONE).unwrap(), template_id, &["493817", "5"]).await
    }

    #[tokio::test]
    async fn a_message_is_accepted() {
        let double = double(|parameters| send_sms(parameters, "Ok")).await;
        let accepted = send(&double, "1110").await.unwrap();
        assert_eq!(accepted.serial_number, "5000:1045710669157053657849499619");
    }

    #[tokio::test]
    async fn a_number_and_a_call_are_refused_alike_and_the_number_is_not_told() {
        let limited = double(|parameters| send_sms(parameters, "LimitExceeded.PhoneNumberThirtySecondLimit")).await;
        let fine = double(|parameters| send_sms(parameters, "Ok")).await;
        for (outcome, code) in [
            (send(&limited, "1110").await, "LimitExceeded.PhoneNumberThirtySecondLimit"),
            (send(&fine, "1111").await, "FailedOperation.TemplateIncorrectOrUnapproved"),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error, CallError::Refused { code: code.to_owned() });
            assert!(!format!("{error} {error:?}").contains("137"));
        }
    }

    #[tokio::test]
    async fn an_answer_about_something_else_is_nonsense() {
        let changes: [fn(&mut Value); 5] = [
            |status| *status = json!([]),
            |status| *status = json!([status[0], status[0]]),
            |status| status[0]["PhoneNumber"] = "+8613711112223".into(),
            |status| status[0]["Code"] = format!("about {PHONE}").into(),
            |status| status[0]["SerialNo"] = Value::Null,
        ];
        for change in changes {
            let double = double(move |parameters| {
                let mut answer = send_sms(parameters, "Ok");
                change(&mut answer["SendStatusSet"]);
                answer
            })
            .await;
            assert_eq!(send(&double, "1110").await, Err(CallError::Nonsense));
        }
    }

    #[test]
    fn a_phone_number_is_e_164_and_does_not_show_itself() {
        for text in
            ["", "+", "13711112222", "+86 13711112222", "+0613711112222", "+123456", "+1234567890123456", "+８６"]
        {
            assert_eq!(PhoneNumber::parse(text), None, "{text}");
        }
        assert_eq!(format!("{:?}", PhoneNumber::parse(PHONE).unwrap()), "PhoneNumber(…)");
    }
}
