//! Finding the lines of text on a page, and cutting them into strips for the line reader.
//!
//! Classical and deterministic: no model takes part. The page is binarised with local thresholds, ink is told from
//! ground whatever the colours, rules and boxes are taken out, a skewed page is turned upright, letters are chained
//! into lines and lines into blocks in reading order; then every line is cut at word gaps into chunks.

mod chunks;
mod components;
mod filter;
mod find;
mod foreign;
mod gaps;
mod glyphs;
mod group;
mod metrics;
mod order;
mod polarity;
mod rect;
mod rotate;
mod rules;
mod shelves;
mod skew;
mod strips;
mod text;
mod threshold;

pub use chunks::{STRIP_HEIGHT_PX, STRIP_WIDTH_PX};
pub use find::find_lines;
pub use strips::strips;
pub use text::{ChunkText, LineText, PageText, join};

/// Most lines of one page; the rest of an even denser page is left out.
pub const LINES: usize = 3_000;

/// Where the text of a page is.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Pixels of the picture that was looked at.
    pub width: u32,
    /// Pixels of the picture that was looked at.
    pub height: u32,
    /// No text was found.
    pub blank: bool,
    /// By how much lines fall to the right, in degrees. 0 if the page was taken as upright.
    pub skew_degrees: f32,
    /// In reading order.
    pub lines: Vec<Line>,
}

/// One line of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// `[x1, y1, x2, y2]` in pixels of the page: ink in x, estimated ascent to descent of the font in y.
    pub bbox: [f32; 4],
    /// Estimated em of the font, in pixels.
    pub em_px: f32,
    /// From left to right; at least one.
    pub chunks: Vec<Chunk>,
}

/// A part of a line that is read in one piece.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// `[x1, y1, x2, y2]` in pixels of the page: the line's extent in y, the chunk's ink in x.
    pub bbox: [f32; 4],
    /// A word gap parts it from the chunk before; false for a line's first.
    pub joined_by_space: bool,
    /// What to cut out for the strip, margins included, on the page turned upright by [`Page::skew_degrees`].
    pub(crate) strip: [f32; 4],
    /// Ink within the strip that is not of this line (rules, neighbours), as upright boxes.
    pub(crate) foreign: Vec<[f32; 4]>,
}

impl Line {
    /// The line's own box and those of its chunks.
    fn boxes_mut(&mut self) -> impl Iterator<Item = &mut [f32; 4]> {
        let chunks = self.chunks.iter_mut().map(|chunk| &mut chunk.bbox);
        std::iter::once(&mut self.bbox).chain(chunks)
    }
}
