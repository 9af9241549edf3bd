//! Where the text of a page is.

use super::rows::Item;

/// Most lines of one page; the rest of an even denser page is left out.
pub const LINES: usize = 3_000;

/// Where the text of a page is.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In pixels of the input picture.
    pub width: u32,
    /// In pixels of the input picture.
    pub height: u32,
    /// No text was found.
    pub blank: bool,
    /// By how much lines fall to the right, in degrees from -180 to 180. 0 if the page was taken as upright; lines of a page
    /// that lies on its side run down (90) or up (-90), and those of one on its head fall by 180.
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
    /// `bbox` on the page turned upright by [`Page::skew_degrees`].
    pub(super) upright: [f32; 4],
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
    /// What the reading order goes by.
    pub(super) fn item(&self) -> Item {
        Item {
            bbox: self.upright,
            em: self.em_px,
        }
    }

    /// The line's own box and those of its chunks.
    pub(super) fn boxes_mut(&mut self) -> impl Iterator<Item = &mut [f32; 4]> {
        let chunks = self.chunks.iter_mut().map(|chunk| &mut chunk.bbox);
        std::iter::once(&mut self.bbox).chain(chunks)
    }
}
