//! What was read, as plain text, Markdown, HTML or hOCR. Pure functions from pages to a string.

use std::fmt::Write;

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
        if below && overlaps {
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
            escape_markdown(&mut out, &line.text);
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

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A document with a section per page, headings and paragraphs.
pub fn html(pages: &[OcrPage]) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"></head>\n<body>\n");
    for page in pages {
        let _ = writeln!(
            out,
            "<section data-source=\"{}\" data-page=\"{}\">",
            escape_html(&page.source),
            page.page
        );
        let mut open = false;
        for (line, kind) in page.lines.iter().zip(kinds(page)) {
            let text = escape_html(&line.text);
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
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// hOCR 1.2: a page per picture, a line per line, boxes in whole pixels, confidence in percent.
pub fn hocr(pages: &[OcrPage]) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\" \
         \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n\
         <html xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n\
         <meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\" />\n\
         <meta name=\"ocr-system\" content=\"ocellus\" />\n\
         <meta name=\"ocr-capabilities\" content=\"ocr_page ocr_line\" />\n</head>\n<body>\n",
    );
    for (number, page) in pages.iter().enumerate() {
        let _ = writeln!(
            out,
            "<div class=\"ocr_page\" id=\"page_{}\" title=\"image &quot;{}&quot;; bbox 0 0 {} {}; ppageno {}\">",
            number + 1,
            escape_html(&page.source),
            page.width,
            page.height,
            page.page.saturating_sub(1)
        );
        for (index, line) in page.lines.iter().enumerate() {
            let [x1, y1, x2, y2] = line.bbox.map(|side| side.round() as i64);
            let _ = writeln!(
                out,
                "<span class=\"ocr_line\" id=\"line_{}_{}\" title=\"bbox {x1} {y1} {x2} {y2}; x_wconf {:.0}\">{}</span>",
                number + 1,
                index + 1,
                line.confidence * 100.0,
                escape_html(&line.text)
            );
        }
        out.push_str("</div>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
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
        assert!(hocr.contains("<span class=\"ocr_line\" id=\"line_1_1\" title=\"bbox 10 10 200 50; x_wconf 88\">Title &amp; more</span>"));
    }
}
