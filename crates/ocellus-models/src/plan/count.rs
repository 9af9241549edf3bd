//! Parameter counts of blocks, in saturating arithmetic.

use ocellus_nn::{Mlp, Norm, block};

/// Parameters of a layer with self-attention.
pub(super) fn block_parameters(b: &block::Spec) -> u64 {
    let (a, width) = (b.attention, b.width);
    let (q, kv) = (
        product(&[a.heads, a.head_dim]),
        product(&[a.kv_heads, a.head_dim]),
    );
    let biases = [
        (a.bias.q, q),
        (a.bias.k, kv),
        (a.bias.v, kv),
        (a.bias.o, width as u64),
    ];
    let biases: Vec<u64> = biases.into_iter().filter(|b| b.0).map(|b| b.1).collect();
    let inner = match b.mlp {
        Mlp::Gated {
            width: inner,
            bias: true,
            ..
        } => sum(&[product(&[2, inner]), width as u64]),
        Mlp::Plain {
            width: inner,
            bias: true,
            ..
        } => sum(&[inner as u64, width as u64]),
        _ => 0,
    };
    let heads = a.head_norm.map_or(0, |norm| norm_parameters(norm, a.head_dim));
    sum(&[
        block_matrices(b),
        sum(&biases),
        inner,
        times(heads, 2),
        times(norm_parameters(b.norm, width), 2),
    ])
}

/// Parameters of a layer's matrices, which is also its number of multiplications per row.
pub(super) fn block_matrices(b: &block::Spec) -> u64 {
    let a = b.attention;
    let (outer, inner, matrices) = match b.mlp {
        Mlp::Gated { width, .. } => (b.width, width, 3),
        Mlp::Plain { width, .. } => (b.width, width, 2),
    };
    sum(&[
        product(&[2, b.width, a.heads, a.head_dim]),
        product(&[2, b.width, a.kv_heads, a.head_dim]),
        product(&[matrices, outer, inner]),
    ])
}

pub(super) fn norm_parameters(norm: Norm, width: usize) -> u64 {
    match norm {
        Norm::Layer { .. } => product(&[2, width]),
        Norm::Rms { .. } => width as u64,
    }
}

/// A saturating product: sizes come from files and may be absurd.
pub(super) fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |all, f| times(all, *f))
}

pub(super) fn times(value: u64, factor: usize) -> u64 {
    value.saturating_mul(factor as u64)
}

pub(super) fn sum(values: &[u64]) -> u64 {
    values.iter().fold(0, |all, v| all.saturating_add(*v))
}
