//! Which kind of file some bytes are.

use image::ImageFormat;

use crate::MediaError;

/// The kinds of picture that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Bmp,
    Gif,
    Jpeg,
    Png,
    Tiff,
    WebP,
}

impl Format {
    /// Tells the format by the first bytes.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, MediaError> {
        match image::guess_format(bytes) {
            Ok(ImageFormat::Bmp) => Ok(Self::Bmp),
            Ok(ImageFormat::Gif) => Ok(Self::Gif),
            Ok(ImageFormat::Jpeg) => Ok(Self::Jpeg),
            Ok(ImageFormat::Png) => Ok(Self::Png),
            Ok(ImageFormat::Tiff) => Ok(Self::Tiff),
            Ok(ImageFormat::WebP) => Ok(Self::WebP),
            Ok(other) => Err(MediaError::UnsupportedFormat {
                found: other.extensions_str().first().unwrap_or(&"?"),
            }),
            // TIFF with offsets of 64 bits.
            Err(_) if bytes.starts_with(b"II\x2b\0") || bytes.starts_with(b"MM\0\x2b") => Ok(Self::Tiff),
            Err(_) => match &bytes[4.min(bytes.len())..12.min(bytes.len())] {
                b"ftypheic" | b"ftypheix" | b"ftypmif1" => {
                    Err(MediaError::UnsupportedFormat { found: "heic" })
                }
                _ => Err(MediaError::NotAPicture {
                    found: describe(bytes),
                }),
            },
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Tiff => "TIFF",
            Self::WebP => "WebP",
        }
    }

    pub(crate) fn codec(self) -> ImageFormat {
        match self {
            Self::Bmp => ImageFormat::Bmp,
            Self::Gif => ImageFormat::Gif,
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Tiff => ImageFormat::Tiff,
            Self::WebP => ImageFormat::WebP,
        }
    }
}

/// Whether a JPEG file stops before its end marker. The decoder would fill the missing part with grey, and a reader
/// of text would never learn that half of the page was not there. The other decoders report it themselves.
///
/// Scan data never holds an unescaped marker, so after the last start of a scan there must be an end of image.
pub(crate) fn ends_early(format: Format, bytes: &[u8]) -> bool {
    const START_OF_SCAN: [u8; 2] = [0xff, 0xda];
    const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
    if format != Format::Jpeg {
        return false;
    }
    let last = bytes
        .windows(2)
        .rev()
        .find(|pair| *pair == START_OF_SCAN || *pair == END_OF_IMAGE);
    last != Some(&END_OF_IMAGE)
}

/// What a person would call content that is not a picture.
fn describe(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(32)];
    if start.starts_with(b"%PDF") {
        return "a PDF document".into();
    }
    if start.starts_with(b"PK\x03\x04") {
        return "a ZIP archive".into();
    }
    // A character may be cut in half by the end of the excerpt, but by nothing else.
    let text = match std::str::from_utf8(start) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&start[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    match text {
        Some(text) if !text.is_empty() && !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => {
            format!("text: {:?}", text.chars().take(16).collect::<String>())
        }
        _ => {
            let hex: Vec<String> = start.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("bytes: {}", hex.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_is_no_picture_is_named() {
        for (bytes, expected) in [
            (&b"Hello, world! This is text."[..], "text: \"Hello, world! Th\""),
            (b"%PDF-1.7\n", "a PDF document"),
            (b"PK\x03\x04rest", "a ZIP archive"),
            (b"\x00\x01\xfe\xff", "bytes: 00 01 fe ff"),
            (
                "一二三四五六七八九十甲".as_bytes(),
                "text: \"一二三四五六七八九十\"",
            ),
        ] {
            assert_eq!(
                Format::of(bytes),
                Err(MediaError::NotAPicture {
                    found: expected.into()
                })
            );
        }
        for (bytes, expected) in [
            (&b"\0\0\0\x18ftypheic\0\0"[..], "heic"),
            (b"\0\0\0\x18ftypavif\0\0", "avif"),
            (b"P6 1 1 255 abc", "pbm"),
        ] {
            assert_eq!(
                Format::of(bytes),
                Err(MediaError::UnsupportedFormat { found: expected })
            );
        }
    }

    #[test]
    fn a_jpeg_needs_its_end_marker() {
        for (bytes, early) in [
            (&[0xff, 0xd8, 0xff, 0xda, 1, 2, 0xff, 0xd9][..], false),
            (&[0xff, 0xd8, 0xff, 0xda, 1, 2, 0xff, 0xd9, 0, 0, 7], false),
            (&[0xff, 0xd8, 0xff, 0xda, 1, 2], true),
            // The end marker of a thumbnail in the metadata does not count.
            (&[0xff, 0xd8, 0xff, 0xd9, 0xff, 0xda, 1, 2], true),
            (&[0xff, 0xd8, 0xff], true),
        ] {
            assert_eq!(ends_early(Format::Jpeg, bytes), early, "{bytes:?}");
            assert!(!ends_early(Format::Png, bytes));
        }
    }
}
