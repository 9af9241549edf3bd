//! HTML.

use std::fmt::Write;

use ocellus_base::markup::escape;

use super::blocks::{Block, Kind, blocks};
use crate::ocr::OcrPage;

/// A document with a section per page, headings, paragraphs and tables.
pub fn html(pages: &[OcrPage]) -> String {
    let sections: String = pages.iter().map(html_page).collect();
    format!("{HTML_START}{sections}{HTML_END}")
}

/// What stands before the sections of an HTML document, and after them.
pub const HTML_START: &str = "<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"></head>\n<body>\n";
pub const HTML_END: &str = "</body>\n</html>\n";

/// The section of one page.
pub fn html_page(page: &OcrPage) -> String {
    let mut out = format!(
        "<section data-source=\"{}\" data-page=\"{}\">\n",
        escape(&page.source),
        page.page
    );
    let mut open = false;
    for block in blocks(page) {
        if open && !matches!(block, Block::Line(_, Kind::Continued)) {
            out.push_str("</p>\n");
            open = false;
        }
        // Writing to a string cannot fail.
        let _ = match block {
            Block::Line(line, Kind::Heading(level)) => {
                writeln!(out, "<h{level}>{}</h{level}>", escape(&line.text))
            }
            Block::Line(line, Kind::ParagraphStart) => {
                open = true;
                write!(out, "<p>{}", escape(&line.text))
            }
            Block::Line(line, Kind::Continued) => write!(out, "<br>\n{}", escape(&line.text)),
            Block::Table(rows) => writeln!(out, "{}", table(&rows)),
        };
    }
    out.push_str(if open {
        "</p>\n</section>\n"
    } else {
        "</section>\n"
    });
    out
}

fn table(rows: &[Vec<Vec<&str>>]) -> String {
    let cell = |cell: &Vec<&str>| {
        let lines: Vec<String> = cell.iter().map(|line| escape(line)).collect();
        format!("<td>{}</td>", lines.join("<br>"))
    };
    let row = |row: &Vec<Vec<&str>>| format!("<tr>{}</tr>\n", row.iter().map(cell).collect::<String>());
    format!("<table>\n{}</table>", rows.iter().map(row).collect::<String>())
}
