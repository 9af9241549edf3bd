//! Weights at inference in any format, and products with several of them at once.

use std::cell::Cell;
use std::ops::Range;

use crate::activation::silu_mul;
use crate::gemm::{Mat, PackedB, gemm_packed};
use crate::isa::Isa;
use crate::parallel::{self, Shared};
use crate::quant::{PANEL, PackedQ, Seed, with_rounded};

/// A weight matrix `[outputs, inputs]`, packed in the order in which kernels read it.
#[derive(Debug)]
pub enum Matrix {
    /// In f32 or bf16.
    Dense(PackedB),
    /// Quantised; activations are rounded to 8 bits.
    Quantized(PackedQ),
}

/// Rows per task: enough that a panel read from memory serves many rows.
const ROWS: usize = 144;

impl Matrix {
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense(b) => b.n(),
            Self::Quantized(q) => q.n(),
        }
    }

    pub fn inputs(&self) -> usize {
        match self {
            Self::Dense(b) => b.k(),
            Self::Quantized(q) => q.k(),
        }
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Dense(b) => b.bytes(),
            Self::Quantized(q) => q.bytes().len(),
        }
    }

    /// `out[m, outputs] = x[m, inputs] · Wᵀ`, plus `bias[outputs]` on every row if given, plus what `out` held if `accumulate`.
    ///
    /// # Panics
    /// When shapes disagree, or the columns of `x` are not contiguous.
    pub fn multiply(&self, x: Mat, bias: Option<&[f32]>, out: &mut [f32], accumulate: bool) {
        let n = self.outputs();
        match self {
            Self::Dense(b) => gemm_packed(x, b, bias, out, n, accumulate),
            Self::Quantized(q) => quantized(&x, &[(q, bias, Shared::new(out), out.len())], accumulate),
        }
    }
}

/// A matrix, its bias, its output, and the output's length.
type Factor<'a> = (&'a PackedQ, Option<&'a [f32]>, Shared<f32>, usize);

/// Products of the same rows with several quantised matrices, whose activations are quantised once.
fn quantized(x: &Mat, matrices: &[Factor], accumulate: bool) {
    x.check("x");
    let m = x.rows;
    for (q, bias, _, len) in matrices {
        assert_eq!(
            x.cols,
            q.k(),
            "product: x has {} columns, the weights {}",
            x.cols,
            q.k()
        );
        assert!(
            x.col_stride == 1 || x.cols < 2,
            "product: the columns of x are not contiguous"
        );
        assert_eq!(*len, m * q.n(), "product: the output is not [{m}, {}]", q.n());
        assert!(
            bias.is_none_or(|b| b.len() == q.n()),
            "product: the bias is not [{}]",
            q.n()
        );
    }
    if m == 0 || matrices.is_empty() {
        return;
    }
    let group = matrices[0].0.format().group;
    if matrices.iter().any(|(q, ..)| q.format().group != group) {
        // The matrices use different groups, so quantised activations cannot be shared.
        matrices
            .iter()
            .for_each(|matrix| quantized(x, &[*matrix], accumulate));
        return;
    }
    let isa = Isa::detect();
    let outputs: usize = matrices.iter().map(|(q, ..)| q.n()).sum();
    let work = (2 * m).saturating_mul(outputs).saturating_mul(x.cols);
    // Initial value and destination of a rectangle.
    let start = |index: usize, rows: &Range<usize>, panels: &Range<usize>| {
        let (q, bias, out, _) = &matrices[index];
        let n = q.n();
        // SAFETY: shapes are checked above; rectangles of different tasks are disjoint.
        unsafe {
            let first = out.pointer().add(rows.start * n);
            let seed = match (accumulate, bias) {
                (false, None) => Seed::Zero,
                (false, Some(bias)) => Seed::Row(bias),
                (true, None) => Seed::Kept,
                (true, Some(bias)) => {
                    let cols = panels.start * PANEL..n.min(panels.end * PANEL);
                    for row in 0..rows.len() {
                        for col in cols.clone() {
                            *first.add(row * n + col) += bias[col];
                        }
                    }
                    Seed::Kept
                }
            };
            (seed, first)
        }
    };
    let threads = parallel::threads();
    if m >= 32 * threads {
        let blocks = Blocks::of(m, threads);
        parallel::for_each(blocks.count, work, |block| {
            let rows = blocks.rows(block);
            with_rounded(|rounded| {
                rounded.fill(isa, x, rows.clone(), group);
                for (index, (q, ..)) in matrices.iter().enumerate() {
                    let panels = 0..q.n().div_ceil(PANEL);
                    let (seed, out) = start(index, &rows, &panels);
                    // SAFETY: as above.
                    unsafe { q.multiply(isa, rounded, rows.len(), panels, seed, out, q.n()) };
                }
            });
        });
        return;
    }
    // Few rows: they are quantised once, then each task takes some panels.
    let chunks = chunks(matrices);
    with_rounded(|rounded| {
        rounded.fill(isa, x, 0..m, group);
        let rounded = &*rounded;
        parallel::in_streams(chunks.len(), work, |at| {
            let (index, panels) = chunks[at].clone();
            let q = matrices[index].0;
            let (seed, out) = start(index, &(0..m), &panels);
            // SAFETY: as above.
            unsafe { q.multiply(isa, rounded, m, panels, seed, out, q.n()) };
        });
    });
}

/// Divides the panels of all matrices into chunks: large enough to read memory as a stream, small enough to balance threads.
fn chunks(matrices: &[Factor]) -> Vec<(usize, Range<usize>)> {
    const BYTES: usize = 128 << 10;
    let of_matrix = |(index, (q, ..)): (usize, &Factor)| {
        let panels = q.n().div_ceil(PANEL);
        let each = (BYTES * panels / q.bytes().len().max(1)).max(1);
        let pieces = (0..panels).step_by(each);
        pieces.map(move |first| (index, first..panels.min(first + each)))
    };
    matrices.iter().enumerate().flat_map(of_matrix).collect()
}

/// Rows in blocks of nearly equal size, the same number for every thread.
struct Blocks {
    count: usize,
    each: usize,
    rows: usize,
}

impl Blocks {
    fn of(rows: usize, threads: usize) -> Self {
        let wanted = rows.div_ceil(ROWS).next_multiple_of(threads);
        // A multiple of every tile's height.
        let each = rows.div_ceil(wanted).next_multiple_of(12);
        Self {
            count: rows.div_ceil(each),
            each,
            rows,
        }
    }

    fn rows(&self, block: usize) -> Range<usize> {
        block * self.each..self.rows.min((block + 1) * self.each)
    }
}

/// The weights of `down(silu(gate(x)) · up(x))`.
#[derive(Clone, Copy)]
pub struct Gated<'a> {
    pub gate: (&'a Matrix, Option<&'a [f32]>),
    pub up: (&'a Matrix, Option<&'a [f32]>),
    pub down: (&'a Matrix, Option<&'a [f32]>),
}

thread_local!(static HIDDEN: Cell<[Vec<f32>; 3]> = const { Cell::new([Vec::new(), Vec::new(), Vec::new()]) });

/// The gated MLP (Shazeer 2020) of every row of `x`, plus the previous `out` if `accumulate`. Hidden activations exist for one
/// block of rows per thread only.
///
/// # Panics
/// When shapes disagree, or the columns of `x` are not contiguous.
pub fn gated(x: Mat, weights: Gated, out: &mut [f32], accumulate: bool) {
    let (m, width, n) = (x.rows, weights.gate.0.outputs(), weights.down.0.outputs());
    assert_eq!(out.len(), m * n, "gated: the output is not [{m}, {n}]");
    assert!(
        weights.up.0.outputs() == width && weights.down.0.inputs() == width,
        "gated: widths differ"
    );
    x.check("x");
    let threads = parallel::threads();
    let hidden = |x: Mat, out: &mut [f32]| {
        let mut buffers = HIDDEN.take();
        let len = x.rows * width;
        for buffer in &mut buffers {
            if buffer.len() < len {
                buffer.resize(len, 0.0);
            }
        }
        let [gate, up, both] = &mut buffers;
        let (gate, up, both) = (&mut gate[..len], &mut up[..len], &mut both[..len]);
        match (&weights.gate, &weights.up) {
            ((Matrix::Quantized(a), ab), (Matrix::Quantized(b), bb)) => {
                let gate = (a, *ab, Shared::new(gate), len);
                let up = (b, *bb, Shared::new(up), len);
                quantized(&x, &[gate, up], false);
            }
            ((a, ab), (b, bb)) => {
                a.multiply(x, *ab, gate, false);
                b.multiply(x, *bb, up, false);
            }
        }
        silu_mul(gate, up, both);
        weights.down.0.multiply(
            Mat::row_major(both, x.rows, width),
            weights.down.1,
            out,
            accumulate,
        );
        HIDDEN.set(buffers);
    };
    if m < 32 * threads {
        return hidden(x, out);
    }
    let (blocks, shared) = (Blocks::of(m, threads), Shared::new(out));
    parallel::for_each(blocks.count, usize::MAX, |block| {
        let rows = blocks.rows(block);
        let part = Mat {
            data: &x.data[rows.start * x.row_stride..],
            rows: rows.len(),
            ..x
        };
        // SAFETY: blocks of rows are disjoint.
        let out = unsafe { shared.range(rows.start * n..rows.end * n) };
        parallel::alone(|| hidden(part, out));
    });
}
