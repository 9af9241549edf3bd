use proptest::prelude::*;

use super::*;
use crate::testing::{
    assert_close, assert_same_bits, cases, differences, inner, on_every_isa, on_threads, poisoned, values,
    wide,
};

const EPS: f32 = 1e-5;

fn exact(x: &[f64], weight: &[f64], bias: Option<&[f64]>) -> Vec<f64> {
    let width = weight.len();
    let mut out = Vec::new();
    for row in x.chunks_exact(width) {
        let mean = if bias.is_some() {
            row.iter().sum::<f64>() / width as f64
        } else {
            0.0
        };
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        let scale = 1.0 / (variance + f64::from(EPS)).sqrt();
        out.extend(
            (0..width).map(|i| (row[i] - mean) * scale * weight[i] + bias.map_or(0.0, |bias| bias[i])),
        );
    }
    out
}

/// Bounds: 3e-6 forward, 5e-5 for gradients (sums over a row or over all rows), relative to the larger of 1 and the value.
fn check(rows: usize, width: usize, seed: u64) {
    let x: Vec<f32> = values(rows * width, seed).iter().map(|x| 2.0 * x + 0.5).collect();
    let [weight, bias] = [1, 2].map(|i| values(width, seed ^ i));
    let grad = values(rows * width, seed ^ 3);
    let (x64, weight64, bias64, grad64) = (wide(&x), wide(&weight), wide(&bias), wide(&grad));
    let (mut out, mut dx, mut dw, mut db) = (
        poisoned(rows * width),
        poisoned(rows * width),
        poisoned(width),
        poisoned(width),
    );
    for bias in [None, Some(bias.as_slice())] {
        let bias64 = bias.map(|_| bias64.as_slice());
        match bias {
            None => {
                rms_norm(&x, &weight, EPS, &mut out);
                rms_norm_backward(&x, &weight, EPS, &grad, &mut dx, &mut dw);
            }
            Some(bias) => {
                layer_norm(&x, &weight, bias, EPS, &mut out);
                layer_norm_backward(&x, &weight, EPS, &grad, &mut dx, &mut dw, &mut db);
                let expected = differences(&wide(bias), |bias| {
                    inner(&grad64, &exact(&x64, &weight64, Some(bias)))
                });
                assert_close("grad bias", &db, &expected, 5e-5);
            }
        }
        assert_close("out", &out, &exact(&x64, &weight64, bias64), 3e-6);
        let expected = differences(&x64, |x| inner(&grad64, &exact(x, &weight64, bias64)));
        // A row of one or two values turns the smallest error into a large slope.
        assert_close("grad x", &dx, &expected, if width < 4 { 2e-2 } else { 5e-5 });
        let expected = differences(&weight64, |weight| inner(&grad64, &exact(&x64, weight, bias64)));
        assert_close("grad weight", &dw, &expected, 5e-5);
    }
}

proptest! {
    #![proptest_config(cases(24))]
    #[test]
    fn both_norms_and_their_slopes(rows in 0_usize..6, width in 4_usize..70, seed in any::<u64>()) {
        on_every_isa(|_| check(rows, width, seed));
    }
}

#[test]
fn narrow_and_empty() {
    for (rows, width) in [(3, 1), (2, 2), (0, 5), (1, 3)] {
        on_every_isa(|_| check(rows, width, 7));
    }
    rms_norm(&[], &[], EPS, &mut []);
}

#[test]
#[cfg_attr(miri, ignore = "large")]
fn rows_and_threads_do_not_change_the_bits() {
    let (rows, width) = (1000, 131);
    let (x, weight, bias) = (values(rows * width, 1), values(width, 2), values(width, 3));
    let grad = values(rows * width, 4);
    on_every_isa(|isa| {
        let on = |threads| {
            let (mut out, mut dx) = (poisoned(rows * width), poisoned(rows * width));
            let (mut dw, mut db) = (poisoned(width), poisoned(width));
            on_threads(threads, isa, || {
                layer_norm(&x, &weight, &bias, EPS, &mut out);
                layer_norm_backward(&x, &weight, EPS, &grad, &mut dx, &mut dw, &mut db);
            });
            [out, dx, dw, db].concat()
        };
        let whole = on(1);
        assert_same_bits("three threads", &on(3), &whole);
        for row in [0, 1, 500, 999] {
            let range = row * width..(row + 1) * width;
            let mut alone = poisoned(width);
            layer_norm(&x[range.clone()], &weight, &bias, EPS, &mut alone);
            assert_same_bits("a row alone", &alone, &whole[range]);
        }
    });
}

#[test]
#[should_panic(expected = "5 values in rows of 2")]
fn rows_must_be_whole() {
    rms_norm(&[0.0; 5], &[0.0; 2], EPS, &mut [0.0; 5]);
}
