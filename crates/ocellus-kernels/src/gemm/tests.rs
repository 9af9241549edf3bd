use proptest::prelude::*;

use super::*;
use crate::testing::{assert_same_bits, cases, on_every_isa, on_threads, poisoned, values};

/// How an operand lies in memory.
#[derive(Clone, Copy, Debug)]
enum Lay {
    Rows,
    Columns,
    /// Neither direction contiguous.
    Sparse,
}

const LAYS: [Lay; 3] = [Lay::Rows, Lay::Columns, Lay::Sparse];

fn laid(data: &[f32], rows: usize, cols: usize, lay: Lay) -> Mat<'_> {
    let (row_stride, col_stride) = match lay {
        Lay::Rows => (cols + 1, 1),
        Lay::Columns => (1, rows + 2),
        Lay::Sparse => (2 * cols, 2),
    };
    Mat {
        data,
        rows,
        cols,
        row_stride,
        col_stride,
    }
}

fn room_for(rows: usize, cols: usize) -> usize {
    2 * (rows + 2) * (cols + 2)
}

fn rounded(precision: Precision, x: f32) -> f64 {
    f64::from(match precision {
        Precision::F32 => x,
        Precision::Bf16 => f32::from_bits(layout::bf16_bits(x) << 16),
    })
}

#[derive(Clone, Debug)]
struct Case {
    m: usize,
    k: usize,
    n: usize,
    a: Lay,
    b: Lay,
    bias: bool,
    accumulate: bool,
}

/// Each element against `f64`, with the bound of a chain of K roundings; also that gaps between rows stay as they were.
fn check(case: &Case, precision: Precision) {
    let Case { m, k, n, .. } = *case;
    let (a, b) = (values(room_for(m, k), 1), values(room_for(k, n), 2));
    // Offset by one value, so that nothing is aligned.
    let (a, b) = (laid(&a[1..], m, k, case.a), laid(&b[1..], k, n, case.b));
    let bias = values(n, 3);
    let bias = case.bias.then_some(bias.as_slice());
    let ldc = n + 3;
    let before = if case.accumulate {
        values(m * ldc, 4)
    } else {
        poisoned(m * ldc)
    };
    let mut c = before.clone();
    gemm(precision, a, b, bias, &mut c, ldc, case.accumulate);
    let mut packed = before.clone();
    gemm_packed(
        a,
        &PackedB::new(precision, b),
        bias,
        &mut packed,
        ldc,
        case.accumulate,
    );
    assert_same_bits("packed", &packed, &c);
    let by_rows = PackedB::from_rows(precision, (n, k), |first, into| {
        for (i, to) in into.iter_mut().enumerate() {
            *to = b.data[i % k * b.row_stride + (first + i / k) * b.col_stride];
        }
    });
    let mut packed = before.clone();
    gemm_packed(a, &by_rows, bias, &mut packed, ldc, case.accumulate);
    assert_same_bits("packed by rows", &packed, &c);
    for i in 0..m {
        for j in 0..ldc {
            let (found, before) = (c[i * ldc + j], before[i * ldc + j]);
            if j >= n {
                assert_eq!(found.to_bits(), before.to_bits(), "gap after row {i} was written");
                continue;
            }
            let start = bias.map_or(0.0, |bias| f64::from(bias[j]))
                + if case.accumulate { f64::from(before) } else { 0.0 };
            let (mut sum, mut size) = (start, start.abs());
            for l in 0..k {
                let x = rounded(precision, a.data[i * a.row_stride + l * a.col_stride]);
                let y = rounded(precision, b.data[l * b.row_stride + j * b.col_stride]);
                sum += x * y;
                size += (x * y).abs();
            }
            let bound = f64::from(f32::EPSILON) * (k + 2) as f64 * size.max(1e-6);
            let error = (f64::from(found) - sum).abs();
            assert!(
                error <= bound,
                "{case:?} {precision:?} [{i}, {j}]: {found} for {sum}, {error:.2e} over {bound:.2e}"
            );
        }
    }
}

fn check_everywhere(case: &Case) {
    on_every_isa(|_| {
        for precision in [Precision::F32, Precision::Bf16] {
            check(case, precision);
        }
    });
}

#[test]
fn every_layout_at_the_edges_of_tiles_and_blocks() {
    let shapes = [
        (0, 3, 3),
        (3, 0, 3),
        (3, 3, 0),
        (1, 1, 1),
        (1, 2, 33),
        (12, 16, 32),
        (13, 17, 31),
        (97, 35, 64),
        (5, 257, 9),
        (7, 515, 40),
        (25, 3, 515),
    ];
    let shapes = if cfg!(miri) { &shapes[..6] } else { &shapes[..] };
    for &(m, k, n) in shapes {
        for a in LAYS {
            for b in LAYS {
                for flags in 0..4 {
                    check_everywhere(&Case {
                        m,
                        k,
                        n,
                        a,
                        b,
                        bias: flags & 1 > 0,
                        accumulate: flags & 2 > 0,
                    });
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn any_shape(
        (m, k, n) in (0_usize..60, 0_usize..300, 0_usize..90),
        (a, b) in (0_usize..3, 0_usize..3),
        (bias, accumulate) in (any::<bool>(), any::<bool>()),
    ) {
        let (m, k, n) = if cfg!(miri) { (m % 6, k % 6, n % 12) } else { (m, k, n) };
        check_everywhere(&Case { m, k, n, a: LAYS[a], b: LAYS[b], bias, accumulate });
    }
}

/// A row alone, the row in a batch, a column alone, one thread or three, packed or not: the same bits.
#[test]
#[cfg_attr(miri, ignore = "large")]
fn an_element_does_not_depend_on_its_neighbours_or_threads() {
    let (m, k, n) = (150, 1100, 203);
    let (x, w, bias) = (values(m * k, 5), values(n * k, 6), values(n, 7));
    let (xm, wt) = (Mat::row_major(&x, m, k), Mat::row_major(&w, n, k).transposed());
    on_every_isa(|isa| {
        for precision in [Precision::F32, Precision::Bf16] {
            let on = |threads| {
                let mut c = poisoned(m * n);
                on_threads(threads, isa, || {
                    gemm(precision, xm, wt, Some(&bias), &mut c, n, false)
                });
                c
            };
            let whole = on(1);
            assert_same_bits("three threads", &on(3), &whole);
            let packed = PackedB::new(precision, wt);
            for rows in [1, 2, 5, 8, 13] {
                for row in [0, 1, 77, m - rows] {
                    let part = Mat::row_major(&x[row * k..(row + rows) * k], rows, k);
                    let mut alone = poisoned(rows * n);
                    gemm(precision, part, wt, Some(&bias), &mut alone, n, false);
                    assert_same_bits("rows alone", &alone, &whole[row * n..(row + rows) * n]);
                    let mut alone = poisoned(rows * n);
                    gemm_packed(part, &packed, Some(&bias), &mut alone, n, false);
                    assert_same_bits("rows alone, packed", &alone, &whole[row * n..(row + rows) * n]);
                }
            }
            for col in [0, 1, 32, 100, n - 1] {
                let part = Mat::row_major(&w[col * k..(col + 1) * k], 1, k).transposed();
                let mut alone = poisoned(m);
                gemm(precision, xm, part, Some(&bias[col..=col]), &mut alone, 1, false);
                let column: Vec<f32> = (0..m).map(|i| whole[i * n + col]).collect();
                assert_same_bits("column alone", &alone, &column);
            }
        }
    });
}

#[test]
fn bf16_rounds_to_nearest_even_and_keeps_not_a_number() {
    let cases: [(f32, u32); 7] = [
        (1.0, 0x3f80),
        (f32::from_bits(0x3f80_8000), 0x3f80),
        (f32::from_bits(0x3f81_8000), 0x3f82),
        (f32::from_bits(0x3f80_8001), 0x3f81),
        (f32::INFINITY, 0x7f80),
        (f32::MAX, 0x7f80),
        (f32::NAN, 0x7fc0),
    ];
    for (value, bits) in cases {
        assert_eq!(layout::bf16_bits(value), bits, "{value}");
    }
}

#[test]
#[should_panic(expected = "does not fit a slice of 5")]
fn a_short_slice_is_refused() {
    gemm(
        Precision::F32,
        Mat::row_major(&[0.0; 5], 2, 3),
        Mat::row_major(&[0.0; 3], 3, 1),
        None,
        &mut [0.0; 2],
        1,
        false,
    );
}

#[test]
#[should_panic(expected = "c holds 3 values, needs 4")]
fn a_short_output_is_refused() {
    let a = Mat::row_major(&[0.0; 4], 2, 2);
    gemm(Precision::F32, a, a, None, &mut [0.0; 3], 2, false);
}
