//! Whether a file is whole and ends where its own format says that it ends.
//!
//! Each format is walked from block to block by the lengths that it gives itself; nothing is decoded. What is cut off
//! does not reach its end, and what has something appended (a page, an archive) goes on behind it.

use super::{MediaType, PNG};

/// Whether `bytes`, which begin as a file of this kind, are one such file from the first byte to the last.
pub fn is_whole(kind: MediaType, bytes: &[u8]) -> bool {
    let walked = match kind {
        // Never shown to the public, and its end is a matter of taste among its writers.
        MediaType::Pdf => Some(bytes.len()),
        MediaType::Png => png(bytes),
        MediaType::Jpeg => jpeg(bytes),
        MediaType::Webp => webp(bytes),
        MediaType::Gif => gif(bytes),
        MediaType::Mp4 => mp4(bytes),
        MediaType::Glb => glb(bytes),
    };
    walked == Some(bytes.len())
}

/// Reads along a file; beyond its end there is nothing.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn big_u16(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_be_bytes(self.take(2)?.try_into().ok()?)))
    }

    fn big_u32(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.take(4)?.try_into().ok()?)).ok()
    }

    fn little_u32(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.take(4)?.try_into().ok()?)).ok()
    }
}

/// Chunks (length, name, content, checksum) up to IEND.
fn png(bytes: &[u8]) -> Option<usize> {
    let mut walk = Walk::new(bytes, PNG.len() - 8);
    loop {
        let length = walk.big_u32()?;
        let name = walk.take(4)?;
        walk.take(length.checked_add(4)?)?;
        if name == b"IEND" {
            return (length == 0).then_some(walk.at);
        }
    }
}

/// Segments, then for each scan its compressed bytes, in which FF stands only before 00 or a restart marker.
fn jpeg(bytes: &[u8]) -> Option<usize> {
    const END: u8 = 0xd9;
    const SCAN: u8 = 0xda;
    let mut walk = Walk::new(bytes, 2);
    loop {
        if walk.byte()? != 0xff {
            return None;
        }
        let mut marker = walk.byte()?;
        while marker == 0xff {
            marker = walk.byte()?;
        }
        match marker {
            END => return Some(walk.at),
            0xd0..=0xd7 | 0x01 => {}
            _ => {
                let length = walk.big_u16()?;
                walk.take(length.checked_sub(2)?)?;
                if marker == SCAN {
                    skip_scan(&mut walk)?;
                }
            }
        }
    }
}

/// To the marker that ends a scan.
fn skip_scan(walk: &mut Walk<'_>) -> Option<()> {
    loop {
        if walk.byte()? == 0xff && !matches!(walk.bytes.get(walk.at)?, 0x00 | 0xd0..=0xd7 | 0xff) {
            walk.at -= 1;
            return Some(());
        }
    }
}

/// One RIFF of the length that it gives; an odd length is padded.
fn webp(bytes: &[u8]) -> Option<usize> {
    let length = Walk::new(bytes, 4).little_u32()?;
    let mut walk = Walk::new(bytes, 12);
    let end = length.checked_add(8)?;
    while walk.at < end {
        walk.take(4)?;
        let length = walk.little_u32()?;
        walk.take(length.checked_add(length % 2)?)?;
    }
    (walk.at == end).then_some(end)
}

/// Screen, then extensions and pictures in blocks, then the trailer.
fn gif(bytes: &[u8]) -> Option<usize> {
    let colours = |packed: u8| if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) };
    let mut walk = Walk::new(bytes, 6);
    let screen = walk.take(7)?;
    walk.take(colours(screen[4]))?;
    loop {
        match walk.byte()? {
            b'!' => {
                walk.byte()?;
            }
            b',' => {
                let picture = walk.take(9)?;
                walk.take(colours(picture[8]))?;
                walk.byte()?;
            }
            b';' => return Some(walk.at),
            _ => return None,
        }
        loop {
            match walk.byte()? {
                0 => break,
                length => walk.take(length.into())?,
            };
        }
    }
}

/// Boxes up to the file's last byte; among them the film's table of contents, and the film.
fn mp4(bytes: &[u8]) -> Option<usize> {
    let mut walk = Walk::new(bytes, 0);
    let (mut has_contents, mut has_film) = (false, false);
    while walk.at < bytes.len() {
        let begin = walk.at;
        let short = walk.big_u32()?;
        let name = walk.take(4)?;
        let length = match short {
            // "To the end" would let anything stand there.
            0 => return None,
            1 => usize::try_from(u64::from_be_bytes(walk.take(8)?.try_into().ok()?)).ok()?,
            short => short,
        };
        if !name.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == 0xa9) {
            return None;
        }
        has_contents |= name == b"moov";
        has_film |= name == b"mdat";
        let read = walk.at - begin;
        walk.take(length.checked_sub(read)?)?;
    }
    (has_contents && has_film).then_some(walk.at)
}

/// The length that the header gives, filled with chunks of which the first is JSON.
fn glb(bytes: &[u8]) -> Option<usize> {
    let mut walk = Walk::new(bytes, 8);
    let length = walk.little_u32()?;
    let mut chunks = 0;
    while walk.at < length {
        let content = walk.little_u32()?;
        let name = walk.take(4)?;
        if (name == b"JSON") != (chunks == 0) {
            return None;
        }
        walk.take(content)?;
        chunks += 1;
    }
    (chunks > 0 && walk.at == length).then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sniff;
    use super::*;

    /// A file of each kind, as small as may be.
    fn samples() -> Vec<(MediaType, Vec<u8>)> {
        let chunk = |name: &[u8], content: &[u8]| {
            [&u32::try_from(content.len()).expect("small").to_be_bytes()[..], name, content, &[1, 2, 3, 4]].concat()
        };
        let png =
            [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &[0; 13]), &chunk(b"IDAT", &[7; 20]), &chunk(b"IEND", b"")];
        let jpeg: &[&[u8]] = &[
            b"\xff\xd8",
            b"\xff\xe0\x00\x04ab",
            b"\xff\xda\x00\x03x",
            b"\x12\xff\x00\x34\xff\xd0\x56",
            b"\xff\xfe\x00\x05abc",
            b"\xff\xda\x00\x03x",
            b"\x99",
            b"\xff\xd9",
        ];
        let webp: &[&[u8]] = &[b"RIFF\x10\0\0\0WEBP", b"VP8L\x03\0\0\0abc\0"];
        let gif: &[&[u8]] = &[
            b"GIF89a",
            b"\x01\0\x01\0\x80\0\0abcdef",
            b"!\xf9\x04\0\0\0\0\0",
            b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0",
            b";",
        ];
        let mp4: &[&[u8]] =
            &[b"\0\0\0\x14ftypisom\0\0\0\0avc1", b"\0\0\0\x0cmoovabcd", b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x14abcd"];
        let glb: &[&[u8]] = &[b"glTF\x02\0\0\0\x2c\0\0\0", b"\x04\0\0\0JSON{}  ", b"\x0c\0\0\0BIN\0abcdefghijkl"];
        vec![
            (MediaType::Png, png.concat()),
            (MediaType::Jpeg, jpeg.concat()),
            (MediaType::Webp, webp.concat()),
            (MediaType::Gif, gif.concat()),
            (MediaType::Mp4, mp4.concat()),
            (MediaType::Glb, glb.concat()),
        ]
    }

    #[test]
    fn whole_files_are_whole_and_no_part_of_one_is() {
        for (kind, file) in samples() {
            assert_eq!(sniff(&file), Some(kind));
            assert!(is_whole(kind, &file), "{kind:?}");
            for end in 16..file.len() {
                assert!(!is_whole(kind, &file[..end]), "{kind:?} cut at {end} of {}", file.len());
            }
        }
    }

    #[test]
    fn a_film_needs_its_table_of_contents_and_may_not_end_anywhere() {
        assert!(!is_whole(MediaType::Mp4, b"\0\0\0\x14ftypisom\0\0\0\0avc1"));
        assert!(!is_whole(MediaType::Mp4, b"\0\0\0\x14ftypisom\0\0\0\0avc1\0\0\0\x08mdat"));
        assert!(!is_whole(MediaType::Mp4, b"\0\0\0\x14ftypisom\0\0\0\0avc1\0\0\0\x08moov\0\0\0\0mdat<script>"));
    }

    proptest! {
        #[test]
        fn nothing_may_stand_behind_the_end(kind in 0usize..6, behind in proptest::collection::vec(any::<u8>(), 1..64)) {
            let (kind, file) = samples().swap_remove(kind);
            // Further boxes are a film's own affair: they are read as boxes.
            if kind != MediaType::Mp4 {
                prop_assert!(!is_whole(kind, &[&file[..], &behind].concat()));
            }
        }

        #[test]
        fn garbage_neither_panics_nor_runs_on(kind in 0usize..6, at: usize, byte: u8, rest: Vec<u8>) {
            let (kind, mut file) = samples().swap_remove(kind);
            let place = at % file.len();
            file[place] = byte;
            file.extend(rest);
            let _ = is_whole(kind, &file);
        }
    }
}
