//! The normaliser of a row of logits.

use crate::isa::Kernel;
use crate::simd::Simd;
use crate::simd::math::exp;
use crate::simd::reduce::largest;

/// `ln sum e^x`, as the largest value and the logarithm of the rest.
pub(super) struct LogSumExp<'a>(pub &'a [f32]);

impl Kernel for LogSumExp<'_> {
    type Out = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let x = self.0;
        let most = largest(s, x);
        let shift = s.splat(most);
        let whole = x.len() - x.len() % S::LANES;
        let (mut total, mut at) = (0.0_f64, 0);
        while at < whole {
            // Short sums in `f32`, the total in `f64`: a vocabulary is too large for the precision of `f32`.
            let end = whole.min(at + 64 * S::LANES);
            let mut sum = s.zero();
            while at < end {
                sum = s.add(sum, exp(s, s.sub(s.load(&x[at..]), shift)));
                at += S::LANES;
            }
            total += f64::from(s.sum(sum));
        }
        if whole < x.len() {
            let mut padded = [f32::NEG_INFINITY; 16];
            padded[..x.len() - whole].copy_from_slice(&x[whole..]);
            total += f64::from(s.sum(exp(s, s.sub(s.load(&padded), shift))));
        }
        f64::from(most) + total.ln()
    }
}

/// `out = e^(x - lse) * scale`.
pub(super) struct Scaled<'a> {
    pub x: &'a [f32],
    pub lse: f64,
    pub scale: f32,
    pub out: &'a mut [f32],
}

impl Kernel for Scaled<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Scaled { x, lse, scale, out } = self;
        let (shift, scale) = (s.splat(lse as f32), s.splat(scale));
        let whole = x.len() - x.len() % S::LANES;
        let mut at = 0;
        while at < whole {
            s.store(
                s.mul(exp(s, s.sub(s.load(&x[at..]), shift)), scale),
                &mut out[at..],
            );
            at += S::LANES;
        }
        if whole < x.len() {
            let mut padded = [0.0; 16];
            padded[..x.len() - whole].copy_from_slice(&x[whole..]);
            s.store(s.mul(exp(s, s.sub(s.load(&padded), shift)), scale), &mut padded);
            out[whole..].copy_from_slice(&padded[..x.len() - whole]);
        }
    }
}
