//! Pages that stand on their head, lie on their side or askew: lines are found, read the right way up, and their boxes are on the
//! page as it was given.

mod paper;

use std::convert::Infallible;

use ocellus_media::{Gray, Rgb};
use ocellus_tasks::layout::{ChunkText, find_lines};
use ocellus_tasks::ocr::CutPage;
use paper::{BLACK, Paper, WHITE};

const WORDS: &str =
    "the quick pig jumps lazily over ten big dogs beyond the hill then gladly explains why people";

/// Ten lines, of which only the first is short.
fn upright() -> Paper {
    let mut paper = Paper::new(900, 700, WHITE);
    for line in 0..10 {
        let words = if line == 0 {
            &WORDS[..30]
        } else {
            &WORDS[line..60 + line]
        };
        paper.text(120, 150 + 45 * line as i32, 24, BLACK, words.trim());
    }
    paper
}

/// Turned clockwise by quarters.
fn quarters(picture: &Rgb, count: u32) -> Rgb {
    (0..count).fold(picture.clone(), |from, _| {
        let mut to = Rgb::filled(from.height, from.width, WHITE);
        for y in 0..from.height {
            for x in 0..from.width {
                let at = (x * to.width + (from.height - 1 - y)) as usize * 3;
                to.data[at..at + 3].copy_from_slice(&from.pixel(x, y));
            }
        }
        to
    })
}

/// A reader that is sure of strips whose letters stand on their feet: more strokes of `Paper` letters reach up than down, so
/// there is more ink in the upper quarter of all strips than in the lowest.
fn read(strips: &[Gray]) -> Result<Vec<ChunkText>, Infallible> {
    let ink = |strip: &Gray, rows: std::ops::Range<u32>| {
        let levels = &strip.data[(rows.start * strip.width) as usize..(rows.end * strip.width) as usize];
        levels.iter().filter(|level| **level < 128).count()
    };
    let all = |rows: std::ops::Range<u32>| strips.iter().map(|strip| ink(strip, rows.clone())).sum::<usize>();
    let text = ChunkText {
        text: "letters".into(),
        confidence: if all(2..8) > all(22..28) { 0.95 } else { 0.7 },
    };
    Ok(vec![text; strips.len()])
}

#[test]
fn pages_are_read_the_right_way_up() {
    let paper = upright();
    for quarter in 0..4 {
        let page = quarters(&paper.picture, quarter);
        let cut = CutPage::new(&page);
        let Ok(text) = cut.read(&page, false, &mut |strips| read(strips));
        assert_eq!(text.lines.len(), paper.lines.len(), "{quarter} quarters");
        for (line, drawn) in text.lines.iter().zip(&paper.lines) {
            assert!(line.confidence > 0.9, "{quarter} quarters");
            let (width, height) = (paper.picture.width as f32, paper.picture.height as f32);
            let [x1, y1, x2, y2] = *drawn;
            let expected = match quarter {
                0 => [x1, y1, x2, y2],
                1 => [height - y2, x1, height - y1, x2],
                2 => [width - x2, height - y2, width - x1, height - y1],
                _ => [y1, width - x2, y2, width - x1],
            };
            let off = line
                .bbox
                .iter()
                .zip(expected)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(
                off <= 4.0,
                "{quarter} quarters: {:?} was drawn at {expected:?}",
                line.bbox
            );
        }
    }
}

#[test]
fn any_skew_is_found() {
    let paper = upright();
    for degrees in [-38.0f32, -21.0, -12.5, -7.0, 3.0, 6.0, 9.0, 14.0, 27.0, 41.0] {
        let page = paper.turned(degrees);
        let found = find_lines(&page.picture);
        assert!(
            (found.skew_degrees - degrees).abs() < 0.2,
            "{degrees}: {}",
            found.skew_degrees
        );
        assert_eq!(found.lines.len(), paper.lines.len(), "{degrees}");
    }
}

#[test]
fn a_page_that_cannot_be_read_stays_as_it_is() {
    let paper = upright();
    let mut calls = 0;
    let unsure = |strips: &[Gray]| {
        Ok::<_, Infallible>(vec![
            ChunkText {
                text: "letters".into(),
                confidence: 0.65
            };
            strips.len()
        ])
    };
    let Ok(text) = CutPage::new(&paper.picture).read(&paper.picture, false, &mut |strips| {
        calls += 1;
        unsure(strips)
    });
    assert_eq!(text.lines.len(), paper.lines.len());
    assert!(text.lines[0].bbox[1] < text.lines[9].bbox[1]);
    // A sample each way up, and the rest once.
    assert!(calls <= 5, "{calls} calls");
}
