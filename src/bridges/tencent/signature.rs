//! TC3-HMAC-SHA256, the signature of Tencent Cloud's API 3.0.
//!
//! Source: "Signature v3" of the API documentation (tencentcloud.com/document/api/614/42761):
//!
//! ```text
//! canonical request = method ⏎ "/" ⏎ query ⏎ headers ("name:value⏎" each) ⏎ names ("a;b") ⏎ hex(SHA-256(body))
//! scope             = UTC day of the timestamp "/" service "/tc3_request"
//! string to sign    = "TC3-HMAC-SHA256" ⏎ timestamp ⏎ scope ⏎ hex(SHA-256(canonical request))
//! key               = HMAC(HMAC(HMAC("TC3" + secret key, day), service), "tc3_request")
//! signature         = hex(HMAC(key, string to sign))
//! ```
//!
//! Names and values of headers are in lower case. Only POST is written here, so the query is empty.

use chrono::DateTime;

use crate::bridges::tencent::Credentials;
use crate::platform::vault::{hex, hmac_sha256, sha256};

const ALGORITHM: &str = "TC3-HMAC-SHA256";
const TERMINATOR: &str = "tc3_request";

/// What of a call is signed.
pub(super) struct Call<'a> {
    pub service: &'a str,
    /// Seconds since 1970, the same as in the header `X-TC-Timestamp`.
    pub timestamp: i64,
    /// In the order of their names, which are in lower case; `content-type` and `host` are among them.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl Call<'_> {
    /// The value of the header `Authorization`.
    pub fn authorization(&self, credentials: &Credentials) -> String {
        let day = DateTime::from_timestamp(self.timestamp, 0).unwrap_or_default().format("%Y-%m-%d").to_string();
        let scope = format!("{day}/{}/{TERMINATOR}", self.service);
        let lines: String =
            self.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim().to_lowercase())).collect();
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", hex(&sha256(self.body)));
        let to_sign = format!("{ALGORITHM}\n{}\n{scope}\n{}", self.timestamp, hex(&sha256(canonical.as_bytes())));

        let key = hmac_sha256(format!("TC3{}", credentials.secret_key).as_bytes(), &[day.as_bytes()]);
        let key = hmac_sha256(&key, &[self.service.as_bytes()]);
        let key = hmac_sha256(&key, &[TERMINATOR.as_bytes()]);
        let signature = hex(&hmac_sha256(&key, &[to_sign.as_bytes()]));
        format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            credentials.secret_id
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The worked example that Tencent's documentation of the signature has carried since 2019: its request, and what
    /// three revisions of the page print for it. The pages mask the key in part or whole; the two later ones computed
    /// what they print with the mask itself.
    pub const TIMESTAMP: i64 = 1_551_113_065;
    pub const BODY: &str = r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
    pub const HEADERS: [(&str, &str); 3] = [
        ("content-type", "application/json; charset=utf-8"),
        ("host", "cvm.tencentcloudapi.com"),
        ("x-tc-action", "DescribeInstances"),
    ];
    pub const REVISIONS: [(&str, usize, &str); 3] = [
        ("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", 2, "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"),
        ("Gu5t9xGARNpq86cd98joQYCN3*******", 3, "be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3"),
        ("********************************", 3, "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"),
    ];

    #[test]
    fn the_published_example_is_signed_as_it_is_printed() {
        for (key, headers, signature) in REVISIONS {
            let headers = &HEADERS[..headers];
            let call = Call { service: "cvm", timestamp: TIMESTAMP, headers, body: BODY.as_bytes() };
            let names = if headers.len() == 2 { "content-type;host" } else { "content-type;host;x-tc-action" };
            assert_eq!(
                call.authorization(&Credentials::new("AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", key)),
                format!(
                    "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, \
                     SignedHeaders={names}, Signature={signature}"
                )
            );
        }
    }
}
