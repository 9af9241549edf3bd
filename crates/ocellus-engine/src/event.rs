//! Events of requests.

use crate::error::EngineError;
use crate::request::RequestId;

/// A generated token as it appears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Token {
    pub id: u32,
    /// Natural logarithm of its probability before sampling options.
    pub log_probability: f32,
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

/// Something that happened to a request. Every request ends with exactly one `Finished` or `Failed`.
#[derive(Debug)]
pub enum Event {
    /// Its prefill began. `cached_tokens` of its `prompt_tokens` came from the prefix cache.
    Started {
        id: RequestId,
        prompt_tokens: usize,
        cached_tokens: usize,
    },
    Token {
        id: RequestId,
        token: Token,
        /// What became certain of the answer's text; empty while a character or a stop string may be incomplete, and without a
        /// tokenizer.
        text: String,
    },
    Finished {
        id: RequestId,
        reason: FinishReason,
        /// The end of the text that was still held back.
        text: String,
        tokens: Vec<Token>,
    },
    /// This request ended by an error; the others go on.
    Failed { id: RequestId, error: EngineError },
}

impl Event {
    pub fn id(&self) -> RequestId {
        match self {
            Self::Started { id, .. }
            | Self::Token { id, .. }
            | Self::Finished { id, .. }
            | Self::Failed { id, .. } => *id,
        }
    }

    /// Whether this is the last of its request.
    pub fn ends(&self) -> bool {
        matches!(self, Self::Finished { .. } | Self::Failed { .. })
    }
}
