use proptest::prelude::*;

use super::*;
use crate::testing::{
    assert_close, assert_same_bits, cases, differences, on_every_isa, on_threads, poisoned, values, wide,
};

type Forward = fn(&[f32], &mut [f32]);
type Backward = fn(&[f32], &[f32], &mut [f32]);

/// `erf` by its series, or by the continued fraction of `erfc` where the series would cancel.
fn erf(x: f64) -> f64 {
    if x.abs() < 3.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let a = x.abs();
    let fraction = (1..80).rev().fold(a, |below, n| a + f64::from(n) / 2.0 / below);
    (1.0 - (-a * a).exp() / fraction / std::f64::consts::PI.sqrt()).copysign(x)
}

fn sigmoid64(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Name, both directions, and the exact function.
type Row = (&'static str, Forward, Backward, fn(f64) -> f64);

fn table() -> [Row; 4] {
    [
        ("silu", silu, silu_backward, |x| x * sigmoid64(x)),
        ("quick_gelu", quick_gelu, quick_gelu_backward, |x| {
            x * sigmoid64(1.702 * x)
        }),
        ("gelu", gelu, gelu_backward, |x| {
            0.5 * x * (1.0 + erf(x / 2.0_f64.sqrt()))
        }),
        ("gelu_tanh", gelu_tanh, gelu_tanh_backward, |x| {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }),
    ]
}

fn check(x: &[f32], grad: &[f32]) {
    for (name, forward, backward, exact) in table() {
        let x64 = wide(x);
        let mut out = poisoned(x.len());
        forward(x, &mut out);
        assert_close(
            name,
            &out,
            &x64.iter().map(|x| exact(*x)).collect::<Vec<_>>(),
            1e-6,
        );
        let slopes: Vec<f64> = x64
            .iter()
            .map(|x| differences(&[*x], |x| exact(x[0]))[0])
            .collect();
        let expected: Vec<f64> = slopes
            .iter()
            .zip(grad)
            .map(|(slope, grad)| slope * f64::from(*grad))
            .collect();
        let mut grad_x = poisoned(x.len());
        backward(x, grad, &mut grad_x);
        assert_close(name, &grad_x, &expected, 2e-6);
    }
}

proptest! {
    #![proptest_config(cases(32))]
    #[test]
    fn every_activation_and_its_slope(len in 0_usize..70, seed in any::<u64>(), size in 0.1_f32..20.0) {
        let x: Vec<f32> = values(len + 1, seed).iter().map(|x| x * size).collect();
        let grad = values(len + 1, seed ^ 1);
        // From the second value on, so that nothing is aligned.
        on_every_isa(|_| check(&x[1..], &grad[1..]));
    }

    #[test]
    fn the_gated_product_and_its_slopes(len in 0_usize..70, seed in any::<u64>()) {
        let [gate, up, grad] = [0, 1, 2].map(|i| values(len, seed ^ i).iter().map(|x| x * 6.0).collect::<Vec<_>>());
        let exact = |gate: f64, up: f64| gate * sigmoid64(gate) * up;
        let at = |i: usize| (f64::from(gate[i]), f64::from(up[i]), f64::from(grad[i]));
        on_every_isa(|_| {
            let [mut out, mut grad_gate, mut grad_up] = [0; 3].map(|_| poisoned(len));
            silu_mul(&gate, &up, &mut out);
            silu_mul_backward(&gate, &up, &grad, &mut grad_gate, &mut grad_up);
            let expect = |f: &dyn Fn(f64, f64, f64) -> f64| {
                (0..len).map(|i| { let (a, b, g) = at(i); f(a, b, g) }).collect::<Vec<_>>()
            };
            assert_close("out", &out, &expect(&|a, b, _| exact(a, b)), 1e-6);
            let gate_slope = |a: f64, b: f64, g: f64| g * differences(&[a], |a| exact(a[0], b))[0];
            assert_close("grad gate", &grad_gate, &expect(&gate_slope), 2e-6);
            assert_close("grad up", &grad_up, &expect(&|a, _, g| g * exact(a, 1.0)), 2e-6);
        });
    }
}

#[test]
fn far_values_neither_overflow_nor_vanish_wrongly() {
    let x = [-1e30_f32, -200.0, -50.0, -0.0, 0.0, 50.0, 200.0, 1e30];
    on_every_isa(|isa| {
        for (name, forward, backward, _) in table() {
            let (mut out, mut slope) = (poisoned(8), poisoned(8));
            forward(&x, &mut out);
            assert!(out[..5].iter().all(|y| y.abs() < 1e-18), "{isa:?} {name} {out:?}");
            assert_eq!(out[5..7], x[5..7], "{isa:?} {name}");
            backward(&x[1..7], &[1.0; 6], &mut slope[..6]);
            assert!(
                slope[..2].iter().all(|y| y.abs() < 1e-18),
                "{isa:?} {name} {slope:?}"
            );
            assert_eq!(slope[4..6], [1.0, 1.0], "{isa:?} {name}");
        }
    });
}

/// A place alone, at the end of a slice, or in the middle; one thread or three: the same bits.
#[test]
#[cfg_attr(miri, ignore = "large")]
fn a_value_does_not_depend_on_its_place_or_on_threads() {
    let x: Vec<f32> = values(100_003, 9).iter().map(|x| x * 5.0).collect();
    on_every_isa(|isa| {
        for (name, forward, _, _) in table() {
            let on = |threads| {
                let mut out = poisoned(x.len());
                on_threads(threads, isa, || forward(&x, &mut out));
                out
            };
            let whole = on(1);
            assert_same_bits(name, &on(3), &whole);
            for at in [0, 1, 17, 50_000, x.len() - 1] {
                let mut alone = poisoned(1);
                forward(&x[at..=at], &mut alone);
                assert_same_bits(name, &alone, &whole[at..=at]);
            }
        }
    });
}

#[test]
#[should_panic(expected = "slices differ in length")]
fn lengths_must_agree() {
    silu_mul(&[0.0; 3], &[0.0; 2], &mut [0.0; 3]);
}
