//! Models as they circulate in GGUF: the language model in one file (or its shards), the vision tower in another one beside it.
//!
//! Such files name tensors in their own way, order some of them differently, and keep sizes, vocabulary and template in their
//! metadata. What stands here undoes that: it gives the tensors the names that families load, and makes of the metadata the
//! config and the preprocessing that families read, so that no family knows where its checkpoint came from.
//!
//! Three things that configs hold have no place in these files and are the published models': the window of a windowed tower
//! (112 px), the seconds that a step in time stands for, and the bounds of a picture's area.

use ocellus_text::{Template, TextError, Tokenizer};
use ocellus_weights::{Recipe, Weights, WeightsError};
use serde_json::Value;
use std::collections::BTreeMap;

mod keys;
mod llava;
mod names;
mod qwen;
#[cfg(test)]
mod tests;
mod vocabulary;

use keys::Keys;

/// Why files in GGUF could not be made into a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("{file}: {source}")]
    Text {
        file: String,
        #[source]
        source: TextError,
    },
    #[error("{name} holds no GGUF metadata")]
    NoMetadata { name: String },
    #[error("{file}: the metadata `{key}` are missing")]
    Missing { file: String, key: String },
    #[error("{file}: the metadata `{key}` are {found}, expected {expected}")]
    Value {
        file: String,
        key: String,
        expected: String,
        found: String,
    },
    #[error("{file}: the metadata `{key}` are not known for `{kind}` and may change the computation")]
    Unread { file: String, key: String, kind: String },
    #[error("{file} holds a vision tower, not a language model")]
    TowerAlone { file: String },
    #[error("{file} holds no vision tower, but `{found}`")]
    NoTower { file: String, found: String },
    #[error(
        "no family reads the language model `{language}` with the vision tower `{tower}`; known: {known}"
    )]
    Kind {
        language: String,
        tower: String,
        known: String,
    },
    #[error("{file}: tensor `{tensor}` {reason}")]
    Tensor {
        file: String,
        tensor: String,
        reason: String,
    },
}

/// A checkpoint in the form that families read.
pub struct Assembled {
    /// `config.json`.
    pub config: String,
    /// `preprocessor_config.json`.
    pub preprocessor: String,
    /// `generation_config.json`.
    pub generation: String,
    pub tokenizer: Tokenizer,
    pub template: Option<Template>,
    /// All tensors under the names that the family loads.
    pub weights: Weights,
}

/// What a kind of model makes of its two files.
struct Parts {
    config: Value,
    preprocessor: Value,
    recipes: BTreeMap<String, Recipe>,
    /// Tensors of which the other file holds the same.
    copies: &'static [&'static str],
}

/// The two files, and what their metadata say.
struct Files<'a> {
    words: Keys<'a>,
    eyes: Keys<'a>,
    /// The tensors of both.
    tensors: &'a Weights,
    tokens: &'a Tokenizer,
}

/// Name of the language model, name of the vision tower, and how the two are read.
type Kind = (
    &'static str,
    &'static str,
    fn(&Files<'_>) -> Result<Parts, GgufError>,
);

const KINDS: &[Kind] = &[
    ("qwen2vl", "qwen2vl_merger", qwen::second),
    ("qwen2vl", "qwen2.5vl_merger", qwen::second_and_a_half),
    ("qwen3vl", "qwen3vl_merger", qwen::third),
    ("llama", "pixtral", llava::read),
];

const ARCHITECTURE: &str = "general.architecture";
/// The architecture that every vision tower states.
const TOWER: &str = "clip";

/// Puts a checkpoint together from the language model and the vision tower.
pub fn assemble(language: Weights, tower: Weights) -> Result<Assembled, GgufError> {
    let metadata = |weights: &Weights| {
        let name = weights.name().to_owned();
        weights.gguf().cloned().ok_or(GgufError::NoMetadata { name })
    };
    let (language_metadata, tower_metadata) = (metadata(&language)?, metadata(&tower)?);
    let (words, eyes) = (Keys::new(&language_metadata), Keys::new(&tower_metadata));
    let (architecture, kind) = kind(&words, &eyes)?;
    let tensors = language.joined(tower)?;
    let vocabulary = vocabulary::read(&words)?;
    let files = Files {
        words,
        eyes,
        tensors: &tensors,
        tokens: &vocabulary.tokenizer,
    };
    let parts = (kind.2)(&files)?;
    files.words.finish(architecture)?;
    files.eyes.finish(TOWER)?;
    let weights = tensors.without(|name| parts.copies.contains(&name));
    Ok(Assembled {
        config: parts.config.to_string(),
        preprocessor: parts.preprocessor.to_string(),
        generation: vocabulary.generation.to_string(),
        tokenizer: vocabulary.tokenizer,
        template: vocabulary.template,
        weights: weights.rebuilt(parts.recipes)?,
    })
}

/// The name of the language model, and how it is read with this tower.
fn kind<'a>(words: &Keys<'a>, eyes: &Keys<'a>) -> Result<(&'a str, &'static Kind), GgufError> {
    let (architecture, other) = (words.text(ARCHITECTURE)?, eyes.text(ARCHITECTURE)?);
    if architecture == TOWER {
        return Err(GgufError::TowerAlone { file: words.file() });
    }
    if other != TOWER {
        let (file, found) = (eyes.file(), other.to_owned());
        return Err(GgufError::NoTower { file, found });
    }
    let projector = match eyes.text_or("clip.projector_type")? {
        Some(name) => name,
        None => eyes.text("clip.vision.projector_type")?,
    };
    let known = || {
        let pairs = KINDS.iter().map(|kind| format!("{} with {}", kind.0, kind.1));
        pairs.collect::<Vec<_>>().join(", ")
    };
    let fits = |kind: &&Kind| (kind.0, kind.1) == (architecture, projector);
    match KINDS.iter().find(fits) {
        Some(kind) => Ok((architecture, kind)),
        None => Err(GgufError::Kind {
            language: architecture.to_owned(),
            tower: projector.to_owned(),
            known: known(),
        }),
    }
}
