//! Keys and values of one head in the order in which products read them, in pages of [`PAGE`] keys.

use half::bf16;

use super::scratch::Block;
use crate::gemm::Precision;
use crate::gemm::pack::{Encoding, Strided, words};
use crate::gemm::tile::Tiles;
use crate::isa::Isa;
use crate::memory::Memory;

/// Keys in one page; scores of a block of rows against a page stay in a second-level cache.
pub(super) const PAGE: usize = 256;

/// How a page lies in memory: panels of keys `[dim, keys]`, then panels of values `[keys, dim]`, in words.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub tiles: Tiles,
    pub dim: usize,
}

impl Layout {
    pub fn new(isa: Isa, precision: Precision, dim: usize) -> Self {
        Self {
            tiles: isa.tiles(precision),
            dim,
        }
    }

    /// Words that `k` values along the direction of summation take.
    pub fn depth(&self, k: usize) -> usize {
        words(self.tiles.encoding, k)
    }

    /// Words from the start of a page to its values.
    pub fn values_at(&self) -> usize {
        PAGE.next_multiple_of(self.tiles.nr) * self.depth(self.dim)
    }

    /// Words of a page.
    pub fn page(&self) -> usize {
        self.values_at() + self.dim.next_multiple_of(self.tiles.nr) * self.depth(PAGE)
    }

    /// Packs up to [`PAGE`] keys and values of one head.
    ///
    /// # Safety
    /// `page` must have room for a page, and the blocks as many rows as each other, at most [`PAGE`], of `dim` columns.
    pub unsafe fn pack(&self, keys: Block, values: Block, page: *mut u32) {
        let count = keys.rows;
        // SAFETY: panels of at most `PAGE` keys stay inside their part of the page. Values of a short page lie in panels as deep as
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
}

/// The keys and values of several sequences, kept between calls: each in a slot of whole pages.
///
/// A page that nobody wrote to takes no memory where the system gives it on first touch.
pub struct KvCache {
    layout: Layout,
    kv_heads: usize,
    pages: usize,
    slots: usize,
    memory: Memory,
}

impl KvCache {
    /// Room for `slots` sequences of up to `capacity` tokens, their keys and values at `precision`.
    pub fn new(
        precision: Precision,
        (slots, capacity): (usize, usize),
        (kv_heads, head_dim): (usize, usize),
    ) -> Self {
        let layout = Layout::new(Isa::detect(), precision, head_dim);
        let pages = capacity.div_ceil(PAGE);
        Self {
            layout,
            kv_heads,
            pages,
            slots,
            memory: Memory::zeroed(slots * pages * kv_heads * layout.page() * 4),
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Tokens that a slot can hold.
    pub fn capacity(&self) -> usize {
        self.pages * PAGE
    }

    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Words before the page `page` of a head.
    fn at(&self, slot: usize, page: usize, head: usize) -> usize {
        assert!(slot < self.slots && page < self.pages && head < self.kv_heads);
        ((slot * self.pages + page) * self.kv_heads + head) * self.layout.page()
    }

    pub(super) fn page(&self, slot: usize, page: usize, head: usize) -> *const u32 {
        let at = self.at(slot, page, head);
        self.memory.as_ref()[at * 4..].as_ptr().cast()
    }

    /// Puts the keys and values of one token, `[kv_heads, head_dim]` each, into place `at` of a slot.
    ///
    /// # Panics
    /// When the place is not in the slot, or a slice has another length.
    pub fn write(&mut self, slot: usize, at: usize, k: &[f32], v: &[f32]) {
        let dim = self.layout.dim;
        assert!(k.len() == self.kv_heads * dim && v.len() == k.len());
        for head in 0..self.kv_heads {
            let start = self.at(slot, at / PAGE, head);
            let layout = self.layout;
            let words = &mut words_of(&mut self.memory)[start..start + layout.page()];
            let span = head * dim..(head + 1) * dim;
            layout.put(words, at % PAGE, &k[span.clone()], &v[span]);
        }
    }

    /// Gives slot `to` the first `len` tokens of slot `from`.
    pub fn copy(&mut self, from: usize, to: usize, len: usize) {
        let each = self.kv_heads * self.layout.page();
        let pages = len.div_ceil(PAGE);
        if pages == 0 || from == to {
            return;
        }
        let (from, to) = (self.at(from, 0, 0), self.at(to, 0, 0));
        words_of(&mut self.memory).copy_within(from..from + pages * each, to);
    }

    /// The first `len` tokens of a slot, apart from the cache; see [`KvCache::restore`].
    pub fn save(&self, slot: usize, len: usize) -> Vec<u8> {
        let each = self.kv_heads * self.layout.page() * 4;
        let start = if len == 0 { 0 } else { self.at(slot, 0, 0) * 4 };
        self.memory.as_ref()[start..start + len.div_ceil(PAGE) * each].to_vec()
    }

    /// Puts what [`KvCache::save`] gave into a slot.
    pub fn restore(&mut self, slot: usize, saved: &[u8]) {
        if !saved.is_empty() {
            let start = self.at(slot, 0, 0) * 4;
            self.memory.as_mut_slice()[start..start + saved.len()].copy_from_slice(saved);
        }
    }
}

/// Memory as words; it is aligned to more than those.
fn words_of(memory: &mut Memory) -> &mut [u32] {
    let bytes = memory.as_mut_slice();
    // SAFETY: every pattern of bits is a word, and pages are aligned for words.
    let (before, words, _) = unsafe { bytes.align_to_mut::<u32>() };
    assert!(before.is_empty(), "cache memory is aligned");
    words
}

impl Layout {
    /// Puts one token into place `at` of a page.
    fn put(&self, page: &mut [u32], at: usize, k: &[f32], v: &[f32]) {
        let nr = self.tiles.nr;
        let (keys, values) = page.split_at_mut(self.values_at());
        // Keys: the direction of summation is the head's.
        let panel = at / nr * self.depth(self.dim) * nr + at % nr;
        match self.tiles.encoding {
            Encoding::Bf16Pair => {
                for (i, pair) in k.chunks(2).enumerate() {
                    let half = |j: usize| pair.get(j).map_or(0, |x| u32::from(bf16::from_f32(*x).to_bits()));
                    keys[panel + i * nr] = half(0) | half(1) << 16;
                }
            }
            _ => k
                .iter()
                .enumerate()
                .for_each(|(i, x)| keys[panel + i * nr] = self.word(*x)),
        }
        // Values: it is the keys'.
        for (c, x) in v.iter().enumerate() {
            let panel = c / nr * self.depth(PAGE) * nr + c % nr;
            match self.tiles.encoding {
                Encoding::Bf16Pair => {
                    let (word, shift) = (&mut values[panel + at / 2 * nr], at % 2 * 16);
                    *word = *word & !(0xffff << shift) | u32::from(bf16::from_f32(*x).to_bits()) << shift;
                }
                _ => values[panel + at * nr] = self.word(*x),
            }
        }
    }

    fn word(&self, x: f32) -> u32 {
        match self.tiles.encoding {
            Encoding::RoundedF32 => bf16::from_f32(x).to_f32().to_bits(),
            _ => x.to_bits(),
        }
    }
}
