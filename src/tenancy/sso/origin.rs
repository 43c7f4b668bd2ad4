//! Web origins, exactly as a browser writes them.
//!
//! They go into a security policy's header and are compared with what browsers send, so they are taken in one form
//! only, and nothing that means more than itself there (a star, a semicolon) is part of one.

use url::Url;

/// `scheme://host[:port]` and nothing else. Plain HTTP in development alone.
pub fn is_origin(text: &str, development: bool) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let scheme_fits = scheme == "https" || (development && scheme == "http");
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
    };
    scheme_fits
        && text.len() <= 255
        && authority.bytes().all(plain)
        // What a browser would write differently (a default port, a number for a host, a slash) is not an origin.
        && Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_taken_in_one_form_only() {
        for good in ["https://a.example", "https://a.example:8443", "https://xn--fiqs8s.cn", "https://[::1]:8443"] {
            assert!(is_origin(good, false), "{good}");
        }
        for plain in ["http://localhost:3000", "http://127.0.0.1:3000"] {
            assert!(is_origin(plain, true) && !is_origin(plain, false), "{plain}");
        }
        for bad in [
            "",
            "null",
            "*",
            "https://",
            "https://*",
            "https://*.example",
            "https://a.example/",
            "https://a.example/path",
            "https://a.example?x",
            "https://a.example#x",
            "https://a.example:443",
            "https://A.example",
            "https://user@a.example",
            "https://a.example;script-src",
            "https://a.example https://b.example",
            "https://a.example,https://b.example",
            "https://a.example\r\nset-cookie:x",
            "https://a'example",
            "https://中文.cn",
            "https://0x7f.1",
            "javascript://a.example",
            "ftp://a.example",
            "data:text/html,x",
        ] {
            assert!(!is_origin(bad, true), "{bad}");
        }
    }
}
