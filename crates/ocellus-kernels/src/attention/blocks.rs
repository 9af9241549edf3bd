//! Keys and values of many sequences in blocks, kept between calls.

use super::bytes::Bytes;
use super::pages::{BLOCK, Layout, PIECES};
use crate::gemm::Precision;
use crate::gemm::layout::{Line, room};
use crate::isa::Isa;
use crate::memory::Memory;

/// Storage format of keys and values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KvWidth {
    /// In the precision of the matrix products.
    #[default]
    Full,
    /// 8-bit integers with a bf16 scale for every 32 values of a token's head: 8.5 bits per value.
    Q8,
}

/// Blocks that are allocated at once. Where the system assigns memory on first touch, untouched blocks take none.
const SLAB: usize = 64;

/// Blocks of the first slab. In most models it is smaller than a large page: zeroing large pages in every layer would take longer
/// than a short answer gains from them.
const FIRST_SLAB: usize = 16;

/// The slab that holds a block, and the block's index in it.
fn slab_of(block: usize) -> (usize, usize) {
    match block.checked_sub(FIRST_SLAB) {
        None => (0, block),
        Some(behind) => (1 + behind / SLAB, behind % SLAB),
    }
}

/// Keys and values of one layer, in blocks of [`BLOCK`] tokens. The caller decides which sequence owns which block.
pub struct KvBlocks {
    layout: Layout,
    width: KvWidth,
    kv_heads: usize,
    /// [`FIRST_SLAB`] blocks, then [`SLAB`] blocks each.
    slabs: Vec<Memory>,
}

impl KvBlocks {
    /// No blocks yet; matrix products are to be computed at `precision`. See [`KvBlocks::grow`].
    pub fn new((precision, width): (Precision, KvWidth), (kv_heads, head_dim): (usize, usize)) -> Self {
        Self {
            layout: Layout::new(Isa::detect(), precision, head_dim, BLOCK),
            width,
            kv_heads,
            slabs: Vec::new(),
        }
    }

    /// Allocates blocks until there are at least `count`; existing blocks keep their contents.
    pub fn grow(&mut self, count: usize) {
        while self.count() < count {
            let blocks = if self.slabs.is_empty() { FIRST_SLAB } else { SLAB };
            self.slabs.push(Memory::zeroed(blocks * self.block_bytes()));
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        match self.slabs.len() {
            0 => 0,
            slabs => FIRST_SLAB + (slabs - 1) * SLAB,
        }
    }

    /// Bytes of one block, all heads together.
    pub fn block_bytes(&self) -> usize {
        self.kv_heads * self.head_bytes()
    }

    /// Bytes of one head's part of a block.
    fn head_bytes(&self) -> usize {
        match self.width {
            KvWidth::Full => self.layout.words() * 4,
            KvWidth::Q8 => Bytes(&self.layout).len().next_multiple_of(64),
        }
    }

    /// Byte offset of a head's part of a block in its slab.
    fn at(&self, block: usize, head: usize) -> usize {
        assert!(block < self.count() && head < self.kv_heads);
        (slab_of(block).1 * self.kv_heads + head) * self.head_bytes()
    }

    fn slab(&mut self, block: usize) -> &mut [u8] {
        self.slabs[slab_of(block).0].as_mut_slice()
    }

    /// The first blocks of `table`, which hold `keys` keys of a head (at most one page), in the layout of the products. Quantised
    /// blocks are expanded into `expanded`.
    pub(super) fn page(
        &self,
        table: &[u32],
        head: usize,
        keys: usize,
        expanded: &mut Vec<Line>,
    ) -> [*const u32; PIECES] {
        let mut pieces = [std::ptr::null(); PIECES];
        let words = self.layout.words();
        let start = match self.width {
            KvWidth::Full => std::ptr::null_mut(),
            KvWidth::Q8 => room(expanded, PIECES * words),
        };
        for (i, from) in (0..keys).step_by(BLOCK).enumerate() {
            let block = table[i] as usize;
            let at = self.at(block, head);
            let kept = &self.slabs[slab_of(block).0].as_ref()[at..at + self.head_bytes()];
            pieces[i] = match self.width {
                KvWidth::Full => kept.as_ptr().cast(),
                KvWidth::Q8 => {
                    // SAFETY: there is room for so many blocks.
                    let block = unsafe { std::slice::from_raw_parts_mut(start.add(i * words), words) };
                    Bytes(&self.layout).expand(kept, BLOCK.min(keys - from), block);
                    block.as_ptr()
                }
            };
        }
        pieces
    }

    /// Writes the keys and values of one token, `[kv_heads, head_dim]` each, into position `at` of a block. The tokens of a
    /// sequence must be written in order.
    ///
    /// # Panics
    /// When the position does not exist, or a slice has another length.
    pub fn write(&mut self, block: usize, at: usize, k: &[f32], v: &[f32]) {
        let (layout, width, bytes) = (self.layout, self.width, self.head_bytes());
        assert!(at < BLOCK && k.len() == self.kv_heads * layout.dim && v.len() == k.len());
        for head in 0..self.kv_heads {
            let start = self.at(block, head);
            let kept = &mut self.slab(block)[start..start + bytes];
            let span = head * layout.dim..(head + 1) * layout.dim;
            let (k, v) = (&k[span.clone()], &v[span]);
            match width {
                KvWidth::Full => layout.put(words_of(kept), at, k, v),
                KvWidth::Q8 => Bytes(&layout).put(kept, at, k, v),
            }
        }
    }

    /// Copies block `from` to block `to`.
    pub fn copy(&mut self, from: usize, to: usize) {
        let bytes = self.block_bytes();
        let (start, at) = (self.at(from, 0), self.at(to, 0));
        let slabs = [slab_of(from).0, slab_of(to).0];
        if slabs[0] == slabs[1] {
            return self.slab(from).copy_within(start..start + bytes, at);
        }
        let [from, to] = self
            .slabs
            .get_disjoint_mut(slabs)
            .expect("two slabs that are there");
        to.as_mut_slice()[at..at + bytes].copy_from_slice(&from.as_ref()[start..start + bytes]);
    }

    /// Fills a block with NaN in every format. A test does this to all free blocks, which shows that no stale value reaches a
    /// result.
    pub fn poison(&mut self, block: usize) {
        let (start, bytes) = (self.at(block, 0), self.block_bytes());
        self.slab(block)[start..start + bytes].fill(0xff);
    }
}

/// Memory as words; it is aligned to more than those.
fn words_of(bytes: &mut [u8]) -> &mut [u32] {
    // SAFETY: every pattern of bits is a word, and blocks are aligned for words.
    let (before, words, _) = unsafe { bytes.align_to_mut::<u32>() };
    assert!(before.is_empty(), "cache memory is aligned");
    words
}
