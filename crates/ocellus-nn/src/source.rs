//! Sets of named tensors that layers load from.

use std::sync::Arc;

use candle_core::Tensor;
use ocellus_kernels::matrix::Matrix;
use ocellus_weights::LowRank;

use crate::load_error::LoadError;
use crate::measured::Measured;
use crate::stored::Stored;

/// A set of named tensors that layers load from.
pub trait Source {
    /// The tensor `name`, checked against `shape`.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError>;
    /// The tensor `name` as a state, which training changes by other means than gradients.
    fn state(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        self.tensor(name, shape)
    }
    /// The `count` integers of a counter or index `name`.
    fn integers(&self, name: &str, count: usize) -> Result<Vec<i64>, LoadError>;
    /// Whether the source has a tensor of this name (without taking it).
    fn contains(&self, name: &str) -> bool;
    /// The matrix `name` in its stored form, checked against `shape`; `None` where plain tensors are wanted.
    fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Option<Stored>, LoadError> {
        let _ = (name, shape);
        Ok(None)
    }
    /// The product that is added to the matrix `name`, whose [`stored`](Self::stored) form does without it where that is packed.
    fn low_rank(&self, name: &str) -> Option<Arc<LowRank>> {
        let _ = name;
        None
    }
    /// Called when the stored bytes of `name` are not needed for now.
    fn release(&self, name: &str) {
        let _ = name;
    }
    /// Called with the packed form of the matrix `name`.
    fn packed(&self, name: &str, matrix: &Arc<Matrix>) {
        let _ = (name, matrix);
    }
    /// The importance of errors in each column of the matrix `name`, where known.
    fn importance(&self, name: &str) -> Option<Arc<[f32]>> {
        let _ = name;
        None
    }
    /// Where input statistics are collected, if they are: before quantisation, which uses them as importance.
    fn measured(&self) -> Option<&Measured> {
        None
    }
    /// Whether gradients are needed: layers then keep plain tensors instead of packing them.
    fn trainable(&self) -> bool;
}
