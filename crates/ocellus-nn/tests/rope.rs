//! Frequencies and angles against the published formulas, computed in f64.

use candle_core::Device;
use ocellus_nn::rope::{Rope, Yarn};
use ocellus_testkit::{assert_close, test_each};

/// `theta^(-2i/dim)`, with the by-parts interpolation of YaRN (Peng et al. 2023, section 3.2) when asked for: a dimension that
/// makes more than `beta_fast` turns in the original context keeps its frequency, one that makes less than `beta_slow`
/// has it divided by the factor, and a straight line lies between.
fn exact_frequencies(theta: f64, dim: usize, yarn: Option<Yarn>) -> Vec<f64> {
    let plain = (0..dim / 2).map(|i| theta.powf(-2.0 * i as f64 / dim as f64));
    let Some(yarn) = yarn else {
        return plain.collect();
    };
    let at_turns = |turns: f64| {
        dim as f64 * (yarn.original_positions / (turns * 2.0 * std::f64::consts::PI)).ln()
            / (2.0 * theta.ln())
    };
    let low = at_turns(yarn.beta_fast).floor().max(0.0);
    let high = at_turns(yarn.beta_slow).ceil().min(dim as f64 - 1.0);
    let mix = |(i, f): (usize, f64)| {
        let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
        f / yarn.factor * ramp + f * (1.0 - ramp)
    };
    plain.enumerate().map(mix).collect()
}

/// The scaling that the published long-context instructions give.
const PUBLISHED: Yarn = Yarn {
    factor: 4.0,
    original_positions: 32768.0,
    beta_fast: 32.0,
    beta_slow: 1.0,
    attention_factor: None,
};

fn rope(theta: f64, sections: &[usize], yarn: Option<Yarn>) -> Rope {
    Rope {
        yarn,
        ..Rope::sections(theta, sections)
    }
}

#[test]
fn frequencies_follow_the_formula() {
    let small = Yarn {
        factor: 8.0,
        original_positions: 4096.0,
        beta_fast: 16.0,
        beta_slow: 2.0,
        attention_factor: Some(1.0),
    };
    let table = [
        ("plain", (1e6, 128, None)),
        ("plain, small", (1e4, 12, None)),
        ("published", (1e6, 128, Some(PUBLISHED))),
        ("other turns", (1e4, 64, Some(small))),
        (
            "factor 1 changes nothing",
            (1e4, 64, Some(Yarn { factor: 1.0, ..small })),
        ),
    ];
    test_each(table, |&(theta, dim, yarn)| {
        let exact: Vec<f32> = exact_frequencies(theta, dim, yarn)
            .into_iter()
            .map(|f| f as f32)
            .collect();
        let found = rope(theta, &[dim / 2], yarn).frequencies(dim);
        assert_close("frequencies", &found, &exact, 0.0, 2e-6);
    });
}

#[test]
fn the_published_scaling_by_hand() {
    // 32768 / (2 pi) = 5215.19 turns of the first dimension; ln 1e6 = 13.8155.
    // low = floor(128 ln(5215.19 / 32) / 27.631) = floor(23.6) = 23; high = ceil(128 ln(5215.19) / 27.631) = ceil(39.65) = 40.
    let (plain, yarn) = (
        rope(1e6, &[64], None).frequencies(128),
        rope(1e6, &[64], Some(PUBLISHED)).frequencies(128),
    );
    for (i, expected) in [
        (0, 1.0),
        (23, 1.0),
        (24, 1.0 - 0.75 / 17.0),
        (30, 1.0 - 0.75 * 7.0 / 17.0),
        (39, 1.0 - 0.75 * 16.0 / 17.0),
        (40, 0.25),
        (63, 0.25),
    ] {
        let ratio = yarn[i] / plain[i];
        assert!(
            (ratio - expected).abs() < 1e-6,
            "dimension {i}: {ratio}, expected {expected}"
        );
    }
}

#[test]
fn angles_take_each_frequency_from_its_axis_and_are_scaled() {
    let (dim, sections, position) = (12, [1, 2, 3], [5, 11, 2]);
    for (yarn, scale) in [
        (None, 1.0),
        (Some(PUBLISHED), 0.1 * 4f64.ln() + 1.0),
        (
            Some(Yarn {
                factor: 0.5,
                ..PUBLISHED
            }),
            1.0,
        ),
        (
            Some(Yarn {
                attention_factor: Some(1.75),
                ..PUBLISHED
            }),
            1.75,
        ),
    ] {
        let angles = rope(1e6, &sections, yarn)
            .angles(&[[0; 3], position], dim, &Device::Cpu)
            .unwrap();
        let axes = [0, 1, 1, 2, 2, 2];
        let exact: Vec<f64> = exact_frequencies(1e6, dim, yarn)
            .into_iter()
            .zip(axes)
            .map(|(f, axis)| f * position[axis] as f64)
            .collect();
        for (found, function) in [(angles.cos, f64::cos as fn(f64) -> f64), (angles.sin, f64::sin)] {
            let rows = found.to_vec2::<f32>().unwrap();
            let row = |angles: &[f64]| -> Vec<f32> {
                let half = angles.iter().map(|a| (function(*a) * scale) as f32);
                half.clone().chain(half).collect()
            };
            assert_close("position 0", &rows[0], &row(&[0.0; 6]), 1e-6, 0.0);
            assert_close("position 1", &rows[1], &row(&exact), 2e-6, 0.0);
        }
    }
}

#[test]
fn sections_that_do_not_fill_half_a_head_are_an_error() {
    let error = rope(1e4, &[2, 2], None).angles(&[[0; 3]], 12, &Device::Cpu);
    let text = error.err().expect("4 is not half of 12").to_string();
    assert!(text.contains("[2, 2]") && text.contains("12"), "{text}");
}
