//! What the lines of a page are: headings, paragraphs, items of lists, tables.

use crate::layout::Cell;
use crate::ocr::{OcrLine, OcrPage};

/// A line is a heading if its type is this much larger than that of most text.
const HEADING: f32 = 1.2;
const LARGE_HEADING: f32 = 1.6;
/// Longer lines are text, whatever their size.
const HEADING_CHARS: usize = 120;
/// A line of a number and words that is so much narrower than the line below is a title.
const TITLE_WIDTH: f32 = 0.6;
/// White above a line, in em, that begins a paragraph.
const PARAGRAPH_EM: f32 = 0.9;

/// A part of a page.
pub(super) enum Block<'p> {
    Line(&'p OcrLine, Kind),
    /// Rows of cells; a cell has the texts of its lines, and may be empty.
    Table(Vec<Vec<Vec<&'p str>>>),
}

/// The page in reading order.
pub(super) fn blocks(page: &OcrPage) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines.iter().zip(kinds(page)).peekable();
    while let Some((line, kind)) = lines.next() {
        let Some(cell) = line.cell else {
            // Below a table nothing goes on.
            let kind = match (kind, blocks.last()) {
                (Kind::Continued, Some(Block::Table(_))) => Kind::ParagraphStart,
                (kind, _) => kind,
            };
            blocks.push(Block::Line(line, kind));
            continue;
        };
        let mut cells = vec![(cell, line.text.as_str())];
        while let Some((line, _)) =
            lines.next_if(|(next, _)| next.cell.is_some_and(|c| c.table == cell.table))
        {
            cells.extend(line.cell.map(|cell| (cell, line.text.as_str())));
        }
        blocks.push(Block::Table(rows(&cells)));
    }
    blocks
}

fn rows<'p>(cells: &[(Cell, &'p str)]) -> Vec<Vec<Vec<&'p str>>> {
    let most = |count: fn(&Cell) -> usize| cells.iter().map(|(cell, _)| count(cell) + 1).max().unwrap_or(0);
    let mut rows = vec![vec![Vec::new(); most(|cell| cell.column)]; most(|cell| cell.row)];
    for (cell, text) in cells {
        rows[cell.row][cell.column].push(*text);
    }
    rows
}

/// What a line is, by its size and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 1 is the largest.
    Heading(u8),
    ParagraphStart,
    Continued,
}

fn kinds(page: &OcrPage) -> Vec<Kind> {
    let usual = usual_em(&page.lines);
    let mut previous: Option<&OcrLine> = None;
    let kind = |line: &OcrLine, previous: Option<&OcrLine>| {
        let ratio = line.em_px / usual;
        if ratio >= HEADING && line.text.chars().count() <= HEADING_CHARS {
            return Kind::Heading(if ratio >= LARGE_HEADING { 1 } else { 2 });
        }
        let Some(above) = previous else {
            return Kind::ParagraphStart;
        };
        let gap = line.bbox[1] - above.bbox[3];
        let below = gap > -0.5 * line.em_px && gap < PARAGRAPH_EM * line.em_px;
        let overlaps = line.bbox[0] < above.bbox[2] && above.bbox[0] < line.bbox[2];
        // Text that goes on in the next line would have had room in its own.
        let width = |line: &OcrLine| line.bbox[2] - line.bbox[0];
        let is_title = is_item(&above.text) && width(above) < TITLE_WIDTH * width(line);
        if below && overlaps && !is_item(&line.text) && !is_title {
            Kind::Continued
        } else {
            Kind::ParagraphStart
        }
    };
    let mut kinds = Vec::with_capacity(page.lines.len());
    for line in &page.lines {
        let found = match (kind(line, previous), kinds.last()) {
            (Kind::Continued, Some(Kind::Heading(_))) => Kind::ParagraphStart,
            (found, _) => found,
        };
        kinds.push(found);
        previous = Some(line);
    }
    kinds
}

/// Whether a line begins an item of a list: after a bullet, a dash, or a number with a point or bracket.
pub(super) fn is_item(text: &str) -> bool {
    let mut parts = text.splitn(2, ' ');
    let (mark, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let number = mark.strip_suffix(['.', ')']).unwrap_or_default();
    let numbered = (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    !rest.is_empty() && (numbered || BULLETS.contains(&mark))
}

/// Signs that begin an item of a list.
pub(super) const BULLETS: [&str; 6] = ["-", "–", "•", "▪", "◦", "*"];

/// The em of most characters, in pixels.
fn usual_em(lines: &[OcrLine]) -> f32 {
    let mut sizes: Vec<(f32, usize)> = lines
        .iter()
        .map(|line| (line.em_px, line.text.chars().count()))
        .collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = sizes.iter().map(|(_, count)| count).sum::<usize>() / 2;
    let mut sum = 0;
    let usual = sizes.iter().find(|(_, count)| {
        sum += count;
        sum > half
    });
    usual.map_or(1.0, |(em, _)| em.max(1.0))
}
