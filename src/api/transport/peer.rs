//! Where a request came from, when proxies stand in between.
//!
//! Anybody can write an `X-Forwarded-For` header. A proxy of ours appends the address that it was called from, so the
//! header is believed from its right end, and only as far as proxies of ours have written it: the rightmost address
//! that is none of them is the caller's. What stands further left the caller may have made up.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap, HeaderName};

use crate::platform::address::Block;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The caller's address. Known only where the server was made with `into_make_service_with_connect_info`.
///
/// The one place that reads it: every route asks here, be it GraphQL's or not.
pub fn caller_address(extensions: &Extensions, headers: &HeaderMap, proxies: &[Block]) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(believed(peer.ip(), headers, proxies))
}

/// How the caller came to the outermost proxy of ours: this server itself speaks HTTP without TLS.
pub fn caller_scheme(extensions: &Extensions, headers: &HeaderMap, proxies: &[Block]) -> &'static str {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let ours = peer.is_some_and(|peer| proxies.iter().any(|block| block.contains(peer)));
    let said = headers.get(&FORWARDED_PROTO).filter(|_| ours).and_then(|value| value.to_str().ok());
    match said {
        Some(scheme) if scheme.trim().eq_ignore_ascii_case("https") => "https",
        _ => "http",
    }
}

fn believed(peer: IpAddr, headers: &HeaderMap, proxies: &[Block]) -> IpAddr {
    let ours = |address: IpAddr| proxies.iter().any(|block| block.contains(address));
    let mut nearest = peer.to_canonical();
    if !ours(nearest) {
        return nearest;
    }
    // Several headers of one name are one list (RFC 9110, section 5.3).
    let values: Vec<_> = headers.get_all(&FORWARDED_FOR).iter().collect();
    for value in values.into_iter().rev() {
        // What cannot be read nobody has vouched for, and what stands before it even less.
        let Ok(value) = value.to_str() else { return nearest };
        for part in value.rsplit(',') {
            let Some(address) = address_of(part.trim()) else { return nearest };
            nearest = address;
            if !ours(nearest) {
                return nearest;
            }
        }
    }
    nearest
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7`, `[2001:db8::7]` or `[2001:db8::7]:4711`.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(bare).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let proxies: Vec<Block> = ["10.0.0.0/8", "fd00::/8"].iter().map(|block| block.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(&FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        believed(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn a_stranger_is_believed_nothing() {
        assert_eq!(seen("203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
        assert_eq!(seen("203.0.113.7", &["10.0.0.1"]), "203.0.113.7");
        assert_eq!(seen("::ffff:203.0.113.7", &[]), "203.0.113.7");
    }

    #[test]
    fn a_proxy_is_believed_and_what_its_caller_made_up_is_not() {
        assert_eq!(seen("10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1", "203.0.113.7"]), "203.0.113.7", "two headers are one list");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, 203.0.113.7 , 10.9.9.9"]), "203.0.113.7", "through two of ours");
        assert_eq!(seen("::ffff:10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(seen("fd00::1", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(seen("10.0.0.1", &["203.0.113.7:4711"]), "203.0.113.7");
    }

    #[test]
    fn what_nobody_vouched_for_stays_out() {
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1", "the proxy itself calls");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, unknown, 10.9.9.9"]), "10.9.9.9");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1,, 10.9.9.9"]), "10.9.9.9");
        assert_eq!(seen("10.0.0.1", &["10.1.1.1, 10.9.9.9"]), "10.1.1.1", "nobody but ours");
    }
}
