//! Why something could not be measured.

use ocellus_engine::EngineError;
use ocellus_session::SessionError;
use ocellus_text::TextError;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("nothing is measured in no run")]
    NoRun,
    #[error("{streams} requests never decoded all at once: the first ended before the last began")]
    NotTogether { streams: usize },
    #[error("a thread cannot be started: {0}")]
    Thread(rayon::ThreadPoolBuildError),
    #[error("the picture cannot be encoded: {0}")]
    Encode(#[from] image::ImageError),
}
