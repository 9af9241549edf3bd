//! Exponential and its relatives on whole vectors.

use super::Simd;

/// Below this the result is zero: it would be smaller than 2e-38.
const EXP_LOWEST: f32 = -86.9;
/// Above this the result is infinite.
const EXP_HIGHEST: f32 = 88.722_83;
/// `ln 2` in two parts; the first has few bits, so that whole multiples of it are exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `p` and whole `n` with `e^x = p 2^n`.
#[inline(always)]
fn reduced<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.mul_add(n, s.splat(-LN2_HIGH), x);
    let r = s.mul_add(n, s.splat(-LN2_LOW), r);
    // Taylor to the seventh power: |r| <= ln 2 / 2, so what is left out is below 6e-9.
    let mut p = s.splat(1.0 / 5040.0);
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = s.mul_add(p, r, s.splat(factor));
    }
    (p, n)
}

/// `e^x`, relative error below 2e-7. Zero for `x` under -86.9; not-a-number stays so.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    // The operand order of `max` and `min` lets not-a-number through.
    let bounded = s.min(s.splat(EXP_HIGHEST), s.max(s.splat(EXP_LOWEST), x));
    let (p, n) = reduced(s, bounded);
    // One power of two less and twice the polynomial: n reaches 128, which one exponent cannot hold.
    let scaled = s.mul(s.add(p, p), s.exp2_whole(s.sub(n, s.splat(1.0))));
    let scaled = s.select_lt(x, s.splat(EXP_LOWEST), s.zero(), scaled);
    s.select_lt(s.splat(EXP_HIGHEST), x, s.splat(f32::INFINITY), scaled)
}

/// `e^x` for `x` that is not above zero, with the error of [`exp`] and less to do: what is under -86.9 becomes that of -86.9, some
/// 2e-38, and not-a-number stays so.
#[inline(always)]
pub(crate) fn exp_below<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.max(s.splat(EXP_LOWEST), x);
    let (p, n) = reduced(s, x);
    s.times_exp2(p, n)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.zero(), x))))
}

/// `erfc(z) e^(z^2) / t` as a polynomial in `t = 1 / (1 + 0.4 z)`: Chebyshev interpolation on `0 <= t <= 1`, relative
/// error 1.8e-7. Lowest power first.
const ERFCX: [f32; 9] = [
    0.225_675_9,
    0.225_664_63,
    0.207_944_66,
    0.167_746_29,
    0.144_481_33,
    -0.011_961_573,
    0.176_427_93,
    -0.187_325_5,
    0.051_346_485,
];

/// The normal distribution at `x`: the probability of less than `x`, and the density.
#[inline(always)]
pub(crate) fn normal<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let one = s.splat(1.0);
    let z = s.mul(s.abs(x), s.splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = s.div(one, s.mul_add(z, s.splat(0.4), one));
    let mut p = s.splat(ERFCX[8]);
    for factor in ERFCX[..8].iter().rev() {
        p = s.mul_add(p, t, s.splat(*factor));
    }
    let bell = exp(s, s.mul(s.mul(x, x), s.splat(-0.5)));
    let tail = s.mul(s.mul(p, t), s.mul(bell, s.splat(0.5)));
    let below = s.select_lt(x, s.zero(), tail, s.sub(one, tail));
    (below, s.mul(bell, s.splat(0.398_942_3)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Kernel;
    use crate::testing::on_every_isa;

    struct Exp<'a>(&'a mut [f32]);

    impl Kernel for Exp<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for chunk in self.0.chunks_exact_mut(S::LANES) {
                let y = exp(s, s.load(chunk));
                s.store(y, chunk);
            }
        }
    }

    #[test]
    fn exp_is_within_two_parts_in_ten_million() {
        let count = if cfg!(miri) { 64 } else { 64_000 };
        let x: Vec<f32> = (0..count)
            .map(|i| -86.8 + 175.5 * i as f32 / count as f32)
            .collect();
        on_every_isa(|isa| {
            let mut y = x.clone();
            isa.run(Exp(&mut y));
            for (x, y) in x.iter().zip(&y) {
                let expected = f64::from(*x).exp();
                let error = (f64::from(*y) / expected - 1.0).abs();
                assert!(
                    error < 2e-7,
                    "{isa:?} exp({x}) = {y}, expected {expected}, error {error:.2e}"
                );
            }
        });
    }

    struct ExpBelow<'a>(&'a mut [f32]);

    impl Kernel for ExpBelow<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            for chunk in self.0.chunks_exact_mut(S::LANES) {
                let y = exp_below(s, s.load(chunk));
                s.store(y, chunk);
            }
        }
    }

    #[test]
    fn exp_below_is_exp_where_that_is_not_cut_off() {
        let count = if cfg!(miri) { 64 } else { 64_000 };
        let x: Vec<f32> = (0..count).map(|i| -86.8 * i as f32 / count as f32).collect();
        on_every_isa(|isa| {
            let mut y = x.clone();
            isa.run(ExpBelow(&mut y));
            for (x, y) in x.iter().zip(&y) {
                let error = (f64::from(*y) / f64::from(*x).exp() - 1.0).abs();
                assert!(error < 2e-7, "{isa:?} exp({x}) = {y}, error {error:.2e}");
            }
            let mut y = [0.0, -87.0, -1e30, f32::NEG_INFINITY, f32::NAN].repeat(16);
            isa.run(ExpBelow(&mut y));
            assert_eq!(y[0], 1.0);
            assert!(
                y[1..4].iter().all(|y| (0.0..2e-38).contains(y)),
                "{isa:?} {:?}",
                &y[..5]
            );
            assert!(y[4].is_nan());
        });
    }

    #[test]
    fn exp_beyond_the_range() {
        on_every_isa(|isa| {
            let mut y = [
                f32::NEG_INFINITY,
                -1e30,
                -87.0,
                0.0,
                88.8,
                1e30,
                f32::INFINITY,
                f32::NAN,
            ]
            .repeat(2);
            isa.run(Exp(&mut y));
            assert_eq!(
                y[..7],
                [0.0, 0.0, 0.0, 1.0, f32::INFINITY, f32::INFINITY, f32::INFINITY]
            );
            assert!(y[7].is_nan());
        });
    }
}
