//! Pictures in memory: 8 bits per channel, row-major, no padding between rows.

use crate::MediaError;

/// An RGB picture, interleaved: the pixel at (x, y) starts at `(y * width + x) * 3`.
#[derive(Clone, PartialEq, Eq)]
pub struct Rgb {
    pub width: u32,
    pub height: u32,
    /// `height * width * 3` bytes.
    pub data: Vec<u8>,
}

/// A grey picture: 0 is black, 255 is white.
#[derive(Clone, PartialEq, Eq)]
pub struct Gray {
    pub width: u32,
    pub height: u32,
    /// `height * width` bytes.
    pub data: Vec<u8>,
}

impl Rgb {
    /// Wraps a buffer; its length must be `width * height * 3`.
    pub fn new(width: u32, height: u32, data: Vec<u8>) -> Result<Self, MediaError> {
        check_length(width, height, 3, data.len())?;
        Ok(Self { width, height, data })
    }

    /// That there are pixels, and as many as the sides say: the fields are public.
    pub(crate) fn check(&self) -> Result<(), MediaError> {
        let (width, height) = (self.width, self.height);
        if width == 0 || height == 0 {
            return Err(MediaError::NoPixels { width, height });
        }
        check_length(width, height, 3, self.data.len())
    }

    /// A picture of one colour.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        Self {
            width,
            height,
            data: colour.repeat(width as usize * height as usize),
        }
    }

    /// The colour at (x, y). Panics outside the picture.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        assert!(
            x < self.width && y < self.height,
            "pixel ({x}, {y}) lies outside the picture"
        );
        let at = (y as usize * self.width as usize + x as usize) * 3;
        [self.data[at], self.data[at + 1], self.data[at + 2]]
    }

    /// The part of the rectangle that lies inside the picture. Empty when they do not meet.
    pub fn crop(&self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let (width, height, data) = cut(&self.data, (self.width, self.height), 3, (x, y, width, height));
        Self { width, height, data }
    }
}

impl Gray {
    /// Wraps a buffer; its length must be `width * height`.
    pub fn new(width: u32, height: u32, data: Vec<u8>) -> Result<Self, MediaError> {
        check_length(width, height, 1, data.len())?;
        Ok(Self { width, height, data })
    }

    /// A picture of one level.
    pub fn filled(width: u32, height: u32, level: u8) -> Self {
        Self {
            width,
            height,
            data: vec![level; width as usize * height as usize],
        }
    }

    /// The level at (x, y). Panics outside the picture.
    pub fn pixel(&self, x: u32, y: u32) -> u8 {
        assert!(
            x < self.width && y < self.height,
            "pixel ({x}, {y}) lies outside the picture"
        );
        self.data[y as usize * self.width as usize + x as usize]
    }

    /// The part of the rectangle that lies inside the picture. Empty when they do not meet.
    pub fn crop(&self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let (width, height, data) = cut(&self.data, (self.width, self.height), 1, (x, y, width, height));
        Self { width, height, data }
    }

    /// The same picture with three equal channels.
    pub fn to_rgb(&self) -> Rgb {
        let mut data = vec![0; self.data.len() * 3];
        for (pixel, &level) in data.chunks_exact_mut(3).zip(&self.data) {
            pixel.fill(level);
        }
        Rgb {
            width: self.width,
            height: self.height,
            data,
        }
    }
}

// A picture's bytes are of no use in a test's failure message.
impl std::fmt::Debug for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rgb({} x {})", self.width, self.height)
    }
}

impl std::fmt::Debug for Gray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gray({} x {})", self.width, self.height)
    }
}

fn check_length(width: u32, height: u32, channels: u64, found: usize) -> Result<(), MediaError> {
    let expected = u64::from(width)
        .saturating_mul(u64::from(height))
        .saturating_mul(channels);
    let found = found as u64;
    if found == expected {
        Ok(())
    } else {
        Err(MediaError::BufferLength {
            width,
            height,
            expected,
            found,
        })
    }
}

/// Cuts `(x, y, width, height)`, clipped to the picture, out of interleaved `data` of `size`.
fn cut(
    data: &[u8],
    size: (u32, u32),
    channels: usize,
    (x, y, width, height): (u32, u32, u32, u32),
) -> (u32, u32, Vec<u8>) {
    let (x, y) = (x.min(size.0), y.min(size.1));
    let (width, height) = (width.min(size.0 - x), height.min(size.1 - y));
    let stride = size.0 as usize * channels;
    let (from, length) = (x as usize * channels, width as usize * channels);
    let mut out = Vec::with_capacity(length * height as usize);
    for row in y as usize..(y + height) as usize {
        out.extend_from_slice(&data[row * stride + from..][..length]);
    }
    (width, height, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_must_have_the_right_length() {
        assert!(Rgb::new(2, 1, vec![0; 6]).is_ok());
        assert!(Gray::new(2, 3, vec![0; 6]).is_ok());
        let error = Rgb::new(2, 2, vec![0; 6]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "pixel buffer of the wrong length: expected 12 bytes for 2 x 2 px, found 6"
        );
    }

    #[test]
    fn crop_is_clipped_to_the_picture() {
        let picture = Gray::new(3, 2, vec![0, 1, 2, 3, 4, 5]).unwrap();
        for (rectangle, size, data) in [
            ((1, 0, 2, 2), (2, 2), vec![1, 2, 4, 5]),
            ((1, 1, 9, 9), (2, 1), vec![4, 5]),
            ((3, 0, 1, 1), (0, 1), vec![]),
            ((9, 9, 1, 1), (0, 0), vec![]),
            ((0, 0, u32::MAX, u32::MAX), (3, 2), vec![0, 1, 2, 3, 4, 5]),
        ] {
            let (x, y, width, height) = rectangle;
            let part = picture.crop(x, y, width, height);
            assert_eq!(
                ((part.width, part.height), &part.data),
                (size, &data),
                "{rectangle:?}"
            );
            let three = picture.to_rgb().crop(x, y, width, height);
            assert_eq!(three, part.to_rgb(), "{rectangle:?}");
        }
    }
}
