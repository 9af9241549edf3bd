//! The negative log-likelihood per row. Where only the sum is needed, the fused
//! [`cross_entropy`](crate::ops::loss::cross_entropy) is faster.

use candle_core::{Result, Tensor};

use super::log_softmax;
use crate::ops::loss::IGNORE;

/// `-ln softmax(x)[target]` of every row of `logits [rows, classes]` → `[rows]`; 0 where the target is [`IGNORE`].
pub fn negative_log_likelihood(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let (rows, _) = logits.dims2()?;
    let wanted: Vec<u32> = targets
        .iter()
        .map(|t| if *t == IGNORE { 0 } else { *t })
        .collect();
    let counted: Vec<f32> = targets
        .iter()
        .map(|t| if *t == IGNORE { 0.0 } else { 1.0 })
        .collect();
    let wanted = Tensor::from_vec(wanted, (rows, 1), logits.device())?;
    let chosen = log_softmax(logits)?.gather(&wanted, 1)?.squeeze(1)?;
    chosen.neg()? * Tensor::from_vec(counted, rows, logits.device())?
}
