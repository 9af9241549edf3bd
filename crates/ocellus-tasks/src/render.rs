//! What was read, as plain text, Markdown, HTML or hOCR. Pure functions from pages to a string.

use std::fmt::Write;

use ocellus_base::markup::escape;

use crate::ocr::{OcrLine, OcrPage};

/// A line is a heading if its type is this much larger than that of most text.
const HEADING: f32 = 1.2;
const LARGE_HEADING: f32 = 1.6;
/// Longer lines are text, whatever their size.
const HEADING_CHARS: usize = 120;
/// White above a line, in em, that begins a paragraph.
const PARAGRAPH_EM: f32 = 0.9;

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

/// What a line is, by its size and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
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
        if below && overlaps && !is_item(&line.text) {
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
fn is_item(text: &str) -> bool {
    let mut parts = text.splitn(2, ' ');
    let (mark, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let number = mark.strip_suffix(['.', ')']).unwrap_or_default();
    let numbered = (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    !rest.is_empty() && (numbered || BULLETS.contains(&mark))
}

/// Signs that begin an item of a list.
const BULLETS: [&str; 6] = ["-", "–", "•", "▪", "◦", "*"];

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

/// Headings by size, paragraphs by white; one line per row.
pub fn markdown(pages: &[OcrPage]) -> String {
    let mut out = String::new();
    for page in pages {
        for (line, kind) in page.lines.iter().zip(kinds(page)) {
            if kind != Kind::Continued && !out.is_empty() {
                out.push('\n');
            }
            if let Kind::Heading(level) = kind {
                out.push_str(if level == 1 { "# " } else { "## " });
            }
            match line.text.split_once(' ') {
                Some((mark, rest)) if BULLETS.contains(&mark) && kind != Kind::Continued => {
                    out.push_str("- ");
                    escape_markdown(&mut out, rest);
                }
                _ => escape_markdown(&mut out, &line.text),
            }
            out.push('\n');
        }
    }
    out
}

/// Keeps text from being taken as markup.
fn escape_markdown(out: &mut String, text: &str) {
    for (index, character) in text.chars().enumerate() {
        let opens_block = index == 0 && matches!(character, '#' | '+' | '-' | '=' | '~' | '|');
        if opens_block || matches!(character, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>') {
            out.push('\\');
        }
        out.push(character);
    }
}

/// A document with a section per page, headings and paragraphs.
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
    for (line, kind) in page.lines.iter().zip(kinds(page)) {
        let text = escape(&line.text);
        if open && kind != Kind::Continued {
            out.push_str("</p>\n");
            open = false;
        }
        let _ = match kind {
            Kind::Heading(level) => writeln!(out, "<h{level}>{text}</h{level}>"),
            Kind::ParagraphStart => {
                open = true;
                write!(out, "<p>{text}")
            }
            Kind::Continued => write!(out, "<br>\n{text}"),
        };
    }
    out.push_str(if open {
        "</p>\n</section>\n"
    } else {
        "</section>\n"
    });
    out
}

/// hOCR 1.2: a page per picture, a line per line, boxes in whole pixels, confidence in percent. Words have the share of their line
/// that they have of its characters.
pub fn hocr(pages: &[OcrPage]) -> String {
    let numbered = pages.iter().enumerate();
    let divisions: String = numbered.map(|(index, page)| hocr_page(page, index + 1)).collect();
    format!("{HOCR_START}{divisions}{HTML_END}")
}

/// What stands before the pages of an hOCR document; [`HTML_END`] stands after them.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> OcrPage {
        let line = |text: &str, y: f32, em_px: f32| OcrLine {
            text: text.to_owned(),
            bbox: [10.0, y, 200.0, y + em_px],
            confidence: 0.876,
            em_px,
        };
        let lines = vec![
            line("Title & more", 10.0, 40.0),
            line("Some text that <goes> on", 80.0, 20.0),
            line("in a second line_of it", 105.0, 20.0),
            line("# a new paragraph", 170.0, 20.0),
        ];
        OcrPage {
            source: "a \"b\".png".to_owned(),
            page: 2,
            width: 300,
            height: 400,
            blank: false,
            text: lines
                .iter()
                .map(|line| line.text.as_str())
                .collect::<Vec<_>>()
                .join("\n"),
            lines,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn text_is_the_lines() {
        assert_eq!(text(&[]), "");
        let one = "Title & more\nSome text that <goes> on\nin a second line_of it\n# a new paragraph\n";
        assert_eq!(text(&[page()]), one);
        assert_eq!(text(&[page(), page()]), format!("{one}\u{c}{one}"));
    }

    #[test]
    fn markdown_has_headings_and_paragraphs_and_no_false_markup() {
        let expected = "# Title & more\n\nSome text that \\<goes\\> on\nin a second line\\_of it\n\n\\# a new paragraph\n";
        assert_eq!(markdown(&[page()]), expected);
    }

    #[test]
    fn items_of_lists_stay_items() {
        let mut page = page();
        let texts = [
            "1. Summary",
            "goes on",
            "- a dash",
            "• a bullet",
            "-1 is a number",
            "12) twelve",
        ];
        let line = |(index, text): (usize, &&str)| OcrLine {
            text: (*text).to_owned(),
            bbox: [10.0, 25.0 * index as f32, 200.0, 25.0 * index as f32 + 20.0],
            confidence: 1.0,
            em_px: 20.0,
        };
        page.lines = texts.iter().enumerate().map(line).collect();
        let expected = "1. Summary\ngoes on\n\n- a dash\n\n- a bullet\n\\-1 is a number\n\n12) twelve\n";
        assert_eq!(markdown(&[page]), expected);
    }

    #[test]
    fn html_is_escaped() {
        let html = html(&[page()]);
        assert!(html.contains("<section data-source=\"a &quot;b&quot;.png\" data-page=\"2\">"));
        assert!(html.contains("<h1>Title &amp; more</h1>\n<p>Some text that &lt;goes&gt; on<br>\nin a second line_of it</p>\n<p>#"));
        assert_eq!(html.matches("<p>").count(), html.matches("</p>").count());
    }

    #[test]
    fn hocr_has_boxes_and_confidences() {
        let hocr = hocr(&[page()]);
        assert!(
            hocr.contains("title=\"image &quot;a &quot;b&quot;.png&quot;; bbox 0 0 300 400; ppageno 1\"")
        );
        assert!(hocr.contains("<span class=\"ocr_line\" id=\"line_1_1\" title=\"bbox 10 10 200 50; x_wconf 88\"><span class=\"ocrx_word\""));
        // 12 characters on 190 pixels.
        assert!(hocr.contains("id=\"word_1_1_1\" title=\"bbox 10 10 89 50; x_wconf 88\">Title</span>"));
        assert!(
            hocr.contains("id=\"word_1_1_3\" title=\"bbox 137 10 200 50; x_wconf 88\">more</span></span>")
        );
    }
}
