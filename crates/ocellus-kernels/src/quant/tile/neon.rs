//! Tiles of NEON, with matrix products of signed bytes (I8MM), with dot products of bytes, or with widening multiplications.
//!
//! Weights are unpacked to signed bytes: below 8 bits they are small enough; with 8 bits 128 is subtracted, which is the format's
//! offset. So no sum has to be corrected afterwards.

use std::arch::aarch64::*;
use std::arch::asm;

use super::*;

/// Neighbours along K that are unpacked at once; a group is a multiple of them.
const UNIT: usize = 16;

macro_rules! tiles {
    ($name:ident, $bits:literal, $one:ident, $more:ident) => {
        pub(super) static $name: [Tile; ROWS] = [
            $one::<$bits, 1>,
            $more::<$bits, 2>,
            $more::<$bits, 3>,
            $more::<$bits, 4>,
            $more::<$bits, 5>,
            $more::<$bits, 6>,
        ];
    };
}
// A matrix product takes two rows; for a single row the dot product does half the work.
tiles!(MATRIX_4, 4, dot, matrix);
tiles!(MATRIX_6, 6, dot, matrix);
tiles!(MATRIX_8, 8, dot, matrix);
tiles!(DOT_4, 4, dot, dot);
tiles!(DOT_6, 6, dot, dot);
tiles!(DOT_8, 8, dot, dot);
tiles!(WIDENING_4, 4, widening, widening);
tiles!(WIDENING_6, 6, widening, widening);
tiles!(WIDENING_8, 8, widening, widening);

/// # Safety
/// As [`Tile`], with NEON and I8MM; `args.format` has `BITS` bits.
#[target_feature(enable = "neon,i8mm")]
unsafe fn matrix<const BITS: usize, const R: usize>(args: Args) {
    // SAFETY: all addresses are inside the shapes the caller vouches for.
    unsafe {
        copy_seeds::<R>(&args);
        for g in 0..args.groups {
            let group = Group::of(&args, g);
            for first in (0..PANEL).step_by(16) {
                group.add::<BITS, R, 4>(first, group.matrix::<BITS, R, 4>(first));
            }
        }
    }
}

/// # Safety
/// As [`Tile`], with NEON and its dot product; `args.format` has `BITS` bits.
#[target_feature(enable = "neon,dotprod")]
unsafe fn dot<const BITS: usize, const R: usize>(args: Args) {
    // SAFETY: all addresses are inside the shapes the caller vouches for.
    unsafe {
        copy_seeds::<R>(&args);
        for g in 0..args.groups {
            let group = Group::of(&args, g);
            // A single row has a chain for each vector of a panel; with more rows, half as many vectors at a time fill the
            // registers.
            if R == 1 {
                group.add::<BITS, 1, 8>(0, group.dot::<BITS, 1, 8>(0));
            } else {
                for first in (0..PANEL).step_by(16) {
                    group.add::<BITS, R, 4>(first, group.dot::<BITS, R, 4>(first));
                }
            }
        }
    }
}

/// # Safety
/// As [`Tile`], with NEON; `args.format` has `BITS` bits.
#[target_feature(enable = "neon")]
unsafe fn widening<const BITS: usize, const R: usize>(args: Args) {
    // SAFETY: all addresses are inside the shapes the caller vouches for.
    unsafe {
        copy_seeds::<R>(&args);
        for g in 0..args.groups {
            let group = Group::of(&args, g);
            for first in (0..PANEL).step_by(8) {
                group.add::<BITS, R, 2>(first, group.widening::<BITS, R, 2>(first));
            }
        }
    }
}

/// Sums are kept in the output while a panel is read group by group from start to end.
///
/// # Safety
/// As [`Tile`].
#[inline]
unsafe fn copy_seeds<const R: usize>(args: &Args) {
    for i in 0..R {
        // SAFETY: rows inside the shapes the caller vouches for; a seed may be the output itself.
        unsafe {
            std::ptr::copy(
                args.seed.add(i * args.seed_row),
                args.out.add(i * args.out_row),
                PANEL,
            )
        };
    }
}

/// One group of a panel and of the rows.
struct Group<'a> {
    args: &'a Args,
    weights: *const u8,
    values: *const i8,
    scales: *const f32,
    sums: *const i32,
}

impl<'a> Group<'a> {
    /// # Safety
    /// `g` must be a group of `args`, which are good for their shape.
    #[inline]
    unsafe fn of(args: &'a Args, g: usize) -> Self {
        // SAFETY: inside the shapes the caller vouches for.
        unsafe {
            Self {
                args,
                weights: args.weights.add(g * args.format.group_bytes()),
                values: args.values.add(g * args.format.group),
                scales: args.scales.add(g),
                sums: args.sums.add(g),
            }
        }
    }

    /// `Σ q·a` of `R` rows by `4 NV` lanes from `first` on.
    ///
    /// # Safety
    /// The lanes and rows must be there, with NEON and its dot product.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn dot<const BITS: usize, const R: usize, const NV: usize>(
        &self,
        first: usize,
    ) -> [[int32x4_t; NV]; R] {
        let mut sums = [[vdupq_n_s32(0); NV]; R];
        // SAFETY: passed on to the caller.
        unsafe {
            for unit in 0..self.args.format.group / UNIT {
                let mut a = [vdupq_n_s8(0); R];
                for (i, a) in a.iter_mut().enumerate() {
                    *a = vld1q_s8(self.values.add(i * self.args.value_row + unit * UNIT));
                }
                for j in 0..NV {
                    let w = self.unpacked::<BITS>(unit, first + 4 * j);
                    for (row, a) in sums.iter_mut().zip(a) {
                        row[j] = dot_quad::<0>(row[j], w[0], a);
                        row[j] = dot_quad::<1>(row[j], w[1], a);
                        row[j] = dot_quad::<2>(row[j], w[2], a);
                        row[j] = dot_quad::<3>(row[j], w[3], a);
                    }
                }
            }
        }
        sums
    }

    /// As [`Group::dot`], two rows at a time. Of an odd number the last is computed twice.
    ///
    /// # Safety
    /// The lanes and rows must be there, with NEON and I8MM.
    #[inline]
    #[target_feature(enable = "neon,i8mm")]
    unsafe fn matrix<const BITS: usize, const R: usize, const NV: usize>(
        &self,
        first: usize,
    ) -> [[int32x4_t; NV]; R] {
        // Of every two rows and four lanes the first two lanes and the last two, each a matrix of two by two.
        let mut squares = [[[vdupq_n_s32(0); 2]; NV]; ROWS / 2];
        let mut sums = [[vdupq_n_s32(0); NV]; R];
        // SAFETY: passed on to the caller.
        unsafe {
            for unit in 0..self.args.format.group / UNIT {
                let row = |i: usize| {
                    let at = self.values.add(i.min(R - 1) * self.args.value_row + unit * UNIT);
                    vreinterpretq_s64_s8(vld1q_s8(at))
                };
                let mut a = [[vdupq_n_s8(0); 2]; ROWS / 2];
                for (pair, a) in a.iter_mut().enumerate().take(R.div_ceil(2)) {
                    let (one, two) = (row(2 * pair), row(2 * pair + 1));
                    *a = [
                        vreinterpretq_s8_s64(vzip1q_s64(one, two)),
                        vreinterpretq_s8_s64(vzip2q_s64(one, two)),
                    ];
                }
                for j in 0..NV {
                    let w = self
                        .unpacked::<BITS>(unit, first + 4 * j)
                        .map(|w| vreinterpretq_s32_s8(w));
                    for half in 0..2 {
                        // Eight neighbours of a lane after another.
                        let (one, two) = (w[2 * half], w[2 * half + 1]);
                        let low = vreinterpretq_s8_s32(vzip1q_s32(one, two));
                        let high = vreinterpretq_s8_s32(vzip2q_s32(one, two));
                        for (square, a) in squares.iter_mut().zip(a).take(R.div_ceil(2)) {
                            square[j][0] = matrix_eight(square[j][0], a[half], low);
                            square[j][1] = matrix_eight(square[j][1], a[half], high);
                        }
                    }
                }
            }
        }
        for (i, row) in sums.iter_mut().enumerate() {
            for (sum, square) in row.iter_mut().zip(squares[i / 2]) {
                let [low, high] = square.map(|half| vreinterpretq_s64_s32(half));
                *sum = vreinterpretq_s32_s64(if i % 2 == 0 {
                    vzip1q_s64(low, high)
                } else {
                    vzip2q_s64(low, high)
                });
            }
        }
        sums
    }

    /// As [`Group::dot`]: products as 16-bit numbers, of which two fit into one, or four below 8 bits.
    ///
    /// # Safety
    /// The lanes and rows must be there, with NEON.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn widening<const BITS: usize, const R: usize, const NV: usize>(
        &self,
        first: usize,
    ) -> [[int32x4_t; NV]; R] {
        // Of every four lanes the first two and the last two, each as two halves of a sum.
        let mut halves = [[[vdupq_n_s32(0); 2]; NV]; R];
        // SAFETY: passed on to the caller.
        unsafe {
            for unit in 0..self.args.format.group / UNIT {
                let mut w = [[vdupq_n_s8(0); 4]; NV];
                for (j, w) in w.iter_mut().enumerate() {
                    *w = self.unpacked::<BITS>(unit, first + 4 * j);
                }
                for (i, row) in halves.iter_mut().enumerate() {
                    let at = self.values.add(i * self.args.value_row + unit * UNIT);
                    let quad = |quad: usize| {
                        let four = at.add(4 * quad).cast::<i32>().read_unaligned();
                        vreinterpretq_s8_s32(vdupq_n_s32(four))
                    };
                    let a = [quad(0), quad(1), quad(2), quad(3)];
                    for ([low, high], w) in row.iter_mut().zip(w) {
                        let mut pair = product(w[0], a[0]);
                        pair = product_and(pair, w[1], a[1]);
                        if BITS == 8 {
                            (*low, *high) = (vpadalq_s16(*low, pair[0]), vpadalq_s16(*high, pair[1]));
                            pair = product(w[2], a[2]);
                        } else {
                            pair = product_and(pair, w[2], a[2]);
                        }
                        pair = product_and(pair, w[3], a[3]);
                        (*low, *high) = (vpadalq_s16(*low, pair[0]), vpadalq_s16(*high, pair[1]));
                    }
                }
            }
        }
        halves.map(|row| row.map(|[low, high]| vpaddq_s32(low, high)))
    }

    /// Four quads of four lanes from `lane` on, as signed bytes.
    ///
    /// # Safety
    /// The unit and the lanes must be there, with NEON.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn unpacked<const BITS: usize>(&self, unit: usize, lane: usize) -> [int8x16_t; 4] {
        // SAFETY: passed on to the caller.
        let load = |quad: usize| unsafe { vld1q_u8(self.weights.add(quad * QUAD + 4 * lane)) };
        let low = |both| vandq_u8(both, vdupq_n_u8(15));
        let high = |both| vshrq_n_u8::<4>(both);
        let quads = match BITS {
            8 => {
                let shifted = |quad| veorq_u8(load(4 * unit + quad), vdupq_n_u8(128));
                [shifted(0), shifted(1), shifted(2), shifted(3)]
            }
            4 => {
                let (first, second) = (load(2 * unit), load(2 * unit + 1));
                [low(first), high(first), low(second), high(second)]
            }
            _ => {
                let (first, second, top) = (load(3 * unit), load(3 * unit + 1), load(3 * unit + 2));
                let upper = |bits| vandq_u8(bits, vdupq_n_u8(0x30));
                [
                    vorrq_u8(low(first), upper(vshlq_n_u8::<4>(top))),
                    vorrq_u8(high(first), upper(vshlq_n_u8::<2>(top))),
                    vorrq_u8(low(second), upper(top)),
                    vorrq_u8(high(second), upper(vshrq_n_u8::<2>(top))),
                ]
            }
        };
        quads.map(|quad| vreinterpretq_s8_u8(quad))
    }

    /// Adds the group's sums, scaled, to `R` rows by `4 NV` lanes of the output from `first` on.
    ///
    /// # Safety
    /// The lanes and rows must be there, with NEON.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add<const BITS: usize, const R: usize, const NV: usize>(
        &self,
        first: usize,
        dots: [[int32x4_t; NV]; R],
    ) {
        let args = self.args;
        // SAFETY: passed on to the caller.
        unsafe {
            let numbers = self
                .weights
                .add(args.format.value_bytes())
                .cast::<u16>()
                .add(first);
            for j in 0..NV {
                let scales = halves(vld1_u16(numbers.add(4 * j)));
                // There are none behind the scales of 8 bits.
                let offsets = match BITS {
                    8 => vdupq_n_f32(0.0),
                    _ => halves(vld1_u16(numbers.add(PANEL + 4 * j))),
                };
                for (i, dots) in dots.iter().enumerate() {
                    let out = args.out.add(i * args.out_row + first + 4 * j);
                    let scale = *self.scales.add(i * args.number_row) * args.unit;
                    let mut sum = vld1q_f32(out);
                    sum = vfmaq_f32(sum, vcvtq_f32_s32(dots[j]), vmulq_n_f32(scales, scale));
                    if BITS != 8 {
                        let total = *self.sums.add(i * args.number_row) as f32 * scale;
                        sum = vfmaq_f32(sum, offsets, vdupq_n_f32(total));
                    }
                    vst1q_f32(out, sum);
                }
            }
        }
    }
}

/// Products of bytes as 16-bit numbers, those of the first eight and those of the last.
#[inline]
#[target_feature(enable = "neon")]
fn product(w: int8x16_t, a: int8x16_t) -> [int16x8_t; 2] {
    [vmull_s8(vget_low_s8(w), vget_low_s8(a)), vmull_high_s8(w, a)]
}

/// [`product`] added to `sum`.
#[inline]
#[target_feature(enable = "neon")]
fn product_and(sum: [int16x8_t; 2], w: int8x16_t, a: int8x16_t) -> [int16x8_t; 2] {
    [
        vmlal_s8(sum[0], vget_low_s8(w), vget_low_s8(a)),
        vmlal_high_s8(sum[1], w, a),
    ]
}

/// Adds to each lane of `sum` the four products of its bytes in `w` with those of quad `QUAD` of `a`. The intrinsic of this
/// instruction is not stable.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot_quad<const QUAD: u32>(mut sum: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction exists, as this function's features say, and touches these registers only.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {w:v}.16b, {a:v}.4b[{quad}]",
            sum = inlateout(vreg) sum,
            w = in(vreg) w,
            a = in(vreg) a,
            quad = const QUAD,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// Adds to `sum`, a matrix of two by two, the products of the halves of `a` (its rows) with those of `w` (its columns). The
/// intrinsic of this instruction is not stable.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn matrix_eight(mut sum: int32x4_t, a: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction exists, as this function's features say, and touches these registers only.
    unsafe {
        asm!(
            "smmla {sum:v}.4s, {a:v}.16b, {w:v}.16b",
            sum = inlateout(vreg) sum,
            a = in(vreg) a,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// Numbers of 16 bits as `f32`. The intrinsic of this instruction is not stable.
#[inline]
#[target_feature(enable = "neon")]
fn halves(numbers: uint16x4_t) -> float32x4_t {
    let out;
    // SAFETY: the instruction is part of NEON and touches these registers and the floating-point status only.
    unsafe {
        asm!(
            "fcvtl {out:v}.4s, {numbers:v}.4h",
            out = lateout(vreg) out,
            numbers = in(vreg) numbers,
            options(pure, nomem, nostack),
        );
    }
    out
}
