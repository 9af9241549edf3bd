//! A file's bytes to an upright picture of 8-bit RGB.
//!
//! The content decides the format; names and media types are ignored. All bounds are checked against the header
//! before any pixel is decoded. Then, in this order: the pixels as stored, the first frame of an animation; the orientation
//! of the EXIF data applied; 16-bit levels cut to the highest byte that they use; grey copied to three channels; transparency
//! laid over white, or over black where white letters would vanish. Colour profiles are ignored: levels are taken as sRGB,
//! as the published processors do.

use std::io::{BufRead, BufReader, Cursor, Seek};

use image::error::{ImageError, UnsupportedErrorKind};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, RgbImage};

use crate::decoding::Share;
use crate::format::{Format, ends_early};
use crate::png_parts::PngParts;
use crate::tiff_page::{Refusal, TiffPage};
use crate::tiff_pages::View;
use crate::{Limits, MediaError, Rgb, levels, tiff_pages};

/// Characters of a decoder's own message that are passed on.
const REASON_CHARS: usize = 160;
/// Bytes of a pixel of what comes out, and at most of what stands in a TIFF page of a rare kind.
const RGB_BYTES: u64 = 3;
const TIFF_SAMPLES_BYTES: u64 = 8;
const WEBP_BYTES: u64 = 4;

/// An upright picture, and the sizes `(width, height)` it had on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// As stored in the file, px.
    pub original: (u32, u32),
    /// After the EXIF orientation, px: the picture as a viewer shows it. Equal to the size of `image`.
    pub oriented: (u32, u32),
    pub image: Rgb,
}

/// Decodes JPEG, PNG, WebP, GIF, BMP or TIFF content, within `limits`: the first page of several.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, MediaError> {
    decode_page(bytes, 0, limits)
}

/// Decodes one page, counted from 0. Only TIFF files have more than one; [`pages`] counts them.
pub fn decode_page(bytes: &[u8], page: u32, limits: &Limits) -> Result<Decoded, MediaError> {
    let format = opened(bytes, limits)?;
    // The decoders are safe code with assertions in it. One that a hostile file triggers must end this
    // picture only; no state that it could leave inconsistent is visible here.
    let read = || match format {
        Format::Tiff => decode_tiff(bytes, page, limits),
        Format::Png if page == 0 => decode_as(format, PngParts::of(bytes), bytes, limits),
        _ if page == 0 => decode_as(format, Cursor::new(bytes), bytes, limits),
        _ => Err(MediaError::NoSuchPage { page, pages: 1 }),
    };
    ocellus_base::contained(read).unwrap_or_else(|| Err(damaged(format, "its data contradicts itself")))
}

/// How many pages a file has: those of a TIFF file, 1 for every other format. A page that is counted may still be damaged.
pub fn pages(bytes: &[u8], limits: &Limits) -> Result<u32, MediaError> {
    Ok(match opened(bytes, limits)? {
        Format::Tiff => tiff_pages::directories(bytes).len().max(1) as u32,
        _ => 1,
    })
}

/// How many frames an animation has; 1 for a still picture. Only the first is ever decoded.
pub fn frames(bytes: &[u8], limits: &Limits) -> Result<u32, MediaError> {
    Ok(match opened(bytes, limits)? {
        Format::Gif => crate::frames::of_gif(bytes),
        Format::Png => crate::frames::of_png(bytes),
        Format::WebP => crate::frames::of_webp(bytes),
        _ => 1,
    })
}

/// The format of a file within its bound.
fn opened(bytes: &[u8], limits: &Limits) -> Result<Format, MediaError> {
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
    Format::of(bytes)
}

/// Width and height of a picture as a viewer shows it, after the EXIF orientation, px; from its header alone, within `limits`. Equal
/// to [`Decoded::oriented`].
pub fn dimensions(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), MediaError> {
    if bytes.is_empty() {
        return Err(MediaError::Empty);
    }
    let format = Format::of(bytes)?;
    let read = || {
        let first = tiff_pages::directories(bytes).first().copied();
        let ((width, height), orientation) = match first.and_then(|first| TiffPage::of(bytes, first)) {
            Some(page) => (page.size, page.orientation),
            None => {
                let refused = |error| translate(format, limits, error);
                match format {
                    Format::Png => header(format, PngParts::of(bytes)).map_err(refused)?,
                    _ => header(format, Cursor::new(bytes)).map_err(refused)?,
                }
            }
        };
        check_size((width, height), limits)?;
        Ok(match orientation {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => (height, width),
            _ => (width, height),
        })
    };
    ocellus_base::contained(read).unwrap_or_else(|| Err(damaged(format, "its data contradicts itself")))
}

fn header(format: Format, source: impl BufRead + Seek) -> Result<((u32, u32), Orientation), ImageError> {
    let mut decoder = ImageReader::with_format(source, format.codec()).into_decoder()?;
    Ok((decoder.dimensions(), orientation(&mut decoder)))
}

fn decode_tiff(bytes: &[u8], page: u32, limits: &Limits) -> Result<Decoded, MediaError> {
    let format = Format::Tiff;
    let directories = tiff_pages::directories(bytes);
    let Some(&directory) = directories.get(page as usize) else {
        // A file without any is damaged, which the decoder explains.
        return match directories.len() {
            0 if page == 0 => decode_as(format, Cursor::new(bytes), bytes, limits),
            pages => Err(MediaError::NoSuchPage {
                page,
                pages: pages.max(1) as u32,
            }),
        };
    };
    if let Some(page) = TiffPage::of(bytes, directory) {
        check_size(page.size, limits)?;
        let (original, orientation) = (page.size, page.orientation);
        let _share = Share::take(memory(page.size, TIFF_SAMPLES_BYTES));
        let picture = page
            .decode(limits.decode_bytes)
            .map_err(|refusal| match refusal {
                Refusal::Unsupported(found) => MediaError::UnsupportedPixels {
                    format: format.name(),
                    found: one_line(&found),
                },
                Refusal::TooMuchMemory(found) => MediaError::TooMuchMemory {
                    format: format.name(),
                    found,
                    allowed: limits.decode_bytes,
                },
                Refusal::Damaged(found) => damaged(format, &found),
            })?;
        let colour = picture.color();
        return finished(format, (picture.into_bytes(), colour), original, orientation);
    }
    let view = View::of_page(bytes, directory).ok_or_else(|| damaged(format, "no directory"))?;
    decode_as(format, BufReader::new(view), bytes, limits)
}

fn decode_as(
    format: Format,
    source: impl BufRead + Seek,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Decoded, MediaError> {
    let refused = |error: ImageError| translate(format, limits, error);
    let mut reader = ImageReader::with_format(source, format.codec());
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
    let orientation = orientation(&mut decoder);
    let colour = decoder.color_type();
    // Decoders of WebP unpack to a buffer of their own.
    let inside = if format == Format::WebP { WEBP_BYTES } else { 0 };
    let _share = Share::take(memory(original, u64::from(colour.bytes_per_pixel()) + inside));
    let mut samples = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut samples).map_err(refused)?;
    finished(format, (samples, colour), original, orientation)
}

/// Memory of a picture while it is decoded from samples of so many bytes a pixel: these, and 8-bit RGB, which turning takes twice.
fn memory((width, height): (u32, u32), sample_bytes: u64) -> u64 {
    u64::from(width) * u64::from(height) * (sample_bytes.max(RGB_BYTES) + RGB_BYTES)
}

/// As 8-bit RGB, turned as its orientation says.
fn finished(
    format: Format,
    (samples, colour): (Vec<u8>, ColorType),
    original: (u32, u32),
    orientation: Orientation,
) -> Result<Decoded, MediaError> {
    let data = levels::to_rgb(samples, colour).ok_or_else(|| MediaError::UnsupportedPixels {
        format: format.name(),
        found: "floating-point pixels".into(),
    })?;
    let picture = RgbImage::from_raw(original.0, original.1, data);
    let picture = picture.ok_or_else(|| damaged(format, "rows are missing"))?;
    let mut picture = DynamicImage::ImageRgb8(picture);
    picture.apply_orientation(orientation);
    let oriented = (picture.width(), picture.height());
    let data = picture.into_bytes();
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

/// Orientation is optional: a valid picture with damaged metadata is not refused.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
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
