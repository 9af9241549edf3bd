//! Why a model could not be opened or asked.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ocellus_base::units::size;
use ocellus_media::MediaError;
use ocellus_models::families::gguf::GgufError;
use ocellus_models::{ConfigError, ModelError};
use ocellus_text::TextError;
use ocellus_weights::WeightsError;

use crate::memory_estimate::Needed;
use crate::widths::Device;

/// Why a model could not be opened or asked.
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
    Gguf(#[from] GgufError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Media(#[from] MediaError),
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("config.json is missing")]
    NoConfig,
    #[error("{file} is not valid JSON: {reason}")]
    Json { file: String, reason: String },
    #[error("the device cannot be used: {0}")]
    Device(candle_core::Error),
    #[error("this build of ocellus cannot use the device `{device}`")]
    NoSuchDevice { device: Device },
    #[error("quantised weights work on the CPU only")]
    QuantisedWeightsElsewhere,
    #[error("the model is quantised already")]
    QuantisedAlready,
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
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
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

/// The sentence with the name in front, unless it has it already.
fn named(name: &str, error: &SessionError) -> String {
    let sentence = error.to_string();
    match sentence.contains(name) {
        true => sentence,
        false => format!("{name}: {sentence}"),
    }
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weights {}", size(self.weights_bytes))?;
        match self.others {
            Some((kv_cache, work)) => {
                write!(f, ", keys and values {}, work {}", size(kv_cache), size(work))
            }
            None => Ok(()),
        }
    }
}
