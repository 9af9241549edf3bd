//! The squared error of regressed features.

use candle_core::{DType, Result, Tensor};

/// `(x - t)²` for every element, in f32.
pub fn squared_error(predicted: &Tensor, targets: &Tensor) -> Result<Tensor> {
    (predicted.to_dtype(DType::F32)? - targets.to_dtype(DType::F32)?.detach())?.sqr()
}
