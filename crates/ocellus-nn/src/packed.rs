//! A matrix packed for the CPU kernels, with its bias.

use std::sync::Arc;

use ocellus_kernels::matrix::Matrix;

use crate::measured::Columns;

/// A packed matrix with its bias.
pub(crate) struct Packed {
    pub weight: Arc<Matrix>,
    pub bias: Option<Vec<f32>>,
    /// Accumulator of input statistics, during measurement.
    pub columns: Option<Arc<Columns>>,
}
