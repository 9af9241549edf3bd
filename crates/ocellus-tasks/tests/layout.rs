//! Lines of drawn pages: what is text and what is not, boxes, reading order, chunks.

mod paper;

use ocellus_media::Rgb;
use ocellus_tasks::layout::{ChunkText, LINES, Page, find_lines, join, strips};
use paper::{BLACK, Paper, WHITE};
use proptest::prelude::*;

const WORDS: &str =
    "the quick pig jumps lazily over ten big dogs beyond the hill then gladly explains why people";

fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let across = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let down = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |r: [f32; 4]| (r[2] - r[0]) * (r[3] - r[1]);
    across * down / (area(a) + area(b) - across * down)
}

/// The page's lines are the drawn ones, in the order of drawing, and nothing else.
fn assert_found(name: &str, paper: &Paper) -> Page {
    let page = find_lines(&paper.picture);
    let found: Vec<[f32; 4]> = page.lines.iter().map(|line| line.bbox).collect();
    assert_eq!(
        found.len(),
        paper.lines.len(),
        "{name}: found {found:?}, drawn {:?}",
        paper.lines
    );
    for (index, (found, drawn)) in found.iter().zip(&paper.lines).enumerate() {
        assert!(
            iou(*found, *drawn) >= 0.5,
            "{name}: line {index} is at {found:?}, was drawn at {drawn:?}"
        );
    }
    assert_sound(&page, &paper.picture);
    page
}

/// What holds for every page: boxes inside, chunks within their lines and in order, strips of the right size.
fn assert_sound(page: &Page, picture: &Rgb) {
    assert_eq!(page.blank, page.lines.is_empty());
    assert!(page.lines.len() <= LINES);
    let (width, height) = (picture.width as f32, picture.height as f32);
    for line in &page.lines {
        assert!(!line.chunks.is_empty());
        assert!(!line.chunks[0].joined_by_space);
        for [x1, y1, x2, y2] in line.chunks.iter().map(|chunk| chunk.bbox).chain([line.bbox]) {
            assert!(
                0.0 <= x1 && x1 < x2 && x2 <= width,
                "x from {x1} to {x2} of {width}"
            );
            assert!(
                0.0 <= y1 && y1 < y2 && y2 <= height,
                "y from {y1} to {y2} of {height}"
            );
        }
        for pair in line.chunks.windows(2) {
            assert!(pair[0].bbox[0] < pair[1].bbox[0]);
        }
    }
    let strips = strips(picture, page);
    assert_eq!(
        strips.len(),
        page.lines.iter().map(|line| line.chunks.len()).sum::<usize>()
    );
    for strip in &strips {
        assert_eq!((strip.height, strip.width % 28), (28, 0));
        assert!((28..=448).contains(&strip.width));
        assert_eq!(strip.data.len(), (strip.width * strip.height) as usize);
    }
}

#[test]
fn plain_paragraphs_of_several_sizes() {
    for em in [12, 16, 21, 30, 48] {
        let mut paper = Paper::new(1000, 600, WHITE);
        for line in 0..6 {
            paper.text(60, 80 + line * em * 5 / 4, em, BLACK, &WORDS[..40]);
        }
        let page = assert_found(&format!("{em} px"), &paper);
        for line in &page.lines {
            assert!(
                (line.em_px / em as f32 - 1.0).abs() < 0.25,
                "em of {em} taken for {}",
                line.em_px
            );
        }
    }
}

#[test]
fn colours_and_dark_ground() {
    for (ink, ground) in [
        ([255, 255, 255], [0, 0, 0]),
        ([220, 220, 220], [30, 30, 46]),
        ([0, 0, 200], [255, 255, 255]),
        ([120, 120, 120], [250, 245, 230]),
        ([255, 230, 120], [120, 30, 30]),
    ] {
        let mut paper = Paper::new(700, 300, ground);
        for line in 0..4 {
            paper.text(40, 60 + line * 30, 20, ink, &WORDS[..40]);
        }
        let name = format!("{ink:?} on {ground:?}");
        let page = assert_found(&name, &paper);
        for strip in strips(&paper.picture, &page) {
            let dark = strip.data.iter().filter(|&&level| level < 128).count();
            assert!(
                dark > 0 && dark * 2 < strip.data.len(),
                "{name}: a strip is dark on white"
            );
        }
    }
}

#[test]
fn light_text_in_a_box_on_a_light_page() {
    let mut paper = Paper::new(800, 400, WHITE);
    paper.text(40, 60, 20, BLACK, &WORDS[..50]);
    paper.fill([30, 100, 500, 150], [20, 60, 120]);
    paper.text(50, 132, 22, WHITE, "light text in a box");
    paper.fill([30, 200, 600, 330], [70, 130, 180]);
    paper.text(50, 240, 20, WHITE, "first line of a larger box");
    paper.text(50, 270, 20, WHITE, "and the second line of it");
    paper.fill([30, 350, 600, 390], [70, 130, 180]);
    paper.text(50, 375, 20, BLACK, "dark text in another box");
    assert_found("boxes", &paper);
}

#[test]
fn rules_and_frames_are_no_text() {
    let mut paper = Paper::new(900, 500, WHITE);
    paper.text(60, 60, 20, BLACK, &WORDS[..50]);
    paper.fill([60, 67, 860, 69], BLACK);
    paper.frame([50, 100, 850, 200], 2, BLACK);
    paper.text(70, 140, 20, BLACK, "text in a frame of two lines");
    paper.text(70, 168, 20, BLACK, "the other one is here below");
    // Underlined, the rule just below the baseline: descenders cross it.
    paper.text(60, 260, 20, BLACK, "underlined people gladly jump");
    paper.fill([60, 263, 420, 265], BLACK);
    paper.fill([60, 400, 860, 403], BLACK);
    assert_found("rules", &paper);
}

#[test]
fn cells_of_a_table_are_lines_of_their_own() {
    let mut paper = Paper::new(900, 400, WHITE);
    let (columns, rows) = ([60, 300, 420, 600], 4);
    for row in 0..=rows {
        paper.fill([50, 60 + row * 40, 802, 62 + row * 40], BLACK);
    }
    for x in [50, 290, 410, 590, 800] {
        paper.fill([x, 60, x + 2, 60 + rows * 40], BLACK);
    }
    // Read row by row: cells make no columns of running text.
    for row in 0..rows {
        for x in columns {
            paper.text(
                x,
                88 + row * 40,
                20,
                BLACK,
                ["alpha", "people", "thing", "hill dog"][row as usize],
            );
        }
    }
    assert_found("table", &paper);
}

#[test]
fn columns_are_read_one_after_the_other() {
    let mut paper = Paper::new(1000, 900, WHITE);
    paper.text(150, 60, 32, BLACK, "title over both columns of it");
    for left in [60, 530] {
        for line in 0..24 {
            paper.text(
                left,
                140 + line * 26,
                20,
                BLACK,
                &WORDS[..if line % 7 == 6 { 20 } else { 38 }],
            );
        }
    }
    paper.text(480, 860, 20, BLACK, "page");
    assert_found("columns", &paper);
}

#[test]
fn a_number_far_from_its_title_is_a_line_of_its_own_and_comes_first() {
    let mut paper = Paper::new(900, 400, WHITE);
    paper.text(60, 60, 20, BLACK, &WORDS[..50]);
    let end = paper.text(60, 140, 24, BLACK, "lll");
    paper.text(end + 30, 140, 24, BLACK, "title of this part");
    paper.text(60, 200, 20, BLACK, &WORDS[..50]);
    assert_found("number and title", &paper);
}

#[test]
fn a_skewed_page_is_turned() {
    for degrees in [-3.0f32, -0.6, 0.4, 1.5, 4.0] {
        let mut paper = Paper::new(1000, 800, WHITE);
        for line in 0..18 {
            paper.text(130, 120 + line * 30, 20, BLACK, &WORDS[..60]);
        }
        let turned = paper.turned(degrees);
        let page = assert_found(&format!("{degrees} degrees"), &turned);
        assert!(
            (page.skew_degrees - degrees).abs() < 0.15,
            "{degrees} taken for {}",
            page.skew_degrees
        );
    }
}

#[test]
fn noise_and_shade_do_not_hide_or_make_lines() {
    let mut paper = Paper::new(900, 500, WHITE);
    for line in 0..8 {
        paper.text(60, 80 + line * 30, 20, [40, 40, 40], &WORDS[..60]);
    }
    paper.scan(12);
    assert_found("scan", &paper);
}

#[test]
fn a_large_page_is_looked_at_in_part_of_its_size() {
    let mut paper = Paper::new(4000, 3000, WHITE);
    for line in 0..10 {
        paper.text(300, 400 + line * 160, 110, BLACK, &WORDS[..40]);
    }
    assert_found("large", &paper);
}

#[test]
fn small_print_on_a_large_page_does_not_vanish() {
    let mut page = Rgb::filled(3200, 2700, WHITE);
    // Letters of two strokes and five pixels, black on white as scanners of one bit have them.
    for top in (40..2600).step_by(11) {
        for left in (60..3100).step_by(5).filter(|left| left % 45 != 0) {
            for row in 0..5 {
                for column in [0, if row % 2 == 0 { 2 } else { 1 }] {
                    let at = ((top + row) * 3200 + left + column) * 3;
                    page.data[at..at + 3].fill(0);
                }
            }
        }
    }
    let found = find_lines(&page);
    assert!(!found.blank);
    assert!(found.lines.len() > 50, "{} lines", found.lines.len());
    // A large page without anything stays blank.
    assert!(find_lines(&Rgb::filled(3200, 2700, WHITE)).blank);
}

#[test]
fn pages_without_text_are_blank() {
    let pages = [
        ("one pixel", Rgb::filled(1, 1, WHITE)),
        ("three pixels", Rgb::filled(3, 3, BLACK)),
        ("one row", Rgb::filled(500, 1, WHITE)),
        ("white", Rgb::filled(600, 800, WHITE)),
        ("black", Rgb::filled(600, 800, BLACK)),
        ("grain", {
            let mut paper = Paper::new(600, 800, [230, 230, 230]);
            paper.scan(8);
            paper.picture
        }),
        ("frames", {
            let mut paper = Paper::new(600, 800, WHITE);
            paper.frame([50, 50, 550, 750], 3, BLACK);
            paper.fill([100, 400, 500, 402], BLACK);
            paper.picture
        }),
    ];
    for (name, picture) in pages {
        let page = find_lines(&picture);
        assert!(page.blank && page.lines.is_empty(), "{name}: {:?}", page.lines);
        assert!(strips(&picture, &page).is_empty());
    }
}

#[test]
fn a_halftone_is_no_text_and_text_beside_it_is_found() {
    for (turned, pitch) in [(false, 6), (true, 8)] {
        let mut paper = Paper::new(900, 900, WHITE);
        for line in 0..6 {
            paper.text(80, 120 + 40 * line, 22, BLACK, &WORDS[..50]);
        }
        for row in 0..40 {
            for column in 0..60 {
                let shift = if turned && row % 2 == 1 { pitch } else { 0 };
                let (x, y) = (
                    80 + column * pitch * if turned { 2 } else { 1 } + shift,
                    420 + row * pitch,
                );
                let size = 2 + (row / 10) % 2;
                paper.fill([x, y, x + size, y + size], BLACK);
            }
        }
        assert_found("halftone", &paper);
    }
}

#[test]
fn what_is_left_of_rules_is_no_line() {
    let mut paper = Paper::new(700, 400, WHITE);
    paper.text(60, 80, 20, BLACK, &WORDS[..40]);
    let mut x = 60;
    for width in [31, 4, 60, 12, 3, 44, 7, 90, 5, 26, 70, 9] {
        paper.fill([x, 120, x + width, 123], BLACK);
        x += width + 5;
    }
    paper.text(60, 170, 20, BLACK, &WORDS[5..45]);
    assert_found("broken rule", &paper);
}

#[test]
fn specks_in_a_margin_are_no_lines() {
    let mut paper = Paper::new(900, 500, WHITE);
    for line in 0..8 {
        paper.text(200, 80 + 45 * line, 24, BLACK, &WORDS[..50]);
    }
    for (x, y) in [(30, 70), (45, 160), (28, 250), (860, 118), (850, 330)] {
        paper.fill([x, y, x + 3, y + 3], BLACK);
    }
    assert_found("specks", &paper);
}

#[test]
fn a_justified_line_with_wide_gaps_stays_a_line() {
    let mut paper = Paper::new(900, 400, WHITE);
    paper.text(100, 80, 24, BLACK, &WORDS[..52]);
    // Three words, more than an em apart, below and above words that stand across their gaps.
    for (x, word) in [(100, "people"), (192, "explain"), (288, "gladly")] {
        paper.text(x, 112, 24, BLACK, word);
    }
    let words = paper.lines.split_off(1);
    paper.lines.push([100.0, words[0][1], words[2][2], words[0][3]]);
    paper.text(100, 144, 24, BLACK, &WORDS[4..56]);
    assert_found("justified", &paper);
}

#[test]
fn a_gap_that_goes_on_above_and_below_parts_columns() {
    let mut paper = Paper::new(1200, 500, WHITE);
    let mut right = Vec::new();
    for line in 0..8 {
        let end = paper.text(80, 80 + 32 * line, 24, BLACK, &WORDS[..40]);
        // One em between the columns.
        paper.text(end.max(80) + 24, 80 + 32 * line, 24, BLACK, &WORDS[20..60]);
        right.extend(paper.lines.pop());
    }
    paper.lines.extend(right);
    assert_found("narrow gutter", &paper);
}

#[test]
fn prices_are_read_with_their_items() {
    let mut paper = Paper::new(600, 400, WHITE);
    for (line, item) in ["pig", "ten dogs", "hill"].into_iter().enumerate() {
        let y = 80 + 40 * line as i32;
        paper.text(60, y, 22, BLACK, item);
        paper.text(450, y, 22, BLACK, "when");
    }
    assert_found("price list", &paper);
}

#[test]
fn long_lines_are_cut_between_words() {
    let mut paper = Paper::new(1600, 200, WHITE);
    let text = [WORDS, WORDS].join(" ");
    paper.text(40, 100, 20, BLACK, &text[..150]);
    let page = assert_found("long line", &paper);
    let chunks = &page.lines[0].chunks;
    assert!((5..=9).contains(&chunks.len()), "{} chunks", chunks.len());
    for pair in chunks.windows(2) {
        assert!(pair[1].joined_by_space);
        // Letters are 2 px apart, words 8.
        assert!(
            pair[1].bbox[0] - pair[0].bbox[2] >= 6.0,
            "cut at {:?} {:?}",
            pair[0].bbox,
            pair[1].bbox
        );
    }
    assert_eq!(chunks[0].bbox[0], page.lines[0].bbox[0]);
    assert_eq!(chunks[chunks.len() - 1].bbox[2], page.lines[0].bbox[2]);
}

#[test]
fn a_long_word_is_cut_and_joined_without_a_space() {
    let mut paper = Paper::new(1200, 200, WHITE);
    paper.text(40, 60, 20, BLACK, &WORDS[..60]);
    let word: String = WORDS.chars().filter(|c| *c != ' ').collect();
    paper.text(40, 100, 20, BLACK, &word[..70]);
    let page = assert_found("long word", &paper);
    assert!(page.lines[1].chunks.len() > 1);
    assert!(page.lines[1].chunks.iter().all(|chunk| !chunk.joined_by_space));
}

#[test]
fn texts_are_joined_by_what_parted_them() {
    let mut paper = Paper::new(1600, 200, WHITE);
    paper.text(40, 60, 20, BLACK, &WORDS[..80]);
    paper.text(40, 120, 20, BLACK, "word");
    let page = find_lines(&paper.picture);
    let counts: Vec<usize> = page.lines.iter().map(|line| line.chunks.len()).collect();
    assert!(counts[0] >= 2 && counts[1] == 1, "{counts:?}");
    let read = |text: &str, confidence: f32| ChunkText {
        text: text.to_owned(),
        confidence,
    };

    let mut texts = vec![read(" ab ", 1.0), read("cdefgh", 0.5)];
    texts.resize(counts[0], read("", 0.0));
    texts.push(read("end", 0.25));
    let joined = join(&page, texts);
    assert_eq!(joined.text, "ab cdefgh\nend");
    assert_eq!(joined.lines[0].confidence, 0.625);
    assert!(joined.unread.is_empty());

    let joined = join(&page, vec![read("汉字", 1.0), read("，也是", 1.0)]);
    assert_eq!(joined.text, "汉字，也是");
    assert_eq!(joined.unread, [page.lines[1].bbox]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is on a picture, the result is sound, and the same each time.
    #[test]
    fn any_picture_has_a_sound_layout(
        width in 1u32..160, height in 1u32..120, seed in any::<u64>(),
        shapes in prop::collection::vec((0i32..160, 0i32..120, 1i32..60, 1i32..30, any::<[u8; 3]>()), 0..40),
        grain in 0i32..60,
    ) {
        let mut paper = Paper::new(width, height, [(seed % 256) as u8, (seed / 256 % 256) as u8, 128]);
        for (x, y, w, h, colour) in shapes {
            paper.fill([x, y, x + w, y + h], colour);
        }
        paper.scan(grain);
        let page = find_lines(&paper.picture);
        assert_sound(&page, &paper.picture);
        prop_assert_eq!(&page, &find_lines(&paper.picture));
    }

    /// The chunks of a line hold all of its ink: no column of it is left out.
    #[test]
    fn chunks_cover_the_ink(words in prop::collection::vec("[a-z]{1,9}", 3..14), em in 14i32..40) {
        let mut paper = Paper::new(1900, 300, WHITE);
        paper.text(50, 100, em, BLACK, &words.join(" "));
        paper.text(50, 200, em, BLACK, WORDS);
        let page = find_lines(&paper.picture);
        prop_assert_eq!(page.lines.len(), 2);
        for (line, drawn) in page.lines.iter().zip(&paper.lines) {
            let ink = (drawn[0] as u32..drawn[2] as u32).filter(|&x| {
                (drawn[1] as u32..drawn[3] as u32).any(|y| paper.picture.pixel(x.min(1899), y)[0] < 128)
            });
            for x in ink {
                let covered = line.chunks.iter().any(|chunk| chunk.bbox[0] <= x as f32 && (x as f32) < chunk.bbox[2]);
                prop_assert!(covered, "column {} of line {:?}", x, line.bbox);
            }
        }
    }
}
