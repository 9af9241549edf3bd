//! Pictures with boxes on them, written.

use std::ffi::OsStr;
use std::io::Cursor;
use std::path::Path;

use image::ImageFormat;
use ocellus_media::Rgb;
use ocellus_tasks::draw::{self, Mark};

use crate::destination::Destination;
use crate::error::Failure;

/// How a drawn picture is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawing {
    Png,
    Jpeg,
}

impl Drawing {
    /// As the ending of a file says; without one PNG.
    ///
    /// # Errors
    /// Another ending.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "png" | "" => Ok(Self::Png),
            "jpg" | "jpeg" => Ok(Self::Jpeg),
            _ => Err(
                Failure::usage(format!("{}: --draw writes PNG and JPEG", path.display()))
                    .hint("choose a name that ends in .png or .jpg"),
            ),
        }
    }
}

/// Writes `picture` with `marks` on it.
///
/// # Errors
/// A place that cannot be written.
pub fn write(to: &Destination, drawing: Drawing, picture: &Rgb, marks: &[Mark]) -> Result<(), Failure> {
    let drawn = draw::marks(picture, marks);
    let drawn = image::RgbImage::from_raw(drawn.width, drawn.height, drawn.data)
        .ok_or_else(|| Failure::new("the drawn picture has no pixels"))?;
    let mut file = Cursor::new(Vec::new());
    let format = match drawing {
        Drawing::Png => ImageFormat::Png,
        Drawing::Jpeg => ImageFormat::Jpeg,
    };
    drawn.write_to(&mut file, format).map_err(Failure::new)?;
    to.write(&file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_decides() {
        for (name, expected) in [
            ("a.png", Some(Drawing::Png)),
            ("a.JPG", Some(Drawing::Jpeg)),
            ("a.jpeg", Some(Drawing::Jpeg)),
            ("/dev/null", Some(Drawing::Png)),
            ("a.webp", None),
            ("a.svg", None),
        ] {
            assert_eq!(Drawing::of(Path::new(name)).ok(), expected, "{name}");
        }
    }
}
