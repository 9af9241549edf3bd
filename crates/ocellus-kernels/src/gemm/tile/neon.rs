//! Tiles of NEON: six rows by four vectors are 24 of the 32 registers.

use std::arch::aarch64::*;
use std::arch::asm;

use super::register::{TileArgs, TileFn, tile};
use crate::simd::Neon;

/// Vectors of columns.
const NV: usize = 4;

pub(super) static F32_TILES: [TileFn; 6] = [f32s::<1>, f32s::<2>, f32s::<3>, f32s::<4>, f32s::<5>, f32s::<6>];

pub(super) static SPREAD_TILES: [TileFn; 6] = [
    singles::<1>,
    singles::<2>,
    singles::<3>,
    singles::<4>,
    singles::<5>,
    singles::<6>,
];

pub(super) static BF16_TILES: [TileFn; 6] = [
    pairs::<1>, pairs::<2>, pairs::<3>, pairs::<4>, pairs::<5>, pairs::<6>,
];

/// # Safety
/// As [`TileFn`], with NEON.
#[target_feature(enable = "neon")]
unsafe fn f32s<const MR: usize>(args: TileArgs) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<_, MR, NV, false>(Neon::assume(), args) }
}

/// # Safety
/// As [`TileFn`], with NEON.
#[target_feature(enable = "neon")]
unsafe fn singles<const MR: usize>(args: TileArgs) {
    // SAFETY: passed on to the caller.
    unsafe { tile::<_, MR, NV, true>(Neon::assume(), args) }
}

/// A word holds two neighbours along K; `bfdot` adds both products to the lane.
///
/// # Safety
/// As [`TileFn`], with NEON and BF16.
#[target_feature(enable = "neon,bf16")]
unsafe fn pairs<const MR: usize>(t: TileArgs) {
    // SAFETY: all addresses are inside the shapes the caller vouches for.
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); NV]; MR];
        for (i, row) in sums.iter_mut().enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                *sum = vld1q_f32(t.seed.add(i * t.seed_row + j * 4));
            }
        }
        let (mut a, mut b) = (t.a.cast::<f32>(), t.b);
        for _ in 0..t.depth {
            let mut columns = [vdupq_n_u32(0); NV];
            for (j, column) in columns.iter_mut().enumerate() {
                *column = vld1q_u32(b.add(j * 4));
            }
            for (i, row) in sums.iter_mut().enumerate() {
                let value = *a.add(i * t.a_row);
                for (sum, column) in row.iter_mut().zip(columns) {
                    *sum = dot(*sum, column, value);
                }
            }
            a = a.add(t.a_depth);
            b = b.add(NV * 4);
        }
        for (i, row) in sums.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                vst1q_f32(t.c.add(i * t.c_row + j * 4), *sum);
            }
        }
    }
}

/// Adds to each lane of `sum` both products of the pair in that lane of `columns` with the pair that is the bits of `value`.
/// The intrinsic of this instruction is not stable.
#[inline]
#[target_feature(enable = "neon,bf16")]
fn dot(mut sum: float32x4_t, columns: uint32x4_t, value: f32) -> float32x4_t {
    // SAFETY: the instruction exists, as this function's features say, and touches these registers only.
    unsafe {
        asm!(
            "bfdot {sum:v}.4s, {columns:v}.8h, {value:v}.2h[0]",
            sum = inlateout(vreg) sum,
            columns = in(vreg) columns,
            value = in(vreg) value,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
