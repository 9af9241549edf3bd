//! Where a page reader would cut the line out, with the errors that it makes.

use crate::line::Line;
use crate::random::Rng;

/// Height of a strip in pixels: one row of visual tokens.
pub(crate) const HEIGHT_PX: u32 = 28;
/// Width of a visual token in pixels.
pub(crate) const CELL_PX: u32 = 28;

/// Margins, as a share of the line's height above and below, and in pixels of the finished strip left and right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Margins {
    /// Whether the height comes from this text's own ink and not from the faces.
    tight: bool,
    /// Whether what sticks out of the faces' height, such as the accent of a capital, counts as height or just fits.
    whole: bool,
    above: f32,
    below: f32,
    left_px: f32,
    right_px: f32,
    /// Horizontal stretch on the way to the strip.
    pub stretch: f32,
}

/// A rectangle in the line's pixels, relative to its origin, and the factor from there to the strip.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
    /// Strip pixels per line pixel, along x.
    pub scale: f32,
}

impl Margins {
    /// `part`: the line goes on beyond the text, so its height does not depend on these letters.
    pub(crate) fn choose(rng: &mut Rng, part: bool) -> Self {
        let vertical = |rng: &mut Rng| {
            if rng.chance(0.7) {
                0.08 + 0.03 * rng.normal()
            } else {
                rng.between(-0.01, 0.16)
            }
        };
        let side = |rng: &mut Rng| {
            if rng.chance(0.75) {
                rng.between(2.0, 6.0)
            } else {
                rng.between(0.0, 10.0)
            }
        };
        Self {
            tight: !part && rng.chance(0.4),
            whole: rng.chance(0.5),
            above: vertical(rng),
            below: vertical(rng),
            left_px: side(rng),
            right_px: side(rng),
            stretch: if rng.chance(0.2) {
                rng.between(0.88, 1.12)
            } else {
                1.0
            },
        }
    }

    pub(crate) fn frame(&self, line: &Line) -> Frame {
        let (mut top, mut bottom) = (-line.ascent_px, line.descent_px);
        let height = bottom - top;
        // A dash alone gives no line height: readers fall back to that of the page.
        if self.tight && line.ink_high[1] - line.ink_low[1] > 0.45 * height {
            (top, bottom) = (line.ink_low[1], line.ink_high[1]);
        } else if self.whole {
            (top, bottom) = (top.min(line.ink_low[1]), bottom.max(line.ink_high[1]));
        }
        let height = bottom - top;
        let slack = 0.02 * height;
        let top = (top - self.above * height).min(line.ink_low[1] + slack);
        let bottom = (bottom + self.below * height).max(line.ink_high[1] - slack);
        let scale = HEIGHT_PX as f32 / (bottom - top) * self.stretch;
        let left = line.ink_low[0] - self.left_px / scale;
        let right = line.ink_high[0] + self.right_px / scale;
        Frame {
            left,
            top,
            right,
            bottom,
            scale,
        }
    }
}

impl Frame {
    /// Width of the strip before padding.
    pub(crate) fn strip_width_px(&self) -> f32 {
        (self.right - self.left) * self.scale
    }
}
