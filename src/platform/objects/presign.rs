//! Addresses of a bucket at which somebody without its keys may put one file: AWS Signature Version 4, in the query
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>).
//!
//! `object_store` signs addresses, too, and leaves no way to sign a length with them. An address without one would take
//! a file of any size.

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use url::Url;

use super::bucket::Bucket;
use crate::platform::vault::{hex, hmac_sha256, sha256};

pub struct Presigner {
    access_key: String,
    secret_key: String,
    region: String,
    /// Of the bucket: keys follow.
    origin: String,
    host: String,
    path: String,
}

impl Presigner {
    pub fn new(bucket: &Bucket) -> Result<Self> {
        let Bucket { name, region, endpoint, in_host, .. } = bucket;
        let base = match (endpoint, in_host) {
            (Some(endpoint), true) => endpoint.trim_end_matches('/').to_owned(),
            (Some(endpoint), false) => format!("{}/{name}", endpoint.trim_end_matches('/')),
            (None, true) => format!("https://{name}.s3.{region}.amazonaws.com"),
            (None, false) => format!("https://s3.{region}.amazonaws.com/{name}"),
        };
        let url = Url::parse(&base).with_context(|| format!("`{base}` is no address of a bucket"))?;
        let name = url.host_str().with_context(|| format!("`{base}` names no host"))?;
        // As clients will send it: without the port that the scheme has anyway.
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        Ok(Self {
            access_key: bucket.access_key.clone(),
            secret_key: bucket.secret_key.clone(),
            region: region.clone(),
            origin: format!("{}://{host}", url.scheme()),
            host,
            path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Where exactly `length` bytes may be put under a key. A key needs no escaping: it is made of letters, digits and
    /// slashes.
    pub fn put(&self, key: &str, length: u64, now: DateTime<Utc>, life: TimeDelta) -> String {
        self.sign("PUT", key, &[("content-length", &length.to_string()), ("host", &self.host)], now, life)
    }

    /// `headers` are those that the client must send as they stand here, in lower case and sorted.
    fn sign(&self, method: &str, key: &str, headers: &[(&str, &str)], now: DateTime<Utc>, life: TimeDelta) -> String {
        let (date, instant) = (now.format("%Y%m%d").to_string(), now.format("%Y%m%dT%H%M%SZ").to_string());
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let query = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &format!("{}/{scope}", self.access_key)),
            ("X-Amz-Date", &instant),
            ("X-Amz-Expires", &life.num_seconds().max(1).to_string()),
            ("X-Amz-SignedHeaders", &names.join(";")),
        ];
        let query = query.map(|(name, value)| format!("{name}={}", escaped(value))).join("&");
        let path = format!("{}/{key}", self.path);
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("{method}\n{path}\n{query}\n{lines}\n{}\nUNSIGNED-PAYLOAD", names.join(";"));
        let said = format!("AWS4-HMAC-SHA256\n{instant}\n{scope}\n{}", hex(&sha256(request.as_bytes())));

        let mut secret = hmac_sha256(format!("AWS4{}", self.secret_key).as_bytes(), &[date.as_bytes()]);
        for part in [&*self.region, "s3", "aws4_request"] {
            secret = hmac_sha256(&secret, &[part.as_bytes()]);
        }
        format!("{}{path}?{query}&X-Amz-Signature={}", self.origin, hex(&hmac_sha256(&secret, &[said.as_bytes()])))
    }
}

/// RFC 3986: all but the unreserved characters.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(endpoint: Option<&str>, in_host: bool) -> Bucket {
        Bucket {
            name: "examplebucket".into(),
            region: "us-east-1".into(),
            endpoint: endpoint.map(str::to_owned),
            in_host,
            access_key: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            direct: true,
        }
    }

    fn presigner(endpoint: Option<&str>, in_host: bool) -> Presigner {
        Presigner::new(&bucket(endpoint, in_host)).expect("an address")
    }

    // The example that Amazon's documentation works through.
    #[test]
    fn the_published_example_comes_out() {
        let presigner = presigner(Some("https://examplebucket.s3.amazonaws.com"), true);
        let now = DateTime::from_timestamp(1_369_353_600, 0).expect("a time");
        let address = presigner.sign("GET", "test.txt", &[("host", &presigner.host)], now, TimeDelta::days(1));
        assert_eq!(
            address,
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn a_bucket_is_found_in_the_path_or_in_the_host() {
        for (endpoint, in_host, expected) in [
            (None, false, "https://s3.us-east-1.amazonaws.com/examplebucket/a/b?"),
            (None, true, "https://examplebucket.s3.us-east-1.amazonaws.com/a/b?"),
            (Some("http://127.0.0.1:9000/"), false, "http://127.0.0.1:9000/examplebucket/a/b?"),
            (Some("https://examplebucket.cos.example:443"), true, "https://examplebucket.cos.example/a/b?"),
        ] {
            let now = DateTime::from_timestamp(0, 0).expect("a time");
            let address = presigner(endpoint, in_host).put("a/b", 7, now, TimeDelta::minutes(1));
            assert!(address.starts_with(expected), "{address}");
            assert!(address.contains("X-Amz-SignedHeaders=content-length%3Bhost&"), "{address}");
        }
        assert!(Presigner::new(&bucket(Some("no address"), false)).is_err());
    }
}
