//! The layout of one head's keys and values for matrix products: pages of [`PAGE`] keys within one call, or the smaller blocks of
//! a KV cache.

use half::bf16;

use super::scratch::Block;
use crate::gemm::Precision;
use crate::gemm::layout::{Encoding, Strided, values_per_word, words};
use crate::gemm::tile::Tiles;
use crate::isa::Isa;

/// Keys in one page; scores of a block of rows against a page stay in a second-level cache.
pub(super) const PAGE: usize = 256;

/// Tokens whose keys and values one block holds: a multiple of every panel's width, so that blocks have no unused lanes.
pub const BLOCK: usize = 64;

/// The largest number of blocks of a page.
pub(super) const PIECES: usize = PAGE / BLOCK;

/// The memory layout of one head's keys and values: panels of keys `[dim, keys]`, then panels of values `[keys, dim]`, in 32-bit
/// words.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub tiles: Tiles,
    pub dim: usize,
    /// Keys per contiguous piece: [`PAGE`], or a divisor of it that is a multiple of every panel's width.
    pub keys: usize,
}

impl Layout {
    pub fn new(isa: Isa, precision: Precision, dim: usize, keys: usize) -> Self {
        Self {
            tiles: isa.tiles(precision),
            dim,
            keys,
        }
    }

    /// Words of `k` values along the summed dimension.
    pub fn depth(&self, k: usize) -> usize {
        words(self.tiles.encoding, k)
    }

    /// Word offset of the values.
    pub fn values_at(&self) -> usize {
        self.keys.next_multiple_of(self.tiles.nr) * self.depth(self.dim)
    }

    /// Words of a piece: keys and values.
    pub fn words(&self) -> usize {
        self.values_at() + self.dim.next_multiple_of(self.tiles.nr) * self.depth(self.keys)
    }

    /// Words of a left operand from one of its rows' first value to value `k`, an even number.
    pub fn left_at(&self, k: usize) -> usize {
        match self.tiles.rows() {
            Encoding::Bf16Pair => k / 2,
            _ => k,
        }
    }

    /// Packs at most `keys` keys and values of one head into a piece.
    ///
    /// # Safety
    /// `page` must have room for [`Layout::words`], and the blocks as many rows as each other, at most `keys`, of `dim` columns.
    pub unsafe fn pack(&self, keys: Block, values: Block, page: *mut u32) {
        let count = keys.rows;
        // SAFETY: panels of at most `keys` keys stay inside their part of the page. Panels of values in a short page are as deep
        // as the page has keys.
        unsafe {
            let across = Strided {
                data: keys.data.as_ptr(),
                row: 1,
                col: keys.stride,
            };
            self.tiles
                .pack_panels(across, self.dim, &(0..self.depth(self.dim)), &(0..count), page);
            let down = Strided {
                data: values.data.as_ptr(),
                row: values.stride,
                col: 1,
            };
            let depth = 0..self.depth(count);
            self.tiles
                .pack_panels(down, count, &depth, &(0..self.dim), page.add(self.values_at()));
        }
    }

    /// Number of values in a word.
    pub fn shared(&self) -> usize {
        values_per_word(self.tiles.encoding)
    }

    /// The index of element `i` of the key at position `at` in a piece, counting the values of each word from its low bits.
    pub fn key_at(&self, at: usize, i: usize) -> usize {
        let (nr, shared) = (self.tiles.nr, self.shared());
        // The direction of summation is the head's.
        let word = (at / nr * self.depth(self.dim) + i / shared) * nr + at % nr;
        word * shared + i % shared
    }

    /// The index of element `i` of the value at position `at` in a piece.
    pub fn value_at(&self, at: usize, i: usize) -> usize {
        let (nr, shared) = (self.tiles.nr, self.shared());
        // The direction of summation is the keys'.
        let word = self.values_at() + (i / nr * self.depth(self.keys) + at / shared) * nr + i % nr;
        word * shared + at % shared
    }

    /// Writes one token into position `at`, after the tokens before it. Where a word holds two values, the first clears the
    /// second: a stale NaN there would spoil the result, since NaN times a weight of zero is NaN.
    pub fn put(&self, page: &mut [u32], at: usize, k: &[f32], v: &[f32]) {
        let nr = self.tiles.nr;
        // The same indices as `key_at` and `value_at`, without a division per value.
        let keys = &mut page[at / nr * self.depth(self.dim) * nr + at % nr..];
        match self.tiles.encoding {
            Encoding::Bf16Pair => {
                for (word, pair) in keys.iter_mut().step_by(nr).zip(k.chunks(2)) {
                    let high = pair.get(1).map_or(0, |x| bf16_word(*x) << 16);
                    *word = bf16_word(pair[0]) | high;
                }
            }
            _ => {
                for (word, x) in keys.iter_mut().step_by(nr).zip(k) {
                    *word = x.to_bits();
                }
            }
        }
        for (panel, v) in v.chunks(nr).enumerate() {
            let row = panel * self.depth(self.keys) + at / self.shared();
            let words = &mut page[self.values_at() + row * nr..][..v.len()];
            match self.tiles.encoding {
                Encoding::Bf16Pair => {
                    let (shift, kept) = if at.is_multiple_of(2) {
                        (0, 0)
                    } else {
                        (16, 0xffff)
                    };
                    for (word, x) in words.iter_mut().zip(v) {
                        *word = *word & kept | bf16_word(*x) << shift;
                    }
                }
                _ => words.iter_mut().zip(v).for_each(|(word, x)| *word = x.to_bits()),
            }
        }
    }
}

fn bf16_word(x: f32) -> u32 {
    u32::from(bf16::from_f32(x).to_bits())
}
