//! Combines the two files into one checkpoint.

use ocellus_text::{Template, Tokenizer};
use ocellus_weights::Weights;

use super::error::GgufError;
use super::keys::Keys;
use super::parts::{ARCHITECTURE, Files, Parts};
use super::{llava, qwen, vocabulary};

/// A checkpoint as families read it.
pub struct Assembled {
    /// `config.json`.
    pub config: String,
    /// `preprocessor_config.json`.
    pub preprocessor: String,
    /// `generation_config.json`.
    pub generation: String,
    pub tokenizer: Tokenizer,
    pub template: Option<Template>,
    /// All tensors, under the names that the family loads.
    pub weights: Weights,
}

/// Architecture name of the language model, kind of the vision tower, and the function that reads the pair.
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

/// The architecture name of every vision tower file.
const TOWER: &str = "clip";

/// Combines the language model and the vision tower into one checkpoint.
pub fn assemble(language: Weights, tower: Weights) -> Result<Assembled, GgufError> {
    let metadata = |weights: &Weights| {
        let name = weights.name().to_owned();
        weights.gguf().cloned().ok_or(GgufError::NoMetadata { name })
    };
    let (language_metadata, tower_metadata) = (metadata(&language)?, metadata(&tower)?);
    let (language_keys, tower_keys) = (Keys::new(&language_metadata), Keys::new(&tower_metadata));
    let (architecture, kind) = kind(&language_keys, &tower_keys)?;
    let tensors = language.joined(tower)?;
    let vocabulary = vocabulary::read(&language_keys)?;
    let files = Files {
        language_keys,
        tower_keys,
        tensors: &tensors,
        tokens: &vocabulary.tokenizer,
    };
    let parts = (kind.2)(&files)?;
    files.language_keys.finish(architecture)?;
    files.tower_keys.finish(TOWER)?;
    let weights = tensors.without(|name| parts.copies.contains(&name));
    Ok(Assembled {
        config: parts.config.to_string(),
        preprocessor: parts.preprocessor.to_string(),
        generation: vocabulary.generation.to_string(),
        tokenizer: vocabulary.tokenizer,
        template: vocabulary.template,
        weights: weights.rebuilt(parts.assemblies)?,
    })
}

/// The architecture name of the language model, and how it is read together with this tower.
fn kind<'a>(language_keys: &Keys<'a>, tower_keys: &Keys<'a>) -> Result<(&'a str, &'static Kind), GgufError> {
    let (architecture, other) = (language_keys.text(ARCHITECTURE)?, tower_keys.text(ARCHITECTURE)?);
    if architecture == TOWER {
        return Err(GgufError::TowerAlone {
            file: language_keys.file(),
        });
    }
    if other != TOWER {
        let (file, found) = (tower_keys.file(), other.to_owned());
        return Err(GgufError::NoTower { file, found });
    }
    let projector = match tower_keys.text_or("clip.projector_type")? {
        Some(name) => name,
        None => tower_keys.text("clip.vision.projector_type")?,
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
