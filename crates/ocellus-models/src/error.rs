//! Why a model could not be built or run.

use ocellus_nn::LoadError;

use crate::config::ConfigError;

/// Why a model could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the prompt has {found} {kind} tokens, its pictures make {expected}")]
    Span {
        kind: &'static str,
        expected: usize,
        found: usize,
    },
    #[error("token id {id} is outside the vocabulary of {vocab}")]
    Vocabulary { id: u32, vocab: usize },
    #[error("a picture's grid {t}x{h}x{w} does not divide into {merge}x{merge} cells of {patches} patches")]
    Grid {
        t: usize,
        h: usize,
        w: usize,
        merge: usize,
        patches: usize,
    },
    #[error("{what} has {found}, expected {expected}")]
    Input {
        what: String,
        expected: String,
        found: String,
    },
    #[error("{0}")]
    Tensor(#[from] candle_core::Error),
}

impl ModelError {
    /// The error for an argument that the model cannot take.
    pub fn input(what: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self::Input {
            what: what.into(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}
