//! Why training stopped.

use std::path::{Path, PathBuf};

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
    /// An adapter beside weights to start from, which would be left out.
    #[error("{path}: an adapter lies beside these weights, and training does not apply it", path = path.display())]
    Adapter { path: PathBuf },
    #[error("the loss is {loss} at step {step}: the run cannot go on")]
    Diverged { step: u64, loss: f64 },
    #[error("{path}: there is no checkpoint to go on from", path = path.display())]
    NoRun { path: PathBuf },
    #[error("{path}: a new run needs an empty folder, and `{found}` is there", path = path.display())]
    NotEmpty { path: PathBuf, found: String },
    #[error("{path}: another training run writes there", path = path.display())]
    InUse { path: PathBuf },
    /// A recipe that differs from that of the run that is to go on.
    #[error("{path}: the run was begun with {field} = {was}, and the recipe says {is}", path = path.display())]
    OtherRecipe {
        path: PathBuf,
        field: String,
        was: String,
        is: String,
    },
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

impl TrainError {
    /// For `map_err`: the path that could not be used.
    pub(crate) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io {
            path: path.clone(),
            source,
        }
    }
}
