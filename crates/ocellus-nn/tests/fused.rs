//! Every fused operation equals its composed twin, forwards and backwards, and its gradient is the slope of its value.

use candle_core::{Device, Result, Tensor, Var};
use ocellus_nn::ops::activation::{Act, activate, activate_composed, silu_mul, silu_mul_composed};
use ocellus_nn::ops::add::add;
use ocellus_nn::ops::attention::{attention, composed as attention_composed};
use ocellus_nn::ops::linear::{composed as linear_composed, linear};
use ocellus_nn::ops::loss::{IGNORE, cross_entropy, cross_entropy_composed};
use ocellus_nn::ops::norm::{layer_norm, layer_norm_composed, rms_norm, rms_norm_composed};
use ocellus_nn::ops::rope::{composed as rotate_composed, rotate};
use ocellus_nn::{Precision, Segment};
use std::sync::Arc;

/// Reproducible numbers in [-1, 1).
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn var(seed: u64, shape: &[usize]) -> Var {
    Var::from_vec(numbers(seed, shape.iter().product()), shape, &Device::Cpu).unwrap()
}

type Op<'a> = dyn Fn(&[Tensor]) -> Result<Tensor> + 'a;

/// `sum(op(x) · r)` with fixed random `r`: a scalar whose gradient reaches every output.
fn score(op: &Op, inputs: &[Tensor]) -> Tensor {
    let out = op(inputs).unwrap();
    let r = Tensor::from_vec(numbers(99, out.elem_count()), out.shape(), &Device::Cpu).unwrap();
    (out * r).unwrap().sum_all().unwrap()
}

fn flat(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn close(name: &str, a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len(), "{name}");
    let largest = b.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * largest,
            "{name}: element {i} is {a}, expected {b}"
        );
    }
}

/// Compares value and gradients of `fused` with `twin`, and the gradients with central differences.
fn check(name: &str, vars: &[Var], fused: &Op, twin: &Op) {
    let inputs: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    close(
        name,
        &flat(&fused(&inputs).unwrap()),
        &flat(&twin(&inputs).unwrap()),
        2e-6,
    );
    let (got, expected) = (
        score(fused, &inputs).backward().unwrap(),
        score(twin, &inputs).backward().unwrap(),
    );
    for (n, v) in vars.iter().enumerate() {
        let (Some(g), Some(e)) = (got.get(v), expected.get(v)) else {
            panic!("{name}: input {n} has no gradient");
        };
        let g = flat(g);
        close(&format!("{name}, gradient {n}"), &g, &flat(e), 5e-6);
        differences(&format!("{name}, slope {n}"), vars, n, fused, &g);
    }
}

fn differences(name: &str, vars: &[Var], n: usize, op: &Op, gradient: &[f32]) {
    const STEP: f32 = 1e-2;
    let start = flat(vars[n].as_tensor());
    let largest = gradient.iter().fold(0.1f32, |m, v| m.max(v.abs()));
    for i in (0..start.len()).step_by((start.len() / 7).max(1)) {
        let at = |delta: f32| {
            let mut moved = start.clone();
            moved[i] += delta;
            let mut inputs: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
            inputs[n] = Tensor::from_vec(moved, vars[n].shape(), &Device::Cpu).unwrap();
            let out = flat(&op(&inputs).unwrap());
            out.iter()
                .zip(numbers(99, out.len()))
                .map(|(a, b)| f64::from(*a) * f64::from(b))
                .sum::<f64>()
        };
        let slope = ((at(STEP) - at(-STEP)) / (2.0 * f64::from(STEP))) as f32;
        assert!(
            (slope - gradient[i]).abs() < 5e-3 * largest,
            "{name}: element {i} is {}, slope {slope}",
            gradient[i]
        );
    }
}

#[test]
fn linear_layers() {
    for (rows, inner, cols) in [(1, 1, 1), (3, 5, 2), (17, 33, 29), (64, 48, 96)] {
        let vars = [var(1, &[rows, inner]), var(2, &[cols, inner]), var(3, &[cols])];
        let name = format!("linear {rows}x{inner}x{cols}");
        check(
            &name,
            &vars,
            &|t| linear(&t[0], &t[1], Some(&t[2]), Precision::F32),
            &|t| linear_composed(&t[0], &t[1], Some(&t[2])),
        );
        check(
            &name,
            &vars[..2],
            &|t| linear(&t[0], &t[1], None, Precision::F32),
            &|t| linear_composed(&t[0], &t[1], None),
        );
    }
}

#[test]
fn bf16_products_are_near() {
    let (x, w) = (var(1, &[40, 128]), var(2, &[24, 128]));
    let near = linear(&x, &w, None, Precision::Bf16).unwrap();
    let exact = linear_composed(&x, &w, None).unwrap();
    close("bf16", &flat(&near), &flat(&exact), 8e-3);
}

#[test]
fn norms() {
    for (rows, width) in [(1, 1), (2, 7), (9, 64), (33, 130)] {
        let vars = [var(4, &[rows, width]), var(5, &[width]), var(6, &[width])];
        let name = format!("norm {rows}x{width}");
        check(&name, &vars[..2], &|t| rms_norm(&t[0], &t[1], 1e-2), &|t| {
            rms_norm_composed(&t[0], &t[1], 1e-2)
        });
        check(&name, &vars, &|t| layer_norm(&t[0], &t[1], &t[2], 1e-2), &|t| {
            layer_norm_composed(&t[0], &t[1], &t[2], 1e-2)
        });
    }
}

#[test]
fn rotations() {
    for (tokens, heads, dim) in [(1, 1, 2), (5, 3, 8), (12, 2, 40)] {
        let angles =
            |seed| Tensor::from_vec(numbers(seed, tokens * dim), (tokens, dim), &Device::Cpu).unwrap();
        let (cos, sin) = (angles(8), angles(9));
        check(
            &format!("rope {tokens}x{heads}x{dim}"),
            &[var(7, &[tokens, heads, dim])],
            &|t| rotate(&t[0], &cos, &sin),
            &|t| rotate_composed(&t[0], &cos, &sin),
        );
        // A part of a wider projection, which is not contiguous.
        let part = |t: &[Tensor]| t[0].narrow(1, 1, heads);
        check(
            &format!("rope of a part, {tokens}x{heads}x{dim}"),
            &[var(7, &[tokens, 3 * heads, dim])],
            &|t| rotate(&part(t)?, &cos, &sin),
            &|t| rotate_composed(&part(t)?, &cos, &sin),
        );
    }
}

#[test]
fn sums() {
    for shape in [[1, 1], [5, 7], [40, 600]] {
        let vars = [var(1, &shape), var(2, &shape)];
        check(&format!("sum {shape:?}"), &vars, &|t| add(&t[0], &t[1]), &|t| {
            &t[0] + &t[1]
        });
    }
}

#[test]
fn activations() {
    for shape in [[1, 1], [3, 17], [8, 64]] {
        for act in [Act::Gelu, Act::QuickGelu, Act::Silu] {
            let twin = move |t: &[Tensor]| activate_composed(&t[0], act);
            check(
                &format!("{act:?} {shape:?}"),
                &[var(10, &shape)],
                &move |t| activate(&t[0], act),
                &twin,
            );
        }
        let vars = [var(11, &shape), var(12, &shape)];
        check(
            &format!("silu_mul {shape:?}"),
            &vars,
            &|t| silu_mul(&t[0], &t[1]),
            &|t| silu_mul_composed(&t[0], &t[1]),
        );
    }
}

/// Segments of the given `(queries, keys)`, one after another.
fn segments(lengths: &[(usize, usize)]) -> Arc<[Segment]> {
    let (mut q_start, mut k_start) = (0, 0);
    lengths
        .iter()
        .map(|&(q_len, k_len)| {
            let s = Segment {
                q_start,
                q_len,
                k_start,
                k_len,
            };
            q_start += q_len;
            k_start += k_len;
            s
        })
        .collect()
}

#[test]
fn attentions() {
    /// Queries and keys of each segment, heads, key-value heads, size of a head, causal.
    type Row<'a> = (&'a [(usize, usize)], usize, usize, usize, bool);
    let cases: [Row; 6] = [
        (&[(1, 1)], 1, 1, 4, false),
        (&[(5, 5), (1, 1), (9, 9)], 4, 2, 8, true),
        (&[(3, 7), (4, 4)], 2, 1, 16, true),
        (&[(20, 20), (11, 11)], 2, 2, 24, false),
        (&[(1, 30), (1, 2), (1, 17)], 6, 3, 32, true),
        (&[(40, 40)], 1, 1, 80, false),
    ];
    for (lengths, heads, kv_heads, dim, causal) in cases {
        let (tq, tk) = lengths.iter().fold((0, 0), |(q, k), l| (q + l.0, k + l.1));
        let s = segments(lengths);
        check(
            &format!("attention {lengths:?} {heads}/{kv_heads}x{dim} causal {causal}"),
            &[
                var(13, &[tq, heads, dim]),
                var(14, &[tk, kv_heads, dim]),
                var(15, &[tk, kv_heads, dim]),
            ],
            &|t| attention(&t[0], &t[1], &t[2], &s, causal, 0.4, ocellus_nn::Precision::F32),
            &|t| attention_composed(&t[0], &t[1], &t[2], &s, causal, 0.4),
        );
    }
}

#[test]
fn cross_entropies() {
    for (rows, vocab) in [(1, 2), (6, 11), (30, 200)] {
        let targets: Arc<[u32]> = (0..rows)
            .map(|i| {
                if i % 4 == 3 {
                    IGNORE
                } else {
                    (i * 7 % vocab) as u32
                }
            })
            .collect();
        check(
            &format!("cross-entropy {rows}x{vocab}"),
            &[var(16, &[rows, vocab])],
            &|t| cross_entropy(&t[0], &targets),
            &|t| cross_entropy_composed(&t[0], &targets),
        );
    }
}
