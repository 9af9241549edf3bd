//! Why a case could not be read or run.

use std::path::PathBuf;

/// A sentence for the report: which file, field or tensor, what was expected, what was found.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error("case.json, `{field}`: expected {expected}, found {found}")]
    Field {
        field: String,
        expected: &'static str,
        found: String,
    },
    #[error("this build does not know the family `{family}`; it knows {known}")]
    Family { family: String, known: String },
    #[error("this build does not know the task `{task}`; it knows {known}")]
    Task { task: String, known: String },
    #[error("inputs.safetensors, `{name}`: expected {expected}, found {found}")]
    Input {
        name: String,
        expected: String,
        found: String,
    },
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Weights(#[from] ocellus_weights::WeightsError),
    #[error(transparent)]
    Session(#[from] ocellus_session::SessionError),
    #[error(transparent)]
    Model(#[from] ocellus_models::ModelError),
    #[error(transparent)]
    Load(#[from] ocellus_nn::LoadError),
    #[error(transparent)]
    Engine(#[from] ocellus_engine::EngineError),
    #[error(transparent)]
    Media(#[from] ocellus_media::MediaError),
    #[error(transparent)]
    Text(#[from] ocellus_text::TextError),
    #[error("{0}")]
    Tensor(#[from] candle_core::Error),
}

impl CaseError {
    pub fn file(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::File {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}

impl From<ocellus_models::ConfigError> for CaseError {
    fn from(error: ocellus_models::ConfigError) -> Self {
        Self::Model(error.into())
    }
}
