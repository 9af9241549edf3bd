//! Shared by the tests of this crate: reproducible values, poisoned outputs, error bounds, finite differences.

use crate::isa::Isa;
pub(crate) use crate::isa::tests::on_every_isa;
use crate::isa::tests::with_isa;
use crate::parallel::limited;

/// Runs `work` divided among `threads` threads, with the level `isa`.
pub(crate) fn on_threads<T>(threads: usize, isa: Isa, work: impl FnOnce() -> T) -> T {
    limited(threads, || with_isa(isa, work))
}

/// Reproducible values in -1..1 (xorshift).
pub(crate) fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// An output filled with values that reveal every element that was not written.
pub(crate) fn poisoned(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}

/// Every value within `bound * (scale of that value)`; not-a-number never passes.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= bound * expected.abs().max(1.0),
            "{what}[{i}]: found {found}, expected {expected}, error {error:.3e} over {bound:.1e}"
        );
    }
}

/// The same bits everywhere.
#[track_caller]
pub(crate) fn assert_same_bits(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(
            found.to_bits(),
            expected.to_bits(),
            "{what}[{i}]: found {found}, expected {expected}"
        );
    }
}

/// The same values in `f64`.
pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

/// The gradient of `loss` at `x` by central differences.
pub(crate) fn differences(x: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let middle = x[i];
            x[i] = middle + STEP;
            let above = loss(&x);
            x[i] = middle - STEP;
            let below = loss(&x);
            x[i] = middle;
            (above - below) / (2.0 * STEP)
        })
        .collect()
}

/// `sum a b`.
pub(crate) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Settings for property tests over shapes.
pub(crate) fn cases(count: u32) -> proptest::test_runner::Config {
    let cases = if cfg!(miri) { 2 } else { count };
    proptest::test_runner::Config {
        cases,
        failure_persistence: None,
        ..Default::default()
    }
}
