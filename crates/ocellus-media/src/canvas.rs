//! Drawing on pictures: lines and words, by the primitives of `embedded-graphics`.

use std::convert::Infallible;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};

use crate::raster::Rgb;

impl OriginDimensions for Rgb {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

/// What lies outside of the picture is left out.
impl DrawTarget for Rgb {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y)) else {
                continue;
            };
            if x < self.width && y < self.height {
                let start = (y as usize * self.width as usize + x as usize) * 3;
                self.data[start..start + 3].copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use embedded_graphics::geometry::Point;

    use super::*;

    #[test]
    fn pixels_inside_are_set_and_others_left_out() {
        let mut picture = Rgb::filled(3, 2, [9, 9, 9]);
        let red = Rgb888::new(255, 0, 1);
        let at = [(0, 0), (2, 1), (3, 0), (0, 2), (-1, 0), (i32::MAX, i32::MIN)];
        let Ok(()) = picture.draw_iter(at.map(|(x, y)| Pixel(Point::new(x, y), red)));
        let changed: Vec<bool> = picture
            .data
            .chunks_exact(3)
            .map(|pixel| pixel == [255, 0, 1])
            .collect();
        assert_eq!(changed, [true, false, false, false, false, true]);
    }
}
