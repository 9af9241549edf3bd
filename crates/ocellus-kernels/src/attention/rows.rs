//! Work on rows between the matrix products: gathering, softmax and its gradient, scattering.

use super::shape::{Segment, Shape};
use crate::isa::Kernel;
use crate::simd::Simd;
use crate::simd::math::{exp, exp_below};
use crate::simd::reduce::largest;

/// The rows that use one key-value head in one segment: all query heads of its group, query by query.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub shape: &'a Shape,
    pub segment: &'a Segment,
    pub kv_head: usize,
}

impl Rows<'_> {
    pub fn len(&self) -> usize {
        self.segment.q_len * self.shape.group()
    }

    /// Index of this row in `[q_tokens, heads]`.
    pub fn place(&self, row: usize) -> usize {
        let group = self.shape.group();
        (self.segment.q_start + row / group) * self.shape.heads + self.kv_head * group + row % group
    }

    /// Number of keys of the segment that this row attends to.
    pub fn visible(&self, row: usize) -> usize {
        self.shape.visible(self.segment, row / self.shape.group())
    }

    /// Index of the first key of this head and segment in `[k_tokens, kv_heads, head_dim]`.
    pub fn keys_at(&self) -> usize {
        (self.segment.k_start * self.shape.kv_heads + self.kv_head) * self.shape.head_dim
    }
}

/// `to = from * factor`.
pub(super) struct Scale<'a> {
    pub from: &'a [f32],
    pub factor: f32,
    pub to: &'a mut [f32],
}

impl Kernel for Scale<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Scale { from, factor, to } = self;
        let len = to.len();
        let mut at = 0;
        while at + S::LANES <= len {
            s.store(s.mul(s.load(&from[at..]), s.splat(factor)), &mut to[at..]);
            at += S::LANES;
        }
        for i in at..len {
            to[i] = from[i] * factor;
        }
    }
}

/// The softmax state of a row after the pages so far.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// The largest score.
    pub most: f32,
    /// The sum of `e^(score - most)`.
    pub sum: f32,
}

impl Seen {
    pub const NOTHING: Self = Self {
        most: f32::NEG_INFINITY,
        sum: 0.0,
    };
}

/// Turns the scores of a page into `e^(score - most)` for visible keys and zero for the others, where `most` is the largest score
/// so far, and rescales the earlier sums to the new `most`.
pub(super) struct PageSoftmax<'a> {
    /// `[rows, keys]`, `stride` apart.
    pub scores: &'a mut [f32],
    pub stride: usize,
    pub keys: usize,
    /// Number of visible keys of each row.
    pub visible: &'a [usize],
    pub seen: &'a mut [Seen],
    /// Weighted sums of values, `[rows, width]`, with a width padded to whole vectors; `None` before the first page.
    pub sums: Option<(&'a mut [f32], usize)>,
}

impl Kernel for PageSoftmax<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for (i, (seen, visible)) in self.seen.iter_mut().zip(self.visible).enumerate() {
            let scores = &mut self.scores[i * self.stride..][..self.keys];
            let before = *seen;
            let (most, added) = softmax(s, scores, *visible, before.most);
            *seen = Seen { most, sum: added };
            let Some((sums, width)) = &mut self.sums else {
                continue;
            };
            if most > before.most {
                let factor = (before.most - most).exp();
                seen.sum = before.sum * factor + added;
                let factor = s.splat(factor);
                for sums in sums[i * *width..(i + 1) * *width].chunks_exact_mut(S::LANES) {
                    s.store(s.mul(s.load(sums), factor), sums);
                }
            } else {
                seen.sum = before.sum + added;
            }
        }
    }
}

/// One row of [`PageSoftmax`]: the largest score, which is at least `before`, and the sum.
#[inline(always)]
fn softmax<S: Simd>(s: S, scores: &mut [f32], visible: usize, before: f32) -> (f32, f32) {
    let (scores, hidden) = scores.split_at_mut(visible);
    if !hidden.is_empty() {
        hidden.fill(0.0);
    }
    if scores.is_empty() {
        return (before, 0.0);
    }
    let most = largest(s, scores).max(before);
    let shift = s.splat(most);
    let mut sum = s.zero();
    let mut chunks = scores.chunks_exact_mut(S::LANES);
    for chunk in &mut chunks {
        let p = exp_below(s, s.sub(s.load(chunk), shift));
        sum = s.add(sum, p);
        s.store(p, chunk);
    }
    let mut total = s.sum(sum);
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        let mut padded = [0.0; 16];
        padded[..rest.len()].copy_from_slice(rest);
        s.store(exp_below(s, s.sub(s.load(&padded), shift)), &mut padded);
        rest.copy_from_slice(&padded[..rest.len()]);
        total += rest.iter().sum::<f32>();
    }
    (most, total)
}

/// Turns the scores of one row into probabilities, and gradients of probabilities into gradients of scores; zero for keys that
/// the row does not attend to.
pub(super) struct SoftmaxSlope<'a> {
    pub scores: &'a mut [f32],
    pub slopes: &'a mut [f32],
    pub visible: usize,
    pub lse: f32,
    /// `grad_out . out` of the row.
    pub along: f32,
}

impl Kernel for SoftmaxSlope<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (scores, hidden) = self.scores.split_at_mut(self.visible);
        hidden.fill(0.0);
        let (slopes, hidden) = self.slopes.split_at_mut(self.visible);
        hidden.fill(0.0);
        let (lse, along) = (s.splat(self.lse), s.splat(self.along));
        let len = scores.len();
        let mut at = 0;
        while at + S::LANES <= len {
            let p = exp(s, s.sub(s.load(&scores[at..]), lse));
            s.store(s.mul(p, s.sub(s.load(&slopes[at..]), along)), &mut slopes[at..]);
            s.store(p, &mut scores[at..]);
            at += S::LANES;
        }
        if at < len {
            let mut padded = [0.0; 16];
            padded[..len - at].copy_from_slice(&scores[at..]);
            s.store(exp(s, s.sub(s.load(&padded), lse)), &mut padded);
            for i in at..len {
                scores[i] = padded[i - at];
                slopes[i] = scores[i] * (slopes[i] - self.along);
            }
        }
    }
}
