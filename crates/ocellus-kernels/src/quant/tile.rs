//! The register tile: a few rows of activations by one panel of weights, over some groups.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;

use half::f16;

use super::format::{Bits, Format, PANEL};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::unpack::QUAD;
use super::unpack::places;
use crate::isa::{Isa, Level};

/// Most rows of a tile.
pub(super) const ROWS: usize = 6;

/// Where a tile reads and writes.
#[derive(Clone, Copy)]
pub(super) struct Args {
    pub format: Format,
    /// A power of two that multiplies scales and offsets of weights; it can be folded into the scales of rows.
    pub unit: f32,
    pub groups: usize,
    /// The first of `groups` groups of a panel.
    pub weights: *const u8,
    /// The values of the first row in the first group, with the bytes from row to row.
    pub values: *const i8,
    pub value_row: usize,
    /// Scales and sums of the first row in the first group, with the values from row to row.
    pub scales: *const f32,
    pub sums: *const i32,
    pub number_row: usize,
    /// Initial values of the sums, `[rows, PANEL]`; a row stride of zero repeats one row.
    pub seed: *const f32,
    pub seed_row: usize,
    pub out: *mut f32,
    pub out_row: usize,
}

/// # Safety
/// All pointers must be good for the shape in the arguments, and the processor must have the instructions.
pub(super) type Tile = unsafe fn(Args);

/// Tiles of one row, two, and so on, at most [`ROWS`].
pub(super) type Tiles = [Tile];

/// The tiles of an instruction set for weights of so many bits.
pub(super) fn tiles(isa: Isa, bits: Bits) -> &'static Tiles {
    match isa.level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Vnni | Level::Avx512Bf16 => match bits {
            Bits::Four => &x86::VNNI_4,
            Bits::Six => &x86::VNNI_6,
            Bits::Eight => &x86::VNNI_8,
        },
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 | Level::Avx512 => match bits {
            Bits::Four => &avx2::FOUR,
            Bits::Six => &avx2::SIX,
            Bits::Eight => &avx2::EIGHT,
        },
        #[cfg(target_arch = "aarch64")]
        Level::NeonI8mm | Level::NeonBf16 => match bits {
            Bits::Four => &neon::MATRIX_4,
            Bits::Six => &neon::MATRIX_6,
            Bits::Eight => &neon::MATRIX_8,
        },
        #[cfg(target_arch = "aarch64")]
        Level::NeonDot => match bits {
            Bits::Four => &neon::DOT_4,
            Bits::Six => &neon::DOT_6,
            Bits::Eight => &neon::DOT_8,
        },
        #[cfg(target_arch = "aarch64")]
        Level::Neon => match bits {
            Bits::Four => &neon::WIDENING_4,
            Bits::Six => &neon::WIDENING_6,
            Bits::Eight => &neon::WIDENING_8,
        },
        _ => &[portable, portable2, portable3, portable4, portable5, portable6],
    }
}

macro_rules! portables {
    ($($name:ident $rows:literal),*) => { $(
        /// # Safety
        /// As [`Tile`].
        unsafe fn $name(args: Args) {
            // SAFETY: passed on to the caller.
            unsafe { plain(args, $rows) }
        }
    )* };
}
portables!(portable 1, portable2 2, portable3 3, portable4 4, portable5 5, portable6 6);

/// # Safety
/// As [`Tile`].
unsafe fn plain(args: Args, rows: usize) {
    let format = args.format;
    let mut sums = [[0.0_f32; PANEL]; ROWS];
    // SAFETY: all addresses are inside the shapes the caller vouches for.
    unsafe {
        for (i, row) in sums.iter_mut().enumerate().take(rows) {
            for (lane, sum) in row.iter_mut().enumerate() {
                *sum = *args.seed.add(i * args.seed_row + lane);
            }
        }
        for g in 0..args.groups {
            let weights =
                std::slice::from_raw_parts(args.weights.add(g * format.group_bytes()), format.group_bytes());
            let number = |at: usize| {
                let at = format.value_bytes() + 2 * at;
                f16::from_le_bytes([weights[at], weights[at + 1]]).to_f32()
            };
            for (i, row) in sums.iter_mut().enumerate().take(rows) {
                let values = std::slice::from_raw_parts(
                    args.values.add(i * args.value_row + g * format.group),
                    format.group,
                );
                let scale = *args.scales.add(i * args.number_row + g) * args.unit;
                let total = *args.sums.add(i * args.number_row + g);
                for (lane, sum) in row.iter_mut().enumerate() {
                    let mut dot = if format.has_offsets() { 0 } else { -128 * total };
                    for (quad, values) in values.chunks_exact(4).enumerate() {
                        let (low, high) = places(format.bits, quad);
                        for (byte, a) in values.iter().enumerate() {
                            let byte = 4 * lane + byte;
                            let q = match format.bits {
                                Bits::Eight => weights[low + byte],
                                Bits::Four => weights[low + byte] >> (4 * (quad % 2)) & 15,
                                Bits::Six => {
                                    let low = weights[low + byte] >> (4 * (quad % 2)) & 15;
                                    low | (weights[high + byte] >> (2 * (quad % 4)) & 3) << 4
                                }
                            };
                            dot += i32::from(q) * i32::from(*a);
                        }
                    }
                    *sum = (dot as f32).mul_add(number(lane) * scale, *sum);
                    if format.has_offsets() {
                        *sum = number(PANEL + lane).mul_add(total as f32 * scale, *sum);
                    }
                }
            }
        }
        for (i, row) in sums.iter().enumerate().take(rows) {
            for (lane, sum) in row.iter().enumerate() {
                *args.out.add(i * args.out_row + lane) = *sum;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::*;

    pub(super) static VNNI_4: [Tile; ROWS] = [
        vnni::<4, 1>,
        vnni::<4, 2>,
        vnni::<4, 3>,
        vnni::<4, 4>,
        vnni::<4, 5>,
        vnni::<4, 6>,
    ];
    pub(super) static VNNI_6: [Tile; ROWS] = [
        vnni::<6, 1>,
        vnni::<6, 2>,
        vnni::<6, 3>,
        vnni::<6, 4>,
        vnni::<6, 5>,
        vnni::<6, 6>,
    ];
    pub(super) static VNNI_8: [Tile; ROWS] = [
        vnni::<8, 1>,
        vnni::<8, 2>,
        vnni::<8, 3>,
        vnni::<8, 4>,
        vnni::<8, 5>,
        vnni::<8, 6>,
    ];

    /// Two vectors of sixteen rows of weights by `R` rows of activations.
    ///
    /// # Safety
    /// As [`Tile`], with AVX-512 F, BW, VL, DQ and VNNI; `args.format` has `BITS` bits.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    unsafe fn vnni<const BITS: usize, const R: usize>(args: Args) {
        /// Prefetch distance in bytes for a single row, which is bound by memory alone.
        const AHEAD: usize = 4096;
        let format = args.format;
        let (value_bytes, group_bytes) = (format.value_bytes(), format.group_bytes());
        // SAFETY: all addresses are inside the shapes the caller vouches for; prefetching may name any address.
        unsafe {
            let mut out = [[_mm512_setzero_ps(); 2]; R];
            for (i, row) in out.iter_mut().enumerate() {
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum = _mm512_loadu_ps(args.seed.add(i * args.seed_row + 16 * j));
                    // Prefetches the output rows of the next tile.
                    let next = args.out.wrapping_add((R + i) * args.out_row + 16 * j);
                    _mm_prefetch::<_MM_HINT_ET0>(next.cast());
                }
            }
            for g in 0..args.groups {
                let weights = args.weights.add(g * group_bytes);
                let values = args.values.add(g * format.group);
                let mut sums = [[_mm512_setzero_si512(); 2]; R];
                if BITS == 8 {
                    for (i, row) in sums.iter_mut().enumerate() {
                        let total = *args.sums.add(i * args.number_row + g);
                        *row = [_mm512_set1_epi32(-128 * total); 2];
                    }
                }
                macro_rules! quad {
                    ($quad:expr, $w:expr) => {
                        for (i, row) in sums.iter_mut().enumerate() {
                            let a = values
                                .add(i * args.value_row + 4 * $quad)
                                .cast::<i32>()
                                .read_unaligned();
                            let a = _mm512_set1_epi32(a);
                            row[0] = _mm512_dpbusd_epi32(row[0], $w[0], a);
                            row[1] = _mm512_dpbusd_epi32(row[1], $w[1], a);
                        }
                    };
                }
                let pair = |at: usize| {
                    let at = weights.add(at);
                    if R == 1 {
                        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
                        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD + 64).cast());
                    }
                    [
                        _mm512_loadu_si512(at.cast()),
                        _mm512_loadu_si512(at.add(64).cast()),
                    ]
                };
                let quads = format.group / 4;
                let fifteen = _mm512_set1_epi8(15);
                match BITS {
                    8 => {
                        for quad in 0..quads {
                            let w = pair(quad * QUAD);
                            quad!(quad, w);
                        }
                    }
                    4 => {
                        for two in 0..quads / 2 {
                            let both = pair(two * QUAD);
                            let low = both.map(|b| _mm512_and_si512(b, fifteen));
                            let high = both.map(|b| _mm512_and_si512(_mm512_srli_epi16::<4>(b), fifteen));
                            quad!(2 * two, low);
                            quad!(2 * two + 1, high);
                        }
                    }
                    _ => {
                        // `a | (b & c)`
                        const OR_AND: i32 = 0xf8;
                        let upper = _mm512_set1_epi8(0x30);
                        for four in 0..quads / 4 {
                            let at = four * 3 * QUAD;
                            let (first, second, top) = (pair(at), pair(at + QUAD), pair(at + 2 * QUAD));
                            let mut w = [first[0]; 2];
                            for j in 0..2 {
                                let low = _mm512_and_si512(first[j], fifteen);
                                w[j] = _mm512_ternarylogic_epi32::<OR_AND>(
                                    low,
                                    _mm512_slli_epi16::<4>(top[j]),
                                    upper,
                                );
                            }
                            quad!(4 * four, w);
                            for j in 0..2 {
                                let low = _mm512_and_si512(_mm512_srli_epi16::<4>(first[j]), fifteen);
                                w[j] = _mm512_ternarylogic_epi32::<OR_AND>(
                                    low,
                                    _mm512_slli_epi16::<2>(top[j]),
                                    upper,
                                );
                            }
                            quad!(4 * four + 1, w);
                            for j in 0..2 {
                                let low = _mm512_and_si512(second[j], fifteen);
                                w[j] = _mm512_ternarylogic_epi32::<OR_AND>(low, top[j], upper);
                            }
                            quad!(4 * four + 2, w);
                            for j in 0..2 {
                                let low = _mm512_and_si512(_mm512_srli_epi16::<4>(second[j]), fifteen);
                                w[j] = _mm512_ternarylogic_epi32::<OR_AND>(
                                    low,
                                    _mm512_srli_epi16::<2>(top[j]),
                                    upper,
                                );
                            }
                            quad!(4 * four + 3, w);
                        }
                    }
                }
                let numbers = |at: usize| {
                    let at = weights.add(value_bytes + at);
                    [
                        _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())),
                        _mm512_cvtph_ps(_mm256_loadu_si256(at.add(32).cast())),
                    ]
                };
                let scales = numbers(0);
                for (i, (row, sums)) in out.iter_mut().zip(sums).enumerate() {
                    let scale = _mm512_set1_ps(*args.scales.add(i * args.number_row + g) * args.unit);
                    for j in 0..2 {
                        row[j] = _mm512_fmadd_ps(
                            _mm512_cvtepi32_ps(sums[j]),
                            _mm512_mul_ps(scales[j], scale),
                            row[j],
                        );
                    }
                }
                if BITS != 8 {
                    let offsets = numbers(2 * PANEL);
                    for (i, row) in out.iter_mut().enumerate() {
                        let at = i * args.number_row + g;
                        let scale = *args.scales.add(at) * args.unit;
                        let total = _mm512_set1_ps(*args.sums.add(at) as f32 * scale);
                        for j in 0..2 {
                            row[j] = _mm512_fmadd_ps(offsets[j], total, row[j]);
                        }
                    }
                }
            }
            for (i, row) in out.iter().enumerate() {
                for (j, sum) in row.iter().enumerate() {
                    _mm512_storeu_ps(args.out.add(i * args.out_row + 16 * j), *sum);
                }
            }
        }
    }
}
