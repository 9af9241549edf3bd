//! Reads tensors of a checkpoint and checks their shapes.

use std::collections::BTreeSet;

use candle_core::{Device, Tensor};
use ocellus_weights::{LowRank, Weights};

use crate::load_error::LoadError;

/// Fails when there are tensors that nobody took, except those for which `ignored` holds.
pub(super) fn finish(
    weights: &Weights,
    taken: &BTreeSet<String>,
    ignored: impl Fn(&str) -> bool,
) -> Result<(), LoadError> {
    const SHOWN: usize = 5;
    let mut names = untaken(weights, taken);
    names.retain(|name| !ignored(name));
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    Err(LoadError::Untaken { names, more })
}

fn untaken(weights: &Weights, taken: &BTreeSet<String>) -> Vec<String> {
    let names = weights.names().filter(|name| !taken.contains(*name));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

/// Tensors that nobody took in modules beside those of the model: no module that something was taken from holds them, or only
/// the outermost one does.
pub(super) fn beside(weights: &Weights, taken: &BTreeSet<String>) -> Vec<String> {
    // Where names were translated, a name that was not keeps nothing of what it was in.
    if weights.gguf().is_some() {
        return Vec::new();
    }
    let within = |module: &str| {
        let first = format!("{module}.");
        let next = taken.range(first.clone()..).next();
        next.is_some_and(|name| name.starts_with(&first))
    };
    let foreign = |name: &String| {
        let path: Vec<&str> = name.split('.').collect();
        let outer = usize::from(path[0] == "model");
        // A tensor without a module of its own belongs to the model.
        path.len() > outer + 1 && !within(&path[..=outer].join("."))
    };
    let mut names = untaken(weights, taken);
    names.retain(foreign);
    names
}

/// The product that is added to a matrix, if there is one; an error where it has other rows or columns.
pub(super) fn fitting<'w>(
    weights: &'w Weights,
    name: &str,
    shape: &[usize],
) -> Result<Option<&'w LowRank>, LoadError> {
    let Some(product) = weights.low_rank(name) else {
        return Ok(None);
    };
    let found = [product.rows(), product.columns()];
    match shape.first() == Some(&found[0]) && shape.iter().product::<usize>() == found[0] * found[1] {
        true => Ok(Some(product)),
        false => Err(LoadError::Adapter {
            name: name.to_owned(),
            expected: shape.to_vec(),
            found,
        }),
    }
}

/// Fails unless the tensor `name` is there with this shape.
pub(super) fn checked(weights: &Weights, name: &str, shape: &[usize]) -> Result<(), LoadError> {
    let Some(found) = weights.shape(name) else {
        return Err(LoadError::Missing {
            name: name.to_owned(),
        });
    };
    // A convolution kernel has the same bytes as the matrix it is used as.
    let flat = shape.len() == 2
        && found.len() > 2
        && found[0] == shape[0]
        && found[1..].iter().product::<usize>() == shape[1];
    // Some publishers store vectors and tables with extra axes of length 1.
    let real = |shape: &[usize]| shape.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    if found != shape && !flat && real(found) != real(shape) {
        return Err(LoadError::Shape {
            name: name.to_owned(),
            expected: shape.to_vec(),
            found: found.to_vec(),
        });
    }
    Ok(())
}

pub(super) fn read(
    weights: &Weights,
    name: &str,
    shape: &[usize],
    device: &Device,
) -> Result<Tensor, LoadError> {
    checked(weights, name, shape)?;
    let mut values = weights.without_low_rank(name)?.to_f32()?;
    if let Some(product) = fitting(weights, name, shape)? {
        product.add(0, &mut values);
    }
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
