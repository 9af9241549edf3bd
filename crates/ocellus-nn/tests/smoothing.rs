//! Label smoothing against its definition in f64, and its gradient against finite differences.

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use ocellus_nn::ops::loss::{IGNORE, smoothed_cross_entropy};
use ocellus_testkit::Random;

const VOCAB: usize = 7;

fn oracle(logits: &[f32], targets: &[u32], smoothing: f64) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (row, target) in logits.chunks_exact(VOCAB).zip(targets) {
        if *target == IGNORE {
            continue;
        }
        let norm = row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
        for (word, x) in (0u32..).zip(row) {
            let wanted = smoothing / VOCAB as f64 + if word == *target { 1.0 - smoothing } else { 0.0 };
            sum += wanted * (norm - f64::from(*x));
        }
        count += 1.0;
    }
    sum / count
}

#[test]
fn it_is_the_cross_entropy_with_a_mixed_target() {
    let targets: Arc<[u32]> = [3, IGNORE, 0, 6, IGNORE].into();
    let logits = Random::new(5).normal_vec(targets.len() * VOCAB, 2.0);
    for smoothing in [0.0, 0.1, 0.5] {
        let var = Var::from_slice(&logits, (targets.len(), VOCAB), &Device::Cpu).unwrap();
        let loss = smoothed_cross_entropy(&var, &targets, smoothing).unwrap();
        let got = f64::from(loss.to_scalar::<f32>().unwrap());
        let expected = oracle(&logits, &targets, smoothing);
        assert!((got - expected).abs() < 1e-5, "{smoothing}: {got} for {expected}");
        let grads = loss.backward().unwrap();
        let grad: Vec<f32> = grads.get(&var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        for (i, got) in grad.iter().enumerate() {
            let moved = |by: f32| {
                let mut logits = logits.clone();
                logits[i] += by;
                oracle(&logits, &targets, smoothing)
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            let near = (f64::from(*got) - expected).abs() < 1e-4;
            assert!(near, "{smoothing}, gradient {i}: {got} for {expected}");
        }
    }
    // Without ignored rows and with one row only.
    let one = Tensor::from_slice(&logits[..VOCAB], (1, VOCAB), &Device::Cpu).unwrap();
    let loss: f32 = smoothed_cross_entropy(&one, &[2].into(), 0.1)
        .unwrap()
        .to_scalar()
        .unwrap();
    assert!((f64::from(loss) - oracle(&logits[..VOCAB], &[2], 0.1)).abs() < 1e-5);
}
