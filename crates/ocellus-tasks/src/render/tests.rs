use super::*;
use crate::layout::Cell;
use crate::ocr::OcrLine;

fn page() -> OcrPage {
    let line = |text: &str, y: f32, em_px: f32| OcrLine {
        text: text.to_owned(),
        bbox: [10.0, y, 200.0, y + em_px],
        confidence: 0.876,
        em_px,
        quad: None,
        cell: None,
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
    let expected =
        "# Title & more\n\nSome text that \\<goes\\> on\nin a second line\\_of it\n\n\\# a new paragraph\n";
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
        quad: None,
        cell: None,
    };
    page.lines = texts.iter().enumerate().map(line).collect();
    let expected = "1. Summary\ngoes on\n- a dash\n- a bullet\n\\-1 is a number\n12) twelve\n";
    assert_eq!(markdown(&[page]), expected);
}

#[test]
fn a_short_number_with_words_above_a_long_line_is_a_title() {
    let mut page = page();
    let line = |(index, (text, right)): (usize, (&str, f32))| OcrLine {
        text: text.to_owned(),
        bbox: [10.0, 25.0 * index as f32, right, 25.0 * index as f32 + 20.0],
        confidence: 1.0,
        em_px: 20.0,
        quad: None,
        cell: None,
    };
    let texts = [
        ("1. Summary", 80.0),
        ("We found a broken cable", 200.0),
        ("and replaced it.", 120.0),
    ];
    page.lines = texts.into_iter().enumerate().map(line).collect();
    let expected = "1. Summary\n\nWe found a broken cable\nand replaced it.\n";
    assert_eq!(markdown(&[page]), expected);
}

#[test]
fn html_is_escaped() {
    let html = html(&[page()]);
    assert!(html.contains("<section data-source=\"a &quot;b&quot;.png\" data-page=\"2\">"));
    assert!(html.contains(
        "<h1>Title &amp; more</h1>\n<p>Some text that &lt;goes&gt; on<br>\nin a second line_of it</p>\n<p>#"
    ));
    assert_eq!(html.matches("<p>").count(), html.matches("</p>").count());
}

#[test]
fn hocr_has_boxes_and_confidences() {
    let hocr = hocr(&[page()]);
    assert!(hocr.contains("title=\"image &quot;a &quot;b&quot;.png&quot;; bbox 0 0 300 400; ppageno 1\""));
    assert!(hocr.contains("<span class=\"ocr_line\" id=\"line_1_1\" title=\"bbox 10 10 200 50; x_wconf 88\"><span class=\"ocrx_word\""));
    // 12 characters on 190 pixels.
    assert!(hocr.contains("id=\"word_1_1_1\" title=\"bbox 10 10 89 50; x_wconf 88\">Title</span>"));
    assert!(hocr.contains("id=\"word_1_1_3\" title=\"bbox 137 10 200 50; x_wconf 88\">more</span></span>"));
}

#[test]
fn cells_become_a_table_between_paragraphs() {
    let mut page = page();
    type Placed = (&'static str, Option<(usize, usize)>);
    let cells: [Placed; 8] = [
        ("Before", None),
        ("Sensor", Some((0, 0))),
        ("a|b", Some((0, 1))),
        ("Air", Some((1, 0))),
        ("pressure", Some((1, 0))),
        ("<9>", Some((1, 1))),
        ("Rain", Some((2, 0))),
        ("after", None),
    ];
    let line = |(index, (text, cell)): (usize, &Placed)| OcrLine {
        text: (*text).to_owned(),
        bbox: [10.0, 25.0 * index as f32, 200.0, 25.0 * index as f32 + 20.0],
        confidence: 1.0,
        em_px: 20.0,
        quad: None,
        cell: cell.map(|(row, column)| Cell {
            table: 0,
            row,
            column,
        }),
    };
    page.lines = cells.iter().enumerate().map(line).collect();
    let expected =
        "Before\n\n| Sensor | a\\|b |\n| --- | --- |\n| Air pressure | \\<9\\> |\n| Rain |  |\n\nafter\n";
    assert_eq!(markdown(std::slice::from_ref(&page)), expected);
    let expected = "<p>Before</p>\n<table>\n<tr><td>Sensor</td><td>a|b</td></tr>\n\
                    <tr><td>Air<br>pressure</td><td>&lt;9&gt;</td></tr>\n<tr><td>Rain</td><td></td></tr>\n</table>\n<p>after</p>\n";
    let html = html(&[page]);
    assert!(html.contains(expected), "{html}");
}
