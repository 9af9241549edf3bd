//! Rotary positions in the rotate-half form (Su et al., 2021): place `i` of the first half of a head and place `i` of
//! the second are the two coordinates of one rotation.
//!
//! `x` is `[tokens, heads, dim]`, each token's heads contiguous; `cos` and `sin` are `[tokens, dim]`, at full width because multi-axis positions may
//! give the halves different angles.

use crate::isa::{Isa, Kernel};
use crate::parallel::{self, Shared};
use crate::simd::Simd;

/// With `h = dim / 2`: `out[i] = x[i] cos[i] - x[i+h] sin[i]`, `out[i+h] = x[i+h] cos[i+h] + x[i] sin[i+h]`.
///
/// `x` has `stride` values from token to token, so that it may be a part of a wider projection; `out` is contiguous.
///
/// # Panics
/// When `dim` is odd or lengths disagree.
pub fn rotate(
    (x, stride): (&[f32], usize),
    cos: &[f32],
    sin: &[f32],
    heads: usize,
    dim: usize,
    out: &mut [f32],
) {
    spread(
        false,
        Heads {
            x,
            stride,
            cos,
            sin,
            heads,
            dim,
        },
        out,
    );
}

/// The gradient of [`rotate`] for `x`, from the gradient of `out`.
///
/// # Panics
/// As [`rotate`].
pub fn rotate_backward(
    grad_out: &[f32],
    cos: &[f32],
    sin: &[f32],
    heads: usize,
    dim: usize,
    grad_x: &mut [f32],
) {
    spread(
        true,
        Heads {
            x: grad_out,
            stride: heads * dim,
            cos,
            sin,
            heads,
            dim,
        },
        grad_x,
    );
}

#[derive(Clone, Copy)]
struct Heads<'a> {
    x: &'a [f32],
    /// Values from token to token of `x`.
    stride: usize,
    cos: &'a [f32],
    sin: &'a [f32],
    heads: usize,
    dim: usize,
}

fn spread(backward: bool, call: Heads, out: &mut [f32]) {
    /// Tokens of one task.
    const TOKENS: usize = 64;
    let Heads {
        x,
        stride,
        cos,
        sin,
        heads,
        dim,
    } = call;
    assert!(dim.is_multiple_of(2), "rope: a head of {dim} has no halves");
    assert_eq!(cos.len(), sin.len(), "rope: cos and sin differ in length");
    assert_eq!(
        out.len(),
        cos.len() * heads,
        "rope: {} values for {} angles and {heads} heads",
        out.len(),
        cos.len()
    );
    if out.is_empty() {
        return;
    }
    let tokens = cos.len() / dim;
    assert_eq!(
        tokens * dim,
        cos.len(),
        "rope: {} angles for heads of {dim}",
        cos.len()
    );
    assert!(
        stride >= heads * dim && x.len() >= (tokens - 1) * stride + heads * dim,
        "rope: {} values do not hold {tokens} tokens, {stride} apart",
        x.len()
    );
    let shared = Shared::new(out);
    let isa = Isa::detect();
    parallel::for_each(tokens.div_ceil(TOKENS), out.len() * 4, |task| {
        let range = task * TOKENS..tokens.min((task + 1) * TOKENS);
        let wide = range.start * heads * dim..range.end * heads * dim;
        let angles = range.start * dim..range.end * dim;
        // SAFETY: tasks have disjoint tokens, all inside the output.
        let out = unsafe { shared.range(wide) };
        let call = Heads {
            x: &x[range.start * stride..],
            stride,
            cos: &cos[angles.clone()],
            sin: &sin[angles],
            heads,
            dim,
        };
        isa.run(Tokens { backward, call, out });
    });
}

struct Tokens<'a> {
    backward: bool,
    call: Heads<'a>,
    out: &'a mut [f32],
}

impl Kernel for Tokens<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Heads {
            x,
            stride,
            cos,
            sin,
            heads,
            dim,
        } = self.call;
        let half = dim / 2;
        let whole = half - half % S::LANES;
        for (index, out) in self.out.chunks_exact_mut(dim).enumerate() {
            let x = &x[index / heads * stride + index % heads * dim..][..dim];
            let token = index / heads * dim;
            let (cos1, cos2) = cos[token..token + dim].split_at(half);
            let (sin1, sin2) = sin[token..token + dim].split_at(half);
            // Backward turns the other way: each half's sine goes with what it was multiplied by.
            let (a, b) = if self.backward { (sin2, sin1) } else { (sin1, sin2) };
            let sign = if self.backward { -1.0 } else { 1.0 };
            let ((x1, x2), (out1, out2)) = (x.split_at(half), out.split_at_mut(half));
            let (minus, plus) = (s.splat(-sign), s.splat(sign));
            let mut at = 0;
            while at < whole {
                let (p, q) = (s.load(&x1[at..]), s.load(&x2[at..]));
                let first = s.mul(s.mul(q, minus), s.load(&a[at..]));
                let second = s.mul(s.mul(p, plus), s.load(&b[at..]));
                s.store(s.mul_add(p, s.load(&cos1[at..]), first), &mut out1[at..]);
                s.store(s.mul_add(q, s.load(&cos2[at..]), second), &mut out2[at..]);
                at += S::LANES;
            }
            for i in whole..half {
                out1[i] = x1[i] * cos1[i] - sign * x2[i] * a[i];
                out2[i] = x2[i] * cos2[i] + sign * x1[i] * b[i];
            }
        }
    }
}

#[cfg(test)]
mod tests;
