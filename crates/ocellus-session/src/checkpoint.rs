//! A checkpoint's files, opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ocellus_hub::{GgufFiles, Location, built_in};
use ocellus_models::families::gguf::{Assembled, assemble};
use ocellus_models::families::{self, arranged};
use ocellus_models::{find, quantisation};
use ocellus_processor::TextFiles;
use ocellus_text::{Template, Tokenizer};
use ocellus_weights::Weights;

use crate::error::SessionError;

/// The mapped weights of a checkpoint and the texts beside them.
pub struct CheckpointFiles {
    pub texts: TextFiles,
    pub weights: Arc<Weights>,
    /// Tokenizer and template where no file of their own has them.
    made: Option<(Tokenizer, Option<Template>)>,
}

impl CheckpointFiles {
    /// Maps the weights; only headers are read.
    ///
    /// # Errors
    /// Weights that cannot be used, and files in GGUF that do not belong together.
    pub fn open(location: &Location) -> Result<Self, SessionError> {
        Ok(match location {
            Location::BuiltIn => Self {
                texts: TextFiles::BuiltIn,
                weights: Weights::from_static(built_in::file("model.safetensors").unwrap_or_default())?
                    .into(),
                made: None,
            },
            Location::Folder(folder) => Self {
                weights: weights(folder)?.into(),
                texts: TextFiles::Folder(folder.clone()),
                made: None,
            },
            Location::Gguf(files) => {
                let made = open_gguf(files)?;
                Self {
                    texts: TextFiles::Made(BTreeMap::from([
                        ("config.json", made.config),
                        ("preprocessor_config.json", made.preprocessor),
                        ("generation_config.json", made.generation),
                    ])),
                    weights: made.weights.into(),
                    made: Some((made.tokenizer, made.template)),
                }
            }
        })
    }

    /// Tokenizer and chat template, where no files of their own have them; once.
    pub(crate) fn take_made(&mut self) -> Option<(Tokenizer, Option<Template>)> {
        self.made.take()
    }
}

/// The weights in a folder, under the names that its family asks for.
///
/// # Errors
/// Weights that cannot be used; a method of quantisation that is not computed.
pub fn weights(folder: &Path) -> Result<Weights, SessionError> {
    let weights = Weights::open(folder)?;
    // Whoever loads the model reports a config that cannot be used.
    let config = TextFiles::Folder(folder.into()).config().ok();
    let config = config.and_then(|text| families::parse(&text).ok());
    let known = config.and_then(|config| Some((find(&config).ok()?, config)));
    let Some((family, config)) = known else {
        return Ok(weights);
    };
    let scheme = quantisation::scheme(&config, family.id)?;
    Ok(arranged(family, weights, scheme)?)
}

/// The texts of a checkpoint without its weights, where they can be had so.
///
/// # Errors
/// As [`CheckpointFiles::open`].
pub fn texts(location: &Location) -> Result<TextFiles, SessionError> {
    match location {
        Location::BuiltIn => Ok(TextFiles::BuiltIn),
        Location::Folder(folder) => Ok(TextFiles::Folder(folder.clone())),
        Location::Gguf(_) => Ok(CheckpointFiles::open(location)?.texts),
    }
}

/// Maps the files of a model in GGUF and puts its checkpoint together.
///
/// # Errors
/// Files that cannot be used or do not belong together.
pub fn open_gguf(files: &GgufFiles) -> Result<Assembled, SessionError> {
    let language = Weights::from_files(&files.language)?;
    Ok(assemble(language, Weights::from_file(&files.tower)?)?)
}
