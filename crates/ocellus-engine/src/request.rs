//! What is asked of the engine, and what it answers.

use ocellus_models::{Grid, ModelError, PositionRule};

use crate::Sampling;

/// Why a request could not be served.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(
        "the prompt has {prompt} tokens and {wanted} more are wanted, but the model's context is {limit}"
    )]
    Context {
        prompt: usize,
        wanted: usize,
        limit: usize,
    },
    #[error("the prompt is empty")]
    Empty,
    #[error("{0}")]
    Sampling(String),
    #[error("{0}")]
    Answers(String),
}

impl From<candle_core::Error> for EngineError {
    fn from(e: candle_core::Error) -> Self {
        Self::Model(e.into())
    }
}

/// A picture or video, cut into patches.
#[derive(Clone, Debug)]
pub struct Picture {
    /// `[n, patch_features]`, row-major.
    pub patches: Vec<f32>,
    pub grid: Grid,
    /// `Some(seconds a temporal patch spans)` for a video.
    pub video_seconds: Option<f32>,
}

/// One sequence to continue.
#[derive(Clone, Debug)]
pub struct Request {
    /// Prompt ids, picture tokens already multiplied.
    pub ids: Vec<u32>,
    /// Pictures and videos in the order of their tokens.
    pub pictures: Vec<Picture>,
    pub max_tokens: usize,
    /// End ids are not chosen before so many tokens.
    pub min_tokens: usize,
    pub sampling: Sampling,
    /// Ids that end the answer; they are not part of it.
    pub end: Vec<u32>,
    pub rule: PositionRule,
}

/// A generated token as it appears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Token {
    pub id: u32,
    /// Natural logarithm of its probability before sampling options.
    pub log_probability: f32,
}

/// What the receiver of a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// This sequence is done, for the given reason.
    Finish(FinishReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// An end token or a stop string.
    Stop,
    /// `max_tokens` were generated.
    Length,
    Cancelled,
}

impl FinishReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    pub tokens: Vec<Token>,
    pub finish: FinishReason,
}

/// Where the time of a call went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Pictures to cells.
    pub encode_ns: u64,
    /// The prompt, up to the scores of the first token.
    pub prefill_ns: u64,
    /// All tokens.
    pub decode_ns: u64,
}

impl Timing {
    /// The three parts in milliseconds: encoding, prefill, decoding.
    pub fn ms(&self) -> [u64; 3] {
        [self.encode_ns, self.prefill_ns, self.decode_ns].map(|ns| ns / 1_000_000)
    }
}
