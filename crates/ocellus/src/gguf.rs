//! Models in GGUF, opened.

use ocellus_hub::GgufFiles;
use ocellus_models::families::gguf::{Assembled, GgufError, assemble};
use ocellus_weights::Weights;

use crate::error::Failure;

/// Maps the files of a model and puts its checkpoint together.
pub fn open(files: &GgufFiles) -> Result<Assembled, Failure> {
    let language = Weights::from_files(&files.language)?;
    Ok(assemble(language, Weights::from_file(&files.tower)?)?)
}

impl From<GgufError> for Failure {
    fn from(error: GgufError) -> Self {
        let hint = match error {
            GgufError::Weights(error) => return error.into(),
            GgufError::TowerAlone { .. } | GgufError::NoTower { .. } => {
                "a model in GGUF is two files: the language model, and its vision tower, whose name has `mmproj` in it"
            }
            GgufError::Kind { .. } => {
                "both files must be of one model; `ocellus models families` lists what can be run"
            }
            GgufError::Unread { .. } => {
                "a newer version may know it; running without it could give wrong answers"
            }
            GgufError::Value { .. } => {
                "it asks for something that this version does not compute, or the files belong to different models"
            }
            _ => {
                "the files may be damaged or of an old converter; download the model again, or take its safetensors"
            }
        };
        Self::new(&error).hint(hint)
    }
}
