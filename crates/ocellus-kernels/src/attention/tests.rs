use proptest::prelude::*;

use super::*;
use crate::Precision;
use crate::testing::{
    assert_close, assert_same_bits, cases, differences, inner, on_every_isa, on_threads, poisoned, values,
    wide,
};

/// `out` and `lse` in `f64`, row by row.
fn exact(shape: &Shape, segments: &[Segment], q: &[f64], k: &[f64], v: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let Shape {
        heads,
        kv_heads,
        head_dim: d,
        ..
    } = *shape;
    let (mut out, mut lse) = (vec![0.0; q.len()], vec![f64::NEG_INFINITY; q.len() / d]);
    for segment in segments {
        for i in 0..segment.q_len {
            for head in 0..heads {
                let row = (segment.q_start + i) * heads + head;
                let key = |j: usize| ((segment.k_start + j) * kv_heads + head / (heads / kv_heads)) * d;
                let seen = shape.visible(segment, i);
                let scores: Vec<f64> = (0..seen)
                    .map(|j| {
                        inner(&q[row * d..(row + 1) * d], &k[key(j)..key(j) + d]) * f64::from(shape.scale)
                    })
                    .collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - most).exp()).sum();
                if seen > 0 {
                    lse[row] = most + sum.ln();
                }
                for (j, score) in scores.iter().enumerate() {
                    for c in 0..d {
                        out[row * d + c] += (score - most).exp() / sum * v[key(j) + c];
                    }
                }
            }
        }
    }
    (out, lse)
}

struct Data {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    grad: Vec<f32>,
}

fn data(shape: &Shape, q_tokens: usize, k_tokens: usize, seed: u64) -> Data {
    let (q, k) = (
        q_tokens * shape.heads * shape.head_dim,
        k_tokens * shape.kv_heads * shape.head_dim,
    );
    let larger = |x: Vec<f32>| x.iter().map(|x| 2.0 * x).collect::<Vec<_>>();
    Data {
        q: larger(values(q, seed)),
        k: larger(values(k, seed ^ 1)),
        v: values(k, seed ^ 2),
        grad: values(q, seed ^ 3),
    }
}

/// All results of both directions, on poisoned outputs: `[out, lse, grad q, grad k, grad v]`.
fn run(shape: &Shape, segments: &[Segment], data: &Data) -> [Vec<f32>; 5] {
    let Data { q, k, v, grad } = data;
    let (mut out, mut lse) = (poisoned(q.len()), poisoned(q.len() / shape.head_dim));
    let stride = shape.kv_heads * shape.head_dim;
    forward(
        Precision::F32,
        shape,
        segments,
        q,
        k,
        (v, stride),
        &mut out,
        &mut lse,
    );
    let (mut dq, mut dk, mut dv) = (poisoned(q.len()), poisoned(k.len()), poisoned(v.len()));
    let saved = Saved {
        q,
        k,
        v,
        out: &out,
        lse: &lse,
    };
    backward(
        shape,
        segments,
        saved,
        grad,
        Gradients {
            q: &mut dq,
            k: &mut dk,
            v: &mut dv,
        },
    );
    [out, lse, dq, dk, dv]
}

/// Bounds: 3e-6 forward, 2e-5 for gradients, relative to the larger of 1 and the value.
fn check(shape: &Shape, segments: &[Segment], q_tokens: usize, k_tokens: usize, slopes: bool) {
    let data = data(shape, q_tokens, k_tokens, 21);
    let (q, k, v, grad) = (wide(&data.q), wide(&data.k), wide(&data.v), wide(&data.grad));
    let (expected, expected_lse) = exact(shape, segments, &q, &k, &v);
    let loss = |q: &[f64], k: &[f64], v: &[f64]| inner(&grad, &exact(shape, segments, q, k, v).0);
    let expected_slopes = slopes.then(|| {
        [
            differences(&q, |q| loss(q, &k, &v)),
            differences(&k, |k| loss(&q, k, &v)),
            differences(&v, |v| loss(&q, &k, v)),
        ]
    });
    on_every_isa(|_| {
        let [out, lse, found @ ..] = run(shape, segments, &data);
        assert_close("out", &out, &expected, 3e-6);
        for (found, expected) in lse.iter().zip(&expected_lse) {
            let same = f64::from(*found) == *expected;
            assert!(
                same || (f64::from(*found) - expected).abs() < 1e-5,
                "lse: {found} for {expected}"
            );
        }
        if let Some(expected) = &expected_slopes {
            for (name, (found, expected)) in ["grad q", "grad k", "grad v"]
                .iter()
                .zip(found.iter().zip(expected))
            {
                assert_close(name, found, expected, 2e-5);
            }
        }
    });
}

fn shape(heads: usize, kv_heads: usize, head_dim: usize, causal: bool) -> Shape {
    Shape {
        heads,
        kv_heads,
        head_dim,
        causal,
        scale: 1.0 / (head_dim as f32).sqrt(),
    }
}

fn segment(q_start: usize, q_len: usize, k_start: usize, k_len: usize) -> Segment {
    Segment {
        q_start,
        q_len,
        k_start,
        k_len,
    }
}

proptest! {
    #![proptest_config(cases(16))]
    #[test]
    fn packed_sequences_and_their_slopes(
        lengths in prop::collection::vec((0_usize..5, 0_usize..5), 0..3),
        (kv_heads, group) in (1_usize..3, 1_usize..3),
        head_dim in 1_usize..20,
        causal in any::<bool>(),
    ) {
        let (mut q_tokens, mut k_tokens, mut segments) = (1, 1, Vec::new());
        for (q_len, more) in lengths {
            segments.push(segment(q_tokens, q_len, k_tokens, q_len + more));
            q_tokens += q_len;
            k_tokens += q_len + more;
        }
        check(&shape(kv_heads * group, kv_heads, head_dim, causal), &segments, q_tokens, k_tokens, true);
    }
}

#[test]
#[cfg_attr(miri, ignore = "large")]
fn blocks_of_rows_and_keys_at_their_edges() {
    for head_dim in [16, 24, 32, 64, 80, 128, 33] {
        for (q_len, k_len) in [
            (1, 1),
            (1, 77),
            (48, 48),
            (49, 130),
            (150, 150),
            (3, 256),
            (50, 257),
            (2, 700),
        ] {
            for causal in [false, true] {
                check(
                    &shape(2, 1, head_dim, causal),
                    &[segment(0, q_len, 0, k_len)],
                    q_len,
                    k_len,
                    false,
                );
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "large")]
fn slopes_across_blocks_of_rows() {
    check(
        &shape(2, 1, 5, true),
        &[segment(0, 30, 0, 37), segment(30, 28, 37, 28)],
        58,
        65,
        true,
    );
}

/// More queries than keys under the causal rule: the first queries see nothing.
#[test]
fn rows_that_see_nothing_are_zero() {
    let shape = shape(1, 1, 4, true);
    check(&shape, &[segment(0, 3, 0, 1)], 3, 1, true);
    let found = run(&shape, &[segment(0, 3, 0, 1)], &data(&shape, 3, 1, 2));
    assert_eq!(found[0][..8], [0.0; 8]);
    assert_eq!(found[1][..2], [f32::NEG_INFINITY; 2]);
}

/// Two segments may read the same keys (a shared prefix): their gradients add.
#[test]
fn segments_may_share_keys() {
    check(
        &shape(2, 2, 6, false),
        &[segment(0, 3, 0, 7), segment(3, 2, 2, 5)],
        5,
        7,
        true,
    );
}

#[test]
#[should_panic(expected = "segments share queries")]
fn segments_may_not_share_queries() {
    let shape = shape(1, 1, 4, false);
    run(
        &shape,
        &[segment(0, 2, 0, 2), segment(1, 1, 2, 1)],
        &data(&shape, 3, 3, 1),
    );
}

#[test]
#[should_panic(expected = "in 2 queries and 2 keys")]
fn a_segment_outside_is_refused() {
    let shape = shape(1, 1, 4, false);
    run(&shape, &[segment(1, 2, 0, 2)], &data(&shape, 2, 2, 1));
}

/// A row alone against its keys (decoding), in a part of the queries (chunked prefill), with other segments around, on
/// other threads: the same bits.
#[test]
#[cfg_attr(miri, ignore = "large")]
fn a_row_does_not_depend_on_its_neighbours_or_threads() {
    for head_dim in [32, 80] {
        let shape = shape(6, 2, head_dim, true);
        let (first, len) = (70, 333);
        let segments = [
            segment(0, first, 0, first),
            segment(first, len, first, len),
            segment(first + len, 40, first + len, 40),
        ];
        let total = first + len + 40;
        let all = data(&shape, total, total, 31);
        let (q_width, k_width) = (shape.heads * head_dim, shape.kv_heads * head_dim);
        on_every_isa(|isa| {
            let whole = on_threads(1, isa, || run(&shape, &segments, &all));
            let spread = on_threads(3, isa, || run(&shape, &segments, &all));
            for (found, expected) in spread.iter().zip(&whole) {
                assert_same_bits("three threads", found, expected);
            }
            let (k, v) = (&all.k[first * k_width..], &all.v[first * k_width..]);
            for (from, count) in [(0, 1), (0, 50), (50, 283), (332, 1), (47, 3), (64, 1), (250, 10)] {
                let rows = (first + from) * q_width..(first + from + count) * q_width;
                let (mut out, mut lse) = (poisoned(rows.len()), poisoned(count * shape.heads));
                let keys = from + count;
                let alone = [segment(0, count, 0, keys)];
                let (k, v) = (&k[..keys * k_width], &v[..keys * k_width]);
                forward(
                    Precision::F32,
                    &shape,
                    &alone,
                    &all.q[rows.clone()],
                    k,
                    (v, k_width),
                    &mut out,
                    &mut lse,
                );
                assert_same_bits("out of rows alone", &out, &whole[0][rows.clone()]);
                let rows = rows.start / head_dim..rows.end / head_dim;
                assert_same_bits("lse of rows alone", &lse, &whole[1][rows]);
            }
        });
    }
}

/// Outputs alone.
fn outputs(precision: Precision, shape: &Shape, segments: &[Segment], data: &Data) -> Vec<f32> {
    let (mut out, mut lse) = (poisoned(data.q.len()), poisoned(data.q.len() / shape.head_dim));
    // Values with something else between the tokens.
    let width = shape.kv_heads * shape.head_dim;
    let apart: Vec<f32> = data
        .v
        .chunks_exact(width)
        .flat_map(|token| [token, &[f32::NAN; 5]].concat())
        .collect();
    let v = (apart.as_slice(), width + 5);
    forward(
        precision, shape, segments, &data.q, &data.k, v, &mut out, &mut lse,
    );
    out
}

/// Products in bf16 err by what their operands lose: 2^-9 of each, twice.
#[test]
#[cfg_attr(miri, ignore = "large")]
fn in_bf16() {
    for (head_dim, q_len, k_len) in [(80, 70, 70), (128, 3, 300), (33, 49, 257)] {
        for causal in [false, true] {
            let shape = shape(4, 2, head_dim, causal);
            let segments = [segment(0, q_len, 0, k_len)];
            let data = data(&shape, q_len, k_len, 9);
            let (q, k, v) = (wide(&data.q), wide(&data.k), wide(&data.v));
            let (expected, _) = exact(&shape, &segments, &q, &k, &v);
            on_every_isa(|_| {
                assert_close(
                    "out",
                    &outputs(Precision::Bf16, &shape, &segments, &data),
                    &expected,
                    0.03,
                )
            });
        }
    }
}

/// A sequence's keys and values, `[len, kv_heads, head_dim]` each, in the blocks of `table`; all other bits of the cache are no
/// number.
fn kept(kind: (Precision, KvWidth), shape: &Shape, data: &Data, table: &[u32]) -> KvBlocks {
    let width = shape.kv_heads * shape.head_dim;
    let count = table.iter().max().map_or(0, |most| *most as usize + 2);
    let mut blocks = KvBlocks::new(kind, (shape.kv_heads, shape.head_dim));
    blocks.grow(count);
    (0..count).for_each(|block| blocks.poison(block));
    for (at, (k, v)) in data.k.chunks(width).zip(data.v.chunks(width)).enumerate() {
        blocks.write(table[at / BLOCK] as usize, at % BLOCK, k, v);
    }
    blocks
}

/// Keys that were written token by token into blocks give the bits of keys that lie beside one another, whichever blocks those
/// are and whatever was in them before.
#[test]
#[cfg_attr(miri, ignore = "large")]
fn blocks_give_the_same_bits() {
    for precision in [Precision::F32, Precision::Bf16] {
        for head_dim in [32, 33, 80] {
            let shape = shape(6, 2, head_dim, true);
            let len = 531;
            let data = data(&shape, len, len, 41);
            on_every_isa(|isa| {
                let table = [7, 2, 99, 0, 4, 11, 1, 3, 6];
                let mut blocks = kept((precision, KvWidth::Full), &shape, &data, &table);
                // Another sequence with the same tokens, of which it shares some blocks and has copies of others.
                let copies = [(99, 5), (1, 8), (6, 100)];
                copies.iter().for_each(|(from, to)| blocks.copy(*from, *to));
                let other = [7, 2, 5, 0, 4, 11, 8, 3, 100];
                let whole = outputs(precision, &shape, &[segment(0, len, 0, len)], &data);
                let q_width = shape.heads * head_dim;
                for (table, from, count) in [
                    (table, 0, len),
                    (other, 530, 1),
                    (table, 255, 3),
                    (other, 511, 2),
                    (other, 62, 1),
                    (table, 64, 65),
                ] {
                    let rows = from * q_width..(from + count) * q_width;
                    let mut out = poisoned(rows.len());
                    let own = [BlockSegment {
                        q_start: 0,
                        q_len: count,
                        k_len: from + count,
                        table: &table,
                    }];
                    // Only what a sequence has read is there: what stands behind it is no number.
                    let read = Data {
                        q: Vec::new(),
                        k: data.k[..(from + count) * 2 * head_dim].to_vec(),
                        v: data.v[..(from + count) * 2 * head_dim].to_vec(),
                        grad: Vec::new(),
                    };
                    let blocks = match table == other {
                        true => &blocks,
                        false => &kept((precision, KvWidth::Full), &shape, &read, &table),
                    };
                    on_threads(2, isa, || {
                        forward_blocks(&shape, &own, &data.q[rows.clone()], blocks, &mut out)
                    });
                    assert_same_bits("in blocks", &out, &whole[rows]);
                }
            });
        }
    }
}

/// What 8 bits keep of a row: for every 32 values the nearest of 127 steps to either side, the step rounded up to bf16.
fn kept_in_bytes(rows: &[f32], head_dim: usize) -> Vec<f32> {
    let group = |values: &[f32]| -> Vec<f32> {
        let most = values.iter().fold(0.0_f32, |most, x| most.max(x.abs())) / 127.0;
        let step = match half::bf16::from_f32(most).to_f32() {
            nearest if nearest < most => f32::from_bits(nearest.to_bits() + 0x1_0000),
            nearest => nearest,
        };
        let near = |x: &f32| {
            if step > 0.0 {
                (x / step).round_ties_even() * step
            } else {
                0.0
            }
        };
        values.iter().map(near).collect()
    };
    let heads = rows.chunks(head_dim);
    heads.flat_map(|head| head.chunks(32).flat_map(group)).collect()
}

/// Blocks in 8 bits give the bits of keys and values that were rounded to those before, and those are near.
#[test]
#[cfg_attr(miri, ignore = "large")]
fn blocks_in_bytes_round_once() {
    for precision in [Precision::F32, Precision::Bf16] {
        for head_dim in [1, 31, 32, 33, 80, 128] {
            let shape = shape(6, 2, head_dim, true);
            let (width, len) = (shape.kv_heads * head_dim, 270);
            let mut data = data(&shape, len, len, 43);
            // One channel far above the others, and a token of zeros.
            data.k.chunks_mut(width).for_each(|token| token[0] += 40.0);
            data.v[5 * width..6 * width].fill(0.0);
            let rounded = Data {
                q: data.q.clone(),
                k: kept_in_bytes(&data.k, head_dim),
                v: kept_in_bytes(&data.v, head_dim),
                grad: data.grad.clone(),
            };
            let groups = |rows: &[f32]| -> Vec<Vec<f32>> {
                let heads = rows.chunks(head_dim);
                heads
                    .flat_map(|head| head.chunks(32).map(<[f32]>::to_vec))
                    .collect()
            };
            for (near, exact) in [(&rounded.k, &data.k), (&rounded.v, &data.v)] {
                for (near, exact) in groups(near).iter().zip(groups(exact)) {
                    let most = exact.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                    let apart = near.iter().zip(&exact).map(|(n, e)| (n - e).abs());
                    assert!(apart.fold(0.0, f32::max) <= most * 0.51 / 127.0);
                }
            }
            on_every_isa(|isa| {
                let table = [3, 0, 5, 1, 4];
                let mut blocks = kept((precision, KvWidth::Q8), &shape, &data, &table);
                blocks.copy(5, 2);
                let other = [3, 0, 2, 1, 4];
                let whole = outputs(precision, &shape, &[segment(0, len, 0, len)], &rounded);
                let q_width = shape.heads * head_dim;
                for (table, from, count) in
                    [(table, 0, len), (other, 269, 1), (other, 254, 3), (table, 128, 1)]
                {
                    let rows = from * q_width..(from + count) * q_width;
                    let mut out = poisoned(rows.len());
                    let own = [BlockSegment {
                        q_start: 0,
                        q_len: count,
                        k_len: from + count,
                        table: &table,
                    }];
                    on_threads(2, isa, || {
                        forward_blocks(&shape, &own, &data.q[rows.clone()], &blocks, &mut out)
                    });
                    assert_same_bits("in bytes", &out, &whole[rows]);
                }
            });
        }
    }
}

/// One token in bytes, in a block that held what is no number.
#[test]
fn bytes_of_a_former_owner_are_not_read() {
    let shape = shape(1, 1, 40, true);
    on_every_isa(|_| {
        let mut blocks = KvBlocks::new((Precision::Bf16, KvWidth::Q8), (1, 40));
        blocks.grow(1);
        blocks.poison(0);
        blocks.write(0, 0, &[1.0; 40], &[2.0; 40]);
        let mut out = poisoned(40);
        let own = BlockSegment {
            q_start: 0,
            q_len: 1,
            k_len: 1,
            table: &[0],
        };
        forward_blocks(&shape, &[own], &[1.0; 40], &blocks, &mut out);
        assert!(out.iter().all(|x| (x - 2.0).abs() < 0.02), "{out:?}");
    });
}

/// What is not finite does not become a number by being kept in bytes.
#[test]
fn bytes_keep_what_is_not_a_number() {
    let shape = shape(1, 1, 40, true);
    for bad in [f32::NAN, f32::INFINITY] {
        on_every_isa(|_| {
            let mut blocks = KvBlocks::new((Precision::Bf16, KvWidth::Q8), (1, 40));
            blocks.grow(1);
            let mut v = vec![1.0; 40];
            v[3] = bad;
            blocks.write(0, 0, &[1.0; 40], &v);
            let mut out = poisoned(40);
            let own = BlockSegment {
                q_start: 0,
                q_len: 1,
                k_len: 1,
                table: &[0],
            };
            forward_blocks(&shape, &[own], &[1.0; 40], &blocks, &mut out);
            assert!(out[3].is_nan() && (out[39] - 1.0).abs() < 0.01);
        });
    }
}
