//! Putting together what was read.

use super::order::reading_order;
use super::page::{Line, Page};
use super::rotate::Turn;
use super::rows::Item;
use super::table::{self, Cell};

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
    /// Of a line that is not level: the corners `[x, y]` of its own box in pixels of the page, clockwise from where it begins above.
    pub quad: Option<[[f32; 2]; 4]>,
    /// Of a line that stands in a table.
    pub cell: Option<Cell>,
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
    /// Lines that were left out because the reader was unsure of them.
    pub uncertain: Vec<LineText>,
    /// The lines, one per row.
    pub text: String,
}

/// Words that are read with less confidence are none. With 0.7 for the rest (figures, signs, one or two letters) this leaves out 87 %
/// of the characters that stand nowhere on the pages, and 0.3 % of those that do (35 real pages and pictures).
const LEAST_OF_WORDS: f32 = 0.6;
const LEAST_OF_SIGNS: f32 = 0.7;
/// Words of which there is no doubt.
const SURE: f32 = 0.8;
/// A page with fewer uncertain characters than this for one that is certain is a clean one, on which they may as well be text.
const CLEAN: usize = 100;
/// From one uncertain line in so many on, the lines are put in order anew.
const REORDERED: usize = 20;

fn letters(text: &str) -> usize {
    text.chars()
        .filter(|character| character.is_alphanumeric())
        .count()
}

/// Whether a line is text rather than a rule, a picture or the grain of paper.
fn is_certain(line: &LineText) -> bool {
    let seen = line
        .text
        .chars()
        .filter(|character| !character.is_whitespace())
        .count();
    let is_words = letters(&line.text) >= 4 && letters(&line.text) * 4 >= seen * 3;
    line.confidence >= if is_words { LEAST_OF_WORDS } else { LEAST_OF_SIGNS }
}

/// Whether a line is text where most of what looked like text is none.
fn stands_out(line: &LineText) -> bool {
    match letters(&line.text) {
        0 => false,
        1 | 2 => line.confidence >= 0.95,
        _ => true,
    }
}

/// Joins the texts of a layout's chunks, in the order of its strips. Chunks without a text count as unread.
pub fn join(layout: &Page, read: Vec<ChunkText>) -> PageText {
    let order: Vec<usize> = (0..layout.lines.len()).collect();
    page_text(layout, &order, line_texts(layout, read))
}

/// The same without the lines of which the reader was unsure. They do not count in the reading order of the others, either: a
/// picture's texture may have looked like a line across two columns.
pub fn join_certain(layout: &Page, read: Vec<ChunkText>) -> PageText {
    let mut texts = line_texts(layout, read);
    let length =
        |lines: &mut dyn Iterator<Item = &LineText>| lines.map(|line| line.text.len()).sum::<usize>();
    let certain = length(&mut texts.iter().flatten().filter(|line| is_certain(line)));
    let doubtful = length(&mut texts.iter().flatten().filter(|line| !is_certain(line)));
    let has_words = texts
        .iter()
        .flatten()
        .any(|line| letters(&line.text) >= 4 && line.confidence >= SURE);
    let is_text = |line: &LineText| {
        if doubtful * CLEAN < certain {
            return true;
        }
        is_certain(line) && (doubtful <= certain || (has_words && stands_out(line)))
    };
    let mut uncertain: Vec<LineText> = Vec::new();
    let mut order: Vec<usize> = Vec::new();
    for (index, text) in texts.iter_mut().enumerate() {
        match text.take_if(|line| !is_text(line)) {
            Some(line) => uncertain.push(line),
            None => order.push(index),
        }
    }
    if uncertain.len() * REORDERED > layout.lines.len() {
        let items: Vec<Item> = order.iter().map(|&index| layout.lines[index].item()).collect();
        order = reading_order(&items)
            .into_iter()
            .map(|place| order[place])
            .collect();
    }
    PageText {
        uncertain,
        ..page_text(layout, &order, texts)
    }
}

fn page_text(layout: &Page, order: &[usize], mut texts: Vec<Option<LineText>>) -> PageText {
    let mut page = PageText::default();
    let mut items = Vec::new();
    for &index in order {
        match texts[index].take() {
            Some(text) => {
                page.lines.push(text);
                items.push(layout.lines[index].item());
            }
            None => page.unread.push(layout.lines[index].bbox),
        }
    }
    for (line, cell) in page.lines.iter_mut().zip(table::cells(&items)) {
        line.cell = cell;
    }
    let lines: Vec<&str> = page.lines.iter().map(|line| line.text.as_str()).collect();
    page.text = lines.join("\n");
    page
}

/// The text of every line of a layout; `None` where nothing was read.
fn line_texts(layout: &Page, read: Vec<ChunkText>) -> Vec<Option<LineText>> {
    let mut read = read.into_iter();
    let turn = Turn::levelling(layout.skew_degrees, layout.width, layout.height);
    let text = |line: &Line| {
        let quad = (layout.skew_degrees != 0.0).then(|| turn.back_quad(line.upright));
        let text = line_text(line, read.by_ref().take(line.chunks.len()))?;
        Some(LineText { quad, ..text })
    };
    layout.lines.iter().map(text).collect()
}

fn line_text(line: &Line, mut read: impl Iterator<Item = ChunkText>) -> Option<LineText> {
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
    (!text.is_empty()).then(|| LineText {
        text,
        bbox: line.bbox,
        confidence: sum / weight,
        em_px: line.em_px,
        quad: None,
        cell: None,
    })
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
