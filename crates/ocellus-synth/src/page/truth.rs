//! What is known of a drawn page.

use ocellus_media::Gray;

/// Four corners in pixels of the picture: top left, top right, bottom right, bottom left, as the text sees them.
pub type Quad = [[f32; 2]; 4];

/// What a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKind {
    /// Running text in columns, with headings, lists and notes.
    Article,
    /// Fields with their values, in boxes or on rules.
    Form,
    /// Text around a table, ruled or not.
    Table,
    /// The print of a till.
    Receipt,
    /// Windows, lists, buttons; light or dark.
    Screen,
    /// A few large lines.
    Slide,
}

impl PageKind {
    /// Every kind.
    pub const ALL: [PageKind; 6] = [
        Self::Article,
        Self::Form,
        Self::Table,
        Self::Receipt,
        Self::Screen,
        Self::Slide,
    ];

    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Article => "article",
            Self::Form => "form",
            Self::Table => "table",
            Self::Receipt => "receipt",
            Self::Screen => "screen",
            Self::Slide => "slide",
        }
    }
}

/// A cell of a table, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub table: usize,
    pub row: usize,
    pub column: usize,
}

/// A line of text, or what a cell holds of one.
#[derive(Debug, Clone, PartialEq)]
pub struct PageLine {
    /// In characters of the charset, single spaces, none at the ends.
    pub text: String,
    /// Where each character of `text` stands: its advance in x, the line's ascent to descent in y.
    pub chars: Vec<Quad>,
    /// Start and end of the baseline.
    pub baseline: [[f32; 2]; 2],
    /// Number of the paragraph, heading or cell that the line belongs to, in reading order.
    pub block: usize,
    pub cell: Option<Cell>,
}

impl PageLine {
    /// Corners around the whole line; for a curled line the characters say more.
    pub fn quad(&self) -> Quad {
        let (first, last) = (self.chars[0], self.chars[self.chars.len() - 1]);
        [first[0], last[1], last[2], first[3]]
    }
}

/// A picture of a page with what stands on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub kind: PageKind,
    pub image: Gray,
    /// In reading order.
    pub lines: Vec<PageLine>,
    /// By how many degrees the page was turned clockwise: 0, 90, 180 or 270; small skew is not counted.
    pub turned: u32,
}
