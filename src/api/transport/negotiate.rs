//! Content negotiation, as <https://graphql.github.io/graphql-over-http/draft/> and RFC 9110 section 12.5.1 ask for.

use axum::http::{HeaderMap, StatusCode, header};

use super::errors::Protocol;
use crate::platform::language::Text;

/// What an answer can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/graphql-response+json`: the status tells a refused operation from an executed one.
    GraphqlResponse,
    /// `application/json`: what every client understands, always 200 where the request was well-formed.
    Json,
    EventStream,
    Html,
}

impl Media {
    pub const fn content_type(self) -> &'static str {
        match self {
            Media::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Media::Json => "application/json; charset=utf-8",
            Media::EventStream => "text/event-stream; charset=utf-8",
            Media::Html => "text/html; charset=utf-8",
        }
    }

    const fn name(self) -> (&'static str, &'static str) {
        match self {
            Media::GraphqlResponse => ("application", "graphql-response+json"),
            Media::Json => ("application", "json"),
            Media::EventStream => ("text", "event-stream"),
            Media::Html => ("text", "html"),
        }
    }
}

/// One range of an `Accept` header.
struct Range {
    kind: String,
    subkind: String,
    quality: f32,
    utf8: bool,
}

fn ranges(headers: &HeaderMap) -> Vec<Range> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(range).collect()
}

fn range(text: &str) -> Option<Range> {
    let mut pieces = text.split(';').map(str::trim);
    let (kind, subkind) = pieces.next()?.split_once('/')?;
    let mut range = Range {
        kind: kind.trim().to_ascii_lowercase(),
        subkind: subkind.trim().to_ascii_lowercase(),
        quality: 1.0,
        utf8: true,
    };
    for piece in pieces {
        let Some((name, value)) = piece.split_once('=') else { continue };
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => range.quality = value.trim().parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0),
            "charset" => range.utf8 = is_utf8(value),
            _ => {}
        }
    }
    Some(range)
}

fn is_utf8(charset: &str) -> bool {
    let charset = charset.trim().trim_matches('"');
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

/// The best of `offers` for the `Accept` headers, or 406.
///
/// The most specific range that fits an offer gives its quality. Among equals the one that was named outright wins,
/// then the newer media type, save that a wildcard yields `application/json`: who sends `*/*` is likely not to know
/// of the other. Event streams and pages are never given to a wildcard.
pub fn accept(headers: &HeaderMap, offers: &[Media]) -> Result<Media, Protocol> {
    let ranges = ranges(headers);
    if ranges.is_empty() && !headers.contains_key(header::ACCEPT) {
        return Ok(Media::Json);
    }
    let mut best: Option<((f32, u8, u8), Media)> = None;
    for &offer in offers {
        let (kind, subkind) = offer.name();
        let fits = |range: &&Range| -> Option<u8> {
            match (range.kind.as_str(), range.subkind.as_str()) {
                (a, b) if a == kind && b == subkind => Some(2),
                _ if matches!(offer, Media::EventStream | Media::Html) => None,
                (a, "*") if a == kind => Some(1),
                ("*", "*") => Some(0),
                _ => None,
            }
        };
        let most_specific = ranges
            .iter()
            .filter(|range| range.utf8)
            .filter_map(|range| Some((fits(&range)?, range.quality)))
            .max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        let Some((specificity, quality)) = most_specific.filter(|(_, quality)| *quality > 0.0) else { continue };
        let preference = match (offer, specificity) {
            (Media::GraphqlResponse, 2) => 2,
            (Media::Json, _) => 1,
            _ => 0,
        };
        let rank = (quality, specificity, preference);
        if best.is_none_or(|(other, _)| rank > other) {
            best = Some((rank, offer));
        }
    }
    best.map(|(_, media)| media).ok_or(NOT_ACCEPTABLE)
}

pub const NOT_ACCEPTABLE: Protocol = Protocol::new(
    StatusCode::NOT_ACCEPTABLE,
    "NOT_ACCEPTABLE",
    Text::new(
        "无法按 Accept 应答：请接受 application/graphql-response+json、application/json 或 text/event-stream（UTF-8）。",
        "Nothing that Accept names can be answered: accept application/graphql-response+json, application/json or text/event-stream, in UTF-8.",
    ),
);

pub const UNSUPPORTED: Protocol = Protocol::new(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "UNSUPPORTED_MEDIA_TYPE",
    Text::new(
        "只接受 UTF-8 编码、未压缩的 application/json；不支持 multipart。",
        "Send the request as application/json in UTF-8 and not compressed; multipart is not supported.",
    ),
);

/// Refuses every body but plain JSON in UTF-8. That a browser must ask before it sends such a body to another origin
/// is what keeps foreign pages from posting in a visitor's name.
pub fn content_type(headers: &HeaderMap) -> Result<(), Protocol> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(UNSUPPORTED.because("Content-Encoding"));
    }
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut pieces = value.unwrap_or("").split(';').map(str::trim);
    if !pieces.next().unwrap_or("").eq_ignore_ascii_case("application/json") {
        return Err(UNSUPPORTED);
    }
    for piece in pieces {
        let foreign = |(name, charset): (&str, &str)| name.trim().eq_ignore_ascii_case("charset") && !is_utf8(charset);
        if piece.split_once('=').is_some_and(foreign) {
            return Err(UNSUPPORTED.because(piece));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Media; 4] = [Media::GraphqlResponse, Media::Json, Media::EventStream, Media::Html];

    fn pick(accept_header: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept_header.parse().unwrap());
        accept(&headers, &ALL).ok()
    }

    #[test]
    fn quality_then_precision_decide() {
        assert_eq!(accept(&HeaderMap::new(), &ALL).ok(), Some(Media::Json));
        for (header, media) in [
            ("*/*", Some(Media::Json)),
            ("application/*", Some(Media::Json)),
            ("application/graphql-response+json, application/json", Some(Media::GraphqlResponse)),
            ("application/json, application/graphql-response+json", Some(Media::GraphqlResponse)),
            ("application/graphql-response+json;q=0.5, application/json;q=0.9", Some(Media::Json)),
            ("application/graphql-response+json; charset=UTF-8", Some(Media::GraphqlResponse)),
            ("application/json; charset=iso-8859-1", None),
            ("application/json;q=0, */*", Some(Media::GraphqlResponse)),
            ("text/event-stream", Some(Media::EventStream)),
            ("text/event-stream;q=0.1, application/json;q=0.2", Some(Media::Json)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Media::Html)),
            ("text/*", None),
            ("image/png", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(pick(header), media, "{header}");
        }
    }

    #[test]
    fn only_json_in_utf8_is_read() {
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            content_type(&headers).is_ok()
        };
        assert!(check("application/json"));
        assert!(check("Application/JSON; charset=\"UTF-8\""));
        assert!(!check("application/json; charset=gbk"));
        assert!(!check("text/plain"));
        assert!(!check("multipart/form-data; boundary=x"));
        assert!(content_type(&HeaderMap::new()).is_err());
    }
}
