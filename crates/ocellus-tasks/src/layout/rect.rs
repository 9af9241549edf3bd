//! Axis-aligned boxes in whole pixels.

/// A box of pixels, half-open: `x0 <= x < x1`, `y0 <= y < y1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub x0: i32,
    pub y0: i32,
    pub x1: i32,
    pub y1: i32,
}

impl Rect {
    pub fn width(&self) -> i32 {
        self.x1 - self.x0
    }

    pub fn height(&self) -> i32 {
        self.y1 - self.y0
    }

    /// The smallest box around both.
    pub fn union(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    /// Columns from the right side of the left box to the left side of the right one; negative if they overlap.
    pub fn gap_x(&self, other: &Self) -> i32 {
        self.x0.max(other.x0) - self.x1.min(other.x1)
    }

    /// Rows between the boxes; negative if they overlap.
    pub fn gap_y(&self, other: &Self) -> i32 {
        self.y0.max(other.y0) - self.y1.min(other.y1)
    }

    pub fn contains(&self, other: &Self) -> bool {
        self.x0 <= other.x0 && self.y0 <= other.y0 && self.x1 >= other.x1 && self.y1 >= other.y1
    }
}
