//! A right operand packed once and multiplied many times: the weights of a model at inference.

use std::ops::Range;

use super::block::{BLOCK_DEPTH, Source};
use super::pack::{Line, Strided, room, words};
use super::tile::Tiles;
use super::{Mat, Precision, product};
use crate::isa::Isa;

/// `b[k, n]` in the order in which the tiles read it, for the processor it was packed on.
pub struct PackedB {
    tiles: Tiles,
    k: usize,
    n: usize,
    /// Blocks of K, each with all its panels.
    lines: Vec<Line>,
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
        let tiles = Isa::detect().tiles(precision);
        let (k, n) = (b.rows, b.cols);
        let (depth, padded) = (words(tiles.encoding, k), n.next_multiple_of(tiles.nr));
        let mut lines = Vec::new();
        let out = room(&mut lines, depth * padded);
        for word in (0..depth).step_by(BLOCK_DEPTH) {
            let block = word..depth.min(word + BLOCK_DEPTH);
            // SAFETY: `b` was checked, and the blocks before this one take `word * padded` words.
            unsafe { tiles.pack_panels(Strided::new(&b), k, &block, &(0..n), out.add(word * padded)) };
        }
        Self { tiles, k, n, lines }
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
        size_of_val(self.lines.as_slice())
    }

    /// The panels of a block of K from column `col` (a multiple of the tile width) on.
    pub(super) fn panels(&self, col: usize, block: &Range<usize>) -> *const u32 {
        let padded = self.n.next_multiple_of(self.tiles.nr);
        assert!(
            block.end * padded <= self.lines.len() * 16 && col < padded && col.is_multiple_of(self.tiles.nr)
        );
        let words = self.lines.as_ptr().cast::<u32>();
        // SAFETY: the offset is inside the panels: at most `block.end * padded` words.
        unsafe { words.add(block.start * padded + col * block.len()) }
    }
}

/// [`super::gemm`] with `b` packed beforehand; the result is the same, bit for bit.
///
/// # Panics
/// When the shapes disagree or a slice is too short.
pub fn gemm_packed(a: Mat, b: &PackedB, bias: Option<&[f32]>, c: &mut [f32], ldc: usize, accumulate: bool) {
    product(
        &b.tiles,
        a,
        (Source::Packed(b), b.k, b.n),
        bias,
        c,
        ldc,
        accumulate,
    );
}
