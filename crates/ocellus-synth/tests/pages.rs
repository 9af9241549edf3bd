//! What every page and every line cut from one must be.

use std::path::PathBuf;
use std::sync::OnceLock;

use ocellus_synth::{Corpus, Curriculum, Fonts, Page, PageKind, Quad, Synth, charset};

fn synth(seed: u64) -> Synth {
    let dir = |name: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests")
            .join(name)
    };
    let latin = charset::latin();
    let fonts = Fonts::load(&[dir("fonts")], &latin).unwrap();
    let corpus = Corpus::load(&[dir("corpus")], &latin).unwrap();
    Synth::new(fonts, corpus, latin, seed)
}

/// Pages of every kind, with all wear.
fn pages() -> &'static [Page] {
    static PAGES: OnceLock<Vec<Page>> = OnceLock::new();
    PAGES.get_or_init(|| {
        let synth = synth(3);
        (0..40).map(|i| synth.page(i, 1.0)).collect()
    })
}

/// Darkest and lightest level within the upright box around a quad.
fn levels(page: &Page, quad: &Quad) -> (u8, u8) {
    let bound = |axis: usize, size: u32| {
        let all = quad.iter().map(|p| p[axis]);
        let low = all.clone().fold(f32::MAX, f32::min).max(0.0) as u32;
        let high = (all.fold(f32::MIN, f32::max).ceil() as u32).clamp(low + 1, size.max(low + 1));
        low..high.min(size)
    };
    let (mut low, mut high) = (255, 0);
    for y in bound(1, page.image.height) {
        for x in bound(0, page.image.width) {
            let level = page.image.data[(y * page.image.width + x) as usize];
            (low, high) = (low.min(level), high.max(level));
        }
    }
    (low, high)
}

#[test]
fn a_page_depends_on_seed_and_number_alone() {
    let again = synth(3);
    for i in [7, 2] {
        assert_eq!(again.page(i, 1.0), pages()[i as usize], "page {i}");
    }
    assert_ne!(synth(4).page(2, 1.0).image, pages()[2].image);
}

#[test]
fn every_kind_is_drawn_and_has_lines() {
    for kind in PageKind::ALL {
        let lines: usize = pages()
            .iter()
            .filter(|p| p.kind == kind)
            .map(|p| p.lines.len())
            .sum();
        assert!(lines > 5, "{}: {lines} lines", kind.name());
    }
    assert!(pages().iter().any(|page| page.turned != 0), "no page is turned");
    assert!(
        pages()
            .iter()
            .flat_map(|p| &p.lines)
            .any(|line| line.cell.is_some()),
        "no line is in a cell"
    );
}

#[test]
fn truth_keeps_its_rules() {
    let latin = charset::latin();
    for (i, page) in pages().iter().enumerate() {
        for line in &page.lines {
            assert_eq!(
                line.text.chars().count(),
                line.chars.len(),
                "page {i}: {:?}",
                line.text
            );
            assert_eq!(line.text.trim(), line.text, "page {i}");
            assert!(
                !line.text.is_empty() && !line.text.contains("  "),
                "page {i}: {:?}",
                line.text
            );
            assert!(
                line.text.chars().all(|c| latin.binary_search(&c).is_ok()),
                "page {i}: {:?}",
                line.text
            );
        }
        assert!(
            page.lines.windows(2).all(|pair| pair[0].block <= pair[1].block),
            "page {i}: blocks are in order"
        );
    }
}

/// Whatever view a page went through, the ink of a letter is still in its box.
#[test]
fn letters_have_ink_in_their_boxes() {
    for (i, page) in pages().iter().enumerate() {
        let (mut seen, mut all) = (0, 0);
        for line in &page.lines {
            for (quad, _) in line
                .chars
                .iter()
                .zip(line.text.chars())
                .filter(|(_, c)| c.is_alphanumeric())
            {
                let (low, high) = levels(page, quad);
                seen += usize::from(high - low > 24);
                all += 1;
            }
        }
        // A letter under a shadow or in a fade may be fainter.
        assert!(
            seen * 100 >= all * 97,
            "page {i} ({}): {seen} of {all} letters have ink",
            page.kind.name()
        );
    }
}

#[test]
fn baselines_run_between_the_edges_of_their_letters() {
    for (i, page) in pages().iter().enumerate() {
        for line in &page.lines {
            let first = line.chars[0];
            // How far down the left edge of the first letter the baseline begins.
            let edge = [first[3][0] - first[0][0], first[3][1] - first[0][1]];
            let start = [
                line.baseline[0][0] - first[0][0],
                line.baseline[0][1] - first[0][1],
            ];
            let down = (edge[0] * start[0] + edge[1] * start[1]) / (edge[0] * edge[0] + edge[1] * edge[1]);
            assert!(
                (0.4..=1.01).contains(&down),
                "page {i}: {:?} has its baseline at {down}",
                line.text
            );
        }
    }
}

#[test]
fn cut_lines_have_their_ink_where_their_spans_are() {
    let synth = synth(3);
    let stage = Curriculum {
        min_chars: 1,
        max_chars: 60,
        max_cells: 16,
        difficulty: 0.6,
    };
    let (mut lines, mut letters, mut inked) = (0, 0, 0);
    for index in 0..12 {
        for sample in synth.cut(index, &stage) {
            assert_eq!(
                sample.text.chars().count(),
                sample.spans.len(),
                "{:?}",
                sample.text
            );
            assert!(
                sample.image.height == 28
                    && sample.image.width.is_multiple_of(28)
                    && sample.image.width <= 448
            );
            lines += 1;
            for (c, span) in sample
                .text
                .chars()
                .zip(&sample.spans)
                .filter(|(c, _)| c.is_alphanumeric())
            {
                let width = sample.image.width as usize;
                let (from, to) = (span.0 as usize, (span.1.ceil() as usize + 1).min(width));
                let dark = sample
                    .image
                    .data
                    .chunks_exact(width)
                    .any(|row| row[from..to].iter().any(|v| *v < 140));
                letters += 1;
                inked += usize::from(dark);
                assert!(from < to, "{c:?} at {span:?}");
            }
        }
    }
    assert!(lines > 100, "only {lines} lines");
    assert!(inked * 100 >= letters * 99, "{inked} of {letters}");
}
