use proptest::prelude::*;

use super::*;
use crate::testing::{assert_close, assert_same_bits, cases, on_every_isa, on_threads, values, wide};

fn settings(step: u64) -> AdamW {
    AdamW {
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.1,
        grad_scale: 0.5,
        step,
    }
}

proptest! {
    #![proptest_config(cases(32))]
    #[test]
    fn three_steps(len in 0_usize..80, seed in any::<u64>()) {
        let start = values(len, seed);
        on_every_isa(|_| {
            let (mut p, mut m, mut v) = (start.clone(), vec![0.0; len], vec![0.0; len]);
            let (mut p64, mut m64, mut v64) = (wide(&start), vec![0.0; len], vec![0.0; len]);
            for step in 1..=3 {
                let grads = values(len, seed ^ step);
                let a = settings(step);
                adamw_step(&a, &mut p, &grads, &mut m, &mut v);
                let (b1, b2) = (f64::from(a.beta1), f64::from(a.beta2));
                let rate = f64::from(a.learning_rate);
                for i in 0..len {
                    let g = f64::from(grads[i]) * f64::from(a.grad_scale);
                    m64[i] = b1 * m64[i] + (1.0 - b1) * g;
                    v64[i] = b2 * v64[i] + (1.0 - b2) * g * g;
                    let below = v64[i].sqrt() / (1.0 - b2.powi(step as i32)).sqrt() + f64::from(a.eps);
                    p64[i] -= rate * f64::from(a.weight_decay) * p64[i];
                    p64[i] -= rate * m64[i] / (1.0 - b1.powi(step as i32)) / below;
                }
            }
            assert_close("params", &p, &p64, 1e-6);
            assert_close("first moment", &m, &m64, 1e-6);
            assert_close("second moment", &v, &v64, 1e-6);
        });
    }

    #[test]
    fn squares(len in 0_usize..40_000, seed in any::<u64>()) {
        let len = if cfg!(miri) { len % 64 } else { len };
        let x = values(len, seed);
        let exact: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
        on_every_isa(|isa| {
            let found = sum_of_squares(&x);
            prop_assert_close(found, exact);
            assert_eq!(on_threads(3, isa, || sum_of_squares(&x)).to_bits(), found.to_bits());
        });
    }
}

fn prop_assert_close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-6 * expected.max(1e-3),
        "{found} for {expected}"
    );
}

#[test]
#[cfg_attr(miri, ignore = "large")]
fn threads_do_not_change_the_bits() {
    let len = 150_001;
    let grads = values(len, 2);
    on_every_isa(|isa| {
        let on = |threads| {
            let (mut p, mut m, mut v) = (values(len, 1), vec![0.0; len], vec![0.0; len]);
            on_threads(threads, isa, || {
                adamw_step(&settings(1), &mut p, &grads, &mut m, &mut v)
            });
            [p, m, v].concat()
        };
        assert_same_bits("three threads", &on(3), &on(1));
    });
}

#[test]
fn zero_gradients_only_decay() {
    let (mut p, mut m, mut v) = ([2.0], [0.0], [0.0]);
    adamw_step(&settings(1), &mut p, &[0.0], &mut m, &mut v);
    assert_eq!((p, m, v), ([2.0 * (1.0 - 0.01 * 0.1)], [0.0], [0.0]));
}
