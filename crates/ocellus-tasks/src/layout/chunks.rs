//! Cuts a line into chunks that the line reader takes in one piece.

use super::gaps::{widths, word_gaps};
use super::rect::Rect;

/// Height of a strip; with the margins above and below the line's box.
pub const STRIP_HEIGHT_PX: u32 = 28;
/// Widest strip: 16 visual tokens of 28 px.
pub const STRIP_WIDTH_PX: u32 = 448;
/// White above and below the line's box, in parts of the box's height.
const MARGIN_Y: f32 = 0.08;
/// White left and right of the ink, in pixels of the strip.
const MARGIN_X_PX: f32 = 4.0;
/// How far ink may stick out of the line's box and still be in the strip, in parts of the box's height.
const MOST_OUTSIDE: f32 = 0.25;
/// Chunks are cut near this width of the strip: 12 visual tokens.
const AIM_PX: f32 = 336.0;

/// Columns `first..=last` of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub first: usize,
    pub last: usize,
    /// The gap before `first` parts two words.
    pub after_space: bool,
}

/// Page pixels per strip pixel, for a line of `height` page pixels.
fn scale(height: f32) -> f32 {
    height * (1.0 + 2.0 * MARGIN_Y) / STRIP_HEIGHT_PX as f32
}

/// The page pixels that make a strip: the box of a chunk with its margins, made higher where the chunk's own ink (from
/// `ink_top` to `ink_bottom`) sticks out. May reach over the page's sides.
pub(super) fn strip_rect([x1, y1, x2, y2]: [f32; 4], ink_top: f32, ink_bottom: f32) -> Rect {
    let height = y2 - y1;
    let (x_margin, y_margin) = (MARGIN_X_PX * scale(height), MARGIN_Y * height);
    // Brackets and ring accents stick out a little; more than that is not of this line.
    let (highest, lowest) = (y1 - MOST_OUTSIDE * height, y2 + MOST_OUTSIDE * height);
    let slack = 0.02 * height;
    let top = (y1 - y_margin).min(ink_top.max(highest) - slack).round() as i32;
    let bottom = (y2 + y_margin).max(ink_bottom.min(lowest) + slack).round() as i32;
    Rect {
        x0: (x1 - x_margin).floor() as i32,
        y0: top,
        x1: (x2 + x_margin).ceil() as i32,
        y1: bottom.max(top + 1),
    }
}

/// Cuts the columns of ink of a line of `height` pixels (ascent to descent).
pub(super) fn cut(columns: &[(i32, i32)], height: f32, em: f32) -> Vec<Cut> {
    let scale = scale(height);
    let widest = (STRIP_WIDTH_PX as f32 - 2.0 * MARGIN_X_PX) * scale;
    let aim = (AIM_PX - 2.0 * MARGIN_X_PX) * scale;
    let gaps = widths(columns);
    let is_word_gap = word_gaps(columns, em);

    let mut cuts = Vec::new();
    let (mut first, mut after_space) = (0, false);
    while first < columns.len() {
        let start = columns[first].0 as f32;
        let rest = columns[columns.len() - 1].1 as f32 - start;
        let last = if rest <= aim.max(widest * 0.95) {
            columns.len() - 1
        } else {
            // Two chunks of similar width are read better than a long and a very short one.
            let aim = if rest < 2.0 * aim { rest / 2.0 } else { aim };
            best_cut(columns, &gaps, &is_word_gap, first, aim, widest, em)
        };
        cuts.push(Cut {
            first,
            last,
            after_space,
        });
        after_space = last < gaps.len() && is_word_gap[last];
        first = last + 1;
    }
    cuts
}

/// The last column of the chunk that begins at `first`: before the widest gap near `aim`.
fn best_cut(
    columns: &[(i32, i32)],
    gaps: &[f32],
    is_word_gap: &[bool],
    first: usize,
    aim: f32,
    widest: f32,
    em: f32,
) -> usize {
    let start = columns[first].0 as f32;
    let width = |last: usize| columns[last].1 as f32 - start;
    let score = |last: usize| {
        // Half an em of gap outweighs being off by the whole aim; a word gap outweighs both.
        let off = (width(last) - aim).abs() / aim;
        let word = if is_word_gap[last] { 1.0 } else { 0.0 };
        (gaps[last] / em).min(1.0) + word - 0.5 * off
    };
    (first..gaps.len())
        .take_while(|&last| width(last) <= widest)
        .filter(|&last| width(last) >= 0.3 * aim)
        .max_by(|&a, &b| score(a).total_cmp(&score(b)))
        // No gap at all within reach: the first piece, whatever its width.
        .or_else(|| {
            (first..gaps.len())
                .take_while(|&last| width(last) <= widest)
                .last()
        })
        .unwrap_or(first)
}
