//! Markdown.

use super::blocks::{BULLETS, Block, Kind, blocks, is_item};
use crate::ocr::OcrPage;

/// Headings by size, paragraphs by white; one line per row, a table as a table whose first row is its head.
pub fn markdown(pages: &[OcrPage]) -> String {
    let mut out = String::new();
    let mut after_item = false;
    for block in pages.iter().flat_map(blocks) {
        let goes_on = matches!(block, Block::Line(_, Kind::Continued));
        let item = matches!(block, Block::Line(line, Kind::ParagraphStart) if is_item(&line.text));
        if !(goes_on || out.is_empty() || item && after_item) {
            out.push('\n');
        }
        after_item = item || goes_on && after_item;
        match block {
            Block::Line(line, kind) => one_line(&mut out, &line.text, kind),
            Block::Table(rows) => table(&mut out, &rows),
        }
    }
    out
}

fn one_line(out: &mut String, text: &str, kind: Kind) {
    if let Kind::Heading(level) = kind {
        out.push_str(if level == 1 { "# " } else { "## " });
    }
    match text.split_once(' ') {
        Some((mark, rest)) if BULLETS.contains(&mark) && kind != Kind::Continued => {
            out.push_str("- ");
            escape(out, rest, true);
        }
        _ => escape(out, text, true),
    }
    out.push('\n');
}

fn table(out: &mut String, rows: &[Vec<Vec<&str>>]) {
    for (index, row) in rows.iter().enumerate() {
        for cell in row {
            let mut text = String::new();
            escape(&mut text, &cell.join(" "), false);
            out.push_str("| ");
            out.push_str(&text.replace('|', "\\|"));
            out.push(' ');
        }
        out.push_str("|\n");
        if index == 0 {
            out.push_str(&"| --- ".repeat(row.len()));
            out.push_str("|\n");
        }
    }
}

/// Keeps text from being taken as markup; `begins` where a line of Markdown begins with it.
fn escape(out: &mut String, text: &str, begins: bool) {
    for (index, character) in text.chars().enumerate() {
        let opens_block = begins && index == 0 && matches!(character, '#' | '+' | '-' | '=' | '~' | '|');
        if opens_block || matches!(character, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>') {
            out.push('\\');
        }
        out.push(character);
    }
}
