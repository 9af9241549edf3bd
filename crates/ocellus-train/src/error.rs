//! Why training stopped.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("recipe {path}: {message}")]
    Recipe { path: PathBuf, message: String },
    #[error("recipe {recipe}: {field} names {path}, which does not exist", recipe = recipe.display(), path = path.display())]
    Missing {
        recipe: PathBuf,
        field: &'static str,
        path: PathBuf,
    },
    #[error("checkpoint {path}: {message}")]
    Checkpoint { path: PathBuf, message: String },
    #[error("the loss is {loss} at step {step}: the run cannot go on")]
    Diverged { step: u64, loss: f64 },
    #[error(transparent)]
    Model(#[from] ocellus_models::ModelError),
    #[error(transparent)]
    Load(#[from] ocellus_nn::LoadError),
    #[error(transparent)]
    Synth(#[from] ocellus_synth::SynthError),
    #[error(transparent)]
    Text(#[from] ocellus_text::TextError),
    #[error(transparent)]
    Media(#[from] ocellus_media::MediaError),
    #[error(transparent)]
    Weights(#[from] ocellus_weights::WeightsError),
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
}
