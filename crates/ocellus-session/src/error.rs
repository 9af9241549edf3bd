//! Errors of opening and using a model.

use std::io;
use std::path::{Path, PathBuf};

use ocellus_base::units::size;
use ocellus_engine::EngineError;
use ocellus_hub::HubError;
use ocellus_media::MediaError;
use ocellus_models::adapter::AdapterError;
use ocellus_models::families::gguf::GgufError;
use ocellus_models::{ConfigError, ModelError, Task};
use ocellus_processor::ProcessorError;
use ocellus_text::TextError;
use ocellus_weights::{RegionsError, WeightsError};

use crate::needed::Needed;
use crate::widths::Device;

/// An error of opening or using a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// An error that does not name the model or file that it is about.
    #[error("{}", named(name, error))]
    About {
        name: String,
        #[source]
        error: Box<SessionError>,
    },
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error(transparent)]
    Gguf(#[from] GgufError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Regions(#[from] RegionsError),
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the device cannot be used: {0}")]
    Device(candle_core::Error),
    #[error("this build of ocellus cannot use the device `{device}`")]
    NoSuchDevice { device: Device },
    #[error("this processor does not have the instruction set `{asked}`")]
    InstructionSet { asked: String, known: Vec<&'static str> },
    #[error("quantised weights work on the CPU only")]
    QuantisedWeightsElsewhere,
    #[error("the model is quantised already")]
    QuantisedAlready,
    #[error("expected at most {allowed} pictures in a conversation, found {found}")]
    TooManyPictures { found: usize, allowed: usize },
    #[error("{name} is quantised already")]
    QuantisedBefore { name: String },
    #[error("{name} cannot be {action}: it is not a folder of safetensors or torch files")]
    NotAFolder { name: String, action: &'static str },
    #[error("{name} has no adapter that could be merged")]
    NoAdapter { name: String },
    #[error(
        "the adapter of {name} cannot be merged: its base stores `{matrix}` quantised, and rounding it again would change it"
    )]
    MergeQuantised { name: String, matrix: String },
    #[error("weights are quantised on the CPU only")]
    QuantElsewhere,
    #[error("the CPU does not compute in f16")]
    F16OnCpu,
    #[error("{name} has no keys and values that can be kept in fewer bits")]
    KvCache { name: String },
    #[error(
        "{name} in {storage} needs {} of memory ({needed}), and {} are available",
        size(needed.total_bytes),
        size(*available_bytes)
    )]
    Memory {
        name: String,
        /// The storage dtype of the weights.
        storage: &'static str,
        needed: Needed,
        available_bytes: u64,
    },
    /// What is a warning unless a checkpoint is opened strictly.
    #[error("{0}")]
    Strict(String),
    /// The model cannot do a task.
    #[error("{who} cannot {}", deed(*task))]
    Unable {
        /// The model, and its family where known.
        who: String,
        task: Task,
    },
    #[error("{name} does not write text")]
    WritesNoText { name: String },
    #[error("{name} finds regions in pictures and takes no text")]
    TakesNoText { name: String },
    #[error("{name} reads no text without a picture")]
    ReadsNoTextAlone { name: String },
    #[error("{name} does not look at pictures but at what a detector found in them")]
    LooksAtRegions { name: String },
    #[error("{name} looks at pictures, not at region features")]
    LooksAtPictures { name: String },
    #[error("{name} sees pictures as part of its text")]
    PicturesInText { name: String },
    #[error("{name} answers questions about exactly {}, not {found}", pictures(*expected))]
    PictureCount {
        name: String,
        expected: usize,
        found: usize,
    },
    #[error("{name}: the vocabulary has no {token}")]
    NoToken { name: String, token: String },
    #[error("an answer of {tokens} tokens does not fit beside the question")]
    AnswerTooLong {
        tokens: usize,
        /// How the longest answer begins.
        start: String,
    },
    #[error("the text has fewer than two tokens")]
    ShortText,
    /// Cancelled by the event listener.
    #[error("interrupted")]
    Cancelled,
}

impl SessionError {
    /// The error of a model or file of this name, which its sentence names.
    pub fn about(self, name: &str) -> Self {
        Self::About {
            name: name.to_owned(),
            error: Box::new(self),
        }
    }

    /// A file that could not be used.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}

impl From<ConfigError> for SessionError {
    fn from(error: ConfigError) -> Self {
        ModelError::from(error).into()
    }
}

impl From<TextError> for SessionError {
    fn from(error: TextError) -> Self {
        ProcessorError::from(error).into()
    }
}

impl From<MediaError> for SessionError {
    fn from(error: MediaError) -> Self {
        ProcessorError::from(error).into()
    }
}

impl From<candle_core::Error> for SessionError {
    fn from(error: candle_core::Error) -> Self {
        ModelError::from(error).into()
    }
}

fn pictures(count: usize) -> String {
    match count {
        1 => "one picture".to_owned(),
        count => format!("{count} pictures"),
    }
}

/// The sentence with the name in front, unless it has it already.
fn named(name: &str, error: &SessionError) -> String {
    let sentence = error.to_string();
    match sentence.contains(name) {
        true => sentence,
        false => format!("{name}: {sentence}"),
    }
}

/// What a model that cannot do it is said to be unable to do.
fn deed(task: Task) -> &'static str {
    match task {
        Task::Ask => "answer questions",
        Task::Chat => "hold a conversation",
        Task::Ocr => "read pages",
        Task::Caption => "write captions",
        Task::Score => "score texts against a picture",
        Task::Embed => "turn pictures and texts into vectors of one space",
        Task::Classify => "tell which label fits a picture",
        Task::Fill => "find words for masks",
        Task::Detect => "find regions in a picture",
    }
}
