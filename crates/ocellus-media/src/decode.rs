//! A file's bytes to an upright picture of 8-bit RGB.
//!
//! The content decides the format; names and media types are ignored. All bounds are checked against the header
//! before any pixel is decoded. Then, in this order: the pixels as stored, the first frame of an animation; 16-bit
//! levels cut to their high byte; grey copied to three channels; transparency laid over white; the orientation of the
//! EXIF data applied. Colour profiles are ignored: levels are taken as sRGB, as the published processors do.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::error::{ImageError, UnsupportedErrorKind};
use image::{DynamicImage, ImageDecoder, ImageReader};

use crate::format::{Format, ends_early};
use crate::{Limits, MediaError, Rgb};

/// Characters of a decoder's own message that are passed on.
const REASON_CHARS: usize = 160;

/// An upright picture, and the sizes `(width, height)` it had on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// As stored in the file, px.
    pub original: (u32, u32),
    /// After the EXIF orientation, px: the picture as a viewer shows it. Equal to the size of `image`.
    pub oriented: (u32, u32),
    pub image: Rgb,
}

/// Decodes JPEG, PNG, WebP, GIF, BMP or TIFF content, within `limits`.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, MediaError> {
    if bytes.is_empty() {
        return Err(MediaError::Empty);
    }
    let found = bytes.len() as u64;
    if found > limits.encoded_bytes {
        return Err(MediaError::TooManyBytes {
            found,
            allowed: limits.encoded_bytes,
        });
    }
    let format = Format::of(bytes)?;
    // The decoders are safe code with assertions in it. One that a hostile file triggers must end this
    // picture only; no state that it could leave inconsistent is visible here.
    catch_unwind(AssertUnwindSafe(|| decode_as(format, bytes, limits)))
        .unwrap_or_else(|_| Err(damaged(format, "its data contradicts itself")))
}

/// Width and height of a picture as stored, px, from its header alone, within `limits`.
pub fn dimensions(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), MediaError> {
    if bytes.is_empty() {
        return Err(MediaError::Empty);
    }
    let format = Format::of(bytes)?;
    let read = || {
        let reader = ImageReader::with_format(Cursor::new(bytes), format.codec());
        let size = reader.into_dimensions();
        let size = size.map_err(|error| translate(format, limits, error))?;
        check_size(size, limits).map(|()| size)
    };
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(damaged(format, "its data contradicts itself")))
}

fn decode_as(format: Format, bytes: &[u8], limits: &Limits) -> Result<Decoded, MediaError> {
    let refused = |error: ImageError| translate(format, limits, error);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.codec());
    let mut bounds = image::Limits::no_limits();
    bounds.max_alloc = Some(limits.decode_bytes);
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(refused)?;

    let original = decoder.dimensions();
    check_size(original, limits)?;
    if decoder.total_bytes() > limits.decode_bytes {
        let found = format!("{} bytes", decoder.total_bytes());
        return Err(MediaError::TooMuchMemory {
            format: format.name(),
            found,
            allowed: limits.decode_bytes,
        });
    }
    if ends_early(format, bytes) {
        return Err(damaged(format, "no end marker"));
    }
    // Orientation is optional: a valid picture with damaged metadata is not refused.
    let orientation = decoder
        .orientation()
        .unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    picture.apply_orientation(orientation);
    let oriented = (picture.width(), picture.height());
    let data = to_rgb(picture).ok_or_else(|| MediaError::UnsupportedPixels {
        format: format.name(),
        found: "floating-point pixels".into(),
    })?;
    Ok(Decoded {
        original,
        oriented,
        image: Rgb {
            width: oriented.0,
            height: oriented.1,
            data,
        },
    })
}

fn check_size((width, height): (u32, u32), limits: &Limits) -> Result<(), MediaError> {
    if width == 0 || height == 0 {
        return Err(MediaError::NoPixels { width, height });
    }
    let (long, short) = (width.max(height), width.min(height));
    if long > limits.side_px {
        return Err(MediaError::SideTooLong {
            width,
            height,
            allowed: limits.side_px,
        });
    }
    let found = u64::from(width) * u64::from(height);
    if found > limits.picture_px {
        return Err(MediaError::TooManyPixels {
            width,
            height,
            found,
            allowed: limits.picture_px,
        });
    }
    if u64::from(long) > u64::from(short) * u64::from(limits.aspect_ratio) {
        return Err(MediaError::TooNarrow {
            width,
            height,
            allowed: limits.aspect_ratio,
        });
    }
    Ok(())
}

/// 8-bit RGB of any integer picture; `None` for floating-point ones.
fn to_rgb(picture: DynamicImage) -> Option<Vec<u8>> {
    let high = |levels: Vec<u16>| {
        levels
            .into_iter()
            .map(|level| (level >> 8) as u8)
            .collect::<Vec<u8>>()
    };
    Some(match picture {
        DynamicImage::ImageRgb8(pixels) => pixels.into_raw(),
        DynamicImage::ImageRgba8(pixels) => over_white::<4>(&pixels),
        DynamicImage::ImageLuma8(pixels) => triple(&pixels),
        DynamicImage::ImageLumaA8(pixels) => over_white::<2>(&pixels),
        DynamicImage::ImageRgb16(pixels) => high(pixels.into_raw()),
        DynamicImage::ImageRgba16(pixels) => over_white::<4>(&high(pixels.into_raw())),
        DynamicImage::ImageLuma16(pixels) => triple(&high(pixels.into_raw())),
        DynamicImage::ImageLumaA16(pixels) => over_white::<2>(&high(pixels.into_raw())),
        _ => return None,
    })
}

fn triple(levels: &[u8]) -> Vec<u8> {
    levels.iter().flat_map(|&level| [level; 3]).collect()
}

/// Lays pixels of `CHANNELS` channels, the last of them alpha, over white.
fn over_white<const CHANNELS: usize>(levels: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(levels.len() / CHANNELS * 3);
    for pixel in levels.as_chunks::<CHANNELS>().0 {
        let alpha = u32::from(pixel[CHANNELS - 1]);
        let colours = if CHANNELS == 4 {
            [pixel[0], pixel[1], pixel[2]]
        } else {
            [pixel[0]; 3]
        };
        out.extend(colours.map(|level| divide_by_255(u32::from(level) * alpha + 255 * (255 - alpha))));
    }
    out
}

/// The nearest integer to `value / 255`, for values up to 255 * 255.
fn divide_by_255(value: u32) -> u8 {
    let biased = value + 128;
    ((biased + (biased >> 8)) >> 8) as u8
}

fn translate(format: Format, limits: &Limits, error: ImageError) -> MediaError {
    let reason = error.to_string();
    match error {
        ImageError::Unsupported(what) => {
            let found = match what.kind() {
                UnsupportedErrorKind::Color(colour) => format!("{colour:?}"),
                _ => one_line(&reason),
            };
            MediaError::UnsupportedPixels {
                format: format.name(),
                found,
            }
        }
        ImageError::Limits(_) => MediaError::TooMuchMemory {
            format: format.name(),
            found: one_line(&reason),
            allowed: limits.decode_bytes,
        },
        _ => damaged(format, &reason),
    }
}

fn damaged(format: Format, reason: &str) -> MediaError {
    MediaError::Damaged {
        format: format.name(),
        found: one_line(reason),
    }
}

fn one_line(reason: &str) -> String {
    reason
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(REASON_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_rounds_to_nearest() {
        for value in 0..=255 * 255u32 {
            assert_eq!(
                u32::from(divide_by_255(value)),
                (value * 2 + 255) / 510,
                "{value}"
            );
        }
    }

    #[test]
    fn alpha_is_laid_over_white() {
        assert_eq!(
            over_white::<4>(&[10, 20, 30, 255, 10, 20, 30, 0]),
            [10, 20, 30, 255, 255, 255]
        );
        assert_eq!(over_white::<2>(&[0, 128]), [127; 3]);
    }
}
