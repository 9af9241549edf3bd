//! Backward: probabilities are computed again from the log-sum-exp, as in FlashAttention (Dao et al., 2022).

use super::rows::{Rows, Scale, SoftmaxSlope};
use super::scratch::{Block, Products, ROWS, grown, stride, with_scratch};
use super::shape::{Segment, Shape, overlap};
use crate::isa::{Isa, Kernel};
use crate::parallel::{self, Shared};
use crate::simd::Simd;
use crate::simd::reduce::dot;

/// Inputs and outputs of the forward call.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    pub q: &'a [f32],
    pub k: &'a [f32],
    pub v: &'a [f32],
    pub out: &'a [f32],
    pub lse: &'a [f32],
}

/// The gradients, each as long as the tensor it belongs to; overwritten.
#[derive(Debug)]
pub struct Gradients<'a> {
    pub q: &'a mut [f32],
    pub k: &'a mut [f32],
    pub v: &'a mut [f32],
}

/// Gradients of [`super::forward`] for `q`, `k` and `v`, from the gradient of `out`.
///
/// # Panics
/// As [`super::forward`].
pub fn backward(shape: &Shape, segments: &[Segment], saved: Saved, grad_out: &[f32], gradients: Gradients) {
    shape.check(segments, saved.q.len(), saved.k.len(), saved.v.len());
    assert!(
        [
            saved.out.len(),
            grad_out.len(),
            gradients.q.len(),
            saved.lse.len() * shape.head_dim
        ]
        .iter()
        .all(|len| *len == saved.q.len()),
        "attention: out, its gradient, lse or the gradient of q do not have q's shape"
    );
    assert!(
        gradients.k.len() == saved.k.len() && gradients.v.len() == saved.v.len(),
        "attention: the gradients of k and v do not have their shapes"
    );
    let Gradients { q, k, v } = gradients;
    q.fill(0.0);
    k.fill(0.0);
    v.fill(0.0);
    let call = Backward {
        isa: Isa::detect(),
        saved,
        grad_out,
        grad_q: Shared::new(q),
        grad_k: Shared::new(k),
        grad_v: Shared::new(v),
    };
    // Segments that share keys add to the same gradients, so then one task per head takes the segments in order.
    let shared_keys = overlap(segments.iter().map(|s| s.k_start..s.k_start + s.k_len));
    let each = if shared_keys { segments.len() } else { 1 };
    let tasks = segments.len() / each.max(1) * shape.kv_heads;
    parallel::for_each(tasks, 5 * shape.work(segments), |task| {
        let first = task / shape.kv_heads * each;
        for segment in &segments[first..first + each] {
            call.run(&Rows {
                shape,
                segment,
                kv_head: task % shape.kv_heads,
            });
        }
    });
}

struct Backward<'a> {
    isa: Isa,
    saved: Saved<'a>,
    grad_out: &'a [f32],
    grad_q: Shared<f32>,
    grad_k: Shared<f32>,
    grad_v: Shared<f32>,
}

impl Backward<'_> {
    fn run(&self, rows: &Rows) {
        let (dim, keys, scale) = (rows.shape.head_dim, rows.segment.k_len, rows.shape.scale);
        if keys == 0 || rows.len() == 0 {
            return;
        }
        let (isa, products) = (self.isa, Products::new(self.isa));
        let (at, step) = (rows.keys_at(), rows.shape.kv_heads * dim);
        let segment = |data| Block {
            data,
            rows: keys,
            cols: dim,
            stride: step,
        };
        let (wide, long) = (stride(dim), stride(keys));
        with_scratch(|scratch| {
            let keys_across = products.pack(segment(&self.saved.k[at..]), true, &mut scratch.keys_across);
            let values_across = products.pack(segment(&self.saved.v[at..]), true, &mut scratch.values_across);
            let keys_down = products.pack(segment(&self.saved.k[at..]), false, &mut scratch.down);
            let scaled = grown(&mut scratch.scaled, ROWS * wide);
            let gathered = grown(&mut scratch.gathered, ROWS * wide);
            let sums = grown(&mut scratch.sums, ROWS * wide);
            let scores = grown(&mut scratch.scores, ROWS * long);
            let slopes = grown(&mut scratch.slopes, ROWS * long);
            let key_grads = grown(&mut scratch.key_grads, keys * wide);
            let value_grads = grown(&mut scratch.value_grads, keys * wide);
            key_grads.fill(0.0);
            value_grads.fill(0.0);
            for first in (0..rows.len()).step_by(ROWS) {
                let count = ROWS.min(rows.len() - first);
                let seen = rows.visible(first + count - 1);
                for i in 0..count {
                    let from = rows.place(first + i) * dim;
                    let to = i * wide..i * wide + dim;
                    isa.run(Scale {
                        from: &self.saved.q[from..],
                        factor: scale,
                        to: &mut scaled[to.clone()],
                    });
                    gathered[to].copy_from_slice(&self.grad_out[from..from + dim]);
                }
                let queries = Block {
                    data: scaled,
                    rows: count,
                    cols: dim,
                    stride: wide,
                };
                let grads = Block {
                    data: gathered,
                    rows: count,
                    cols: dim,
                    stride: wide,
                };
                products.multiply(queries, false, keys_across, seen, scores, long, false);
                products.multiply(grads, false, values_across, seen, slopes, long, false);
                for i in 0..count {
                    let place = rows.place(first + i);
                    let range = i * long..i * long + seen;
                    let out = &self.saved.out[place * dim..(place + 1) * dim];
                    isa.run(SoftmaxSlope {
                        scores: &mut scores[range.clone()],
                        slopes: &mut slopes[range],
                        visible: rows.visible(first + i),
                        lse: self.saved.lse[place],
                        along: isa.run(Dot(out, &self.grad_out[place * dim..(place + 1) * dim])),
                    });
                }
                let weights = Block {
                    data: scores,
                    rows: count,
                    cols: seen,
                    stride: long,
                };
                let slopes = Block {
                    data: slopes,
                    rows: count,
                    cols: seen,
                    stride: long,
                };
                let packed = products.pack(grads, false, &mut scratch.grads);
                products.multiply(weights, true, packed, dim, value_grads, wide, true);
                let packed = products.pack(queries, false, &mut scratch.queries);
                products.multiply(slopes, true, packed, dim, key_grads, wide, true);
                products.multiply(slopes, false, keys_down, dim, sums, wide, false);
                for i in 0..count {
                    let place = rows.place(first + i);
                    // SAFETY: every row of every task has its own place, because segments share no queries.
                    let to = unsafe { self.grad_q.range(place * dim..(place + 1) * dim) };
                    isa.run(Scale {
                        from: &sums[i * wide..],
                        factor: scale,
                        to,
                    });
                }
            }
            for key in 0..keys {
                let from = key * wide..key * wide + dim;
                let to = at + key * step..at + key * step + dim;
                // SAFETY: a task owns its head's keys: segments that share keys are in one task.
                let (grad_k, grad_v) = unsafe { (self.grad_k.range(to.clone()), self.grad_v.range(to)) };
                grad_k
                    .iter_mut()
                    .zip(&key_grads[from.clone()])
                    .for_each(|(to, grad)| *to += grad);
                grad_v
                    .iter_mut()
                    .zip(&value_grads[from])
                    .for_each(|(to, grad)| *to += grad);
            }
        });
    }
}

/// `a . b`.
struct Dot<'a>(&'a [f32], &'a [f32]);

impl Kernel for Dot<'_> {
    type Out = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        dot(s, self.0, self.1)
    }
}
