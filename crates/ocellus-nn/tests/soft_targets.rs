//! Soft-target cross-entropy against its definition and against differences.

use candle_core::{Device, Tensor, Var};
use ocellus_nn::losses::soft_targets::{probabilities, soft_cross_entropy, softened};

const LOGITS: [f32; 6] = [0.3, -1.2, 2.0, 40.0, 39.0, -7.5];
const TARGETS: [f32; 6] = [0.2, 0.5, 0.3, 0.1, 0.9, 0.0];

fn matrix(values: &[f32]) -> Tensor {
    Tensor::from_slice(values, (2, 3), &Device::Cpu).unwrap()
}

/// The definition in f64.
fn defined(logits: &[f32], targets: &[f32]) -> f64 {
    let row = |(l, t): (&[f32], &[f32])| {
        let norm = l.iter().map(|v| f64::from(*v).exp()).sum::<f64>().ln();
        let terms = l.iter().zip(t);
        -terms
            .map(|(l, t)| f64::from(*t) * (f64::from(*l) - norm))
            .sum::<f64>()
    };
    logits.chunks(3).zip(targets.chunks(3)).map(row).sum::<f64>() / 2.0
}

#[test]
fn value_and_gradient_follow_the_definition() {
    let logits = Var::from_tensor(&matrix(&LOGITS)).unwrap();
    let loss = soft_cross_entropy(logits.as_tensor(), &matrix(&TARGETS)).unwrap();
    let expected = defined(&LOGITS, &TARGETS);
    assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - expected).abs() < 1e-5);
    let store = loss.backward().unwrap();
    let gradient = store.get(logits.as_tensor()).unwrap().flatten_all().unwrap();
    for (i, got) in gradient.to_vec1::<f32>().unwrap().into_iter().enumerate() {
        let at = |by: f32| {
            let mut moved = LOGITS;
            moved[i] += by;
            defined(&moved, &TARGETS)
        };
        let slope = (at(0.01) - at(-0.01)) / 0.02;
        assert!((f64::from(got) - slope).abs() < 1e-3, "{i}: {got} and {slope}");
    }
}

#[test]
fn labels_are_softened_by_their_share() {
    let teacher = probabilities(&matrix(&LOGITS)).unwrap();
    let soft = softened(&teacher, &[2, 0], 0.4)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let teacher = teacher.to_vec2::<f32>().unwrap();
    for (row, class) in [(0, 2), (1, 0)] {
        assert!((soft[row].iter().sum::<f32>() - 1.0).abs() < 1e-6);
        for column in 0..3 {
            let hard = if column == class { 0.6 } else { 0.0 };
            assert!((soft[row][column] - hard - 0.4 * teacher[row][column]).abs() < 1e-6);
        }
    }
    assert!(softened(&matrix(&TARGETS), &[3, 0], 0.4).is_err());
}
