use super::super::quantity::named;
use super::*;

fn side(name: &str, weights: &str, bits: u32) -> Side {
    Side {
        name: name.into(),
        weights: weights.into(),
        bits,
        command: vec!["{peers}/run".into(), weights.into()],
        ..Side::default()
    }
}

/// Three programs at two widths, three rounds; in the second everything is half as fast, in the third one is missing.
pub fn example() -> (Vec<Side>, Summary) {
    let sides = vec![
        side("ocellus", "q8", 8),
        side("slow", "q8_0", 8),
        side("fast", "int8", 8),
        side("fast", "bf16", 16),
    ];
    let mut rows = Vec::new();
    for (round, pace) in [(1, 1.0), (2, 0.5), (3, 1.0)] {
        for (side, encode_s, decode_tok_s) in [
            (&sides[0], 10.0, 12.0),
            (&sides[1], 50.0, 8.0),
            (&sides[2], 25.0, 6.0),
            (&sides[3], 20.0, 3.0),
        ] {
            if round == 3 && side.name == "slow" {
                continue;
            }
            for (key, value) in [
                ("encode_s", encode_s / pace),
                ("decode_tok_s", decode_tok_s * pace),
            ] {
                rows.push(Row {
                    round,
                    peer: side.name.clone(),
                    weights: side.weights.clone(),
                    bits: side.bits,
                    quantity: named(key),
                    value,
                    noise: Some(Noise {
                        others_percent: f64::from(round),
                        stolen_percent: 0.5,
                    }),
                });
            }
        }
    }
    let summary = Summary::of(&sides, &rows);
    (sides, summary)
}

#[test]
fn medians() {
    for (values, expected) in [
        (&[][..], None),
        (&[3.0], Some(3.0)),
        (&[9.0, 1.0, 2.0], Some(2.0)),
        (&[4.0, 1.0, 2.0, 3.0], Some(2.5)),
    ] {
        assert_eq!(median(values.iter().copied()), expected);
    }
}

#[test]
fn ratios_are_taken_inside_rounds() {
    let (sides, summary) = example();
    let ours = &sides[0];
    // Of the slow one two rounds count; its median over them is 75 s, ours over three 10 s: 7.5, not 5.
    assert_eq!(summary.median(&sides[1], named("encode_s")), Some(75.0));
    let ratio = summary.ratio(ours, &sides[1], named("encode_s")).unwrap();
    assert_eq!((ratio.lowest, ratio.median, ratio.highest), (5.0, 5.0, 5.0));
    assert_eq!(summary.ratio(ours, &sides[2], named("load_s")), None);
    let best = |key: &str| {
        let peers = summary.peers(ours, true);
        summary.ratio_to_best(ours, peers, named(key)).unwrap().median
    };
    assert_eq!((best("encode_s"), best("decode_tok_s")), (2.5, 1.5));
}

#[test]
fn a_ratio_tells_its_range() {
    let (sides, mut summary) = example();
    let key = ("ocellus q8".to_owned(), "decode_tok_s");
    summary.values.get_mut(&key).unwrap().insert(2, 3.0);
    let ratio = summary
        .ratio(&sides[0], &sides[2], named("decode_tok_s"))
        .unwrap();
    assert_eq!((ratio.lowest, ratio.median, ratio.highest), (1.0, 2.0, 2.0));
}

#[test]
fn programs_stand_widest_first_and_those_without_values_not_at_all() {
    let (mut sides, summary) = example();
    let labels: Vec<String> = summary.sides.iter().map(Side::label).collect();
    assert_eq!(labels, ["fast bf16", "ocellus q8", "slow q8_0", "fast int8"]);
    assert_eq!(summary.peers(&sides[0], false).len(), 1);
    sides.push(side("absent", "q4", 4));
    assert!(Summary::of(&sides, &[]).sides.is_empty());
}

#[test]
fn noise_counts_once_a_run() {
    let (_, summary) = example();
    // Four runs with 1 %, four with 2 %, three with 3 %.
    assert_eq!(summary.noise.len(), 11);
    assert_eq!(summary.noise(), Some([(2.0, 3.0), (0.5, 0.5)]));
    assert_eq!(Summary::default().noise(), None);
}

#[test]
fn bars_stand_beside_the_best_peer_of_their_width() {
    let (_, summary) = example();
    let panels = summary.panels();
    let titles: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!(titles, ["vision tower", "decoding"]);
    let bars: Vec<(&str, f64)> = panels[1]
        .groups
        .iter()
        .flat_map(|group| group.bars.iter().map(|bar| (bar.label.as_str(), bar.ratio)))
        .collect();
    let expected = [
        ("fast bf16", 1.0),
        ("ocellus q8", 2.0),
        ("slow q8_0", 1.0),
        ("fast int8", 1.0),
    ];
    assert_eq!(bars, expected);
}
