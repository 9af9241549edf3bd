//! Losses as pure functions of scores, states and targets, differentiable, in plain candle over the fused losses of
//! [`ops`](crate::ops::loss). One loss a file.
//!
//! What a loss is averaged over is a matter of its caller: elementwise losses come elementwise, losses of rows row by row.

pub mod binary;
pub mod contrastive;
pub mod divergence;
pub mod likelihood;
pub mod region_class;
pub mod soft_targets;
pub mod squared_error;
pub mod transport;

use candle_core::{D, DType, Result, Tensor};

/// Logarithms of the softmax over the last axis, in f32.
pub fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let logits = logits.to_dtype(DType::F32)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)
}
