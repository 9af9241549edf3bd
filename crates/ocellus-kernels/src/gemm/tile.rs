//! The register tile: `MR` rows by a few vectors of columns, carried over one block of K.

#[cfg(target_arch = "aarch64")]
mod neon;
mod register;

use super::layout::{Encoding, Packer};
use super::operands::Precision;
use crate::isa::{Isa, Level};
use crate::simd::Portable;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};

use register::tile;
pub(crate) use register::{TileArgs, TileFn};

/// Most rows of a tile on any instruction set.
pub(crate) const MAX_MR: usize = 12;
/// Most columns of a tile on any instruction set.
pub(crate) const MAX_NR: usize = 32;

/// The tiles of one instruction set and precision, with how their operands are packed.
#[derive(Clone, Copy)]
pub(crate) struct Tiles {
    pub mr: usize,
    pub nr: usize,
    /// Encoding of panels.
    pub encoding: Encoding,
    pub packer: Packer,
    /// `by_rows[r - 1]` has `r` rows; `mr` of them.
    pub by_rows: &'static [TileFn],
    /// The same for widened panels, on processors without a bf16 dot product: rows have a word for every value.
    pub parted: Option<(Isa, &'static [TileFn])>,
}

impl Isa {
    /// The tiles of this level. Where there is no bf16 dot product, pairs are widened to two f32 values while loading registers.
    pub(crate) fn tiles(self, precision: Precision) -> Tiles {
        let encoding = match precision {
            Precision::F32 => Encoding::F32,
            Precision::Bf16 => Encoding::Bf16Pair,
        };
        let paired = encoding == Encoding::Bf16Pair;
        let of = |mr, nr, packer, by_rows| Tiles {
            mr,
            nr,
            encoding,
            packer,
            by_rows,
            parted: None,
        };
        let parted = |mr, nr, packer, by_rows, parted: &'static [TileFn]| Tiles {
            parted: Some((self, parted)),
            ..of(mr, nr, packer, by_rows)
        };
        match self.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Bf16 if paired => of(12, 32, Packer::Avx512, &BF16_TILES),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Avx512Vnni if paired => {
                parted(12, 32, Packer::Avx2, &AVX512_SPREAD_TILES, &AVX512_TILES)
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Avx512Vnni | Level::Avx512Bf16 => {
                of(12, 32, Packer::Avx512, &AVX512_TILES)
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 if paired => parted(6, 16, Packer::Avx2, &AVX2_SPREAD_TILES, &AVX2_TILES),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => of(6, 16, Packer::Avx2, &AVX2_TILES),
            #[cfg(target_arch = "aarch64")]
            Level::NeonBf16 if paired => of(6, 16, Packer::Portable, &neon::BF16_TILES),
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::NeonDot | Level::NeonI8mm if paired => {
                parted(6, 16, Packer::Portable, &neon::SPREAD_TILES, &neon::F32_TILES)
            }
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::NeonDot | Level::NeonI8mm | Level::NeonBf16 => {
                of(6, 16, Packer::Portable, &neon::F32_TILES)
            }
            _ if paired => parted(4, 8, Packer::Portable, &PORTABLE_SPREAD_TILES, &PORTABLE_TILES),
            _ => of(4, 8, Packer::Portable, &PORTABLE_TILES),
        }
    }
}

/// Tiles of plain Rust.
macro_rules! portable {
    ($name:ident, $pairs:literal) => {
        /// # Safety
        /// As [`TileFn`].
        unsafe fn $name<const MR: usize>(args: TileArgs) {
            // SAFETY: passed on to the caller.
            unsafe { tile::<_, MR, 2, $pairs>(Portable, args) }
        }
    };
}
portable!(portable, false);
portable!(portable_spread, true);

/// Tiles of vectors of 8 or 16 lanes.
#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    ($name:ident, $pairs:literal, $simd:ident, $features:literal) => {
        /// # Safety
        /// As [`TileFn`], with the features of this function.
        #[target_feature(enable = $features)]
        unsafe fn $name<const MR: usize>(args: TileArgs) {
            // SAFETY: passed on to the caller.
            unsafe { tile::<_, MR, 2, $pairs>($simd::assume(), args) }
        }
    };
}
#[cfg(target_arch = "x86_64")]
x86!(avx2, false, Avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
x86!(avx2_spread, true, Avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
x86!(avx512, false, Avx512, "avx512f,avx512bw,avx512vl,avx512dq");
#[cfg(target_arch = "x86_64")]
x86!(avx512_spread, true, Avx512, "avx512f,avx512bw,avx512vl,avx512dq");

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
                // Prefetches the output rows of the next tile.
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

/// `[f::<1>, f::<2>, …]`.
macro_rules! by_rows {
    ($tile:ident, $($rows:literal)*) => { [$($tile::<$rows>),*] };
}

static PORTABLE_TILES: [TileFn; 4] = by_rows!(portable, 1 2 3 4);
static PORTABLE_SPREAD_TILES: [TileFn; 4] = by_rows!(portable_spread, 1 2 3 4);
#[cfg(target_arch = "x86_64")]
static AVX2_TILES: [TileFn; 6] = by_rows!(avx2, 1 2 3 4 5 6);
#[cfg(target_arch = "x86_64")]
static AVX2_SPREAD_TILES: [TileFn; 6] = by_rows!(avx2_spread, 1 2 3 4 5 6);
#[cfg(target_arch = "x86_64")]
static AVX512_TILES: [TileFn; MAX_MR] = by_rows!(avx512, 1 2 3 4 5 6 7 8 9 10 11 12);
#[cfg(target_arch = "x86_64")]
static AVX512_SPREAD_TILES: [TileFn; MAX_MR] = by_rows!(avx512_spread, 1 2 3 4 5 6 7 8 9 10 11 12);
#[cfg(target_arch = "x86_64")]
static BF16_TILES: [TileFn; MAX_MR] = by_rows!(bf16, 1 2 3 4 5 6 7 8 9 10 11 12);
