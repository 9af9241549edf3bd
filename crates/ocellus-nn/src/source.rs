//! Sets of named tensors, as layers see them.

use std::sync::Arc;

use candle_core::Tensor;
use ocellus_kernels::matrix::Matrix;
use ocellus_weights::Packing;

use crate::load_error::LoadError;
use crate::measured::Measured;
use crate::stored::Stored;

/// A set of named tensors that layers load from.
pub trait Source {
    /// The tensor `name`, checked against `shape`.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError>;
    /// The tensor `name` as something that training changes by other means than gradients, if at all.
    fn state(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        self.tensor(name, shape)
    }
    /// The `count` whole numbers of a counter or an index `name`.
    fn integers(&self, name: &str, count: usize) -> Result<Vec<i64>, LoadError>;
    /// Whether the source has a tensor of this name (without taking it).
    fn contains(&self, name: &str) -> bool;
    /// The matrix `name` as it is stored, checked against `shape`; nothing where tensors are wanted as they are.
    fn stored(&self, name: &str, shape: [usize; 2]) -> Result<Option<Stored>, LoadError> {
        let _ = (name, shape);
        Ok(None)
    }
    /// Is told that the stored bytes of `name` are not needed for now.
    fn release(&self, name: &str) {
        let _ = name;
    }
    /// Is told how integers are packed that stand in the checkpoint for matrices.
    fn packed_as(&self, packing: Packing) -> Result<(), LoadError> {
        let _ = packing;
        Err(LoadError::Integers)
    }
    /// Is told what the matrix `name` was packed to.
    fn packed(&self, name: &str, matrix: &Arc<Matrix>) {
        let _ = (name, matrix);
    }
    /// How much an error in each column of the matrix `name` counts, where that is known.
    fn importance(&self, name: &str) -> Option<Arc<[f32]>> {
        let _ = name;
        None
    }
    /// Where what goes into matrices is measured, where it is: before the first rounding, whose importance comes from it.
    fn measured(&self) -> Option<&Measured> {
        None
    }
    /// Whether gradients are wanted: layers then keep their tensors as they are instead of packing them.
    fn trainable(&self) -> bool;
}
