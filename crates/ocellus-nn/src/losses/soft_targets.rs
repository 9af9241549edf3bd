//! Cross-entropy against a distribution: distillation (Hinton et al. 2015), and one-hot labels mixed with the predictions of an
//! EMA teacher (Li et al. 2021, section 3.2).

use candle_core::{D, DType, Tensor};

use crate::Result;

/// Mean over the rows of `-Σ targets · log softmax(logits)`, both `[rows, classes]`, as a scalar in f32.
pub fn soft_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let logits = logits.to_dtype(DType::F32)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let log_softmax = shifted.broadcast_sub(&log_sum)?;
    (log_softmax * targets.to_dtype(DType::F32)?)?
        .sum(D::Minus1)?
        .mean_all()?
        .neg()
}

/// Softmax over the last axis, detached from the graph.
pub fn probabilities(logits: &Tensor) -> Result<Tensor> {
    let logits = logits.detach().to_dtype(DType::F32)?;
    let weights = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
    weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)
}

/// `alpha · teacher + (1 - alpha) · one-hot(classes)`: `[rows, classes]`.
pub fn softened(teacher: &Tensor, classes: &[u32], alpha: f64) -> Result<Tensor> {
    let (rows, columns) = teacher.dims2()?;
    let mut hard = vec![0f32; rows * columns];
    for (row, class) in classes.iter().enumerate().take(rows) {
        match hard.get_mut(row * columns + *class as usize) {
            Some(place) if (*class as usize) < columns => *place = 1.0,
            _ => candle_core::bail!("class {class} of row {row} is not one of {columns}"),
        }
    }
    let hard = Tensor::from_vec(hard, (rows, columns), teacher.device())?;
    (teacher.to_dtype(DType::F32)? * alpha)? + (hard * (1.0 - alpha))?
}
