//! What was read, as plain text, Markdown, HTML or hOCR. Pure functions from pages to a string.

mod blocks;
mod hocr;
mod html;
mod markdown;
#[cfg(test)]
mod tests;

pub use hocr::{HOCR_START, hocr, hocr_page};
pub use html::{HTML_END, HTML_START, html, html_page};
pub use markdown::markdown;

use crate::ocr::OcrPage;

/// The lines, one per row; pages are parted by a form feed.
pub fn text(pages: &[OcrPage]) -> String {
    let mut out = pages
        .iter()
        .map(|page| page.text.as_str())
        .collect::<Vec<_>>()
        .join("\n\u{c}");
    if !out.is_empty() {
        out.push('\n');
    }
    out
}
