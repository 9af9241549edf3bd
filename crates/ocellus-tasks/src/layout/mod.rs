//! Finding the lines of text on a page, and cutting them into strips for the line reader.
//!
//! Classical and deterministic: no model is used. The page is binarised with local thresholds, ink is separated from
//! ground whatever the colours, rules and boxes are taken out, a skewed page is turned upright, letters are chained
//! into lines and lines into blocks in reading order; then every line is cut at word gaps into chunks.

mod chunks;
mod components;
mod direction;
mod filter;
mod find;
mod foreign;
mod found;
mod gaps;
mod glyph_group;
mod glyphs;
mod group;
mod metrics;
mod order;
mod page;
mod polarity;
mod rect;
mod rotate;
mod rows;
mod rules;
mod screens;
mod shelves;
mod skew;
mod strips;
mod table;
mod text;
mod threshold;

pub use chunks::{STRIP_HEIGHT_PX, STRIP_WIDTH_PX};
pub use find::{find_lines, find_lines_at};
pub use page::{Chunk, LINES, Line, Page};
pub use strips::{StripPlace, strip_places, strips};
pub use table::Cell;
pub use text::{ChunkText, LineText, PageText, join, join_certain};
