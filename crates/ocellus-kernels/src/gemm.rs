//! Matrix product: `c = a * b (+ bias) (+ c)`.
//!
//! Blocked over all three dimensions in the manner of Goto and van de Geijn ("Anatomy of High-Performance Matrix
//! Multiplication", 2008): blocks of both operands are packed into the order in which a register tile reads them.
//!
//! Each output element is one chain of multiply-adds over K in ascending order, starting from its initial value (zero, the bias,
//! or the previous `c`). Where K is split into blocks, the partial sum is stored in `c`, which is exact. So the bits of an
//! element depend only on its row of `a` and its column of `b`: not on M, N, the block sizes or the number of threads.

mod block;
#[cfg(target_arch = "x86_64")]
mod lanes;
pub(crate) mod layout;
mod operands;
mod pack;
mod packed;
pub(crate) mod panel;
#[cfg(test)]
mod tests;
pub(crate) mod tile;

use crate::isa::Isa;
use crate::parallel::{self, Shared};

pub use operands::{Mat, Precision};
pub use packed::PackedB;

/// `c[m, n] = a[m, k] * b[k, n]`, plus `bias[n]` on every row if given, plus the previous `c` if `accumulate`.
///
/// `c` is row-major with a row stride of `ldc` values; values between the rows are not changed.
///
/// # Panics
/// When the shapes disagree or a slice is too short.
pub fn gemm(
    precision: Precision,
    a: Mat,
    b: Mat,
    bias: Option<&[f32]>,
    c: &mut [f32],
    ldc: usize,
    accumulate: bool,
) {
    b.check("b");
    let source = block::Source::Plain(b);
    let (k, n) = (b.rows, b.cols);
    product(
        &Isa::detect().tiles(precision),
        a,
        (source, k, n),
        bias,
        c,
        ldc,
        accumulate,
    );
}

/// [`gemm`] with `b` packed beforehand; the result is the same, bit for bit.
///
/// # Panics
/// When the shapes disagree or a slice is too short.
pub fn gemm_packed(a: Mat, b: &PackedB, bias: Option<&[f32]>, c: &mut [f32], ldc: usize, accumulate: bool) {
    product(
        &b.tiles,
        a,
        (block::Source::Packed(b), b.k(), b.n()),
        bias,
        c,
        ldc,
        accumulate,
    );
}

/// Checks shapes, then divides the output into rectangles for the threads.
fn product(
    tiles: &tile::Tiles,
    a: Mat,
    (b, k, n): (block::Source, usize, usize),
    bias: Option<&[f32]>,
    c: &mut [f32],
    ldc: usize,
    accumulate: bool,
) {
    let m = a.rows;
    a.check("a");
    assert_eq!(a.cols, k, "gemm: a has {} columns, b has {k} rows", a.cols);
    if let Some(bias) = bias {
        assert_eq!(
            bias.len(),
            n,
            "gemm: bias has {} values, b has {n} columns",
            bias.len()
        );
    }
    if m == 0 || n == 0 {
        return;
    }
    assert!(ldc >= n, "gemm: ldc is {ldc}, b has {n} columns");
    assert!(
        c.len() > (m - 1) * ldc + n - 1,
        "gemm: c holds {} values, needs {}",
        c.len(),
        (m - 1) * ldc + n
    );
    let out = Shared::new(c);
    let job = block::Job {
        tiles,
        a,
        b,
        k,
        bias,
        c: out,
        ldc,
        accumulate,
    };
    let work = m.saturating_mul(n).saturating_mul(k).saturating_mul(2);
    let pieces = pieces(m, n, tiles, parallel::threads());
    parallel::for_each(pieces.rows * pieces.cols, work, |index| {
        let row = (index / pieces.cols) * pieces.rows_each;
        let col = (index % pieces.cols) * pieces.cols_each;
        let rows = row..m.min(row + pieces.rows_each);
        let cols = col..n.min(col + pieces.cols_each);
        // SAFETY: shapes are checked above, and the pieces are disjoint rectangles of `c`.
        unsafe { job.run(rows, cols) }
    });
}

/// A grid of rectangles that covers the output.
struct Pieces {
    rows: usize,
    cols: usize,
    rows_each: usize,
    cols_each: usize,
}

/// About two rectangles per thread, cut along the longer side at tile boundaries.
fn pieces(m: usize, n: usize, tiles: &tile::Tiles, threads: usize) -> Pieces {
    if threads < 2 {
        return Pieces {
            rows: 1,
            cols: 1,
            rows_each: m,
            cols_each: n,
        };
    }
    let wanted = threads * 2;
    let (row_tiles, col_tiles) = (m.div_ceil(tiles.mr), n.div_ceil(tiles.nr));
    // Cutting rows is better, unless there are too few to make up for packing `b` once per rectangle.
    let rows = if m >= n || row_tiles >= wanted * 8 {
        wanted.min(row_tiles)
    } else {
        1
    };
    let cols = (wanted / rows).clamp(1, col_tiles);
    let rows_each = row_tiles.div_ceil(rows) * tiles.mr;
    let cols_each = col_tiles.div_ceil(cols) * tiles.nr;
    Pieces {
        rows: m.div_ceil(rows_each),
        cols: n.div_ceil(cols_each),
        rows_each,
        cols_each,
    }
}
