//! Groups of glyphs.

use super::glyphs::Glyph;
use super::rect::Rect;

/// Glyphs that stand in one line.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Indices of glyphs, from left to right.
    pub glyphs: Vec<usize>,
    pub rect: Rect,
    /// Height of the tall letters, in pixels: the 80th percentile without marks.
    pub size: f32,
}

/// The group of these glyphs; there must be one at least.
pub(super) fn group(mut members: Vec<usize>, glyphs: &[Glyph]) -> Group {
    members.sort_by_key(|&index| (glyphs[index].rect.x0, glyphs[index].rect.y0, index));
    let rect = members
        .iter()
        .map(|&index| glyphs[index].rect)
        .reduce(|a, b| a.union(&b))
        .expect("a group has at least one glyph");
    let mut heights: Vec<i32> = members.iter().map(|&index| glyphs[index].rect.height()).collect();
    heights.sort_unstable();
    // Marks (dots, dashes) are left out: less than 0.4 of the largest but a few.
    let tall = heights[(heights.len() - 1) * 19 / 20];
    let letters = &heights[heights.partition_point(|&height| height * 5 < tall * 2)..];
    let size = letters[(letters.len() - 1) * 4 / 5] as f32;
    Group {
        glyphs: members,
        rect,
        size,
    }
}
