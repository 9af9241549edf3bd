//! The rules of positions: worked examples, what holds for every prompt, and prompts that do not fit their pictures.

use ocellus_models::mrope::positions;
use ocellus_models::{Facts, Grid, ModelError, PositionRule, VisualSpan};
use proptest::prelude::*;

const TEXT: u32 = 20;
const IMAGE: u32 = 8;
const VIDEO: u32 = 9;
const RULES: [PositionRule; 3] = [
    PositionRule::Published,
    PositionRule::WholeSeconds,
    PositionRule::LargestSide,
];

fn facts(tokens_per_second: Option<f32>) -> Facts {
    Facts {
        family: "test",
        image_token: Some(IMAGE),
        video_token: Some(VIDEO),
        merge: 2,
        patch_size: 14,
        temporal_patch_size: 2,
        patch_features: 1176,
        frames_apart: false,
        tokens_per_second,
        max_positions: 4096,
    }
}

fn vision(t: usize, h: usize, w: usize, video_seconds: Option<f32>) -> VisualSpan {
    VisualSpan {
        grid: Grid { t, h, w },
        video_seconds,
    }
}

/// A prompt of text runs with a picture after each but the last.
fn prompt(text: &[usize], visions: &[VisualSpan]) -> Vec<u32> {
    let mut ids = Vec::new();
    for (i, run) in text.iter().enumerate() {
        ids.extend(std::iter::repeat_n(TEXT, *run));
        if let Some(v) = visions.get(i) {
            let id = if v.video_seconds.is_some() { VIDEO } else { IMAGE };
            ids.extend(std::iter::repeat_n(id, facts(None).visual_tokens(&v.grid)));
        }
    }
    ids
}

#[test]
fn videos_are_timed_and_followed_as_each_rule_says() {
    use PositionRule::{LargestSide, Published, WholeSeconds};
    // Rule, tokens a second, seconds a frame, where three frames of one cell stand in time, where text goes on; text is at 0.
    let table: [(_, _, f32, [i64; 3], i64); 9] = [
        (Published, Some(2.0), 1.5, [1, 4, 7], 8),
        (WholeSeconds, Some(2.0), 1.5, [1, 3, 5], 6),
        (LargestSide, Some(2.0), 1.5, [1, 4, 7], 2),
        (Published, Some(2.0), 0.25, [1, 1, 2], 3),
        (WholeSeconds, Some(2.0), 0.25, [1, 1, 1], 2),
        (LargestSide, Some(2.0), 0.25, [1, 1, 2], 2),
        // A family without timed positions counts frames.
        (Published, None, 1.5, [1, 2, 3], 4),
        (WholeSeconds, None, 1.5, [1, 2, 3], 4),
        (LargestSide, None, 1.5, [1, 2, 3], 2),
    ];
    for (rule, rate, seconds, times, next) in table {
        let visions = [vision(3, 2, 2, Some(seconds))];
        let found = positions(&facts(rate), &prompt(&[1, 1], &visions), &visions, rule).unwrap();
        let mut expected = vec![[0; 3]];
        expected.extend(times.map(|t| [t, 1, 1]));
        expected.push([next; 3]);
        assert_eq!(found.ids, expected, "{rule:?}, {rate:?}, {seconds}");
        assert_eq!(
            found.delta,
            times[2].max(next) + 1 - 5,
            "{rule:?}, {rate:?}, {seconds}"
        );
    }
}

#[test]
fn a_picture_keeps_its_start_and_text_goes_on_behind_its_longer_side() {
    let visions = [vision(1, 4, 6, None), vision(1, 4, 2, None)];
    let ids = prompt(&[2, 0, 1], &visions);
    let mut expected = vec![[0; 3], [1; 3]];
    for row in 0..2 {
        expected.extend((0..3).map(|column| [2, 2 + row, 2 + column]));
    }
    expected.extend([[5, 5, 5], [5, 6, 5], [7, 7, 7]]);
    for (rule, rate) in RULES.into_iter().zip([None, Some(4.0), Some(2.0)]) {
        let found = positions(&facts(rate), &ids, &visions, rule).unwrap();
        assert_eq!(found.ids, expected, "{rule:?}");
        assert_eq!(found.delta, 8 - 11, "{rule:?}");
    }
}

#[test]
fn nothing_has_no_positions() {
    let found = positions(&facts(None), &[], &[], PositionRule::Published).unwrap();
    assert_eq!((found.ids.len(), found.delta), (0, 0));
}

#[test]
fn prompts_that_do_not_fit_their_pictures_are_refused() {
    let (picture, video) = (vision(1, 4, 4, None), vision(1, 4, 4, Some(1.0)));
    /// Name, ids, pictures, the kind of error, what was expected and what was found.
    type Row<'a> = (&'a str, &'a [u32], &'a [VisualSpan], &'a str, usize, usize);
    let table: [Row; 6] = [
        ("no picture", &[TEXT, IMAGE], &[], "image", 0, 1),
        ("no video", &[VIDEO; 4], &[picture], "video", 0, 4),
        (
            "too few tokens",
            &[IMAGE, IMAGE, IMAGE, TEXT],
            &[picture],
            "image",
            4,
            3,
        ),
        ("no tokens", &[TEXT; 3], &[picture], "image", 4, 0),
        ("tokens left over", &[IMAGE; 5], &[picture], "image", 0, 1),
        (
            "a video's tokens are not a picture's",
            &[IMAGE; 4],
            &[picture, video],
            "video",
            4,
            0,
        ),
    ];
    for (name, ids, visions, wanted, visual_tokens, tokens) in table {
        match positions(&facts(None), ids, visions, PositionRule::Published) {
            Err(ModelError::Span {
                kind,
                expected,
                found,
            }) => assert_eq!((kind, expected, found), (wanted, visual_tokens, tokens), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn visions() -> impl Strategy<Value = Vec<VisualSpan>> {
    let one = (1usize..4, 1usize..5, 1usize..5, proptest::option::of(0.0f32..3.0));
    proptest::collection::vec(one, 0..4).prop_map(|all| {
        all.into_iter()
            .map(|(t, h, w, seconds)| vision(if seconds.is_some() { t } else { 1 }, 2 * h, 2 * w, seconds))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_holds_for_every_prompt(
        visions in visions(),
        runs in proptest::collection::vec(1usize..5, 5),
        rule in 0usize..3,
        rate in proptest::option::of(1u8..5),
    ) {
        let (rule, facts) = (RULES[rule], facts(rate.map(f32::from)));
        let runs = &runs[..=visions.len()];
        let ids = prompt(runs, &visions);
        let found = positions(&facts, &ids, &visions, rule).unwrap();
        prop_assert_eq!(found.ids.len(), ids.len());

        let mut at = 0;
        for (i, run) in runs.iter().enumerate() {
            // Text advances by one on all axes together.
            for (n, position) in found.ids[at..at + run].iter().enumerate() {
                prop_assert_eq!(*position, [found.ids[at][0] + n as i64; 3]);
            }
            at += run;
            let Some(v) = visions.get(i) else { continue };
            let (start, visual_tokens) = (found.ids[at - 1][0] + 1, facts.visual_tokens(&v.grid));
            let (rows, columns) = (v.grid.h / 2, v.grid.w / 2);
            for (n, [time, row, column]) in found.ids[at..at + visual_tokens].iter().enumerate() {
                prop_assert!(*time >= start);
                prop_assert_eq!(*row, start + (n / columns % rows) as i64);
                prop_assert_eq!(*column, start + (n % columns) as i64);
            }
            at += visual_tokens;
            let next = found.ids[at][0];
            let largest = found.ids[..at].iter().flatten().max().unwrap() + 1;
            let side = start + rows.max(columns) as i64;
            prop_assert_eq!(next, if rule == PositionRule::LargestSide { side } else { largest });
        }
        let largest = found.ids.iter().flatten().max().unwrap();
        prop_assert_eq!(found.delta, largest + 1 - ids.len() as i64);
    }
}
