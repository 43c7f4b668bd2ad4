//! Host names: how a domain is written down, and what a request's `Host` names.

/// A host name of RFC 1123 with at least two labels, in lower case and without the root's dot. The last label begins
/// with a letter, so no IP address passes for a name.
pub fn normalise(text: &str) -> Option<String> {
    let host = text.trim().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let labels: Vec<&[u8]> = host.split('.').map(str::as_bytes).collect();
    let fits = |label: &&[u8]| {
        (1..=63).contains(&label.len())
            && label.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
    };
    let ends_in_letters = labels.last().is_some_and(|label| label.first().is_some_and(u8::is_ascii_lowercase));
    (host.len() <= 253 && labels.len() >= 2 && labels.iter().all(fits) && ends_in_letters).then(|| host.to_owned())
}

/// The name in a `Host` header or an authority, without its port. Nothing where it is an address or no full name: no
/// domain can be bound under those.
pub fn of_header(text: &str) -> Option<String> {
    let name = match text.split_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) => return None,
        None => text,
    };
    normalise(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_is_a_name_and_nothing_else() {
        assert_eq!(normalise(" Shop.Example.COM. ").as_deref(), Some("shop.example.com"));
        assert_eq!(normalise("xn--fiqs8s.cn").as_deref(), Some("xn--fiqs8s.cn"));
        let long = format!("{}.com", "a".repeat(64));
        let longer = format!("{}com", "a.".repeat(126));
        for refused in [
            "",
            "localhost",
            "shop.example.com/path",
            "https://shop.example.com",
            "shop.example.com:80",
            "127.0.0.1",
            "1.2.3",
            "[::1]",
            "-a.com",
            "a-.com",
            "a..com",
            ".com",
            "a.com..",
            "中文.cn",
            "a b.com",
            "user@a.com",
            "a_b.com",
            &long,
            &longer,
        ] {
            assert_eq!(normalise(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_header_names_a_host_with_or_without_its_port() {
        for same in ["shop.example.com", "SHOP.example.com:8080", "shop.example.com.", "shop.example.com.:443"] {
            assert_eq!(of_header(same).as_deref(), Some("shop.example.com"), "{same}");
        }
        assert_eq!(of_header("XN--FIQS8S.cn:80").as_deref(), Some("xn--fiqs8s.cn"));
        for none in ["", ":80", "127.0.0.1:80", "[::1]:80", "::1", "localhost:80", "shop.example.com:80:80", "a.com:x"]
        {
            assert_eq!(of_header(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_host_stays_as_it_is(text in "[a-zA-Z0-9.-]{0,40}") {
            if let Some(host) = normalise(&text) {
                prop_assert_eq!(normalise(&host), Some(host.clone()));
                prop_assert!(host.parse::<std::net::IpAddr>().is_err());
            }
        }
    }
}
