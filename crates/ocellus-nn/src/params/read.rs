//! Reads tensors of a checkpoint and checks their shapes.

use std::collections::BTreeSet;

use candle_core::{Device, Tensor};
use ocellus_weights::{View, Weights};

use crate::load_error::LoadError;

pub(super) fn untaken(
    weights: &Weights,
    taken: &BTreeSet<String>,
    ignored: impl Fn(&str) -> bool,
) -> Result<(), LoadError> {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = weights
        .names()
        .filter(|n| !taken.contains(*n) && !ignored(n))
        .map(str::to_owned)
        .collect();
    names.sort();
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    Err(LoadError::Untaken { names, more })
}

pub(super) fn checked<'w>(weights: &'w Weights, name: &str, shape: &[usize]) -> Result<View<'w>, LoadError> {
    if !weights.contains(name) {
        return Err(LoadError::Missing {
            name: name.to_owned(),
        });
    }
    let view = weights.view(name)?;
    // A convolution kernel has the same bytes as the matrix it is used as.
    let flat = shape.len() == 2
        && view.shape.len() > 2
        && view.shape[0] == shape[0]
        && view.shape[1..].iter().product::<usize>() == shape[1];
    // Some publishers store vectors and tables with extra axes of length 1.
    let real = |shape: &[usize]| shape.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    if view.shape != shape && !flat && real(&view.shape) != real(shape) {
        return Err(LoadError::Shape {
            name: name.to_owned(),
            expected: shape.to_vec(),
            found: view.shape.clone(),
        });
    }
    Ok(view)
}

pub(super) fn read(
    weights: &Weights,
    name: &str,
    shape: &[usize],
    device: &Device,
) -> Result<Tensor, LoadError> {
    let values = checked(weights, name, shape)?.to_f32()?;
    weights.release(name);
    Ok(Tensor::from_vec(values, shape, device)?)
}

pub(super) fn read_integers(weights: &Weights, name: &str, count: usize) -> Result<Vec<i64>, LoadError> {
    if !weights.contains(name) {
        return Err(LoadError::Missing {
            name: name.to_owned(),
        });
    }
    let view = weights.view(name)?;
    if view.elements() != count {
        return Err(LoadError::Shape {
            name: name.to_owned(),
            expected: vec![count],
            found: view.shape.clone(),
        });
    }
    Ok(view.to_i64()?)
}
