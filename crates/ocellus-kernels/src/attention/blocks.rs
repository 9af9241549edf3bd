//! The keys and values of many sequences, kept between calls in blocks that any sequence may own.

use super::bytes::Bytes;
use super::pages::{BLOCK, Layout, PIECES};
use crate::gemm::Precision;
use crate::gemm::layout::{Line, room};
use crate::isa::Isa;
use crate::memory::Memory;

/// How keys and values are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KvWidth {
    /// As products read them.
    #[default]
    Full,
    /// As bytes, with a bf16 scale for every 32 values of a token's head: 8.5 bits a value.
    Q8,
}

/// Blocks whose memory is asked for at once. Memory that was not written to is not taken where the system gives it on first touch.
const SLAB: usize = 64;

/// Blocks of the first slab. It stays below a large page in most models: zeroing large pages in every layer costs a short
/// answer more than its keys and values are worth.
const FIRST_SLAB: usize = 16;

/// The slab that holds a block, and the block's place in it.
fn slab_of(block: usize) -> (usize, usize) {
    match block.checked_sub(FIRST_SLAB) {
        None => (0, block),
        Some(behind) => (1 + behind / SLAB, behind % SLAB),
    }
}

/// The keys and values of one layer, in blocks of [`BLOCK`] tokens. Which sequence owns which blocks is the caller's business.
pub struct KvBlocks {
    layout: Layout,
    width: KvWidth,
    kv_heads: usize,
    /// [`FIRST_SLAB`] blocks, then [`SLAB`] blocks each.
    slabs: Vec<Memory>,
}

impl KvBlocks {
    /// No blocks yet, whose products are to be computed at `precision`; see [`KvBlocks::grow`].
    pub fn new((precision, width): (Precision, KvWidth), (kv_heads, head_dim): (usize, usize)) -> Self {
        Self {
            layout: Layout::new(Isa::detect(), precision, head_dim, BLOCK),
            width,
            kv_heads,
            slabs: Vec::new(),
        }
    }

    /// Makes room for at least `count` blocks; those that are there stay.
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

    /// Bytes of one block of all heads.
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

    /// Bytes of its slab before a head's part of a block.
    fn at(&self, block: usize, head: usize) -> usize {
        assert!(block < self.count() && head < self.kv_heads);
        (slab_of(block).1 * self.kv_heads + head) * self.head_bytes()
    }

    fn slab(&mut self, block: usize) -> &mut [u8] {
        self.slabs[slab_of(block).0].as_mut_slice()
    }

    /// The blocks at the start of `table` that hold `keys` keys of a head, at most one page of them, in their layout; in
    /// `expanded` where they are kept otherwise.
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

    /// Puts the keys and values of one token, `[kv_heads, head_dim]` each, into place `at` of a block. A sequence writes its tokens
    /// in order.
    ///
    /// # Panics
    /// When there is no such place, or a slice has another length.
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

    /// Gives block `to` the contents of block `from`.
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

    /// Fills a block with bits that are no number in any width: a test that does this to every free block shows that nothing a
    /// former owner left reaches a result.
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
