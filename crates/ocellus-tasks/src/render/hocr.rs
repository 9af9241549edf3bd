//! hOCR.

use std::fmt::Write;

use ocellus_base::markup::escape;

use super::html::HTML_END;
use crate::ocr::{OcrLine, OcrPage};

/// hOCR 1.2: a page per picture, a line per line, boxes in whole pixels, confidence in percent. Words have the share of their line
/// that they have of its characters.
pub fn hocr(pages: &[OcrPage]) -> String {
    let numbered = pages.iter().enumerate();
    let divisions: String = numbered.map(|(index, page)| hocr_page(page, index + 1)).collect();
    format!("{HOCR_START}{divisions}{HTML_END}")
}

/// What stands before the pages of an hOCR document; [`HTML_END`](super::HTML_END) stands after them.
pub const HOCR_START: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\" \
     \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n\
     <html xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n\
     <meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\" />\n\
     <meta name=\"ocr-system\" content=\"ocellus\" />\n\
     <meta name=\"ocr-capabilities\" content=\"ocr_page ocr_line ocrx_word\" />\n</head>\n<body>\n";

/// The division of one page; `number` counts the pages of the document from 1.
pub fn hocr_page(page: &OcrPage, number: usize) -> String {
    let mut out = format!(
        "<div class=\"ocr_page\" id=\"page_{number}\" title=\"image &quot;{}&quot;; bbox 0 0 {} {}; ppageno {}\">\n",
        escape(&page.source),
        page.width,
        page.height,
        page.page.saturating_sub(1)
    );
    for (index, line) in page.lines.iter().enumerate() {
        let [x1, y1, x2, y2] = line.bbox.map(|side| side.round() as i64);
        let (id, confidence) = (format!("{number}_{}", index + 1), line.confidence * 100.0);
        let _ = write!(
            out,
            "<span class=\"ocr_line\" id=\"line_{id}\" title=\"bbox {x1} {y1} {x2} {y2}; x_wconf {confidence:.0}\">"
        );
        for (place, (word, [left, right])) in words(line).into_iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            let _ = write!(
                out,
                "{space}<span class=\"ocrx_word\" id=\"word_{id}_{}\" title=\"bbox {left} {y1} {right} {y2}; \
                 x_wconf {confidence:.0}\">{}</span>",
                place + 1,
                escape(word)
            );
        }
        out.push_str("</span>\n");
    }
    out.push_str("</div>\n");
    out
}

/// The words of a line with their left and right sides in pixels, as if all characters were equally wide.
fn words(line: &OcrLine) -> Vec<(&str, [i64; 2])> {
    let [left, _, right, _] = line.bbox;
    let count = line.text.chars().count().max(1) as f32;
    let side = |characters: usize| (left + (right - left) * characters as f32 / count).round() as i64;
    let mut at = 0;
    let parts = line.text.split(char::is_whitespace).map(|word| {
        let start = at;
        let end = start + word.chars().count();
        at = end + 1;
        (word, [side(start), side(end)])
    });
    parts.filter(|(word, _)| !word.is_empty()).collect()
}
