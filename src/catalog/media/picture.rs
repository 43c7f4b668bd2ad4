//! Pictures: how large they are, and small ones of them.
//!
//! A few bytes can claim any number of pixels, so nothing is decoded before its size was read and found small enough,
//! and the decoder holds itself to a limit of memory. Of an animation the first frame counts.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::model::Thumbnail;
use crate::platform::media::MediaType;

/// Pixels on a side, and in all.
const LONGEST_SIDE: u32 = 16_384;
const MOST_PIXELS: u64 = 40_000_000;

/// What a decoder may take: 40 million pixels of eight bytes, and as much again for its own work is refused.
const MEMORY: u64 = 384 * 1024 * 1024;

/// The longer side of a thumbnail.
const SMALL_SIDE: u32 = 512;
const JPEG_QUALITY: u8 = 82;

/// Why a picture cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    TooLarge,
    Damaged,
}

/// Width and height, from the picture's header alone.
pub fn pixels(kind: MediaType, bytes: &[u8]) -> Result<(i32, i32), Unreadable> {
    let (width, height) = reader(kind, bytes)?.into_dimensions().map_err(|_| Unreadable::Damaged)?;
    if width == 0 || height == 0 {
        return Err(Unreadable::Damaged);
    }
    if width > LONGEST_SIDE || height > LONGEST_SIDE || u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(Unreadable::TooLarge);
    }
    let side = |side: u32| i32::try_from(side).map_err(|_| Unreadable::TooLarge);
    Ok((side(width)?, side(height)?))
}

/// A small picture, upright, and of which kind it is.
pub fn thumbnail(kind: MediaType, bytes: &[u8]) -> Result<(Thumbnail, Vec<u8>), Unreadable> {
    pixels(kind, bytes)?;
    let mut decoder = reader(kind, bytes)?.into_decoder().map_err(|_| Unreadable::Damaged)?;
    let orientation = decoder.orientation().map_err(|_| Unreadable::Damaged)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|_| Unreadable::Damaged)?;
    if picture.width() > SMALL_SIDE || picture.height() > SMALL_SIDE {
        picture = picture.thumbnail(SMALL_SIDE, SMALL_SIDE);
    }
    picture.apply_orientation(orientation);
    let mut small = Vec::new();
    let kind = if picture.color().has_alpha() {
        let written = picture.to_rgba8().write_to(&mut Cursor::new(&mut small), ImageFormat::Png);
        written.map(|()| Thumbnail::Png)
    } else {
        let encoder = JpegEncoder::new_with_quality(&mut small, JPEG_QUALITY);
        picture.to_rgb8().write_with_encoder(encoder).map(|()| Thumbnail::Jpeg)
    };
    Ok((kind.map_err(|_| Unreadable::Damaged)?, small))
}

fn reader(kind: MediaType, bytes: &[u8]) -> Result<ImageReader<Cursor<&[u8]>>, Unreadable> {
    let format = match kind {
        MediaType::Png => ImageFormat::Png,
        MediaType::Jpeg => ImageFormat::Jpeg,
        MediaType::Webp => ImageFormat::WebP,
        MediaType::Gif => ImageFormat::Gif,
        MediaType::Pdf | MediaType::Mp4 | MediaType::Glb => return Err(Unreadable::Damaged),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), format).expect("it can be written");
        bytes
    }

    fn formats() -> [(MediaType, ImageFormat); 4] {
        [
            (MediaType::Png, ImageFormat::Png),
            (MediaType::Jpeg, ImageFormat::Jpeg),
            (MediaType::Webp, ImageFormat::WebP),
            (MediaType::Gif, ImageFormat::Gif),
        ]
    }

    #[test]
    fn each_kind_has_a_size_and_a_thumbnail() {
        let picture = DynamicImage::from(RgbImage::from_pixel(1024, 256, Rgb([200, 30, 60])));
        for (kind, format) in formats() {
            let bytes = written(&picture, format);
            assert_eq!(crate::platform::media::sniff(&bytes), Some(kind));
            assert!(crate::platform::media::is_whole(kind, &bytes), "{kind:?} as its own encoder writes it");
            assert_eq!(pixels(kind, &bytes), Ok((1024, 256)), "{kind:?}");
            let (made, small) = thumbnail(kind, &bytes).expect("it can be read");
            let made = made.media_type().expect("a picture");
            assert_eq!(pixels(made, &small), Ok((512, 128)), "{kind:?}");
        }
    }

    #[test]
    fn what_is_transparent_stays_so_and_what_is_small_is_not_blown_up() {
        let bytes = written(&DynamicImage::from(RgbaImage::new(20, 10)), ImageFormat::Png);
        let (kind, small) = thumbnail(MediaType::Png, &bytes).expect("it can be read");
        assert_eq!((kind, pixels(MediaType::Png, &small)), (Thumbnail::Png, Ok((20, 10))));
    }

    #[test]
    fn a_claim_of_too_many_pixels_is_refused_before_anything_is_decoded() {
        let mut bytes = written(&DynamicImage::from(RgbImage::new(1, 1)), ImageFormat::Png);
        for (width, height) in
            [(60_000_u32, 60_000_u32), (16_385, 1), (1, 16_385), (8_000, 5_001), (1_000_000, 1_000_000)]
        {
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            // The header's checksum, so that it is the size alone that is wrong.
            let sum = crc32(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&sum.to_be_bytes());
            assert_eq!(pixels(MediaType::Png, &bytes), Err(Unreadable::TooLarge), "{width} by {height}");
            assert_eq!(thumbnail(MediaType::Png, &bytes), Err(Unreadable::TooLarge));
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn broken_pictures_are_refused_and_never_panic(kind in 0usize..4, at: usize, byte: u8, length: usize) {
            let (kind, format) = formats()[kind];
            let picture = DynamicImage::from(RgbImage::from_fn(24, 24, |x, y| Rgb([x as u8 * 9, y as u8 * 9, 77])));
            let mut bytes = written(&picture, format);
            let place = at % bytes.len();
            bytes[place] = byte;
            bytes.truncate(length % bytes.len() + 1);
            let _ = pixels(kind, &bytes);
            let _ = thumbnail(kind, &bytes);
        }
    }
}
