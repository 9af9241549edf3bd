//! Putting together what was read.

use super::page::Page;

/// What the reader made of one chunk.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChunkText {
    pub text: String,
    /// 0 to 1.
    pub confidence: f32,
}

/// The text of one line.
#[derive(Debug, Clone, PartialEq)]
pub struct LineText {
    pub text: String,
    /// `[x1, y1, x2, y2]` in pixels of the page.
    pub bbox: [f32; 4],
    /// Mean of the chunks' confidences, weighted by their characters; 0 to 1.
    pub confidence: f32,
    /// Estimated em of the font, in pixels.
    pub em_px: f32,
}

/// The text of one page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PageText {
    /// In reading order; lines in which nothing was read are left out.
    pub lines: Vec<LineText>,
    /// Boxes of the lines in which nothing was read.
    pub unread: Vec<[f32; 4]>,
    /// The reader was stopped after so many tokens, before it had come to an end.
    pub cut_tokens: Option<usize>,
    /// The lines, one per row.
    pub text: String,
}

/// Joins the texts of a layout's chunks, in the order of its strips. Chunks without a text count as unread.
pub fn join(layout: &Page, read: Vec<ChunkText>) -> PageText {
    let mut read = read.into_iter();
    let mut page = PageText::default();
    for line in &layout.lines {
        let mut text = String::new();
        let (mut sum, mut weight) = (0.0, 0.0);
        for chunk in &line.chunks {
            let part = read.next().unwrap_or_default();
            let words = part.text.trim();
            if words.is_empty() {
                continue;
            }
            if chunk.joined_by_space && needs_space(&text, words) {
                text.push(' ');
            }
            text.push_str(words);
            let characters = words.chars().count() as f32;
            sum += part.confidence * characters;
            weight += characters;
        }
        if text.is_empty() {
            page.unread.push(line.bbox);
            continue;
        }
        if !page.text.is_empty() {
            page.text.push('\n');
        }
        page.text.push_str(&text);
        page.lines.push(LineText {
            text,
            bbox: line.bbox,
            confidence: sum / weight,
            em_px: line.em_px,
        });
    }
    page
}

/// Between two ideographs there is no space, however far apart they stand.
fn needs_space(before: &str, after: &str) -> bool {
    match (before.chars().next_back(), after.chars().next()) {
        (Some(before), Some(after)) => !(is_ideographic(before) && is_ideographic(after)),
        _ => false,
    }
}

/// Characters of scripts that are written without spaces, and their punctuation.
fn is_ideographic(character: char) -> bool {
    matches!(u32::from(character),
        0x2E80..=0x303F | 0x3040..=0x30FF | 0x3100..=0x312F | 0x31A0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF | 0xFE30..=0xFE4F | 0xFF00..=0xFF60 | 0x20000..=0x3FFFF)
}
