//! Packing with AVX-512: whole vectors along the contiguous direction; where the directions differ, blocks of sixteen by sixteen
//! words are transposed in registers.

use super::layout::{Place, Run};

use std::arch::x86_64::*;

/// Encodes and copies `run` to `place` if there is a vector path for its strides; returns whether there was.
///
/// # Safety
/// `run` must be readable and `place` writable over the whole shape, and the processor must have AVX-512 F, BW, VL
/// and DQ, with BF16 for `pairs`.
pub(super) unsafe fn copy(pairs: bool, run: Run, place: Place) -> bool {
    // SAFETY: passed on to the caller.
    unsafe {
        match (
            pairs,
            run.lane_stride,
            run.k_stride,
            place.lane_stride,
            place.word_stride,
        ) {
            (false, _, 1, _, 1) => along_k(run, place),
            (true, _, 1, _, 1) => along_k_pairs(run, place),
            (false, 1, _, 1, _) => across(run, place),
            (true, 1, _, 1, _) => across_pairs(run, place),
            (false, _, 1, 1, _) => turn_values(run, place),
            (true, _, 1, 1, _) => turn_pairs(run, place),
            _ => return false,
        }
    }
    true
}

/// The first `count` (at most 16) lanes.
fn first(count: usize) -> __mmask16 {
    if count >= 16 { !0 } else { (1 << count) - 1 }
}

/// Both contiguous along K: rows are copied.
///
/// # Safety
/// As [`copy`].
#[target_feature(enable = "avx512f")]
unsafe fn along_k(run: Run, place: Place) {
    for lane in 0..run.lanes {
        // SAFETY: one row of the shape the caller vouches for.
        unsafe {
            let from = run.data.add(lane * run.lane_stride);
            let to = place.out.add(lane * place.lane_stride);
            std::ptr::copy_nonoverlapping(from.cast::<u32>(), to, run.k);
        }
    }
}

/// # Safety
/// As [`copy`].
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn along_k_pairs(run: Run, place: Place) {
    for lane in 0..run.lanes {
        // SAFETY: one row of the shape the caller vouches for; masks keep the last vector inside it.
        unsafe {
            let from = run.data.add(lane * run.lane_stride);
            let to = place.out.add(lane * place.lane_stride);
            for k in (0..run.k).step_by(32) {
                let left = run.k - k;
                let words = pairs16(from.add(k), left);
                _mm512_mask_storeu_epi32(to.add(k / 2).cast(), first(left.div_ceil(2)), words);
            }
        }
    }
}

/// Both contiguous across lanes: one vector of lanes per value of K.
///
/// # Safety
/// As [`copy`].
#[target_feature(enable = "avx512f")]
unsafe fn across(run: Run, place: Place) {
    for k in 0..run.k {
        for lane in (0..run.lanes).step_by(16) {
            let mask = first(run.lanes - lane);
            // SAFETY: inside the shape; masked at its end.
            unsafe {
                let values = _mm512_maskz_loadu_ps(mask, run.data.add(k * run.k_stride + lane));
                _mm512_mask_storeu_ps(place.out.add(k * place.word_stride + lane).cast(), mask, values);
            }
        }
    }
}

/// # Safety
/// As [`copy`].
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn across_pairs(run: Run, place: Place) {
    #[rustfmt::skip]
    let interleave = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
        23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0,
    );
    for word in 0..run.k.div_ceil(2) {
        for lane in (0..run.lanes).step_by(16) {
            let mask = first(run.lanes - lane);
            let second = if 2 * word + 1 < run.k { mask } else { 0 };
            // SAFETY: inside the shape; masked at its ends, and an empty mask reads nothing.
            unsafe {
                let from = run.data.add(2 * word * run.k_stride + lane);
                let low = _mm512_maskz_loadu_ps(mask, from);
                let high = _mm512_maskz_loadu_ps(second, from.wrapping_add(run.k_stride));
                let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                let words = _mm512_permutexvar_epi16(interleave, both);
                _mm512_mask_storeu_epi32(place.out.add(word * place.word_stride + lane).cast(), mask, words);
            }
        }
    }
}

/// Up to sixteen values as words.
///
/// # Safety
/// `from` must be readable for the smaller of `left` and 16 values, with AVX-512.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn values16(from: *const f32, left: usize) -> __m512i {
    // SAFETY: masked to what the caller vouches for.
    unsafe { _mm512_maskz_loadu_epi32(first(left), from.cast()) }
}

/// Up to thirty-two values as sixteen pairs.
///
/// # Safety
/// `from` must be readable for the smaller of `left` and 32 values, with AVX-512 BF16.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pairs16(from: *const f32, left: usize) -> __m512i {
    // SAFETY: masked to what the caller vouches for; an empty mask reads nothing.
    unsafe {
        let low = _mm512_maskz_loadu_ps(first(left), from);
        let high = _mm512_maskz_loadu_ps(first(left.saturating_sub(16)), from.wrapping_add(16));
        std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low))
    }
}

/// Source contiguous along K, destination contiguous along lanes: blocks of sixteen lanes by sixteen words are transposed. A
/// macro, because the two encodings enable different instructions.
macro_rules! turn {
    ($name:ident, $features:literal, $per_word:literal, $fetch:ident) => {
        /// # Safety
        /// As [`copy`].
        #[target_feature(enable = $features)]
        unsafe fn $name(run: Run, place: Place) {
            let words = run.k.div_ceil($per_word);
            for lane in (0..run.lanes).step_by(16) {
                let lanes = 16.min(run.lanes - lane);
                for word in (0..words).step_by(16) {
                    let k = word * $per_word;
                    // SAFETY: inside the shape; loads and stores are masked at its ends.
                    unsafe {
                        let mut rows = [_mm512_setzero_si512(); 16];
                        for (i, row) in rows.iter_mut().enumerate().take(lanes) {
                            *row = $fetch(run.data.add((lane + i) * run.lane_stride + k), run.k - k);
                        }
                        let rows = transpose(rows);
                        for (i, row) in rows.iter().enumerate().take(words - word) {
                            let to = place.out.add((word + i) * place.word_stride + lane);
                            _mm512_mask_storeu_epi32(to.cast(), first(lanes), *row);
                        }
                    }
                }
            }
        }
    };
}

turn!(turn_values, "avx512f,avx512bw", 1, values16);
turn!(turn_pairs, "avx512f,avx512bw,avx512bf16", 2, pairs16);

/// Transposes sixteen by sixteen words.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(r: [__m512i; 16]) -> [__m512i; 16] {
    let mut t = r;
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    // q[4 g + c]: in each quarter p, column 4 p + c of rows 4 g .. 4 g + 4.
    let mut q = t;
    for g in 0..4 {
        q[4 * g] = _mm512_unpacklo_epi64(t[4 * g], t[4 * g + 2]);
        q[4 * g + 1] = _mm512_unpackhi_epi64(t[4 * g], t[4 * g + 2]);
        q[4 * g + 2] = _mm512_unpacklo_epi64(t[4 * g + 1], t[4 * g + 3]);
        q[4 * g + 3] = _mm512_unpackhi_epi64(t[4 * g + 1], t[4 * g + 3]);
    }
    let mut out = q;
    for c in 0..4 {
        let low01 = _mm512_shuffle_i32x4::<0x44>(q[c], q[4 + c]);
        let high01 = _mm512_shuffle_i32x4::<0xee>(q[c], q[4 + c]);
        let low23 = _mm512_shuffle_i32x4::<0x44>(q[8 + c], q[12 + c]);
        let high23 = _mm512_shuffle_i32x4::<0xee>(q[8 + c], q[12 + c]);
        out[c] = _mm512_shuffle_i32x4::<0x88>(low01, low23);
        out[4 + c] = _mm512_shuffle_i32x4::<0xdd>(low01, low23);
        out[8 + c] = _mm512_shuffle_i32x4::<0x88>(high01, high23);
        out[12 + c] = _mm512_shuffle_i32x4::<0xdd>(high01, high23);
    }
    out
}
