//! Keys and values of a block quantised to 8 bits, and their expansion to the layout of the products.
//!
//! Quantised values have the same order as the values of an unquantised block. After them come the scales, as the upper halves of
//! `f32` (bf16): those of keys `[groups, keys]`, then those of values in the same shape.

use super::pages::Layout;
use crate::gemm::layout::Encoding;
use crate::isa::{Isa, Kernel};
use crate::simd::Simd;

/// Adjacent values of a head that share a scale; an even number, so that the two values of a word share one.
const GROUP: usize = 32;

/// The widest panel of all tiles.
const LANES: usize = 64;

/// A layout whose values are 8-bit integers.
pub(super) struct Bytes<'a>(pub &'a Layout);

impl Bytes<'_> {
    fn groups(&self) -> usize {
        self.0.dim.div_ceil(GROUP)
    }

    /// Byte offset of the scales: the number of values in a block.
    fn scales_at(&self) -> usize {
        self.0.words() * self.0.shared()
    }

    /// Bytes of a block.
    pub fn len(&self) -> usize {
        self.scales_at() + 2 * self.groups() * self.0.keys * 2
    }

    /// Quantises one token into position `at`, after the tokens before it: 255 levels per group, scaled by its largest magnitude.
    /// As in [`Layout::put`], writing the first value of a word clears the second.
    pub fn put(&self, page: &mut [u8], at: usize, k: &[f32], v: &[f32]) {
        let keys = self.0.keys;
        let (values, scales) = page.split_at_mut(self.scales_at());
        let scales = scales.as_chunks_mut::<2>().0;
        for (half, row) in [k, v].into_iter().enumerate() {
            for (group, chunk) in row.chunks(GROUP).enumerate() {
                let (bits, scale) = step(chunk);
                let own = (half * self.groups() + group) * keys + at;
                scales[own] = bits.to_le_bytes();
                if at.is_multiple_of(2) {
                    scales[own + 1] = [0; 2];
                }
                for (j, x) in chunk.iter().enumerate() {
                    let i = group * GROUP + j;
                    let place = if half == 0 {
                        self.0.key_at(at, i)
                    } else {
                        self.0.value_at(at, i)
                    };
                    // NaN becomes 0 here; the group's scale is NaN, so it is restored on expansion.
                    values[place] = ((x / scale).round_ties_even() as i8).max(-127) as u8;
                }
            }
        }
    }

    /// Expands the first `count` keys and values of a block to the layout of the products.
    pub fn expand(&self, kept: &[u8], count: usize, page: &mut [u32]) {
        assert!(kept.len() >= self.len() && page.len() >= self.0.words() && count <= self.0.keys);
        let (values, scales) = kept.split_at(self.scales_at());
        let (k_scales, v_scales) = scales.as_chunks::<2>().0.split_at(self.groups() * self.0.keys);
        let (layout, isa) = (self.0, Isa::detect());
        isa.run(Keys {
            layout,
            count,
            values,
            scales: k_scales,
            page,
        });
        isa.run(Values {
            layout,
            count,
            values,
            scales: v_scales,
            page,
        });
    }
}

/// The scale of a group and its upper half (its lower half is zero). NaN if any value is not finite.
fn step(values: &[f32]) -> (u16, f32) {
    let finite = values.iter().all(|x| x.is_finite());
    let most = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let bits = match finite {
        // Rounded up, so that the largest value is at most 127 steps.
        true => ((most / 127.0).to_bits() + 0xffff) >> 16,
        false => f32::NAN.to_bits() >> 16,
    };
    (bits as u16, f32::from_bits(bits << 16))
}

fn scale(bits: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bits)) << 16)
}

/// The upper half of a value rounded to nearest even, in the lower half.
#[inline(always)]
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    (bits + (0x7fff + ((bits >> 16) & 1))) >> 16
}

/// Expands a row of bytes to a row of words: byte `i` times `low[i]` and, where a word holds two values, `high[i]`.
#[inline(always)]
fn row(encoding: Encoding, from: &[u8], low: &[f32], high: &[f32], to: &mut [u32]) {
    let value = |byte: u8| f32::from(byte as i8);
    match encoding {
        Encoding::Bf16Pair => {
            let lanes = from.as_chunks::<2>().0.iter().zip(low.iter().zip(high));
            for (to, (pair, (low, high))) in to.iter_mut().zip(lanes) {
                *to = rounded(value(pair[0]) * low) | rounded(value(pair[1]) * high) << 16;
            }
        }
        _ => {
            for (to, (byte, low)) in to.iter_mut().zip(from.iter().zip(low)) {
                *to = (value(*byte) * low).to_bits();
            }
        }
    }
}

/// Panels of keys: lanes are keys, rows are elements of the head.
struct Keys<'a> {
    layout: &'a Layout,
    count: usize,
    values: &'a [u8],
    scales: &'a [[u8; 2]],
    page: &'a mut [u32],
}

impl Kernel for Keys<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (layout, nr, shared) = (self.layout, self.layout.tiles.nr, self.layout.shared());
        let depth = layout.depth(layout.dim);
        let mut factors = [0.0; LANES];
        let factors = &mut factors[..nr];
        for first in (0..self.count).step_by(nr) {
            for i in 0..depth {
                let (group, at) = (i * shared / GROUP, (first / nr * depth + i) * nr);
                if (i * shared).is_multiple_of(GROUP) {
                    let scales = &self.scales[group * layout.keys + first..][..nr];
                    factors.iter_mut().zip(scales).for_each(|(f, s)| *f = scale(*s));
                }
                let from = &self.values[at * shared..(at + nr) * shared];
                row(
                    layout.tiles.encoding,
                    from,
                    factors,
                    factors,
                    &mut self.page[at..at + nr],
                );
            }
        }
    }
}

/// Panels of values: lanes are elements of the head, rows are keys.
struct Values<'a> {
    layout: &'a Layout,
    count: usize,
    values: &'a [u8],
    scales: &'a [[u8; 2]],
    page: &'a mut [u32],
}

impl Kernel for Values<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (layout, nr, shared) = (self.layout, self.layout.tiles.nr, self.layout.shared());
        let (depth, keys) = (layout.depth(layout.keys), layout.keys);
        let (mut low, mut high) = ([0.0; LANES], [0.0; LANES]);
        for first in (0..layout.dim).step_by(nr) {
            let lanes = nr.min(layout.dim - first);
            for i in 0..layout.depth(self.count) {
                for lane in 0..lanes {
                    let of = &self.scales[(first + lane) / GROUP * keys..][..keys];
                    low[lane] = scale(of[i * shared]);
                    high[lane] = scale(of[i * shared + shared - 1]);
                }
                let at = layout.values_at() + (first / nr * depth + i) * nr;
                let from = &self.values[at * shared..(at + lanes) * shared];
                row(
                    layout.tiles.encoding,
                    from,
                    &low[..lanes],
                    &high[..lanes],
                    &mut self.page[at..at + lanes],
                );
            }
        }
    }
}
