//! A checkpoint's files, opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ocellus_hub::{Checkpoint, GgufFiles, Location, built_in};
use ocellus_models::families::gguf::{Assembled, assemble};
use ocellus_models::families::{self, arranged};
use ocellus_models::{find, quantisation};
use ocellus_processor::TextFiles;
use ocellus_text::{Template, Tokenizer};
use ocellus_weights::Weights;

use crate::adapter::{self, Adapter};
use crate::error::SessionError;

/// The mapped weights of a checkpoint and the texts beside them.
pub struct CheckpointFiles {
    pub texts: TextFiles,
    pub weights: Arc<Weights>,
    /// The adapter that the weights were changed by.
    pub adapter: Option<Adapter>,
    /// Tokenizer and template where no file of their own has them.
    made: Option<(Tokenizer, Option<Template>)>,
}

impl CheckpointFiles {
    /// Maps the weights; of a checkpoint without an adapter only headers are read.
    ///
    /// # Errors
    /// Weights that cannot be used, files in GGUF that do not belong together, an adapter that cannot be applied.
    pub fn open(checkpoint: &Checkpoint) -> Result<Self, SessionError> {
        let adapter = checkpoint.adapter.as_deref();
        Ok(match &checkpoint.location {
            Location::BuiltIn => Self {
                adapter: None,
                texts: TextFiles::BuiltIn,
                weights: Weights::from_static(built_in::file("model.safetensors").unwrap_or_default())?
                    .into(),
                made: None,
            },
            Location::Folder(folder) => {
                let (weights, adapter) = weights(folder, adapter)?;
                Self {
                    weights: weights.into(),
                    texts: TextFiles::Folder(folder.clone()),
                    adapter,
                    made: None,
                }
            }
            Location::Gguf(files) => {
                let made = open_gguf(files)?;
                let (weights, adapter) = adapter::applied(made.weights, adapter)?;
                Self {
                    adapter,
                    texts: texts_of([made.config, made.preprocessor, made.generation]),
                    weights: weights.into(),
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

/// The weights in a folder, under the names that its family asks for, and changed by the adapter in another, if there is one.
///
/// # Errors
/// Weights that cannot be used, a method of quantisation that is not computed, and an adapter that cannot be applied.
pub fn weights(folder: &Path, adapter: Option<&Path>) -> Result<(Weights, Option<Adapter>), SessionError> {
    let weights = Weights::open(folder)?;
    // Whoever loads the model reports a config that cannot be used.
    let config = TextFiles::Folder(folder.into()).config().ok();
    let config = config.and_then(|text| families::parse(&text).ok());
    let known = config.and_then(|config| Some((find(&config).ok()?, config)));
    let weights = match known {
        Some((family, config)) => arranged(family, weights, quantisation::scheme(&config, family.id)?)?,
        None => weights,
    };
    let (weights, applied) = adapter::applied(weights, adapter)?;
    let texts = TextFiles::Folder(folder.into());
    Ok((
        weights,
        applied.map(|applied| applied.with_texts_of(&texts)).transpose()?,
    ))
}

/// The texts that a checkpoint in GGUF stands for.
fn texts_of([config, preprocessor, generation]: [String; 3]) -> TextFiles {
    TextFiles::Made(BTreeMap::from([
        ("config.json", config),
        ("preprocessor_config.json", preprocessor),
        ("generation_config.json", generation),
    ]))
}

/// The texts of a checkpoint without its weights, where they can be had so.
///
/// # Errors
/// As [`CheckpointFiles::open`].
pub fn texts(location: &Location) -> Result<TextFiles, SessionError> {
    match location {
        Location::BuiltIn => Ok(TextFiles::BuiltIn),
        Location::Folder(folder) => Ok(TextFiles::Folder(folder.clone())),
        Location::Gguf(files) => {
            let made = open_gguf(files)?;
            Ok(texts_of([made.config, made.preprocessor, made.generation]))
        }
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
