//! Why GGUF files could not be made into a checkpoint.

use ocellus_text::TextError;
use ocellus_weights::WeightsError;

/// Why GGUF files could not be made into a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("{file}: {source}")]
    Text {
        file: String,
        #[source]
        source: TextError,
    },
    #[error("{name} holds no GGUF metadata")]
    NoMetadata { name: String },
    #[error("{file}: the metadata `{key}` are missing")]
    Missing { file: String, key: String },
    #[error("{file}: the metadata `{key}` are {found}, expected {expected}")]
    Value {
        file: String,
        key: String,
        expected: String,
        found: String,
    },
    #[error("{file}: the metadata `{key}` are not known for `{kind}` and may change the computation")]
    Unread { file: String, key: String, kind: String },
    #[error("{file} holds a vision tower, not a language model")]
    TowerAlone { file: String },
    #[error("{file} holds no vision tower, but `{found}`")]
    NoTower { file: String, found: String },
    #[error(
        "no family reads the language model `{language}` with the vision tower `{tower}`; known: {known}"
    )]
    Kind {
        language: String,
        tower: String,
        known: String,
    },
    #[error("{file}: tensor `{tensor}` {reason}")]
    Tensor {
        file: String,
        tensor: String,
        reason: String,
    },
}
