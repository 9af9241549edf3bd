use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::isa::Isa;
use crate::matrix::Matrix;
use crate::testing::{assert_same_bits, cases, on_every_isa, on_threads, poisoned, values};
use crate::{Gated, Mat, PackedB, Precision, gated};

const FORMATS: [Format; 7] = [
    Format::Q8,
    Format::Q6,
    Format::Q4,
    Format {
        bits: Bits::Eight,
        group: 32,
    },
    Format {
        bits: Bits::Four,
        group: 32,
    },
    Format {
        bits: Bits::Six,
        group: 16,
    },
    Format {
        bits: Bits::Four,
        group: 256,
    },
];

fn quantized(format: Format, n: usize, k: usize, seed: u64) -> (PackedQ, Vec<f32>) {
    let weights = values(n * k, seed);
    let packed = PackedQ::quantize(format, (n, k), None, |first, into| {
        into.copy_from_slice(&weights[first * k..first * k + into.len()]);
    });
    (packed, weights)
}

/// `x · Wᵀ + bias` in f64 with the weights that the matrix holds and activations rounded as the kernels round them.
fn oracle(q: &PackedQ, x: &[f32], m: usize, bias: Option<&[f32]>) -> Vec<(f64, f64)> {
    let (n, k, group) = (q.n(), q.k(), q.format().group);
    let mut rounded = vec![0.0_f64; m * k];
    for (row, to) in x.chunks(k.max(1)).zip(rounded.chunks_mut(k.max(1))) {
        for (x, to) in row.chunks(group).zip(to.chunks_mut(group)) {
            let most = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
            for (x, to) in x.iter().zip(to) {
                *to = f64::from((x * inverse).round_ties_even()) * f64::from(most / 127.0);
            }
        }
    }
    let mut row = vec![0.0; k];
    let mut out = vec![(0.0, 0.0); m * n];
    for j in 0..n {
        q.row(j, &mut row);
        for i in 0..m {
            let start = bias.map_or(0.0, |b| f64::from(b[j]));
            let (mut sum, mut size) = (start, start.abs());
            for (x, w) in rounded[i * k..(i + 1) * k].iter().zip(&row) {
                sum += x * f64::from(*w);
                // The parts of a weight are added apart.
                size += (x * f64::from(w.abs() + 1.0)).abs();
            }
            out[i * n + j] = (sum, size);
        }
    }
    out
}

fn check(format: Format, (m, n, k): (usize, usize, usize), with_bias: bool, accumulate: bool) {
    let (q, _) = quantized(format, n, k, 1);
    let (x, bias) = (values(m * k, 2), values(n, 3));
    let bias = with_bias.then_some(bias.as_slice());
    let before = values(m * n, 4);
    let expected = oracle(&q, &x, m, bias);
    let matrix = Matrix::Quantized(q);
    let mut first: Option<Vec<f32>> = None;
    on_every_isa(|isa| {
        let mut out = if accumulate {
            before.clone()
        } else {
            poisoned(m * n)
        };
        matrix.multiply(Mat::row_major(&x, m, k), bias, &mut out, accumulate);
        for (i, (found, (sum, size))) in out.iter().zip(&expected).enumerate() {
            let sum = sum + if accumulate { f64::from(before[i]) } else { 0.0 };
            let bound = f64::from(f32::EPSILON) * (k + 8) as f64 * size.max(1e-3);
            let error = (f64::from(*found) - sum).abs();
            assert!(
                error <= bound,
                "{format:?} {m}x{n}x{k} {isa:?} [{i}]: {found} for {sum}, {error:.2e}"
            );
        }
        // Whole numbers are exact, and the rest is the same arithmetic everywhere.
        match &first {
            Some(first) => assert_same_bits("across instruction sets", &out, first),
            None => first = Some(out),
        }
    });
}

#[test]
fn every_format_at_the_edges_of_tiles_groups_and_panels() {
    let shapes = [
        (0, 3, 3),
        (3, 0, 3),
        (3, 3, 0),
        (1, 1, 1),
        (1, 33, 70),
        (6, 32, 128),
        (7, 65, 129),
        (13, 31, 257),
        (1, 40, 2049),
        (5, 64, 4400),
    ];
    for format in FORMATS {
        for shape in shapes {
            check(format, shape, shape.0 % 2 == 1, shape.1 % 2 == 1);
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn any_shape(m in 0usize..20, n in 0usize..80, k in 0usize..400, f in 0usize..FORMATS.len(), bias: bool, accumulate: bool) {
        check(FORMATS[f], (m, n, k), bias, accumulate);
    }
}

#[test]
fn a_row_does_not_see_its_neighbours_nor_the_number_of_threads() {
    let (m, n, k) = (150, 70, 300);
    for format in FORMATS {
        let matrix = Matrix::Quantized(quantized(format, n, k, 5).0);
        let x = values(m * k, 6);
        on_every_isa(|isa| {
            let run = |threads, rows: std::ops::Range<usize>| {
                let mut out = poisoned(rows.len() * n);
                on_threads(threads, isa, || {
                    let x = Mat::row_major(&x[rows.start * k..rows.end * k], rows.len(), k);
                    matrix.multiply(x, None, &mut out, false);
                });
                out
            };
            let whole = run(1, 0..m);
            assert_same_bits("on two threads", &run(2, 0..m), &whole);
            for rows in [0..1, 5..17, 149..150] {
                let part = &whole[rows.start * n..rows.end * n];
                assert_same_bits("alone", &run(2, rows.clone()), part);
            }
        });
    }
}

/// The largest distance between a weight and what is held of it, over the spread of its group.
fn worst(format: Format, weights: &[f32], k: usize) -> f32 {
    let mut held = weights.to_vec();
    quantize_rows(format, k, &mut held);
    let mut worst = 0.0_f32;
    for (row, held) in weights.chunks(k).zip(held.chunks(k)) {
        for (w, h) in row.chunks(format.group).zip(held.chunks(format.group)) {
            let (least, most) = w
                .iter()
                .fold((0.0_f32, 0.0_f32), |(a, b), w| (a.min(*w), b.max(*w)));
            for (w, h) in w.iter().zip(h) {
                worst = worst.max((w - h).abs() / (most - least).max(1e-30));
            }
        }
    }
    worst
}

#[test]
fn rounding_keeps_every_weight_within_its_step() {
    for (scale, label) in [(1.0, "usual"), (1e-6, "small"), (3e4, "large")] {
        let weights: Vec<f32> = values(64 * 256, 7).iter().map(|w| w * scale).collect();
        // Half a step, and what f16 does to scale and offset; narrower ranges cut the outermost somewhat off.
        for (format, bound) in [(Format::Q8, 0.0025), (Format::Q6, 0.12), (Format::Q4, 0.15)] {
            let worst = worst(format, &weights, 256);
            assert!(worst <= bound, "{label} {format:?}: {worst}");
        }
    }
    for format in FORMATS {
        let mut same = vec![0.25; 300];
        quantize_rows(format, 300, &mut same);
        assert!(same.iter().all(|w| (w - 0.25).abs() < 1e-3), "{format:?}");
        let mut none = vec![0.0; 300];
        quantize_rows(format, 300, &mut none);
        assert!(none.iter().all(|w| *w == 0.0), "{format:?}");
    }
}

#[test]
fn importance_moves_the_error_to_where_it_does_not_count() {
    let (n, k) = (8, 256);
    let weights = values(n * k, 8);
    let importance: Vec<f32> = (0..k).map(|i| if i % 4 == 0 { 100.0 } else { 0.01 }).collect();
    let error = |importance: Option<&[f32]>, wanted: fn(usize) -> bool| {
        let q = PackedQ::quantize(Format::Q4, (n, k), importance, |first, into| {
            into.copy_from_slice(&weights[first * k..first * k + into.len()]);
        });
        let (mut row, mut total) = (vec![0.0; k], 0.0);
        for i in 0..n {
            q.row(i, &mut row);
            let pairs = row.iter().zip(&weights[i * k..]).enumerate();
            total += pairs
                .filter(|(j, _)| wanted(*j))
                .map(|(_, (a, b))| f64::from(a - b).powi(2))
                .sum::<f64>();
        }
        total
    };
    let counts = |j: usize| j.is_multiple_of(4);
    assert!(error(Some(&importance), counts) < 0.8 * error(None, counts));
}

#[test]
fn packed_values_come_back_as_they_were() {
    for format in FORMATS {
        let (n, k) = (37, 3 * format.group + 5);
        let groups = format.groups(k);
        let q =
            |row: usize, i: usize| (row * 7 + i * 13) as u8 % format.bits.largest().saturating_add(1).max(1);
        let scale = |row: usize, g: usize| 2.0_f32.powi(-((row + g) as i32 % 9));
        let largest =
            |first: usize, rows: usize| (first..first + rows).map(|row| scale(row, 0)).fold(0.0, f32::max);
        let packed = PackedQ::from_values(format, (n, k), largest, |first, rows, panel| {
            for row in first..first + rows {
                panel.values.extend((0..k).map(|i| q(row, i)));
                panel.scales.extend((0..groups).map(|g| scale(row, g)));
                panel.offsets.extend((0..groups).map(|g| -3.0 * scale(row, g)));
            }
        });
        let mut found = vec![0.0; k];
        for row in 0..n {
            packed.row(row, &mut found);
            for (i, found) in found.iter().enumerate() {
                let zero = if format.has_offsets() { 3.0 } else { 128.0 };
                let expected = scale(row, i / format.group) * (f32::from(q(row, i)) - zero);
                assert_eq!(*found, expected, "{format:?} [{row}, {i}]");
            }
        }
        // The same bytes lent by somebody else are the same matrix.
        let lent = Bytes(Arc::new(packed.bytes().to_vec()));
        let again = PackedQ::from_bytes(format, (n, k), packed.unit(), lent).unwrap();
        let (mut a, mut b) = (vec![0.0; k], vec![0.0; k]);
        packed.row(n - 1, &mut a);
        again.row(n - 1, &mut b);
        assert_same_bits("lent", &a, &b);
        assert_eq!(again.resident().bytes(), packed.bytes());
    }
}

#[test]
fn bytes_that_are_no_matrix() {
    let bytes = |len: usize| Bytes(Arc::new(vec![0_u8; len]));
    let right = Format::Q4.bytes(40, 100).unwrap();
    let cases = [
        (Format::Q4, (40, 100), 1.0, right, true),
        (Format::Q4, (40, 100), 1.0, right - 1, false),
        (Format::Q4, (40, 100), 1.0, right + 1, false),
        (Format::Q4, (usize::MAX, usize::MAX), 1.0, right, false),
        (Format::Q4, (40, 100), 0.3, right, false),
        (Format::Q4, (40, 100), f32::NAN, right, false),
        (
            Format {
                bits: Bits::Four,
                group: 24,
            },
            (40, 100),
            1.0,
            right,
            false,
        ),
        (
            Format {
                bits: Bits::Four,
                group: 0,
            },
            (40, 100),
            1.0,
            right,
            false,
        ),
    ];
    for (format, shape, unit, len, good) in cases {
        let found = PackedQ::from_bytes(format, shape, unit, bytes(len));
        assert_eq!(
            found.is_ok(),
            good,
            "{format:?} {shape:?} {unit} {len}: {found:?}"
        );
    }
}

#[test]
fn an_activation_that_is_no_number_spoils_its_own_row_alone() {
    let (n, k) = (40, 200);
    let matrix = Matrix::Quantized(quantized(Format::Q8, n, k, 9).0);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut x = values(3 * k, 10);
        x[k + 17] = bad;
        on_every_isa(|isa| {
            let mut out = poisoned(3 * n);
            matrix.multiply(Mat::row_major(&x, 3, k), None, &mut out, false);
            assert!(
                out[..n].iter().chain(&out[2 * n..]).all(|y| y.is_finite()),
                "{isa:?}"
            );
            assert!(out[n..2 * n].iter().all(|y| !y.is_finite()), "{isa:?}");
        });
    }
}

#[test]
fn the_gated_network_is_its_parts() {
    let (k, width, n) = (70, 90, 50);
    for m in [1, 5, 200] {
        let dense = |rows: usize, cols: usize, seed| {
            let w = values(rows * cols, seed);
            Matrix::Dense(PackedB::new(
                Precision::F32,
                Mat::row_major(&w, rows, cols).transposed(),
            ))
        };
        // In one width, and in several whose groups are not the same.
        for [of_gate, of_up, of_down] in [
            [None; 3],
            [Some(Format::Q8); 3],
            [Some(Format::Q8), Some(Format::Q4), Some(Format::Q6)],
        ] {
            let make = |format: Option<Format>, rows, cols, seed| match format {
                Some(format) => Matrix::Quantized(quantized(format, rows, cols, seed).0),
                None => dense(rows, cols, seed),
            };
            let gate = make(of_gate, width, k, 1);
            let up = make(of_up, width, k, 2);
            let down = make(of_down, n, width, 3);
            let (x, bias) = (values(m * k, 4), values(width, 5));
            on_every_isa(|isa| {
                let (mut g, mut u, mut h) = (poisoned(m * width), poisoned(m * width), poisoned(m * width));
                gate.multiply(Mat::row_major(&x, m, k), Some(&bias), &mut g, false);
                up.multiply(Mat::row_major(&x, m, k), None, &mut u, false);
                crate::activation::silu_mul(&g, &u, &mut h);
                let mut expected = values(m * n, 6);
                let mut found = expected.clone();
                down.multiply(Mat::row_major(&h, m, width), None, &mut expected, true);
                let weights = Gated {
                    gate: (&gate, Some(&bias)),
                    up: (&up, None),
                    down: (&down, None),
                };
                // Workers ask the processor themselves, so only its own level can be cut up for several.
                let threads = if Isa::available().last() == Some(&isa) {
                    2
                } else {
                    1
                };
                on_threads(threads, isa, || {
                    gated(Mat::row_major(&x, m, k), weights, &mut found, true)
                });
                assert_same_bits("gated", &found, &expected);
            });
        }
    }
}
