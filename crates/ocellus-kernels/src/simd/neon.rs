//! NEON: 4 lanes.

use std::arch::aarch64::*;

use super::Simd;

/// Exists only where the processor has NEON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon(());

impl Neon {
    /// # Safety
    /// The processor must have NEON.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

/// Calls an intrinsic; sound because a token of this type proves that the processor has the instructions.
macro_rules! have {
    ($call:expr) => {
        // SAFETY: `self` exists only where the processor has the instructions (see `assume`).
        unsafe { $call }
    };
}

type V = float32x4_t;

impl Simd for Neon {
    type V = V;
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> V {
        have!(vdupq_n_f32(value))
    }
    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> V {
        // SAFETY: the caller gives 4 readable values; the token gives the instructions.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, value: V, to: *mut f32) {
        // SAFETY: the caller gives 4 writable values; the token gives the instructions.
        unsafe { vst1q_f32(to, value) }
    }
    #[inline(always)]
    unsafe fn load_low(self, from: *const u32) -> V {
        // SAFETY: the caller gives 4 readable words; the token gives the instructions.
        unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<16>(vld1q_u32(from))) }
    }
    #[inline(always)]
    unsafe fn load_high(self, from: *const u32) -> V {
        // SAFETY: as above.
        unsafe { vreinterpretq_f32_u32(vandq_u32(vld1q_u32(from), vdupq_n_u32(!0xffff))) }
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        have!(vaddq_f32(a, b))
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        have!(vsubq_f32(a, b))
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        have!(vmulq_f32(a, b))
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        have!(vdivq_f32(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: V, b: V, c: V) -> V {
        have!(vfmaq_f32(c, a, b))
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        // Not `vmaxq_f32`: of not-a-number and a number, the second operand is the answer on every level.
        have!(vbslq_f32(vcgtq_f32(a, b), a, b))
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        have!(vbslq_f32(vcltq_f32(a, b), a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        have!(vsqrtq_f32(a))
    }
    #[inline(always)]
    fn abs(self, a: V) -> V {
        have!(vabsq_f32(a))
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        have!(vrndnq_f32(a))
    }
    #[inline(always)]
    fn exp2_whole(self, n: V) -> V {
        have!({
            let biased = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
        })
    }
    #[inline(always)]
    fn select_lt(self, a: V, b: V, yes: V, no: V) -> V {
        have!(vbslq_f32(vcltq_f32(a, b), yes, no))
    }
    #[inline(always)]
    fn sum(self, a: V) -> f32 {
        have!(vaddvq_f32(a))
    }
    #[inline(always)]
    fn largest(self, a: V) -> f32 {
        have!(vmaxnmvq_f32(a))
    }
    #[inline(always)]
    unsafe fn store_bytes(self, a: V, to: *mut i8) {
        // SAFETY: the caller gives 4 writable bytes; the token gives the instructions.
        unsafe {
            let words = vqmovn_s32(vcvtnq_s32_f32(a));
            let bytes = vqmovn_s16(vcombine_s16(words, words));
            let four = vget_lane_s32::<0>(vreinterpret_s32_s8(bytes));
            to.cast::<i32>().write_unaligned(four);
        }
    }
}
