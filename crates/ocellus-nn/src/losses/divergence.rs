//! The Kullback-Leibler divergence of predicted classes from soft targets of a teacher or a detector.

use candle_core::{DType, Result, Tensor};

use super::log_softmax;

/// `t · (ln t - ln softmax(x))` for every class: `logits [rows, classes]`, `targets [rows, classes]` of probabilities →
/// `[rows, classes]`; classes of probability 0 add nothing. The sum over a row is the divergence of that row.
pub fn kl_divergence(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let targets = targets.to_dtype(DType::F32)?.detach();
    // Clamped to the smallest normal number, so that 0 · ln 0 is 0.
    let entropy = (&targets * targets.maximum(f64::from(f32::MIN_POSITIVE))?.log()?)?;
    entropy - (targets * log_softmax(logits)?)?
}
