//! The loops around the tile, which reuse each packed block many times.

use std::cell::Cell;
use std::ops::Range;

use super::layout::{BLOCK_DEPTH, BLOCK_ROWS, Line, Strided, words};
use super::operands::Mat;
use super::packed::PackedB;
use super::panel::{PanelProduct, Start};
use super::tile::Tiles;
use crate::parallel::Shared;

/// Columns of `b` in one block: together with a block of `a` it fills most of a second-level cache.
const BLOCK_COLS: usize = 512;

/// The source of `b`.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// A matrix that is packed block by block during the product.
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
    /// Operands must fit their slices, `cols` must start at a multiple of the tile width, and no other task may touch
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
        match self.b {
            Source::Packed(b) => {
                for word in (0..depth).step_by(BLOCK_DEPTH) {
                    let words = word..depth.min(word + BLOCK_DEPTH);
                    // SAFETY: the panels are those of these words and columns.
                    unsafe { self.rows(b.panels(cols.start, &words), &words, &rows, &cols) };
                }
            }
            Source::Plain(b) => {
                let mut b_block = B_BLOCK.take();
                for col in cols.clone().step_by(BLOCK_COLS) {
                    let cols = col..cols.end.min(col + BLOCK_COLS);
                    for word in (0..depth).step_by(BLOCK_DEPTH) {
                        let words = word..depth.min(word + BLOCK_DEPTH);
                        // SAFETY: `b` was checked against its slice; the block then holds these words and columns.
                        unsafe {
                            self.tiles
                                .pack_b(Strided::new(&b), self.k, &words, &cols, &mut b_block);
                            self.rows(b_block.as_ptr().cast(), &words, &rows, &cols);
                        }
                    }
                }
                B_BLOCK.set(b_block);
            }
        }
    }

    /// Computes all rows for a block of K and a range of columns: every block of `a` is packed once and multiplied with all
    /// panels.
    ///
    /// # Safety
    /// `panels` must hold these words and columns; otherwise as [`Job::run`].
    unsafe fn rows(
        &self,
        panels: *const u32,
        words: &Range<usize>,
        rows: &Range<usize>,
        cols: &Range<usize>,
    ) {
        let mut a_block = A_BLOCK.take();
        for row in rows.clone().step_by(BLOCK_ROWS) {
            let rows = row..rows.end.min(row + BLOCK_ROWS);
            let a = Strided::new(&self.a);
            // SAFETY: `a` was checked against its slice; the offsets stay inside the bias and the rectangle of `c`.
            unsafe {
                let start = match (words.start > 0 || self.accumulate, self.bias) {
                    (true, _) => Start::Kept,
                    (false, Some(bias)) => Start::Row(bias.as_ptr().add(cols.start)),
                    (false, None) => Start::Zero,
                };
                PanelProduct {
                    tiles: self.tiles,
                    a: self.tiles.pack_a(a, self.k, words, &rows, &mut a_block),
                    panels,
                    rows: rows.len(),
                    depth: words.len(),
                    cols: cols.len(),
                    start,
                    c: self.c.pointer().add(row * self.ldc + cols.start),
                    ldc: self.ldc,
                }
                .run();
            }
        }
        A_BLOCK.set(a_block);
    }

    /// Writes the initial values to `c`, where a tile cannot start from them directly.
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
