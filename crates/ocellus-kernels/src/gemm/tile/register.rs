//! Arguments of register tiles, and the generic tile for all vector widths.

use crate::simd::Simd;

/// Where one tile reads and writes. Operands are 32-bit words (see [`Encoding`]).
#[derive(Clone, Copy)]
pub(crate) struct TileArgs {
    /// Words of K.
    pub depth: usize,
    /// First word of the tile's rows of `a`, with its strides in words.
    pub a: *const u32,
    pub a_row: usize,
    pub a_depth: usize,
    /// The packed panel of `b`: `[depth, nr]`.
    pub b: *const u32,
    /// Initial values of the sums: `[rows, nr]` with this row stride (0 repeats one row).
    pub seed: *const f32,
    pub seed_row: usize,
    pub c: *mut f32,
    pub c_row: usize,
}

/// A tile with a fixed number of rows.
///
/// # Safety
/// All pointers must be good for the shape in the arguments, and the processor must have the instructions.
pub(crate) type TileFn = unsafe fn(TileArgs);

/// With `PAIRS`, a word of the panel holds two values, and rows have one word per value: the first values of all pairs and then
/// the second ones, alternating.
///
/// # Safety
/// As [`TileFn`].
#[inline(always)]
pub(super) unsafe fn tile<S: Simd, const MR: usize, const NV: usize, const PAIRS: bool>(
    simd: S,
    t: TileArgs,
) {
    // SAFETY: all addresses are inside the shapes the caller vouches for.
    unsafe {
        let mut sums = [[simd.zero(); NV]; MR];
        for (i, row) in sums.iter_mut().enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                *sum = simd.load_ptr(t.seed.add(i * t.seed_row + j * S::LANES));
            }
        }
        let (mut a, mut b) = (t.a.cast::<f32>(), t.b);
        for _ in 0..t.depth {
            for second in 0..1 + usize::from(PAIRS) {
                let mut columns = [simd.zero(); NV];
                for (j, column) in columns.iter_mut().enumerate() {
                    let words = b.add(j * S::LANES);
                    *column = match (PAIRS, second) {
                        (false, _) => simd.load_ptr(words.cast()),
                        (true, 0) => simd.load_low(words),
                        (true, _) => simd.load_high(words),
                    };
                }
                for (i, row) in sums.iter_mut().enumerate() {
                    let value = simd.splat(*a.add(i * t.a_row));
                    for (sum, column) in row.iter_mut().zip(columns) {
                        *sum = simd.mul_add(value, column, *sum);
                    }
                }
                a = a.add(t.a_depth);
            }
            b = b.add(NV * S::LANES);
        }
        for (i, row) in sums.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                simd.store_ptr(*sum, t.c.add(i * t.c_row + j * S::LANES));
            }
        }
    }
}
