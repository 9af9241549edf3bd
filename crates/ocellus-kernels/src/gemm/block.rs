//! The loops around the tile, in which each block that is packed is used many times.

use std::cell::Cell;
use std::ops::Range;

use super::Mat;
use super::pack::{Line, PackedA, Strided, words};
use super::packed::PackedB;
use super::panel::{PanelProduct, Start};
use super::tile::Tiles;
use crate::parallel::Shared;

/// Words of K in one block: a panel of `b` this deep is about a first-level cache.
pub(super) const BLOCK_DEPTH: usize = 1024;
/// Rows of `a` in one block, a multiple of every tile height and of the vector width.
pub(super) const BLOCK_ROWS: usize = 144;
/// Columns of `b` in one block: with the block of `a`, most of a second-level cache.
const BLOCK_COLS: usize = 512;

/// Where `b` comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// A matrix, packed block by block on the way.
    Plain(Mat<'a>),
    /// Panels packed beforehand.
    Packed(&'a PackedB),
}

/// One product with its shapes checked.
pub(super) struct Job<'a> {
    pub tiles: &'a Tiles,
    pub a: Mat<'a>,
    pub b: Source<'a>,
    pub k: usize,
    pub bias: Option<&'a [f32]>,
    pub c: Shared<f32>,
    pub ldc: usize,
    pub accumulate: bool,
}

thread_local! {
    static A_BLOCK: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
    static B_BLOCK: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

impl Job<'_> {
    /// Computes the rectangle `rows` by `cols` of the output.
    ///
    /// # Safety
    /// Operands must fit their slices, `cols` must start at a multiple of the tile width, and nobody else may touch
    /// this rectangle of `c`.
    pub unsafe fn run(&self, rows: Range<usize>, cols: Range<usize>) {
        let depth = words(self.tiles.encoding, self.k);
        // SAFETY: passed on to the caller.
        unsafe {
            if depth == 0 || (self.accumulate && self.bias.is_some()) {
                self.start(&rows, &cols);
            }
        }
        if depth == 0 {
            return;
        }
        let mut a_block = A_BLOCK.take();
        // SAFETY: passed on to the caller.
        unsafe {
            match self.b {
                Source::Packed(b) => self.by_rows(b, &rows, &cols, depth, &mut a_block),
                Source::Plain(b) => self.by_cols(b, &rows, &cols, depth, &mut a_block),
            }
        }
        A_BLOCK.set(a_block);
    }

    /// With panels at hand, every block of rows is packed once and meets all of them.
    ///
    /// # Safety
    /// As [`Job::run`].
    unsafe fn by_rows(
        &self,
        b: &PackedB,
        rows: &Range<usize>,
        cols: &Range<usize>,
        depth: usize,
        a_block: &mut Vec<Line>,
    ) {
        for word in (0..depth).step_by(BLOCK_DEPTH) {
            let words = word..depth.min(word + BLOCK_DEPTH);
            let panels = b.panels(cols.start, &words);
            for row in rows.clone().step_by(BLOCK_ROWS) {
                let rows = row..rows.end.min(row + BLOCK_ROWS);
                // SAFETY: `a` was checked against its slice; the panels are those of these columns.
                unsafe {
                    let a = self
                        .tiles
                        .pack_a(Strided::new(&self.a), self.k, &words, &rows, a_block);
                    self.block(a, panels, &words, &rows, cols);
                }
            }
        }
    }

    /// Panels are packed block by block, and each meets all rows.
    ///
    /// # Safety
    /// As [`Job::run`].
    unsafe fn by_cols(
        &self,
        b: Mat,
        rows: &Range<usize>,
        cols: &Range<usize>,
        depth: usize,
        a_block: &mut Vec<Line>,
    ) {
        let mut b_block = B_BLOCK.take();
        for col in cols.clone().step_by(BLOCK_COLS) {
            let cols = col..cols.end.min(col + BLOCK_COLS);
            for word in (0..depth).step_by(BLOCK_DEPTH) {
                let words = word..depth.min(word + BLOCK_DEPTH);
                // SAFETY: both operands were checked against their slices.
                unsafe {
                    self.tiles
                        .pack_b(Strided::new(&b), self.k, &words, &cols, &mut b_block)
                };
                for row in rows.clone().step_by(BLOCK_ROWS) {
                    let rows = row..rows.end.min(row + BLOCK_ROWS);
                    // SAFETY: as above; the block holds the panels of these columns.
                    unsafe {
                        let a = self
                            .tiles
                            .pack_a(Strided::new(&self.a), self.k, &words, &rows, a_block);
                        self.block(a, b_block.as_ptr().cast(), &words, &rows, &cols);
                    }
                }
            }
        }
        B_BLOCK.set(b_block);
    }

    /// One block of rows and words by some columns.
    ///
    /// # Safety
    /// `a` and `panels` must hold the block, which must lie inside the rectangle of [`Job::run`].
    unsafe fn block(
        &self,
        a: PackedA,
        panels: *const u32,
        words: &Range<usize>,
        rows: &Range<usize>,
        cols: &Range<usize>,
    ) {
        // SAFETY: the offsets stay inside the bias and the rectangle of `c`.
        unsafe {
            let start = match (words.start > 0 || self.accumulate, self.bias) {
                (true, _) => Start::Kept,
                (false, Some(bias)) => Start::Row(bias.as_ptr().add(cols.start)),
                (false, None) => Start::Zero,
            };
            PanelProduct {
                tiles: self.tiles,
                a,
                panels,
                rows: rows.len(),
                depth: words.len(),
                cols: cols.len(),
                start,
                c: self.c.pointer().add(rows.start * self.ldc + cols.start),
                ldc: self.ldc,
            }
            .run();
        }
    }

    /// Puts the initial values into `c`, for the cases that a tile cannot start from by itself.
    ///
    /// # Safety
    /// As [`Job::run`].
    unsafe fn start(&self, rows: &Range<usize>, cols: &Range<usize>) {
        for row in rows.clone() {
            for col in cols.clone() {
                let bias = self.bias.map_or(0.0, |bias| bias[col]);
                // SAFETY: inside the rectangle of `c`.
                unsafe {
                    let c = self.c.pointer().add(row * self.ldc + col);
                    *c = if self.accumulate { *c + bias } else { bias };
                }
            }
        }
    }
}
