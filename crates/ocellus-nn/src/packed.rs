//! A matrix as the CPU's kernels read it, with what belongs to it.

use std::sync::Arc;

use ocellus_kernels::matrix::Matrix;

use crate::measured::Columns;

/// A packed matrix with its bias.
pub(crate) struct Packed {
    pub weight: Arc<Matrix>,
    pub bias: Option<Vec<f32>>,
    /// Where what goes in is measured, while it is.
    pub columns: Option<Arc<Columns>>,
}
