//! The register tile: `MR` rows by a few vectors of columns, carried over one block of K.

#[cfg(target_arch = "aarch64")]
mod neon;

use super::Precision;
use super::pack::{self, Encoding};
use crate::isa::{Isa, Level};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};

/// Most rows of a tile on any instruction set.
pub(crate) const MAX_MR: usize = 12;
/// Most columns of a tile on any instruction set.
pub(crate) const MAX_NR: usize = 32;

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
    /// What the sums start from: `[rows, nr]` with this many values from row to row (0 repeats one row).
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

/// The tiles of one instruction set and precision, with how their operands are packed.
#[derive(Clone, Copy)]
pub(crate) struct Tiles {
    pub mr: usize,
    pub nr: usize,
    pub encoding: Encoding,
    pub packer: pack::Packer,
    /// `by_rows[r - 1]` has `r` rows; `mr` of them.
    pub by_rows: &'static [TileFn],
}

impl Isa {
    /// The tiles of this level; bf16 operands are rounded in software where there is no bf16 dot product.
    pub(crate) fn tiles(self, precision: Precision) -> Tiles {
        let encoding = match (precision, self.level()) {
            (Precision::F32, _) => Encoding::F32,
            (Precision::Bf16, Level::Avx512Bf16 | Level::NeonBf16) => Encoding::Bf16Pair,
            (Precision::Bf16, _) => Encoding::RoundedF32,
        };
        match (self.level(), encoding) {
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512Bf16, Encoding::Bf16Pair) => Tiles {
                mr: 12,
                nr: 32,
                encoding,
                packer: pack::Packer::Avx512,
                by_rows: &BF16_TILES,
            },
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512 | Level::Avx512Vnni | Level::Avx512Bf16, _) => {
                // Rounding in software has no vector packer; it is the path of processors without bf16.
                let wide = encoding == Encoding::F32;
                let packer = if wide {
                    pack::Packer::Avx512
                } else {
                    pack::Packer::Portable
                };
                Tiles {
                    mr: 12,
                    nr: 32,
                    encoding,
                    packer,
                    by_rows: &AVX512_TILES,
                }
            }
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, _) => Tiles {
                mr: 6,
                nr: 16,
                encoding,
                packer: pack::Packer::Portable,
                by_rows: &AVX2_TILES,
            },
            #[cfg(target_arch = "aarch64")]
            (Level::Neon | Level::NeonDot | Level::NeonI8mm | Level::NeonBf16, _) => Tiles {
                mr: 6,
                nr: 16,
                encoding,
                packer: pack::Packer::Portable,
                by_rows: if encoding == Encoding::Bf16Pair {
                    &neon::BF16_TILES
                } else {
                    &neon::F32_TILES
                },
            },
            _ => Tiles {
                mr: 4,
                nr: 8,
                encoding,
                packer: pack::Packer::Portable,
                by_rows: &PORTABLE_TILES,
            },
        }
    }
}

/// # Safety
/// As [`TileFn`].
#[inline(always)]
unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(simd: S, t: TileArgs) {
    // SAFETY: all addresses are inside the shapes the caller vouches for.
    unsafe {
        let mut sums = [[simd.zero(); NV]; MR];
        for (i, row) in sums.iter_mut().enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                *sum = simd.load_ptr(t.seed.add(i * t.seed_row + j * S::LANES));
            }
        }
        let (mut a, mut b) = (t.a.cast::<f32>(), t.b.cast::<f32>());
        for _ in 0..t.depth {
            let mut columns = [simd.zero(); NV];
            for (j, column) in columns.iter_mut().enumerate() {
                *column = simd.load_ptr(b.add(j * S::LANES));
            }
            for (i, row) in sums.iter_mut().enumerate() {
                let value = simd.splat(*a.add(i * t.a_row));
                for (sum, column) in row.iter_mut().zip(columns) {
                    *sum = simd.mul_add(value, column, *sum);
                }
            }
            a = a.add(t.a_depth);
            b = b.add(NV * S::LANES);
        }
        for (i, row) in sums.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                simd.store_ptr(*sum, t.c.add(i * t.c_row + j * S::LANES));
            }
        }
    }
}

/// # Safety
/// As [`TileFn`].
unsafe fn portable<const MR: usize>(args: TileArgs) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<_, MR, 2>(Portable, args) }
}

/// # Safety
/// As [`TileFn`], with AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const MR: usize>(args: TileArgs) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<_, MR, 2>(Avx2::assume(), args) }
}

/// # Safety
/// As [`TileFn`], with AVX-512 F, BW, VL and DQ.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn avx512<const MR: usize>(args: TileArgs) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<_, MR, 2>(Avx512::assume(), args) }
}

/// A word holds two neighbours along K; `vdpbf16ps` adds both products to the lane.
///
/// # Safety
/// As [`TileFn`], with AVX-512 F, BW, VL, DQ and BF16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
unsafe fn bf16<const MR: usize>(t: TileArgs) {
    use std::arch::x86_64::*;
    use std::mem::transmute;
    const NV: usize = 2;
    // SAFETY: all addresses are inside the shapes the caller vouches for; `transmute` renames 64 bytes.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); NV]; MR];
        for (i, row) in sums.iter_mut().enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                *sum = _mm512_loadu_ps(t.seed.add(i * t.seed_row + j * 16));
                // The rows below are the next tile's.
                let next = t.c.wrapping_add((MR + i) * t.c_row + j * 16);
                _mm_prefetch::<_MM_HINT_ET0>(next.cast());
            }
        }
        let (mut a, mut b) = (t.a.cast::<i32>(), t.b.cast::<i32>());
        for _ in 0..t.depth {
            let mut columns = [_mm512_setzero_si512(); NV];
            for (j, column) in columns.iter_mut().enumerate() {
                *column = _mm512_loadu_si512(b.add(j * 16).cast());
            }
            for (i, row) in sums.iter_mut().enumerate() {
                let value = _mm512_set1_epi32(*a.add(i * t.a_row));
                for (sum, column) in row.iter_mut().zip(columns) {
                    *sum = _mm512_dpbf16_ps(
                        *sum,
                        transmute::<__m512i, __m512bh>(value),
                        transmute::<__m512i, __m512bh>(column),
                    );
                }
            }
            a = a.add(t.a_depth);
            b = b.add(NV * 16);
        }
        for (i, row) in sums.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                _mm512_storeu_ps(t.c.add(i * t.c_row + j * 16), *sum);
            }
        }
    }
}

static PORTABLE_TILES: [TileFn; 4] = [portable::<1>, portable::<2>, portable::<3>, portable::<4>];

#[cfg(target_arch = "x86_64")]
static AVX2_TILES: [TileFn; 6] = [avx2::<1>, avx2::<2>, avx2::<3>, avx2::<4>, avx2::<5>, avx2::<6>];

#[cfg(target_arch = "x86_64")]
static AVX512_TILES: [TileFn; MAX_MR] = [
    avx512::<1>,
    avx512::<2>,
    avx512::<3>,
    avx512::<4>,
    avx512::<5>,
    avx512::<6>,
    avx512::<7>,
    avx512::<8>,
    avx512::<9>,
    avx512::<10>,
    avx512::<11>,
    avx512::<12>,
];

#[cfg(target_arch = "x86_64")]
static BF16_TILES: [TileFn; MAX_MR] = [
    bf16::<1>, bf16::<2>, bf16::<3>, bf16::<4>, bf16::<5>, bf16::<6>, bf16::<7>, bf16::<8>, bf16::<9>,
    bf16::<10>, bf16::<11>, bf16::<12>,
];
