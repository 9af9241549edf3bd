//! Gradients as cases expect them.

use std::collections::BTreeMap;

use ocellus_weights::Weights;

use crate::array::Array;
use crate::case::Case;
use crate::error::CaseError;
use crate::produced::Produced;

/// Whole gradients, their norms, and the norm of all together.
pub fn put_gradients(
    case: &Case,
    gradients: Vec<(String, Vec<f32>)>,
    out: &mut Produced,
) -> Result<(), CaseError> {
    let (mut total, shapes) = (0.0, shapes(case)?);
    for (name, gradient) in gradients {
        let squares: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum();
        total += squares;
        out.put(
            format!("grad_norm/{name}"),
            Array::floats([], vec![squares.sqrt() as f32]),
        );
        let shape = shapes.get(&name).cloned().unwrap_or_default();
        out.put(format!("grad/{name}"), Array::floats(shape, gradient));
    }
    out.put("grad_norm_total", Array::floats([], vec![total.sqrt() as f32]));
    Ok(())
}

/// The shapes of the tensors on disk: a layer may use the same values in another.
pub fn shapes(case: &Case) -> Result<BTreeMap<String, Vec<usize>>, CaseError> {
    let weights = Weights::open(&case.model())?;
    weights
        .names()
        .map(|name| Ok((name.to_owned(), weights.view(name)?.shape)))
        .collect()
}
