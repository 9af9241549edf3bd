//! The loop over keys, page by page, without storing all scores of a row (Dao et al. 2022, "FlashAttention").
//!
//! For every row it keeps the largest score so far, the sum of weights relative to that, and the weighted sum of values. Pages
//! are counted from the start of the segment, so the result of a row depends only on itself and on the keys it attends to. A page
//! in which a row attends to no key changes no bit: its weights are zero and its factor is one. The number of memory pieces of a
//! page changes no bit either, since sums continue across pieces in one chain.

use super::pages::{Layout, PAGE, PIECES};
use super::rows::{PageSoftmax, Rows, Scale, Seen};
use super::scratch::{ROWS, Scratch, grown, stride};
use crate::gemm::layout::{Encoding, PackedA, Strided};
use crate::gemm::panel::{PanelProduct, Start};
use crate::isa::Isa;
use crate::parallel::Shared;

/// A page in the layout of the products: the addresses of its keys and values in pieces, and the depth of the panels of values.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub pieces: [*const u32; PIECES],
    pub value_depth: usize,
}

/// Inputs and outputs of the loop over keys.
pub(super) struct Walk<'a> {
    pub isa: Isa,
    pub layout: &'a Layout,
    pub q: &'a [f32],
    pub out: Shared<f32>,
    /// `None` when the log-sum-exps are not needed.
    pub lse: Option<Shared<f32>>,
}

impl Walk<'_> {
    /// Computes all rows of one head of one segment. `page(i)` supplies the keys from `i * PAGE` on; a page is not read after the
    /// next one was requested.
    ///
    /// # Safety
    /// Pages must hold the segment's keys in this walk's layout, and no other task may touch the outputs of these rows.
    pub unsafe fn run(&self, rows: &Rows, scratch: &mut Scratch, mut page: impl FnMut(usize) -> Page) {
        let (dim, tiles) = (self.layout.dim, &self.layout.tiles);
        let (wide, long) = (stride(dim), stride(PAGE));
        let Scratch {
            scaled,
            sums,
            scores,
            encoded,
            encoded_scores,
            ..
        } = scratch;
        let scaled = grown(scaled, ROWS * wide);
        let sums = grown(sums, ROWS * wide);
        let scores = grown(scores, ROWS * long);
        for first in (0..rows.len()).step_by(ROWS) {
            let count = ROWS.min(rows.len() - first);
            let keys_seen = rows.visible(first + count - 1);
            if keys_seen == 0 {
                continue;
            }
            for i in 0..count {
                self.isa.run(Scale {
                    from: &self.q[rows.place(first + i) * dim..],
                    factor: rows.shape.scale,
                    to: &mut scaled[i * wide..i * wide + dim],
                });
            }
            // Left operands: rows as they are, or pairs beside.
            let left = |data: *mut f32, row: usize, k: usize, beside: &mut Vec<_>| {
                if tiles.rows() != Encoding::Bf16Pair {
                    if tiles.spreads() && k % 2 == 1 {
                        // SAFETY: rows are a multiple of a line apart, so that there is room behind an odd number of values.
                        (0..count).for_each(|i| unsafe { *data.add(i * row + k) = 0.0 });
                    }
                    return PackedA {
                        words: data.cast(),
                        row,
                        depth: 1,
                    };
                }
                let from = Strided { data, row, col: 1 };
                // SAFETY: `count` rows of `k` values are there.
                unsafe { tiles.pack_a(from, k, &(0..self.layout.depth(k)), &(0..count), beside) }
            };
            let queries = left(scaled.as_mut_ptr(), wide, dim, encoded);
            let mut seen = [Seen::NOTHING; ROWS];
            for base in (0..keys_seen).step_by(PAGE) {
                let keys = PAGE.min(keys_seen - base);
                let Page { pieces, value_depth } = page(base / PAGE);
                let together = self.layout.keys;
                for (piece, from) in (0..keys).step_by(together).enumerate() {
                    let product = PanelProduct {
                        tiles,
                        a: queries,
                        panels: pieces[piece],
                        rows: count,
                        depth: self.layout.depth(dim),
                        cols: together.min(keys - from),
                        start: Start::Zero,
                        c: scores.as_mut_ptr().wrapping_add(from),
                        ldc: long,
                    };
                    // SAFETY: `count` rows of `keys` columns are in `scores`; the page holds so many keys.
                    unsafe { product.run() };
                }
                let visible: [usize; ROWS] = std::array::from_fn(|i| {
                    let row = rows.len().min(first + i + 1) - 1;
                    rows.visible(row).saturating_sub(base).min(keys)
                });
                self.isa.run(PageSoftmax {
                    scores,
                    stride: long,
                    keys,
                    visible: &visible,
                    seen: &mut seen[..count],
                    sums: (base > 0).then_some((&mut *sums, wide)),
                });
                let weights = left(scores.as_mut_ptr(), long, keys, encoded_scores);
                for (piece, from) in (0..keys).step_by(together).enumerate() {
                    let part = PackedA {
                        words: weights
                            .words
                            .wrapping_add(self.layout.left_at(from) * weights.depth),
                        ..weights
                    };
                    for col in (0..dim).step_by(tiles.nr) {
                        // A panel at a time, because fewer keys than a panel is deep may be wanted.
                        // SAFETY: `count` rows of `dim` columns are in `sums`; panels are `value_depth` words deep, at least as
                        // deep as so many keys.
                        unsafe {
                            let values = pieces[piece].add(self.layout.values_at());
                            let product = PanelProduct {
                                tiles,
                                a: part,
                                panels: values.add(col * value_depth),
                                rows: count,
                                depth: self.layout.depth(together.min(keys - from)),
                                cols: tiles.nr.min(dim - col),
                                start: if base + from == 0 {
                                    Start::Zero
                                } else {
                                    Start::Kept
                                },
                                c: sums.as_mut_ptr().add(col),
                                ldc: wide,
                            };
                            product.run();
                        }
                    }
                }
            }
            for (i, Seen { most, sum }) in seen.iter().enumerate().take(count) {
                if rows.visible(first + i) == 0 {
                    continue;
                }
                let place = rows.place(first + i);
                // SAFETY: passed on to the caller.
                unsafe {
                    self.isa.run(Scale {
                        from: &sums[i * wide..],
                        factor: 1.0 / sum,
                        to: self.out.range(place * dim..(place + 1) * dim),
                    });
                    if let Some(lse) = &self.lse {
                        lse.range(place..place + 1)[0] = most + sum.ln();
                    }
                }
            }
        }
    }
}
