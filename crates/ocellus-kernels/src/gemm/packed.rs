//! A right operand that is packed once and multiplied many times: weights at inference.

use std::ops::Range;

use super::layout::{BLOCK_DEPTH, Strided, words};
use super::operands::{Mat, Precision};
use super::tile::Tiles;
use crate::isa::Isa;
use crate::memory::Memory;
use crate::parallel::{self, Shared};

/// `b[k, n]` in the order in which the tiles read it, for the processor it was packed on.
pub struct PackedB {
    pub(super) tiles: Tiles,
    k: usize,
    n: usize,
    /// Words: blocks of K, each with all its panels.
    memory: Memory,
}

impl std::fmt::Debug for PackedB {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.bytes();
        f.debug_struct("PackedB")
            .field("k", &self.k)
            .field("n", &self.n)
            .field("bytes", &bytes)
            .finish()
    }
}

impl PackedB {
    /// Packs `b[k, n]`.
    ///
    /// # Panics
    /// When `b` does not fit its slice.
    pub fn new(precision: Precision, b: Mat) -> Self {
        b.check("b");
        let mut packed = Self::empty(precision, (b.rows, b.cols));
        let out = packed.words();
        // SAFETY: `b` was checked, and `out` has room for all panels.
        unsafe { packed.fill(Strided::new(&b), 0..b.cols, out) };
        packed
    }

    /// Packs the transpose of the rows `[n, k]` that `read(first row, into [rows, k])` gives, panel by panel on all threads.
    pub fn from_rows(
        precision: Precision,
        (n, k): (usize, usize),
        read: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Self {
        let mut packed = Self::empty(precision, (k, n));
        let nr = packed.tiles.nr;
        let out = Shared::new(packed.memory.as_mut_slice());
        parallel::for_each(n.div_ceil(nr), usize::MAX, |panel| {
            let first = panel * nr;
            let cols = first..n.min(first + nr);
            let mut rows = vec![0.0; cols.len() * k];
            read(first, &mut rows);
            // Columns are counted from the start of the matrix.
            let data = rows.as_ptr().wrapping_sub(first * k);
            let b = Strided { data, row: 1, col: k };
            // SAFETY: `b` is only read inside `rows`; every panel has its own words.
            unsafe { packed.fill(b, cols, out.pointer().cast()) };
        });
        packed.memory.gather();
        packed
    }

    fn empty(precision: Precision, (k, n): (usize, usize)) -> Self {
        let tiles = Isa::detect().tiles(precision);
        let words = words(tiles.encoding, k) * n.next_multiple_of(tiles.nr);
        Self {
            tiles,
            k,
            n,
            memory: Memory::lasting(words * 4),
        }
    }

    fn words(&mut self) -> *mut u32 {
        self.memory.as_mut_slice().as_mut_ptr().cast()
    }

    /// Packs the columns `cols`, which start at a panel.
    ///
    /// # Safety
    /// `b` must be readable there, and `out` must be this matrix's words, of which no other task touches these panels.
    unsafe fn fill(&self, b: Strided, cols: Range<usize>, out: *mut u32) {
        let (depth, padded) = (
            words(self.tiles.encoding, self.k),
            self.n.next_multiple_of(self.tiles.nr),
        );
        for word in (0..depth).step_by(BLOCK_DEPTH) {
            let block = word..depth.min(word + BLOCK_DEPTH);
            // SAFETY: passed on to the caller; the blocks before this one take `word * padded` words, and the panels before
            // these `cols.start * block.len()`.
            unsafe {
                let out = out.add(word * padded + cols.start * block.len());
                self.tiles.pack_panels(b, self.k, &block, &cols, out);
            }
        }
    }

    /// Rows of `b`.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns of `b`.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        self.memory.as_ref().len()
    }

    /// The panels of a block of K from column `col` (a multiple of the tile width) on.
    pub(super) fn panels(&self, col: usize, block: &Range<usize>) -> *const u32 {
        let padded = self.n.next_multiple_of(self.tiles.nr);
        assert!(block.end * padded * 4 <= self.bytes() && col < padded && col.is_multiple_of(self.tiles.nr));
        let words = self.memory.as_ref().as_ptr().cast::<u32>();
        // SAFETY: the offset is inside the panels: at most `block.end * padded` words.
        unsafe { words.add(block.start * padded + col * block.len()) }
    }
}
