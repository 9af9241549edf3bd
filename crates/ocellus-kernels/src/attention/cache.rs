//! The keys and values of several sequences, kept between calls.

use super::bytes::Bytes;
use super::pages::{Layout, PAGE};
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

/// The keys and values of several sequences, each in a slot of whole pages.
///
/// A page that nobody wrote to takes no memory where the system gives it on first touch.
pub struct KvCache {
    layout: Layout,
    width: KvWidth,
    kv_heads: usize,
    pages: usize,
    slots: usize,
    memory: Memory,
}

impl KvCache {
    /// Room for `slots` sequences of up to `capacity` tokens, whose products are computed at `precision`.
    pub fn new(
        (precision, width): (Precision, KvWidth),
        (slots, capacity): (usize, usize),
        (kv_heads, head_dim): (usize, usize),
    ) -> Self {
        let layout = Layout::new(Isa::detect(), precision, head_dim);
        let pages = capacity.div_ceil(PAGE);
        let mut cache = Self {
            layout,
            width,
            kv_heads,
            pages,
            slots,
            memory: Memory::zeroed(0),
        };
        cache.memory = Memory::zeroed(slots * pages * kv_heads * cache.page_bytes());
        cache
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

    /// Bytes of a page of one head.
    fn page_bytes(&self) -> usize {
        match self.width {
            KvWidth::Full => self.layout.page() * 4,
            KvWidth::Q8 => Bytes(&self.layout).len().next_multiple_of(64),
        }
    }

    /// Bytes before the page `page` of a head.
    fn at(&self, slot: usize, page: usize, head: usize) -> usize {
        assert!(slot < self.slots && page < self.pages && head < self.kv_heads);
        ((slot * self.pages + page) * self.kv_heads + head) * self.page_bytes()
    }

    /// The page `page` of a head in its layout, of which `count` keys are wanted; in `expanded` where it is kept otherwise.
    pub(super) fn page(
        &self,
        (slot, page, head): (usize, usize, usize),
        count: usize,
        expanded: &mut Vec<Line>,
    ) -> *const u32 {
        let at = self.at(slot, page, head);
        let kept = &self.memory.as_ref()[at..at + self.page_bytes()];
        match self.width {
            KvWidth::Full => kept.as_ptr().cast(),
            KvWidth::Q8 => {
                let words = room(expanded, self.layout.page());
                // SAFETY: there is room for a page.
                let page = unsafe { std::slice::from_raw_parts_mut(words, self.layout.page()) };
                Bytes(&self.layout).expand(kept, count, page);
                words
            }
        }
    }

    /// Puts the keys and values of one token, `[kv_heads, head_dim]` each, into place `at` of a slot.
    ///
    /// # Panics
    /// When the place is not in the slot, or a slice has another length.
    pub fn write(&mut self, slot: usize, at: usize, k: &[f32], v: &[f32]) {
        let (layout, bytes) = (self.layout, self.page_bytes());
        assert!(k.len() == self.kv_heads * layout.dim && v.len() == k.len());
        for head in 0..self.kv_heads {
            let start = self.at(slot, at / PAGE, head);
            let page = &mut self.memory.as_mut_slice()[start..start + bytes];
            let span = head * layout.dim..(head + 1) * layout.dim;
            let (k, v) = (&k[span.clone()], &v[span]);
            match self.width {
                KvWidth::Full => layout.put(words_of(page), at % PAGE, k, v),
                KvWidth::Q8 => Bytes(&layout).put(page, at % PAGE, k, v),
            }
        }
    }

    /// Gives slot `to` the first `len` tokens of slot `from`.
    pub fn copy(&mut self, from: usize, to: usize, len: usize) {
        let each = self.kv_heads * self.page_bytes();
        let pages = len.div_ceil(PAGE);
        if pages == 0 || from == to {
            return;
        }
        let (from, to) = (self.at(from, 0, 0), self.at(to, 0, 0));
        self.memory
            .as_mut_slice()
            .copy_within(from..from + pages * each, to);
    }

    /// The first `len` tokens of a slot, apart from the cache; see [`KvCache::restore`].
    pub fn save(&self, slot: usize, len: usize) -> Vec<u8> {
        let each = self.kv_heads * self.page_bytes();
        let start = if len == 0 { 0 } else { self.at(slot, 0, 0) };
        self.memory.as_ref()[start..start + len.div_ceil(PAGE) * each].to_vec()
    }

    /// Puts what [`KvCache::save`] gave into a slot.
    pub fn restore(&mut self, slot: usize, saved: &[u8]) {
        if !saved.is_empty() {
            let start = self.at(slot, 0, 0);
            self.memory.as_mut_slice()[start..start + saved.len()].copy_from_slice(saved);
        }
    }
}

/// A page as words; its memory is aligned to more than those.
fn words_of(bytes: &mut [u8]) -> &mut [u32] {
    // SAFETY: every pattern of bits is a word, and pages are aligned for words.
    let (before, words, _) = unsafe { bytes.align_to_mut::<u32>() };
    assert!(before.is_empty(), "cache memory is aligned");
    words
}
