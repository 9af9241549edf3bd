//! The reference's padded arrays as packed rows.

use candle_core::Tensor;
use ocellus_nn::ops::loss::IGNORE;

use super::rows::pick;
use crate::error::ModelError;
use crate::packed_texts::PackedTexts;
use crate::reference::Given;

/// Padded `[batch, length, width]` → packed real rows `[rows, width]`.
pub(in crate::families) fn packed(
    given: &Given,
    name: &str,
    rows: &PackedTexts,
    width: usize,
) -> Result<Tensor, ModelError> {
    let padded = given.tensor(name, 3)?;
    let expected = [rows.lengths.len(), rows.length, width];
    if padded.dims() != expected {
        let found = format!("the shape {:?}", padded.dims());
        return Err(ModelError::input(
            format!("input `{name}`"),
            format!("{expected:?}"),
            found,
        ));
    }
    let index: Vec<u32> = rows.places.iter().map(|p| *p as u32).collect();
    pick(&padded.flatten(0, 1)?, &index)
}

/// Targets `[batch, length]` of the real rows, packed; negative values are ignored targets.
pub(in crate::families) fn targets(
    given: &Given,
    name: &str,
    rows: &PackedTexts,
) -> Result<Vec<u32>, ModelError> {
    let (shape, values) = given.integers(name, 2)?;
    if shape != [rows.lengths.len(), rows.length] {
        let expected = format!("[{}, {}]", rows.lengths.len(), rows.length);
        return Err(ModelError::input(
            format!("input `{name}`"),
            expected,
            format!("{shape:?}"),
        ));
    }
    let target = |place: &usize| u32::try_from(values[*place]).unwrap_or(IGNORE);
    Ok(rows.places.iter().map(target).collect())
}

/// Indices of rows that have a target, and these targets.
pub(in crate::families) fn only(targets: &[u32]) -> (Vec<u32>, Vec<u32>) {
    (0u32..)
        .zip(targets.iter().copied())
        .filter(|(_, t)| *t != IGNORE)
        .unzip()
}
