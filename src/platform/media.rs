//! What kind of file some bytes are, by the bytes alone.
//!
//! A client's `Content-Type` and a file's name are claims of whoever sends it and are never believed. A file that begins
//! as one kind and can be read as another too (a polyglot) counts as what it begins as: whoever serves it again must do
//! so under the type found here and with `X-Content-Type-Options: nosniff`. What is shown to the public has to be whole
//! as well, without anything behind its end ([`is_whole`]): that is where such files keep their other nature.
//!
//! To admit another kind: a variant, its media type, and how its files begin and end. What a browser could run (SVG,
//! HTML) is not admitted.

mod whole;

pub use self::whole::is_whole;

/// The kinds of file that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    Pdf,
    Png,
    Jpeg,
    Webp,
    Gif,
    Mp4,
    /// A model in three dimensions: glTF in one binary file.
    Glb,
}

impl MediaType {
    pub const ALL: [MediaType; 7] = [Self::Pdf, Self::Png, Self::Jpeg, Self::Webp, Self::Gif, Self::Mp4, Self::Glb];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Mp4 => "video/mp4",
            Self::Glb => "model/gltf-binary",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What a file of this kind is called at its end, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Mp4 => "mp4",
            Self::Glb => "glb",
        }
    }

    pub fn is_image(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg | Self::Webp | Self::Gif)
    }
}

/// How many bytes of a file's beginning [`sniff`] looks at.
pub const SNIFFED_BYTES: usize = 16;

/// A PNG's signature is followed by its header chunk, which is 13 bytes long.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR";

/// The brands of ISO base media files that are MP4 films: not QuickTime, not HEIF pictures, not bare sound.
const MP4_BRANDS: [&[u8; 4]; 12] =
    [b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"MSNV"];

/// The kind of a file that begins with these bytes.
pub fn sniff(bytes: &[u8]) -> Option<MediaType> {
    match bytes {
        [b'%', b'P', b'D', b'F', b'-', major, ..] if major.is_ascii_digit() => Some(MediaType::Pdf),
        _ if bytes.starts_with(PNG) => Some(MediaType::Png),
        // "Start of image", and then a marker that may follow it: tables, a frame, application data or a comment.
        [0xff, 0xd8, 0xff, 0xc0..=0xcf | 0xdb | 0xdd | 0xe0..=0xef | 0xfe, ..] => Some(MediaType::Jpeg),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', b'V', b'P', b'8', b' ' | b'L' | b'X', ..] => {
            Some(MediaType::Webp)
        }
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(MediaType::Gif),
        [_, _, _, _, b'f', b't', b'y', b'p', a, b, c, d, ..] if MP4_BRANDS.contains(&&[*a, *b, *c, *d]) => {
            Some(MediaType::Mp4)
        }
        [b'g', b'l', b'T', b'F', 2, 0, 0, 0, ..] => Some(MediaType::Glb),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEGINNINGS: [&[u8]; 7] = [
        b"%PDF-1.4",
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
        b"\xff\xd8\xff\xdb",
        b"RIFF\x10\0\0\0WEBPVP8L",
        b"GIF89a",
        b"\0\0\0\x18ftypisom",
        b"glTF\x02\0\0\0\x0c\0\0\0",
    ];

    #[test]
    fn files_are_known_by_how_they_begin() {
        assert_eq!(sniff(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3"), Some(MediaType::Pdf));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01"), Some(MediaType::Png));
        assert_eq!(sniff(b"\xff\xd8\xff\xe0\0\x10JFIF\0"), Some(MediaType::Jpeg));
        assert_eq!(sniff(b"\xff\xd8\xff\xe1\0\x10Exif\0"), Some(MediaType::Jpeg));
        assert_eq!(sniff(b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0"), Some(MediaType::Webp));
        assert_eq!(sniff(b"GIF87a\x01\0\x01\0"), Some(MediaType::Gif));
        assert_eq!(sniff(b"\0\0\0\x20ftypmp42\0\0\0\0"), Some(MediaType::Mp4));
        assert_eq!(sniff(b"glTF\x02\0\0\0\x80\0\0\0"), Some(MediaType::Glb));
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
            b"GIF88a",
            b"RIFF\x24\0\0\0WAVEfmt ",
            b"RIFF\x24\0\0\0WEBPALPH",
            b"\0\0\0\x14ftypqt  ",
            b"\0\0\0\x14ftypheic",
            b"glTF\x01\0\0\0",
            b"PK\x03\x04",
            b"{\"asset\":{\"version\":\"2.0\"}}",
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
        assert_eq!(MediaType::parse("image/svg+xml"), None);
    }

    proptest! {
        #[test]
        fn the_beginning_alone_decides(bytes: Vec<u8>, kind in 0usize..BEGINNINGS.len()) {
            let file = [BEGINNINGS[kind], &bytes[..]].concat();
            prop_assert_eq!(sniff(&file), Some(MediaType::ALL[kind]));
            prop_assert_eq!(sniff(&file), sniff(&file[..file.len().min(SNIFFED_BYTES)]));
        }
    }
}
