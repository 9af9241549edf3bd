//! Why a checkpoint's files, a picture or a conversation cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use ocellus_media::MediaError;
use ocellus_models::ModelError;
use ocellus_text::TextError;

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, ProcessorError>;

/// Why a checkpoint's files, a picture or a conversation cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Media(#[from] MediaError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is a Git LFS pointer, not the file itself, which was not downloaded", path.display())]
    LfsPointer { path: PathBuf },
    #[error(
        "the vocabulary has no token {id}, which stands for a picture: its special tokens are in tokenizer.json or \
         tokenizer_config.json, and neither is there with it"
    )]
    NoImageToken { id: u32 },
    #[error("config.json is missing")]
    NoConfig,
    #[error("{file} is not valid JSON: {reason}")]
    Json { file: String, reason: String },
    /// The checkpoint's file about pictures and its config describe different patches.
    #[error(
        "preprocessor_config.json makes patches of {} values in {}x{} cells, config.json asks for {} in {}x{}",
        found.0, found.1, found.1, expected.0, expected.1, expected.1
    )]
    Patches {
        /// Values of a patch, and patches along a side of a visual token.
        found: (usize, usize),
        expected: (usize, usize),
    },
    #[error("at least {min} and at most {max} pixels contradict each other")]
    PixelBounds { min: u64, max: u64 },
    #[error("the model looks at what a detector found in pictures, not at pictures")]
    RegionsOnly,
    #[error("the model does not read lines of print")]
    NotALineReader,
}

impl ProcessorError {
    /// A file that could not be used.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}

impl From<candle_core::Error> for ProcessorError {
    fn from(error: candle_core::Error) -> Self {
        ModelError::from(error).into()
    }
}
