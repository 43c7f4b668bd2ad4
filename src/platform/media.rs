//! What kind of file some bytes are, by the bytes alone.
//!
//! A client's `Content-Type` and a file's name are claims of whoever sends it and are never believed. A file that begins
//! as one kind and can be read as another too (a polyglot) counts as what it begins as: whoever serves it again must do
//! so under the type found here and with `X-Content-Type-Options: nosniff`.
//!
//! To admit another kind: a variant, its media type, and how its files begin.

/// The kinds of file that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    Pdf,
    Png,
    Jpeg,
}

impl MediaType {
    pub const ALL: [MediaType; 3] = [MediaType::Pdf, MediaType::Png, MediaType::Jpeg];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How many bytes of a file's beginning [`sniff`] looks at.
pub const SNIFFED_BYTES: usize = 16;

/// The kind of a file that begins with these bytes.
pub fn sniff(bytes: &[u8]) -> Option<MediaType> {
    // A PNG's signature is followed by its header chunk, which is 13 bytes long.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR";
    match bytes {
        [b'%', b'P', b'D', b'F', b'-', major, ..] if major.is_ascii_digit() => Some(MediaType::Pdf),
        _ if bytes.starts_with(PNG) => Some(MediaType::Png),
        // "Start of image", and then a marker that may follow it: tables, a frame, application data or a comment.
        [0xff, 0xd8, 0xff, 0xc0..=0xcf | 0xdb | 0xdd | 0xe0..=0xef | 0xfe, ..] => Some(MediaType::Jpeg),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_are_known_by_how_they_begin() {
        assert_eq!(sniff(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3"), Some(MediaType::Pdf));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01"), Some(MediaType::Png));
        assert_eq!(sniff(b"\xff\xd8\xff\xe0\0\x10JFIF\0"), Some(MediaType::Jpeg));
        assert_eq!(sniff(b"\xff\xd8\xff\xe1\0\x10Exif\0"), Some(MediaType::Jpeg));
    }

    #[test]
    fn what_only_resembles_one_is_none() {
        for other in [
            &b""[..],
            b"%PDF",
            b"%PDF-x",
            b" %PDF-1.7",
            b"\x89PNG\n\x1a\n",
            b"\x89PNG\r\n\x1a\n",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIDAT",
            b"\xff\xd8",
            b"\xff\xd8\xff\x00",
            b"<html>%PDF-1.7",
            b"GIF89a",
            b"PK\x03\x04",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\">",
        ] {
            assert_eq!(sniff(other), None, "{other:?}");
        }
    }

    #[test]
    fn every_kind_is_found_again_by_its_name() {
        for kind in MediaType::ALL {
            assert_eq!(MediaType::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(MediaType::parse("text/html"), None);
    }

    proptest! {
        #[test]
        fn the_beginning_alone_decides(bytes: Vec<u8>, kind in 0usize..3) {
            let beginnings: [&[u8]; 3] = [b"%PDF-1.4", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"\xff\xd8\xff\xdb"];
            let file = [beginnings[kind], &bytes[..]].concat();
            prop_assert_eq!(sniff(&file), Some(MediaType::ALL[kind]));
            prop_assert_eq!(sniff(&file), sniff(&file[..file.len().min(SNIFFED_BYTES)]));
        }
    }
}
