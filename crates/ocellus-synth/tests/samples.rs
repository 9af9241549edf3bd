//! What every sample must be, over many numbers and stages.

use std::path::PathBuf;
use std::sync::OnceLock;

use ocellus_synth::{Corpus, Curriculum, Fonts, Sample, Synth, SynthError, charset};
use proptest::prelude::*;

fn tests_dir(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests")
        .join(name)
}

fn make(charset: Vec<char>, seed: u64) -> Synth {
    let fonts = Fonts::load(&[tests_dir("fonts")], &charset::latin()).unwrap();
    Synth::new(
        fonts,
        Corpus::load(&[tests_dir("corpus")], &charset::latin()).unwrap(),
        charset,
        seed,
    )
}

fn synth() -> &'static Synth {
    static SYNTH: OnceLock<Synth> = OnceLock::new();
    SYNTH.get_or_init(|| make(charset::latin(), 17))
}

fn curriculum(max_chars: usize, max_cells: usize, difficulty: f32) -> Curriculum {
    Curriculum {
        min_chars: 1,
        max_chars,
        max_cells,
        difficulty,
    }
}

fn ink(sample: &Sample, from: f32, to: f32) -> f32 {
    let width = sample.image.width as usize;
    let (from, to) = (from.max(0.0) as usize, (to.ceil() as usize).min(width));
    let mut darkness = 0.0;
    for row in sample.image.data.chunks_exact(width) {
        darkness += row[from..to]
            .iter()
            .map(|&v| f32::from(255 - v) / 255.0)
            .sum::<f32>();
    }
    darkness
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sizes_text_and_spans_keep_their_rules(
        index in any::<u64>(), max_chars in 1usize..60, max_cells in 1usize..20, difficulty in 0.0f32..=1.0,
    ) {
        let sample = synth().sample(index, &curriculum(max_chars, max_cells, difficulty));
        let image = &sample.image;
        prop_assert_eq!(image.height, 28);
        prop_assert!(image.width > 0 && image.width.is_multiple_of(28) && image.width <= 28 * max_cells as u32, "{}", image.width);
        prop_assert_eq!(image.data.len(), (image.width * image.height) as usize);

        let chars: Vec<char> = sample.text.chars().collect();
        prop_assert!(!chars.is_empty() && chars.len() <= max_chars, "{:?}", sample.text);
        let latin = charset::latin();
        prop_assert!(chars.iter().all(|c| latin.binary_search(c).is_ok()), "{:?}", sample.text);
        prop_assert_eq!(sample.text.trim(), &sample.text);
        prop_assert!(!sample.text.contains("  "));

        prop_assert_eq!(sample.spans.len(), chars.len());
        let mut before = (0.0, 0.0);
        for &(start, end) in &sample.spans {
            prop_assert!(start <= end && start >= 0.0 && end <= image.width as f32, "{:?}", sample.spans);
            prop_assert!(start >= before.0 && end >= before.1, "{:?}", sample.spans);
            before = (start, end);
        }
    }
}

#[test]
fn samples_depend_on_seed_index_and_stage_alone() {
    let easy = curriculum(30, 12, 0.3);
    let again = make(charset::latin(), 17);
    let other = make(charset::latin(), 18);
    let backwards: Vec<Sample> = (0..40).rev().map(|i| again.sample(i, &easy)).collect();
    let mut differing = 0;
    for (i, expected) in (0..40).zip(backwards.iter().rev()) {
        assert_eq!(&synth().sample(i, &easy), expected, "sample {i}");
        differing += usize::from(other.sample(i, &easy) != *expected);
    }
    assert!(
        differing >= 39,
        "only {differing} of 40 samples differ under another seed"
    );
}

#[test]
fn two_threads_see_the_same_samples() {
    let hard = curriculum(40, 16, 1.0);
    let both: Vec<Vec<Sample>> = std::thread::scope(|scope| {
        let work = || scope.spawn(|| (100..130).map(|i| synth().sample(i, &hard)).collect::<Vec<_>>());
        let threads = [work(), work()];
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(both[0], both[1]);
}

#[test]
fn clean_samples_are_dark_on_light() {
    for i in 0..200 {
        let sample = synth().sample(i, &curriculum(30, 14, 0.0));
        let mut levels = sample.image.data.clone();
        levels.sort_unstable();
        let (darkest, median) = (levels[levels.len() / 200], levels[levels.len() / 2]);
        assert!(
            darkest < 90 && median > 200,
            "sample {i} {:?}: darkest {darkest}, median {median}",
            sample.text
        );
    }
}

#[test]
fn letters_have_their_ink_where_their_spans_are() {
    let (mut letters, mut spaces, mut letter_px, mut space_px) = (0.0, 0.0, 0.0, 0.0);
    for i in 0..300 {
        let sample = synth().sample(i, &curriculum(30, 14, 0.0));
        for (c, &(start, end)) in sample.text.chars().zip(&sample.spans) {
            if c.is_alphanumeric() {
                assert!(
                    ink(&sample, start - 1.0, end + 1.0) > 1.0,
                    "sample {i} {:?}: no ink at {c:?}",
                    sample.text
                );
                letters += ink(&sample, start, end);
                letter_px += end - start;
            } else if c == ' ' {
                spaces += ink(&sample, start + 1.5, end - 1.5);
                space_px += (end - start - 3.0).max(0.0);
            }
        }
    }
    // Neighbours and underlines may reach into a space, letters may not.
    assert!(
        spaces / space_px < 0.12 * letters / letter_px,
        "{} against {}",
        spaces / space_px,
        letters / letter_px
    );
}

#[test]
fn a_smaller_charset_is_kept() {
    let digits: Vec<char> = "0123456789. ".chars().collect();
    let synth = make(digits.clone(), 5);
    for i in 0..50 {
        let sample = synth.sample(i, &curriculum(12, 8, 0.5));
        assert!(
            sample.text.chars().all(|c| digits.contains(&c)),
            "{:?}",
            sample.text
        );
    }
}

#[test]
fn lengths_follow_the_stage() {
    let curriculum = Curriculum {
        min_chars: 6,
        max_chars: 10,
        max_cells: 16,
        difficulty: 0.2,
    };
    let mut lengths = [0; 64];
    for i in 0..300 {
        lengths[synth().sample(i, &curriculum).text.chars().count()] += 1;
    }
    assert_eq!(lengths[11..].iter().sum::<usize>(), 0);
    assert!(lengths[6..=10].iter().sum::<usize>() > 240, "{lengths:?}");
}

#[test]
fn fonts_are_checked_and_sorted() {
    let fonts = Fonts::load(&[tests_dir("fonts")], &charset::latin()).unwrap();
    let families: Vec<&str> = fonts.faces().iter().map(|face| face.family.as_str()).collect();
    assert_eq!(
        families,
        ["DejaVu Serif", "Go", "Go Mono", "Goudy Bookletter 1911"]
    );
    for face in fonts.faces() {
        assert!(
            ('a'..='z').all(|c| face.covers(c)) && !face.covers('漢'),
            "{face:?}"
        );
    }
    let error = Fonts::load(&[tests_dir("corpus")], &charset::latin()).unwrap_err();
    assert!(matches!(error, SynthError::NoFaces { files: 0 }), "{error}");
}
