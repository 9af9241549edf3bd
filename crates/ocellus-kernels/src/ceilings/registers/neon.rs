//! The same of NEON.

use std::arch::aarch64::*;
use std::arch::asm;
use std::hint::black_box;

use crate::ceilings::arithmetic::{Arithmetic, CHAINS};
use crate::isa::{Isa, Level};

/// Runs the rounds with the richest instruction of the level; returns the operations of one step of a chain.
pub(super) fn run(isa: Isa, arithmetic: Arithmetic, rounds: u64) -> Option<u64> {
    let level = isa.level();
    let step = match arithmetic {
        Arithmetic::F32 if level >= Level::Neon => {
            // SAFETY: this level is found only where NEON is.
            unsafe { fma(rounds) };
            2 * 4
        }
        Arithmetic::Bf16 if level >= Level::NeonBf16 => {
            // SAFETY: this level is found only where the bf16 dot product is.
            unsafe { bf16(rounds) };
            2 * 8
        }
        Arithmetic::Int8 if level >= Level::NeonDot => {
            // SAFETY: this level is found only where the dot product of bytes is.
            unsafe { int8_dot(rounds) };
            2 * 16
        }
        Arithmetic::Int8 if level >= Level::Neon => {
            // SAFETY: this level is found only where NEON is.
            unsafe { int8_widening(rounds) };
            2 * 16
        }
        _ => return None,
    };
    Some(step)
}

chains!(
    fma,
    "neon",
    vdupq_n_f32(1.0),
    |chain, by| vfmaq_f32(*chain, by.0, by.1),
    (vdupq_n_f32(0.999), vdupq_n_f32(1e-9))
);
chains!(
    bf16,
    "neon,bf16",
    vdupq_n_f32(0.0),
    |chain, by| dot_pairs(*chain, by),
    vdupq_n_u16(0x3f00)
);
chains!(
    int8_dot,
    "neon,dotprod",
    vdupq_n_s32(0),
    |chain, by| dot_bytes(*chain, by),
    vdupq_n_s8(3)
);
// Without a byte dot product it takes three instructions; the chain goes through all of them, so that none is done once for all.
chains!(
    int8_widening,
    "neon",
    vdupq_n_s32(0),
    |chain, by| {
        let products = vmull_s8(vget_low_s8(vreinterpretq_s8_s32(*chain)), by);
        vpadalq_s16(*chain, vmlal_s8(products, by, by))
    },
    vdup_n_s8(3)
);

/// The intrinsic of this instruction is not stable, nor is that of the next.
#[inline]
#[target_feature(enable = "neon,bf16")]
fn dot_pairs(mut sum: float32x4_t, by: uint16x8_t) -> float32x4_t {
    // SAFETY: the instruction exists, as this function's features say, and touches these registers only.
    unsafe {
        asm!(
            "bfdot {sum:v}.4s, {by:v}.8h, {by:v}.8h",
            sum = inlateout(vreg) sum,
            by = in(vreg) by,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot_bytes(mut sum: int32x4_t, by: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction exists, as this function's features say, and touches these registers only.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {by:v}.16b, {by:v}.16b",
            sum = inlateout(vreg) sum,
            by = in(vreg) by,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
