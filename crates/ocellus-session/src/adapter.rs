//! The adapter of a checkpoint: read, applied, and told about.

use std::path::{Path, PathBuf};

use ocellus_hub::adapter;
use ocellus_models::adapter::{Adapted, apply};
use ocellus_processor::TextFiles;
use ocellus_weights::Weights;
use serde_json::Value;

use crate::error::SessionError;

/// An adapter that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    pub folder: PathBuf,
    /// Matrices that products are added to.
    pub matrices: usize,
    /// Tensors that took the place of the base's.
    pub replaced: usize,
    /// The smallest and the largest rank.
    pub ranks: Option<(usize, usize)>,
    /// Whether the output head is a matrix of its own now, and shared the table of tokens in the base.
    pub untied: bool,
    /// What a user should know of it, in sentences.
    pub warnings: Vec<String>,
}

/// The weights changed by the adapter in a folder, if one is given.
///
/// # Errors
/// An adapter that cannot be read or applied.
pub(crate) fn applied(
    weights: Weights,
    folder: Option<&Path>,
) -> Result<(Weights, Option<Adapter>), SessionError> {
    let Some(folder) = folder else {
        return Ok((weights, None));
    };
    let about = |error: SessionError| error.about(&folder.display().to_string());
    let config = TextFiles::Folder(folder.into()).text("adapter_config.json")?;
    let tensors = Weights::from_file(adapter::weights(folder)?)?;
    let adapted = apply(weights, &config.unwrap_or_default(), tensors);
    let Adapted {
        weights,
        warnings,
        matrices,
        replaced,
        ranks,
        untied,
    } = adapted.map_err(|error| about(error.into()))?;
    let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let others = adapter::below(folder);
    if !others.is_empty() {
        let (place, others) = (folder.display(), others.join(", "));
        warnings.push(format!(
            "{place} holds further adapters, which are not applied: {others}"
        ));
    }
    let applied = Adapter {
        folder: folder.into(),
        matrices,
        replaced,
        ranks,
        untied,
        warnings,
    };
    Ok((weights, Some(applied)))
}

impl Adapter {
    /// The same with what is to say of the text files beside it, which are not read: those of its base are.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub(crate) fn with_texts_of(mut self, base: &TextFiles) -> Result<Self, SessionError> {
        let own = TextFiles::Folder(self.folder.clone());
        let mut say = |file: &str, what: &str| {
            let place = self.folder.join(file);
            let warning = format!(
                "{}: {what} other than those of its base are not read",
                place.display()
            );
            self.warnings.push(warning);
        };
        for file in ["chat_template.jinja", "chat_template.json"] {
            if let (Some(own), Some(base)) = (own.text(file)?, base.text(file)?)
                && own.trim() != base.trim()
            {
                say(file, "chat templates");
            }
        }
        let tokens = |files: &TextFiles| -> Result<Option<Value>, SessionError> {
            let tokenizer = files.json("tokenizer.json")?;
            Ok(tokenizer.and_then(|tokenizer| Some(tokenizer.get("added_tokens")?.clone())))
        };
        if let (Some(own), Some(base)) = (tokens(&own)?, tokens(base)?)
            && own != base
        {
            say("tokenizer.json", "tokens");
        }
        Ok(self)
    }
}
