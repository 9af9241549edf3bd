//! The forward pass, over contiguous keys and values or over blocks of a KV cache.

use super::blocks::KvBlocks;
use super::flash::{Page, Walk};
use super::pages::{BLOCK, Layout, PAGE, PIECES};
use super::rows::Rows;
use super::scratch::{Block, with_scratch};
use super::shape::{Segment, Shape};
use crate::gemm::Precision;
use crate::gemm::layout::room;
use crate::isa::Isa;
use crate::memory::prefetch;
use crate::parallel::{self, Shared};

/// `out = softmax(q . k * scale) . v` inside every segment, and the log-sum-exp of each row that [`super::backward`] needs.
/// Values have their own stride from token to token, so that they may be part of a wider projection. Rows in no segment, and rows
/// that attend to no key, get zeros and minus infinity. Operands of products are rounded to `precision`.
///
/// # Panics
/// When shapes disagree, a segment lies outside the slices, or two segments share queries.
pub fn forward(
    precision: Precision,
    shape: &Shape,
    segments: &[Segment],
    q: &[f32],
    k: &[f32],
    (v, v_stride): (&[f32], usize),
    out: &mut [f32],
    lse: &mut [f32],
) {
    shape.check(segments, q.len(), k.len(), k.len());
    let (dim, width) = (shape.head_dim, shape.kv_heads * shape.head_dim);
    let tokens = k.len() / width;
    assert!(
        v_stride >= width && (tokens == 0 || v.len() >= (tokens - 1) * v_stride + width),
        "attention: {} values do not hold {tokens} tokens, {v_stride} apart",
        v.len()
    );
    assert_eq!(out.len(), q.len(), "attention: out and q differ in length");
    assert_eq!(
        lse.len() * shape.head_dim,
        q.len(),
        "attention: lse is not [tokens, heads]"
    );
    if !shape.covers(segments, lse.len() / shape.heads) {
        out.fill(0.0);
        lse.fill(f32::NEG_INFINITY);
    }
    let isa = Isa::detect();
    let layout = Layout::new(isa, precision, dim, PAGE);
    let walk = Walk {
        isa,
        layout: &layout,
        q,
        out: Shared::new(out),
        lse: Some(Shared::new(lse)),
    };
    // Consecutive heads of a short segment form one task: their rows are adjacent, and while one head is computed, the rows of
    // the next are prefetched.
    let parts = (16 * parallel::threads()).div_ceil(segments.len().max(1));
    let each = shape.kv_heads.div_ceil(parts);
    let parts = shape.kv_heads.div_ceil(each);
    parallel::for_each(segments.len() * parts, 2 * shape.work(segments), |task| {
        let segment = &segments[task / parts];
        let first = task % parts * each;
        for kv_head in first..shape.kv_heads.min(first + each) {
            let rows = Rows {
                shape,
                segment,
                kv_head,
            };
            let keys = segment.k_len;
            if keys == 0 || rows.len() == 0 {
                return;
            }
            let ahead = (kv_head + 1 < first + each && keys <= PAGE).then(|| Next {
                rows: Rows {
                    kv_head: kv_head + 1,
                    ..rows
                },
                q,
                k,
                v: (v, v_stride),
            });
            with_scratch(|scratch| {
                let mut pages = std::mem::take(&mut scratch.keys_across);
                let start = room(&mut pages, keys.div_ceil(PAGE) * layout.words());
                for base in (0..keys).step_by(PAGE) {
                    let part = |data, stride| Block {
                        data,
                        rows: PAGE.min(keys - base),
                        cols: dim,
                        stride,
                    };
                    let from = |stride| (segment.k_start + base) * stride + rows.kv_head * dim;
                    // SAFETY: there is room for all pages, and the segment was checked against the slices.
                    unsafe {
                        let page = start.add(base / PAGE * layout.words());
                        layout.pack(
                            part(&k[from(width)..], width),
                            part(&v[from(v_stride)..], v_stride),
                            page,
                        );
                    }
                }
                if let Some(next) = ahead {
                    next.prefetch();
                }
                let page = |i: usize| Page {
                    // SAFETY: as above.
                    pieces: [unsafe { start.add(i * layout.words()).cast_const() }; PIECES],
                    value_depth: layout.depth(PAGE.min(keys - i * PAGE)),
                };
                // SAFETY: the pages were packed above; every row of every task has its own place, because segments share no
                // queries.
                unsafe { walk.run(&rows, scratch, page) };
                scratch.keys_across = pages;
            });
        }
    });
}

/// The head that this thread computes next.
struct Next<'a> {
    rows: Rows<'a>,
    q: &'a [f32],
    k: &'a [f32],
    v: (&'a [f32], usize),
}

impl Next<'_> {
    /// Prefetches its rows, which are too far apart for the hardware prefetcher.
    fn prefetch(&self) {
        let Rows {
            shape,
            segment,
            kv_head,
        } = self.rows;
        let dim = shape.head_dim;
        let row = |data: &[f32], from: usize, len: usize| {
            for at in (from..from + len).step_by(16) {
                prefetch(data.as_ptr().wrapping_add(at));
            }
        };
        for key in segment.k_start..segment.k_start + segment.k_len {
            row(self.k, (key * shape.kv_heads + kv_head) * dim, dim);
            row(self.v.0, key * self.v.1 + kv_head * dim, dim);
        }
        let group = shape.heads / shape.kv_heads;
        for query in segment.q_start..segment.q_start + segment.q_len {
            row(self.q, (query * shape.heads + kv_head * group) * dim, group * dim);
        }
    }
}

/// One sequence among the packed ones, whose keys and values lie in blocks of a KV cache.
#[derive(Clone, Copy, Debug)]
pub struct BlockSegment<'a> {
    pub q_start: usize,
    pub q_len: usize,
    /// Keys of the sequence, the tokens of this call included.
    pub k_len: usize,
    /// The block table: block `table[i]` holds the keys from `i * BLOCK` on.
    pub table: &'a [u32],
}

/// As [`forward`], with keys and values from blocks. The bits are those of [`forward`] on the stored keys and values, whichever
/// blocks hold them.
///
/// # Panics
/// When shapes disagree, a block table is too short or names a block that is not there, or two segments share queries.
pub fn forward_blocks(
    shape: &Shape,
    segments: &[BlockSegment],
    q: &[f32],
    blocks: &KvBlocks,
    out: &mut [f32],
) {
    // Keys of every segment are counted from zero; the block table says where they are.
    let plain: Vec<Segment> = segments
        .iter()
        .map(|s| Segment {
            q_start: s.q_start,
            q_len: s.q_len,
            k_start: 0,
            k_len: s.k_len,
        })
        .collect();
    let longest = plain.iter().map(|s| s.k_len).max().unwrap_or(0);
    let keys = longest * shape.kv_heads * shape.head_dim;
    shape.check(&plain, q.len(), keys, keys);
    assert_eq!(out.len(), q.len(), "attention: out and q differ in length");
    let layout = blocks.layout();
    assert!(
        layout.dim == shape.head_dim && blocks.kv_heads() == shape.kv_heads,
        "attention: the blocks hold {} heads of {}",
        blocks.kv_heads(),
        layout.dim
    );
    for s in segments {
        let used = s.table.get(..s.k_len.div_ceil(BLOCK));
        assert!(
            used.is_some_and(|table| table.iter().all(|b| (*b as usize) < blocks.count())),
            "attention: {s:?} does not lie in {} blocks of {BLOCK}",
            blocks.count()
        );
    }
    if !shape.covers(&plain, q.len() / (shape.heads * shape.head_dim)) {
        out.fill(0.0);
    }
    let walk = Walk {
        isa: Isa::detect(),
        layout,
        q,
        out: Shared::new(out),
        lse: None,
    };
    parallel::for_each(segments.len() * shape.kv_heads, 2 * shape.work(&plain), |task| {
        let (segment, kv_head) = (task / shape.kv_heads, task % shape.kv_heads);
        let table = segments[segment].table;
        let segment = &plain[segment];
        let rows = Rows {
            shape,
            segment,
            kv_head,
        };
        with_scratch(|scratch| {
            let mut expanded = std::mem::take(&mut scratch.keys_across);
            let page = |i: usize| Page {
                pieces: blocks.page(
                    &table[i * PIECES..],
                    kv_head,
                    PAGE.min(segment.k_len - i * PAGE),
                    &mut expanded,
                ),
                value_depth: layout.depth(BLOCK),
            };
            // SAFETY: blocks are in their layout; every row of every task has its own place.
            unsafe { walk.run(&rows, scratch, page) };
            scratch.keys_across = expanded;
        });
    });
}
