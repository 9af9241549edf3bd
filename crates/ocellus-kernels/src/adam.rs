//! AdamW (Loshchilov and Hutter, 2019) in one pass over the parameters, and the squared norm that clipping needs.

use crate::isa::{Isa, Kernel};
use crate::parallel::{self, Shared};
use crate::simd::Simd;
use crate::simd::reduce::dot;

/// One step's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamW {
    pub learning_rate: f32,
    pub beta1: f32,
    pub beta2: f32,
    /// Added to the root of the corrected second moment.
    pub eps: f32,
    /// Decoupled: parameters shrink by `learning_rate * weight_decay` before the step.
    pub weight_decay: f32,
    /// Gradients are multiplied by this first (clipping, averaging).
    pub grad_scale: f32,
    /// Number of this step, from 1.
    pub step: u64,
}

/// Values per task, a multiple of every vector width.
const CHUNK: usize = 1 << 14;

/// Updates `params` and both moments in place; the moments are zero before step 1.
///
/// # Panics
/// When lengths disagree or `step` is 0.
pub fn adamw_step(
    settings: &AdamW,
    params: &mut [f32],
    grads: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let len = params.len();
    assert!(
        grads.len() == len && first.len() == len && second.len() == len,
        "adamw: slices differ in length"
    );
    assert!(settings.step > 0, "adamw: steps count from 1");
    let exponent = i32::try_from(settings.step).unwrap_or(i32::MAX);
    let correction1 = 1.0 - f64::from(settings.beta1).powi(exponent);
    let correction2 = 1.0 - f64::from(settings.beta2).powi(exponent);
    let rates = Rates {
        settings: *settings,
        rate: (f64::from(settings.learning_rate) / correction1) as f32,
        root: (1.0 / correction2.sqrt()) as f32,
    };
    let places = [Shared::new(params), Shared::new(first), Shared::new(second)];
    let isa = Isa::detect();
    parallel::for_each(len.div_ceil(CHUNK), len * 16, |task| {
        let range = task * CHUNK..len.min((task + 1) * CHUNK);
        // SAFETY: tasks have disjoint ranges of slices of `len` values.
        let [params, first, second] = places
            .each_ref()
            .map(|place| unsafe { place.range(range.clone()) });
        isa.run(Step {
            rates,
            params,
            grads: &grads[range],
            first,
            second,
        });
    });
}

#[derive(Clone, Copy)]
struct Rates {
    settings: AdamW,
    rate: f32,
    root: f32,
}

struct Step<'a> {
    rates: Rates,
    params: &'a mut [f32],
    grads: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Step {
            rates,
            params,
            grads,
            first,
            second,
        } = self;
        let (len, mut at) = (params.len(), 0);
        while at + S::LANES <= len {
            let old = [
                s.load(&params[at..]),
                s.load(&grads[at..]),
                s.load(&first[at..]),
                s.load(&second[at..]),
            ];
            let [p, m, v] = update(s, &rates, old);
            s.store(p, &mut params[at..]);
            s.store(m, &mut first[at..]);
            s.store(v, &mut second[at..]);
            at += S::LANES;
        }
        if at < len {
            // The remainder goes through padded vectors, so that every element is computed by the same arithmetic.
            let rest = len - at;
            let mut padded = [[0.0_f32; 16]; 4];
            for (padded, from) in padded.iter_mut().zip([&*params, grads, &*first, &*second]) {
                padded[..rest].copy_from_slice(&from[at..]);
            }
            let [p, m, v] = update(
                s,
                &rates,
                [
                    s.load(&padded[0]),
                    s.load(&padded[1]),
                    s.load(&padded[2]),
                    s.load(&padded[3]),
                ],
            );
            for (value, to) in [(p, params), (m, first), (v, second)] {
                s.store(value, &mut padded[0]);
                to[at..].copy_from_slice(&padded[0][..rest]);
            }
        }
    }
}

/// `[parameter, gradient, first, second]` to the new `[parameter, first, second]`.
#[inline(always)]
fn update<S: Simd>(s: S, rates: &Rates, [p, g, m, v]: [S::V; 4]) -> [S::V; 3] {
    let a = &rates.settings;
    let g = s.mul(g, s.splat(a.grad_scale));
    let m = s.mul_add(s.splat(1.0 - a.beta1), g, s.mul(s.splat(a.beta1), m));
    let v = s.mul_add(s.mul(s.splat(1.0 - a.beta2), g), g, s.mul(s.splat(a.beta2), v));
    let below = s.mul_add(s.sqrt(v), s.splat(rates.root), s.splat(a.eps));
    let kept = s.mul(p, s.splat(1.0 - a.learning_rate * a.weight_decay));
    [s.mul_add(s.div(m, below), s.splat(-rates.rate), kept), m, v]
}

/// `sum x^2`, always added in the same order.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    /// Values summed in `f32` before they are added to the `f64` total.
    const SHORT: usize = 1 << 10;
    let mut parts = vec![0.0_f64; x.len().div_ceil(CHUNK)];
    let shared = Shared::new(&mut parts);
    let isa = Isa::detect();
    parallel::for_each(x.len().div_ceil(CHUNK), x.len() * 4, |task| {
        let chunk = &x[task * CHUNK..x.len().min((task + 1) * CHUNK)];
        let total = chunk
            .chunks(SHORT)
            .map(|part| f64::from(isa.run(Squares(part))))
            .sum();
        // SAFETY: each task has its own place.
        unsafe { shared.range(task..task + 1)[0] = total };
    });
    parts.iter().sum()
}

struct Squares<'a>(&'a [f32]);

impl Kernel for Squares<'_> {
    type Out = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        dot(s, self.0, self.0)
    }
}

#[cfg(test)]
mod tests;
