//! Tiles of AVX2, which multiplies unsigned by signed bytes but adds neighbours in 16 bits.
//!
//! A sum of two products fits 16 bits when 8-bit weights are taken by magnitude, at most 128, and their signs are moved to the
//! activations: 2 · 128 · 127 < 2¹⁵. For 6-bit weights two such sums fit, and for 4-bit weights eight, before they have to be
//! widened; so fewer bits are also faster here.

use std::arch::x86_64::*;

use super::*;

/// Lanes of a vector.
const LANES: usize = 8;
/// Vectors of a panel.
const VECTORS: usize = PANEL / LANES;

macro_rules! tiles {
    ($name:ident, $bits:literal) => {
        // Tiles of few rows read a panel once from start to end; tiles of more rows process half of every group's rows at a time,
        // since there are registers for that many sums.
        pub(super) static $name: [Tile; 4] = [
            tile::<$bits, 1, 4>,
            tile::<$bits, 2, 4>,
            tile::<$bits, 3, 2>,
            tile::<$bits, 4, 2>,
        ];
    };
}
tiles!(FOUR, 4);
tiles!(SIX, 6);
tiles!(EIGHT, 8);

/// # Safety
/// As [`Tile`], with AVX2, FMA and F16C; `args.format` has `BITS` bits.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn tile<const BITS: usize, const R: usize, const NV: usize>(args: Args) {
    let format = args.format;
    // SAFETY: all addresses are inside the shapes the caller vouches for.
    unsafe {
        let mut out = [[_mm256_setzero_ps(); VECTORS]; R];
        for (i, row) in out.iter_mut().enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                *sum = _mm256_loadu_ps(args.seed.add(i * args.seed_row + LANES * j));
            }
        }
        for g in 0..args.groups {
            let weights = args.weights.add(g * format.group_bytes());
            let values = args.values.add(g * format.group);
            let numbers = weights.add(format.value_bytes());
            for first in (0..VECTORS).step_by(NV) {
                let weights = weights.add(4 * LANES * first);
                let quads = format.group / 4;
                let sums = match BITS {
                    4 => four::<R, NV>(weights, values, args.value_row, quads),
                    6 => six::<R, NV>(weights, values, args.value_row, quads),
                    _ => eight::<R, NV>(weights, values, args.value_row, quads),
                };
                for (i, sums) in sums.iter().enumerate() {
                    let at = i * args.number_row + g;
                    let scale = *args.scales.add(at) * args.unit;
                    let total = _mm256_set1_ps(*args.sums.add(at) as f32 * scale);
                    for (j, sum) in sums.iter().enumerate() {
                        let lane = LANES * (first + j);
                        let number =
                            |at: usize| _mm256_cvtph_ps(_mm_loadu_si128(numbers.add(2 * (at + lane)).cast()));
                        let scales = _mm256_mul_ps(number(0), _mm256_set1_ps(scale));
                        let out = &mut out[i][first + j];
                        *out = _mm256_fmadd_ps(_mm256_cvtepi32_ps(*sum), scales, *out);
                        if BITS != 8 {
                            *out = _mm256_fmadd_ps(number(PANEL), total, *out);
                        }
                    }
                }
            }
        }
        for (i, row) in out.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                _mm256_storeu_ps(args.out.add(i * args.out_row + LANES * j), *sum);
            }
        }
    }
}

/// The four bytes of row `i` at quad `quad`, in every lane.
///
/// # Safety
/// They must be there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn spread(values: *const i8, row: usize, i: usize, quad: usize) -> __m256i {
    // SAFETY: passed on to the caller.
    unsafe { _mm256_set1_epi32(values.add(i * row + 4 * quad).cast::<i32>().read_unaligned()) }
}

/// # Safety
/// `at` must be good for 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(at: *const u8) -> __m256i {
    // SAFETY: passed on to the caller.
    unsafe { _mm256_loadu_si256(at.cast()) }
}

/// `Σ (q - 128)·a` over a group, of `R` rows by `NV` vectors.
///
/// # Safety
/// Weights and values must be there, with AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn eight<const R: usize, const NV: usize>(
    weights: *const u8,
    values: *const i8,
    value_row: usize,
    quads: usize,
) -> [[__m256i; NV]; R] {
    let (middle, ones) = (_mm256_set1_epi8(-128), _mm256_set1_epi16(1));
    let mut sums = [[_mm256_setzero_si256(); NV]; R];
    for quad in 0..quads {
        // SAFETY: passed on to the caller.
        unsafe {
            let (mut signed, mut sizes) = ([middle; NV], [middle; NV]);
            for j in 0..NV {
                signed[j] = _mm256_xor_si256(load(weights.add(quad * QUAD + 32 * j)), middle);
                sizes[j] = _mm256_abs_epi8(signed[j]);
            }
            for (i, row) in sums.iter_mut().enumerate() {
                let a = spread(values, value_row, i, quad);
                for (j, sum) in row.iter_mut().enumerate() {
                    let pairs = _mm256_maddubs_epi16(sizes[j], _mm256_sign_epi8(a, signed[j]));
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                }
            }
        }
    }
    sums
}

/// `Σ q·a` over a group, of `R` rows by `NV` vectors.
///
/// # Safety
/// Weights and values must be there, with AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four<const R: usize, const NV: usize>(
    weights: *const u8,
    values: *const i8,
    value_row: usize,
    quads: usize,
) -> [[__m256i; NV]; R] {
    /// Quads whose products fit 16 bits: 8 · 2 · 15 · 127 < 2¹⁵.
    const FIT: usize = 8;
    let (fifteen, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
    let mut sums = [[_mm256_setzero_si256(); NV]; R];
    for start in (0..quads).step_by(FIT) {
        let mut narrow = [[_mm256_setzero_si256(); NV]; R];
        for quad in (start..quads.min(start + FIT)).step_by(2) {
            // SAFETY: passed on to the caller.
            unsafe {
                let (mut low, mut high) = ([fifteen; NV], [fifteen; NV]);
                for j in 0..NV {
                    let both = load(weights.add(quad / 2 * QUAD + 32 * j));
                    low[j] = _mm256_and_si256(both, fifteen);
                    high[j] = _mm256_and_si256(_mm256_srli_epi16::<4>(both), fifteen);
                }
                for (i, row) in narrow.iter_mut().enumerate() {
                    let a = spread(values, value_row, i, quad);
                    let b = spread(values, value_row, i, quad + 1);
                    for (j, sum) in row.iter_mut().enumerate() {
                        let a = _mm256_maddubs_epi16(low[j], a);
                        let b = _mm256_maddubs_epi16(high[j], b);
                        *sum = _mm256_add_epi16(*sum, _mm256_add_epi16(a, b));
                    }
                }
            }
        }
        for (sums, narrow) in sums.iter_mut().zip(narrow) {
            for (sum, narrow) in sums.iter_mut().zip(narrow) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(narrow, ones));
            }
        }
    }
    sums
}

/// `Σ q·a` over a group, of `R` rows by `NV` vectors.
///
/// # Safety
/// Weights and values must be there, with AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn six<const R: usize, const NV: usize>(
    weights: *const u8,
    values: *const i8,
    value_row: usize,
    quads: usize,
) -> [[__m256i; NV]; R] {
    let (fifteen, upper) = (_mm256_set1_epi8(15), _mm256_set1_epi8(0x30));
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_si256(); NV]; R];
    for unit in 0..quads / 4 {
        for half in 0..2 {
            // SAFETY: passed on to the caller.
            unsafe {
                let (mut low, mut high) = ([ones; NV], [ones; NV]);
                for j in 0..NV {
                    let at = weights.add(unit * 3 * QUAD + 32 * j);
                    let (both, top) = (load(at.add(half * QUAD)), load(at.add(2 * QUAD)));
                    // The upper two bits of the first quad are the lowest of their byte.
                    let (first, second) = if half == 0 {
                        (_mm256_slli_epi16::<4>(top), _mm256_slli_epi16::<2>(top))
                    } else {
                        (top, _mm256_srli_epi16::<2>(top))
                    };
                    low[j] = _mm256_or_si256(_mm256_and_si256(both, fifteen), _mm256_and_si256(first, upper));
                    high[j] = _mm256_or_si256(
                        _mm256_and_si256(_mm256_srli_epi16::<4>(both), fifteen),
                        _mm256_and_si256(second, upper),
                    );
                }
                let quad = 4 * unit + 2 * half;
                for (i, row) in sums.iter_mut().enumerate() {
                    let a = spread(values, value_row, i, quad);
                    let b = spread(values, value_row, i, quad + 1);
                    for (j, sum) in row.iter_mut().enumerate() {
                        // 2 · 2 · 63 · 127 < 2¹⁵.
                        let a = _mm256_maddubs_epi16(low[j], a);
                        let b = _mm256_maddubs_epi16(high[j], b);
                        let both = _mm256_add_epi16(a, b);
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(both, ones));
                    }
                }
            }
        }
    }
    sums
}
