//! Why layers could not be loaded.

use ocellus_weights::WeightsError;

/// Why a layer or model could not be loaded from its tensors.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the checkpoint has no tensor `{name}`")]
    Missing { name: String },
    #[error("tensor `{name}` has shape {found:?}, the config asks for {expected:?}")]
    Shape {
        name: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error("the adapter of `{name}` is for a matrix of {}x{}, the config asks for {expected:?}", .found[0], .found[1])]
    Adapter {
        name: String,
        expected: Vec<usize>,
        found: [usize; 2],
    },
    #[error("nobody takes the tensors {}{}", .names.join(", "), if *.more > 0 { format!(" and {} more", .more) } else { String::new() })]
    Untaken { names: Vec<String>, more: usize },
    #[error("the packed tensor `{name}` cannot be used: {reason}")]
    Packed { name: String, reason: String },
    #[error("quantised weights cannot be trained: start from those that they were made of")]
    Quantised,
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("{0}")]
    Tensor(#[from] candle_core::Error),
}
