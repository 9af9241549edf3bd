//! Keys and values of one head in the order in which products read them: pages of [`PAGE`] keys for one pass, or the smaller
//! blocks of a KV cache.

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

/// Most blocks that a page's keys lie in.
pub(super) const PIECES: usize = PAGE / BLOCK;

/// How the keys and values of one head lie in memory: panels of keys `[dim, keys]`, then panels of values `[keys, dim]`, in
/// words.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub tiles: Tiles,
    pub dim: usize,
    /// Keys that lie together; [`PAGE`] or a divisor of it that is a multiple of every panel's width.
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

    /// Words that `k` values along the direction of summation take.
    pub fn depth(&self, k: usize) -> usize {
        words(self.tiles.encoding, k)
    }

    /// Words from the first key to the values.
    pub fn values_at(&self) -> usize {
        self.keys.next_multiple_of(self.tiles.nr) * self.depth(self.dim)
    }

    /// Words of all keys and values that lie together.
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

    /// Packs up to so many keys and values of one head as lie together.
    ///
    /// # Safety
    /// `page` must have room for [`Layout::words`], and the blocks as many rows as each other, at most `keys`, of `dim` columns.
    pub unsafe fn pack(&self, keys: Block, values: Block, page: *mut u32) {
        let count = keys.rows;
        // SAFETY: panels of at most `keys` keys stay inside their part of the page. Values of a short page lie in panels as deep as
        // there are keys.
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

    /// Values that share a word.
    pub fn shared(&self) -> usize {
        values_per_word(self.tiles.encoding)
    }

    /// Which value of a page the value `i` of the key at place `at` is, counted along words and from their low bits.
    pub fn key_at(&self, at: usize, i: usize) -> usize {
        let (nr, shared) = (self.tiles.nr, self.shared());
        // The direction of summation is the head's.
        let word = (at / nr * self.depth(self.dim) + i / shared) * nr + at % nr;
        word * shared + i % shared
    }

    /// Which value of a page the value `i` of the value row at place `at` is.
    pub fn value_at(&self, at: usize, i: usize) -> usize {
        let (nr, shared) = (self.tiles.nr, self.shared());
        // The direction of summation is the keys'.
        let word = self.values_at() + (i / nr * self.depth(self.keys) + at / shared) * nr + i % nr;
        word * shared + at % shared
    }

    /// Puts one token into place `at`, behind the tokens before it. Where two values share a word, the first of them clears the
    /// place of the second: what a former owner of the memory left there may be no number, and no number times a weight of
    /// zero is no number.
    pub fn put(&self, page: &mut [u32], at: usize, k: &[f32], v: &[f32]) {
        let nr = self.tiles.nr;
        // The same places as `key_at` and `value_at` give, without a division for every value.
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
