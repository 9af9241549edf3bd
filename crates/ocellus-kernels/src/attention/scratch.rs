//! Per-thread scratch memory of attention tasks, and matrix products on it.

use std::cell::Cell;

use crate::gemm::Precision;
use crate::gemm::layout::{Line, PackedA, Strided};
use crate::gemm::panel::{PanelProduct, Start};
use crate::gemm::tile::Tiles;
use crate::isa::Isa;

/// Query rows per block; a multiple of every tile height.
pub(super) const ROWS: usize = 48;

/// Panels of packed operands, and blocks of rows. A row is one head of one query.
#[derive(Default)]
pub(super) struct Scratch {
    /// Keys and values as `[head_dim, k_len]`; forward, all pages of both.
    pub keys_across: Vec<Line>,
    pub values_across: Vec<Line>,
    /// Keys as `[k_len, head_dim]`.
    pub down: Vec<Line>,
    /// Scaled queries and gradients of a block of rows, as right operands `[rows, head_dim]`.
    pub queries: Vec<Line>,
    pub grads: Vec<Line>,
    /// The same as left operands, `[rows, head_dim]`.
    pub scaled: Vec<f32>,
    pub gathered: Vec<f32>,
    /// Left operands in the encoding of the tiles, where it differs from plain f32.
    pub encoded: Vec<Line>,
    pub encoded_scores: Vec<Line>,
    /// Scores and their gradients, `[rows, k_len]`.
    pub scores: Vec<f32>,
    pub slopes: Vec<f32>,
    /// Weighted sums before they are scaled into the output, `[rows, head_dim]`.
    pub sums: Vec<f32>,
    /// Gradients of the segment's keys and values, `[k_len, head_dim]`.
    pub key_grads: Vec<f32>,
    pub value_grads: Vec<f32>,
}

thread_local!(static SCRATCH: Cell<Scratch> = Cell::new(Scratch::default()));

/// Runs `work` with this thread's scratch memory.
pub(super) fn with_scratch(work: impl FnOnce(&mut Scratch)) {
    let mut scratch = SCRATCH.take();
    work(&mut scratch);
    SCRATCH.set(scratch);
}

/// A buffer of at least `len` values with unspecified contents.
pub(super) fn grown(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Row stride of a block of `cols` columns: an odd number of cache lines, so that rows do not compete for the same cache set.
pub(super) fn stride(cols: usize) -> usize {
    (cols.div_ceil(16) | 1) * 16
}

/// `[rows, cols]` inside a slice, `stride` values from row to row.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub data: &'a [f32],
    pub rows: usize,
    pub cols: usize,
    pub stride: usize,
}

impl Block<'_> {
    fn check(&self) {
        assert!(
            self.rows == 0
                || self.cols <= self.stride && (self.rows - 1) * self.stride + self.cols <= self.data.len()
        );
    }
}

/// A right operand in panels.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    lines: &'a [Line],
    /// Rows of the operand as it was packed.
    depth: usize,
    cols: usize,
}

/// Products in `f32` on this processor.
#[derive(Clone, Copy)]
pub(super) struct Products {
    tiles: Tiles,
}

impl Products {
    pub fn new(isa: Isa) -> Self {
        Self {
            tiles: isa.tiles(Precision::F32),
        }
    }

    /// Packs a block as a right operand, or its transpose.
    pub fn pack<'a>(&self, block: Block, transposed: bool, into: &'a mut Vec<Line>) -> Panels<'a> {
        block.check();
        let data = block.data.as_ptr();
        let (b, depth, cols) = if transposed {
            (
                Strided {
                    data,
                    row: 1,
                    col: block.stride,
                },
                block.cols,
                block.rows,
            )
        } else {
            (
                Strided {
                    data,
                    row: block.stride,
                    col: 1,
                },
                block.rows,
                block.cols,
            )
        };
        // SAFETY: the block was checked against its slice.
        unsafe { self.tiles.pack_b(b, depth, &(0..depth), &(0..cols), into) };
        Panels {
            lines: into,
            depth,
            cols,
        }
    }

    /// `c = a * panels`, or `c += a * panels`, over the first `a.cols` rows of the panels and `cols` columns of them;
    /// `a_transposed` takes `a` by its columns.
    pub fn multiply(
        &self,
        a: Block,
        a_transposed: bool,
        panels: Panels,
        cols: usize,
        c: &mut [f32],
        ldc: usize,
        add: bool,
    ) {
        a.check();
        let (rows, depth) = if a_transposed {
            (a.cols, a.rows)
        } else {
            (a.rows, a.cols)
        };
        let (row, step) = if a_transposed {
            (1, a.stride)
        } else {
            (a.stride, 1)
        };
        if rows == 0 || cols == 0 {
            return;
        }
        assert!(depth <= panels.depth && cols <= panels.cols && cols <= ldc);
        assert!((rows - 1) * ldc + cols <= c.len());
        let nr = self.tiles.nr;
        // A panel at a time, because fewer rows than were packed may be wanted.
        for col in (0..cols).step_by(nr) {
            let words = &panels.lines[..(panels.depth * panels.cols.next_multiple_of(nr)).div_ceil(16)];
            // SAFETY: shapes are checked above; panel `col / nr` starts after `col * panels.depth` words.
            unsafe {
                PanelProduct {
                    tiles: &self.tiles,
                    a: PackedA {
                        words: a.data.as_ptr().cast(),
                        row,
                        depth: step,
                    },
                    panels: words.as_ptr().cast::<u32>().add(col * panels.depth),
                    rows,
                    depth,
                    cols: nr.min(cols - col),
                    start: if add { Start::Kept } else { Start::Zero },
                    c: c.as_mut_ptr().add(col),
                    ldc,
                }
                .run();
            }
        }
    }
}
