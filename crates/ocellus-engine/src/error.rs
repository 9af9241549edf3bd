//! Why a request could not be served.

use ocellus_models::ModelError;
use ocellus_text::TextError;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(
        "the prompt has {prompt} tokens and {wanted} more are wanted, but the model's context is {limit}"
    )]
    Context {
        prompt: usize,
        wanted: usize,
        limit: usize,
    },
    /// Weights that are damaged, or a precision that is too low for them.
    #[error("the model computes no numbers for the next token")]
    NotANumber,
    #[error("the prompt is empty")]
    Empty,
    #[error("{0}")]
    Sampling(String),
    #[error("{0}")]
    Answers(String),
    /// The keys and values of this request alone are more than the KV cache may hold.
    #[error("{tokens} tokens are more than the KV cache may hold: {most}")]
    Room { tokens: usize, most: usize },
    /// As many requests wait as may; another can be submitted when one of them has begun.
    #[error("{waiting} requests wait already, which is as many as may")]
    Queue { waiting: usize },
}

impl From<candle_core::Error> for EngineError {
    fn from(e: candle_core::Error) -> Self {
        Self::Model(e.into())
    }
}
