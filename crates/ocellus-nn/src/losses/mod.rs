//! Differentiable losses as pure functions of logits, states and targets, one per file, in plain candle over the fused losses of
//! [`ops`](crate::ops::loss).
//!
//! The caller averages: element-wise losses return elements, row-wise losses return rows.

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
