//! Selecting rows of packed sequences.

use candle_core::Tensor;

use crate::error::ModelError;

/// Index of the first row of every sequence.
pub(in crate::families) fn firsts(lengths: &[usize]) -> Vec<u32> {
    let starts = lengths.iter().scan(0, |next, n| {
        *next += *n as u32;
        Some(*next - *n as u32)
    });
    starts.collect()
}

/// Selects rows of `x` by index.
pub(in crate::families) fn pick(x: &Tensor, index: &[u32]) -> Result<Tensor, ModelError> {
    let index = Tensor::from_slice(index, index.len(), x.device())?;
    Ok(x.index_select(&index, 0)?)
}
