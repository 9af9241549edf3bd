//! Forward: a block of rows against all the keys it sees, softmax, then against the values.

use super::rows::{Rows, Scale, Softmax};
use super::scratch::{Block, Products, ROWS, grown, stride, with_scratch};
use super::{Segment, Shape};
use crate::isa::Isa;
use crate::parallel::{self, Shared};

/// `out = softmax(q . k * scale) . v` inside every segment, and the log-sum-exp of each row that [`super::backward`]
/// needs. Rows in no segment, or that see no key, get zeros and minus infinity.
///
/// # Panics
/// When shapes disagree, a segment lies outside the slices, or two segments share queries.
pub fn forward(
    shape: &Shape,
    segments: &[Segment],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    out: &mut [f32],
    lse: &mut [f32],
) {
    shape.check(segments, q.len(), k.len(), v.len());
    assert_eq!(out.len(), q.len(), "attention: out and q differ in length");
    assert_eq!(
        lse.len() * shape.head_dim,
        q.len(),
        "attention: lse is not [tokens, heads]"
    );
    out.fill(0.0);
    lse.fill(f32::NEG_INFINITY);
    let call = Forward {
        isa: Isa::detect(),
        q,
        k,
        v,
        out: Shared::new(out),
        lse: Shared::new(lse),
    };
    parallel::for_each(
        segments.len() * shape.kv_heads,
        2 * shape.work(segments),
        |task| {
            let segment = &segments[task / shape.kv_heads];
            call.run(&Rows {
                shape,
                segment,
                kv_head: task % shape.kv_heads,
            });
        },
    );
}

struct Forward<'a> {
    isa: Isa,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    out: Shared<f32>,
    lse: Shared<f32>,
}

impl Forward<'_> {
    fn run(&self, rows: &Rows) {
        let (dim, keys) = (rows.shape.head_dim, rows.segment.k_len);
        if keys == 0 || rows.len() == 0 {
            return;
        }
        let products = Products::new(self.isa);
        let (at, step) = (rows.keys_at(), rows.shape.kv_heads * dim);
        let segment = |data| Block {
            data,
            rows: keys,
            cols: dim,
            stride: step,
        };
        let (wide, long) = (stride(dim), stride(keys));
        with_scratch(|scratch| {
            let across = products.pack(segment(&self.k[at..]), true, &mut scratch.keys_across);
            let values = products.pack(segment(&self.v[at..]), false, &mut scratch.down);
            let scaled = grown(&mut scratch.scaled, ROWS * wide);
            let sums = grown(&mut scratch.sums, ROWS * wide);
            let scores = grown(&mut scratch.scores, ROWS * long);
            for first in (0..rows.len()).step_by(ROWS) {
                let count = ROWS.min(rows.len() - first);
                let seen = rows.visible(first + count - 1);
                for i in 0..count {
                    let from = &self.q[rows.place(first + i) * dim..];
                    let to = &mut scaled[i * wide..i * wide + dim];
                    self.isa.run(Scale {
                        from,
                        factor: rows.shape.scale,
                        to,
                    });
                }
                let queries = Block {
                    data: scaled,
                    rows: count,
                    cols: dim,
                    stride: wide,
                };
                products.multiply(queries, false, across, seen, scores, long, false);
                let mut norms = [(0.0, 0.0); ROWS];
                for (i, norm) in norms.iter_mut().enumerate().take(count) {
                    let scores = &mut scores[i * long..i * long + seen];
                    *norm = self.isa.run(Softmax {
                        scores,
                        visible: rows.visible(first + i),
                    });
                }
                let weights = Block {
                    data: scores,
                    rows: count,
                    cols: seen,
                    stride: long,
                };
                products.multiply(weights, false, values, dim, sums, wide, false);
                for (i, (most, sum)) in norms.iter().enumerate().take(count) {
                    if rows.visible(first + i) == 0 {
                        continue;
                    }
                    let place = rows.place(first + i);
                    // SAFETY: every row of every task has its own place, because segments share no queries.
                    let (to, lse) = unsafe {
                        (
                            self.out.range(place * dim..(place + 1) * dim),
                            self.lse.range(place..place + 1),
                        )
                    };
                    self.isa.run(Scale {
                        from: &sums[i * wide..],
                        factor: 1.0 / sum,
                        to,
                    });
                    lse[0] = most + sum.ln();
                }
            }
        });
    }
}
