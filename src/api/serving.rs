//! Objects over HTTP: whole or in parts (RFC 9110, sections 13 and 14), for whoever has been let through.
//!
//! What is served was once sent by a stranger, so no browser is to make anything of it: it has the type that was found in
//! its bytes and a name of our making, and may not be sniffed, framed or run.

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::platform::fault::Fault;
use crate::platform::media::MediaType;
use crate::platform::objects::{Key, Objects};

/// How an object is to be served.
pub struct Serving<'a> {
    pub key: &'a Key,
    pub media_type: MediaType,
    /// What names its content for ever, without quotes. An object never changes, so this is a strong validator.
    pub tag: String,
    pub cache: &'static str,
    pub disposition: Disposition,
}

/// What a browser does with an object that it is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It shows it; pages of any origin may.
    Inline,
    /// It keeps it; only our own pages may show it.
    Attachment,
}

/// Answers a GET or a HEAD.
pub async fn serve(
    objects: &Objects,
    serving: &Serving<'_>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Fault> {
    let size = objects.head(serving.key).await?.ok_or(Fault::NotFound)?;
    let tag = format!("\"{}\"", serving.tag);
    let mut answer = match part(headers, &tag, size) {
        Part::Unchanged => StatusCode::NOT_MODIFIED.into_response(),
        Part::Outside => {
            let mut answer = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            answer.headers_mut().insert(header::CONTENT_RANGE, value(format!("bytes */{size}"))?);
            answer
        }
        Part::Whole => bytes(objects, serving, method, 0..size).await?,
        Part::Range(range) => {
            let said = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let mut answer = bytes(objects, serving, method, range).await?;
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            answer.headers_mut().insert(header::CONTENT_RANGE, value(said)?);
            answer
        }
    };
    let about = answer.headers_mut();
    about.insert(header::ETAG, value(tag)?);
    about.insert(header::CACHE_CONTROL, HeaderValue::from_static(serving.cache));
    about.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    for (name, said) in harmless(serving.disposition) {
        about.insert(name, HeaderValue::from_static(said));
    }
    Ok(answer)
}

async fn bytes(
    objects: &Objects,
    serving: &Serving<'_>,
    method: &Method,
    range: Range<u64>,
) -> Result<Response, Fault> {
    let length = range.end - range.start;
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(objects.read(serving.key, range).await?.ok_or(Fault::NotFound)?)
    };
    let kind = match serving.disposition {
        Disposition::Inline => "inline",
        Disposition::Attachment => "attachment",
    };
    let (name, extension) = (serving.key.object().simple(), serving.media_type.extension());
    let mut answer = body.into_response();
    let about = answer.headers_mut();
    about.insert(header::CONTENT_TYPE, HeaderValue::from_static(serving.media_type.as_str()));
    about.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    about.insert(header::CONTENT_DISPOSITION, value(format!("{kind}; filename=\"{name}.{extension}\""))?);
    Ok(answer)
}

fn value(text: String) -> Result<HeaderValue, Fault> {
    HeaderValue::try_from(text).map_err(Fault::internal)
}

fn harmless(disposition: Disposition) -> [(HeaderName, &'static str); 4] {
    let readers = match disposition {
        Disposition::Inline => "cross-origin",
        Disposition::Attachment => "same-site",
    };
    [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), readers),
    ]
}

/// How much of an object is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// The client has it.
    Unchanged,
    Whole,
    Range(Range<u64>),
    /// Nothing of it lies there.
    Outside,
}

fn part(headers: &HeaderMap, tag: &str, size: u64) -> Part {
    let said = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // Several headers of one name are one list.
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|list| list.split(',')).map(str::trim).any(|candidate| {
        // "Weak comparison": a client that only means the same is served alike.
        candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate) == tag
    });
    if is_known {
        return Part::Unchanged;
    }
    let Some(range) = said(header::RANGE) else { return Part::Whole };
    // "Strong comparison", and no dates: who had another version gets all of this one.
    if headers.contains_key(header::IF_RANGE) && said(header::IF_RANGE).map(str::trim) != Some(tag) {
        return Part::Whole;
    }
    read_range(range, size)
}

/// One range of bytes. What is not understood, or asks for several, is answered with the whole, as anybody may.
fn read_range(text: &str, size: u64) -> Part {
    let Some((unit, range)) = text.split_once('=') else { return Part::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    let Some((first, last)) = range.trim().split_once('-') else { return Part::Whole };
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // More than fits is beyond every end.
        is_number.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let range = match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            Some(0) => return Part::Outside,
            Some(count) => size.saturating_sub(count)..size,
            None => return Part::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => first..size,
            None => return Part::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
            _ => return Part::Whole,
        },
    };
    if range.start >= size { Part::Outside } else { Part::Range(range) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const TAG: &str = "\"abc\"";

    fn headers(said: &[(HeaderName, &str)]) -> HeaderMap {
        said.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect()
    }

    #[rstest]
    #[case("bytes=0-0", Part::Range(0..1))]
    #[case("bytes=0-9", Part::Range(0..10))]
    #[case("bytes=3-5", Part::Range(3..6))]
    #[case("bytes=3-", Part::Range(3..10))]
    #[case("bytes=9-9", Part::Range(9..10))]
    #[case("bytes=3-100", Part::Range(3..10))]
    #[case("bytes=0-99999999999999999999999", Part::Range(0..10))]
    #[case("bytes=-4", Part::Range(6..10))]
    #[case("bytes=-100", Part::Range(0..10))]
    #[case("BYTES = 1-2", Part::Range(1..3))]
    #[case("bytes=10-", Part::Outside)]
    #[case("bytes=10-20", Part::Outside)]
    #[case("bytes=99999999999999999999999-", Part::Outside)]
    #[case("bytes=-0", Part::Outside)]
    #[case("bytes=5-3", Part::Whole)]
    #[case("bytes=0-1,3-4", Part::Whole)]
    #[case("bytes=", Part::Whole)]
    #[case("bytes=-", Part::Whole)]
    #[case("bytes=+1-2", Part::Whole)]
    #[case("bytes=a-b", Part::Whole)]
    #[case("lines=0-1", Part::Whole)]
    #[case("0-1", Part::Whole)]
    fn ranges_are_read_as_the_standard_says(#[case] said: &str, #[case] expected: Part) {
        assert_eq!(read_range(said, 10), expected);
    }

    #[rstest]
    #[case(&[], Part::Whole)]
    #[case(&[(header::IF_NONE_MATCH, "\"abc\"")], Part::Unchanged)]
    #[case(&[(header::IF_NONE_MATCH, "\"x\", W/\"abc\"")], Part::Unchanged)]
    #[case(&[(header::IF_NONE_MATCH, "*")], Part::Unchanged)]
    #[case(&[(header::IF_NONE_MATCH, "abc")], Part::Whole)]
    #[case(&[(header::IF_NONE_MATCH, "\"abc\""), (header::RANGE, "bytes=0-1")], Part::Unchanged)]
    #[case(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, "\"abc\"")], Part::Range(0..2))]
    #[case(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, "\"abd\"")], Part::Whole)]
    #[case(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, "W/\"abc\"")], Part::Whole)]
    #[case(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, "Sat, 21 Nov 2026 00:00:00 GMT")], Part::Whole)]
    #[case(&[(header::RANGE, "bytes=20-"), (header::IF_RANGE, "\"abd\"")], Part::Whole)]
    fn conditions_come_before_ranges(#[case] said: &[(HeaderName, &str)], #[case] expected: Part) {
        assert_eq!(part(&headers(said), TAG, 10), expected);
    }

    proptest! {
        #[test]
        fn a_range_lies_within_the_object_whatever_is_said(text in "bytes=[0-9]{0,21}-[0-9]{0,21}|.{0,30}", size in 1u64..1000) {
            if let Part::Range(range) = read_range(&text, size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
