use proptest::prelude::*;

use super::*;
use crate::testing::{
    assert_close, assert_same_bits, cases, differences, on_every_isa, on_threads, poisoned, values, wide,
};

const IGNORE: u32 = u32::MAX;

fn log_softmax(row: &[f64]) -> Vec<f64> {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let norm = most + row.iter().map(|x| (x - most).exp()).sum::<f64>().ln();
    row.iter().map(|x| x - norm).collect()
}

fn exact_cross_entropy(logits: &[f64], vocab: usize, targets: &[u32]) -> f64 {
    let rows = logits
        .chunks_exact(vocab)
        .zip(targets)
        .filter(|(_, target)| **target != IGNORE);
    rows.map(|(row, target)| -log_softmax(row)[*target as usize])
        .sum()
}

proptest! {
    #![proptest_config(cases(32))]
    #[test]
    fn cross_entropy_and_its_slope(rows in 0_usize..6, vocab in 1_usize..80, seed in any::<u64>()) {
        let logits: Vec<f32> = values(rows * vocab, seed).iter().map(|x| x * 8.0).collect();
        let targets: Vec<u32> = (0..rows)
            .map(|row| if row % 3 == 2 { IGNORE } else { ((seed as usize).wrapping_add(row * 7) % vocab) as u32 })
            .collect();
        let logits64 = wide(&logits);
        let exact = exact_cross_entropy(&logits64, vocab, &targets);
        let slopes = differences(&logits64, |x| 0.25 * exact_cross_entropy(x, vocab, &targets));
        on_every_isa(|_| {
            let (found, count) = cross_entropy(&logits, vocab, &targets, IGNORE);
            assert!((found - exact).abs() <= 1e-6 * exact.max(1.0), "{found} for {exact}");
            assert_eq!(count, targets.iter().filter(|target| **target != IGNORE).count());
            let mut grad = poisoned(logits.len());
            cross_entropy_backward(&logits, vocab, &targets, IGNORE, 0.25, &mut grad);
            assert_close("gradient", &grad, &slopes, 1e-6);
        });
    }
}

#[test]
#[cfg_attr(miri, ignore = "large")]
fn a_large_vocabulary_on_any_number_of_threads() {
    let (rows, vocab) = (5, 151_936);
    let logits: Vec<f32> = values(rows * vocab, 3).iter().map(|x| x * 10.0).collect();
    let targets = [0, 151_935, IGNORE, 77, 100_000];
    let exact = exact_cross_entropy(&wide(&logits), vocab, &targets);
    on_every_isa(|isa| {
        let on = |threads| {
            let mut grad = poisoned(logits.len());
            let loss = on_threads(threads, isa, || {
                cross_entropy_backward(&logits, vocab, &targets, IGNORE, 1.0, &mut grad);
                cross_entropy(&logits, vocab, &targets, IGNORE).0
            });
            (loss, grad)
        };
        let ((loss, grad), (other_loss, other_grad)) = (on(1), on(3));
        assert!((loss - exact).abs() < 1e-6 * exact, "{loss} for {exact}");
        assert_eq!(loss.to_bits(), other_loss.to_bits());
        assert_same_bits("gradient", &other_grad, &grad);
        let total: f64 = wide(&grad).iter().sum();
        assert!(
            total.abs() < 1e-5,
            "gradients of a row add up to zero, found {total}"
        );
    });
}

#[test]
#[should_panic(expected = "target 4 in a vocabulary of 4")]
fn a_target_outside_the_vocabulary_is_refused() {
    cross_entropy(&[0.0; 4], 4, &[4], IGNORE);
}
