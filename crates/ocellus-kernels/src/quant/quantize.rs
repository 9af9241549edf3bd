//! Quantising weights.

use half::f16;

use super::format::Bits;
use crate::isa::Kernel;
use crate::simd::Simd;

/// The largest magnitude.
pub(super) struct Largest<'a>(pub &'a [f32]);

impl Kernel for Largest<'_> {
    type Out = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let mut most = s.zero();
        let mut chunks = self.0.chunks_exact(S::LANES);
        for chunk in &mut chunks {
            most = s.max(most, s.abs(s.load(chunk)));
        }
        let rest = chunks.remainder().iter();
        rest.fold(s.largest(most), |most, w| most.max(w.abs()))
    }
}

/// Quantises a group to `scale * value + offset` and returns scale and offset. With 8 bits the largest magnitude determines the
/// scale; below, scale and offset are the least-squares fit for the best of several candidate ranges, with errors weighted by
/// `importance`.
pub(super) struct Rounding<'a> {
    pub bits: Bits,
    pub weights: &'a [f32],
    pub importance: Option<&'a [f32]>,
    /// Scale and offset are stored as f16 multiples of this.
    pub unit: f32,
    pub values: &'a mut [u8],
}

impl Kernel for Rounding<'_> {
    type Out = (f32, f32);

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> (f32, f32) {
        match self.bits {
            Bits::Eight => self.symmetric(s),
            _ => self.searched(s),
        }
    }
}

/// `x` after a round trip through f16 in units of `unit`.
fn held(x: f32, unit: f32) -> f32 {
    f16::from_f32(x / unit).to_f32() * unit
}

/// Relative changes of the weights' own range that are tried: a narrower range clips outliers.
const MARGINS: [f32; 4] = [0.0, -0.05, -0.1, 0.025];

impl Rounding<'_> {
    #[inline(always)]
    fn symmetric<S: Simd>(self, s: S) -> (f32, f32) {
        let most = Largest(self.weights).run(s);
        let scale = held(most / 127.0, self.unit);
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let (low, high, factor) = (s.splat(-127.0), s.splat(127.0), s.splat(inverse));
        let mut from = self.weights.chunks_exact(S::LANES);
        let mut to = self.values.chunks_exact_mut(S::LANES);
        for (from, to) in (&mut from).zip(&mut to) {
            let rounded = s.round(s.mul(s.load(from), factor));
            // SAFETY: `to` has `LANES` bytes.
            unsafe { s.store_bytes(s.min(s.max(rounded, low), high), to.as_mut_ptr().cast()) };
            // Flipping the sign bit adds 128.
            to.iter_mut().for_each(|byte| *byte ^= 0x80);
        }
        for (w, to) in from.remainder().iter().zip(to.into_remainder()) {
            *to = ((w * inverse).round_ties_even().clamp(-127.0, 127.0) + 128.0) as u8;
        }
        (scale, -128.0 * scale)
    }

    #[inline(always)]
    fn searched<S: Simd>(self, s: S) -> (f32, f32) {
        // Through padded copies: a group has at most 256 weights, and padding has no importance.
        const MOST: usize = 256;
        let len = self.weights.len();
        let padded = len.next_multiple_of(16);
        let (mut weights, mut counts) = ([0.0_f32; MOST], [0.0_f32; MOST]);
        weights[..len].copy_from_slice(self.weights);
        match self.importance {
            Some(importance) => counts[..len].copy_from_slice(importance),
            None => counts[..len].fill(1.0),
        }
        let (weights, counts) = (&weights[..padded], &counts[..padded]);
        let fold = |f: fn(f32, f32) -> f32, start| self.weights.iter().fold(start, |a: f32, b| f(a, *b));
        let (least, most) = (fold(f32::min, f32::INFINITY), fold(f32::max, f32::NEG_INFINITY));
        let levels = f32::from(self.bits.largest());
        let mut best = (0.0, if len == 0 { 0.0 } else { held(least, self.unit) });
        let mut least_error = f32::INFINITY;
        for margin in MARGINS {
            let margin = (most - least) * margin;
            let (low, high) = (least - margin, most + margin);
            let Some(fitted) = fit(s, levels, low, high, weights, counts, self.unit) else {
                continue;
            };
            let error = error(s, fitted, levels, weights, counts);
            if error < least_error {
                (best, least_error) = (fitted, error);
            }
        }
        let level = Level::new(s, best, levels);
        let mut values = [0.0_f32; MOST];
        for (from, to) in weights
            .chunks_exact(S::LANES)
            .zip(values.chunks_exact_mut(S::LANES))
        {
            s.store(level.of(s, s.load(from)), to);
        }
        for (to, value) in self.values.iter_mut().zip(values) {
            *to = value as u8;
        }
        best
    }
}

/// The nearest quantisation level of weights for a scale and offset.
#[derive(Clone, Copy)]
struct Level<S: Simd> {
    offset: S::V,
    inverse: S::V,
    levels: S::V,
}

impl<S: Simd> Level<S> {
    #[inline(always)]
    fn new(s: S, (scale, offset): (f32, f32), levels: f32) -> Self {
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        Self {
            offset: s.splat(offset),
            inverse: s.splat(inverse),
            levels: s.splat(levels),
        }
    }

    #[inline(always)]
    fn of(self, s: S, weights: S::V) -> S::V {
        let level = s.round(s.mul(s.sub(weights, self.offset), self.inverse));
        s.min(s.max(level, s.zero()), self.levels)
    }
}

/// Scale and offset by weighted least squares over levels between `low` and `high`, as they will be stored.
#[inline(always)]
fn fit<S: Simd>(
    s: S,
    levels: f32,
    low: f32,
    high: f32,
    weights: &[f32],
    counts: &[f32],
    unit: f32,
) -> Option<(f32, f32)> {
    let scale = (high - low) / levels;
    if !(scale > 0.0 && scale.is_finite()) {
        return None;
    }
    let level = Level::new(s, (scale, low), levels);
    let mut sums = [s.zero(); 5];
    for (w, c) in weights.chunks_exact(S::LANES).zip(counts.chunks_exact(S::LANES)) {
        let (w, c) = (s.load(w), s.load(c));
        let value = level.of(s, w);
        let (cv, cw) = (s.mul(c, value), s.mul(c, w));
        sums[0] = s.add(sums[0], c);
        sums[1] = s.add(sums[1], cv);
        sums[2] = s.mul_add(cv, value, sums[2]);
        sums[3] = s.add(sums[3], cw);
        sums[4] = s.mul_add(cv, w, sums[4]);
    }
    let [n, v, vv, w, vw] = sums.map(|sum| s.sum(sum));
    let determinant = n * vv - v * v;
    let (mut scale, mut offset) = (scale, low);
    if determinant > 0.0 {
        let fitted = (n * vw - v * w) / determinant;
        if fitted > 0.0 && fitted.is_finite() {
            (scale, offset) = (fitted, (w - fitted * v) / n);
        }
    }
    let (scale, offset) = (held(scale, unit), held(offset, unit));
    (scale != 0.0).then_some((scale, offset))
}

#[inline(always)]
fn error<S: Simd>(s: S, (scale, offset): (f32, f32), levels: f32, weights: &[f32], counts: &[f32]) -> f32 {
    let level = Level::new(s, (scale, offset), levels);
    let (scale, offset, mut sum) = (s.splat(scale), s.splat(offset), s.zero());
    for (w, c) in weights.chunks_exact(S::LANES).zip(counts.chunks_exact(S::LANES)) {
        let w = s.load(w);
        let d = s.sub(s.mul_add(level.of(s, w), scale, offset), w);
        sum = s.mul_add(s.mul(d, d), s.load(c), sum);
    }
    s.sum(sum)
}
