//! A checkpoint's image preprocessing, from its files.

use ocellus_media::{PixelRecipe, Recipe};
use ocellus_models::{Facts, VisualFormat};
use serde_json::Value;

use crate::error::{ProcessorError, Result};
use crate::text_files::TextFiles;

/// How pictures become a model's input.
#[derive(Debug, Clone, PartialEq)]
pub enum PictureRecipe {
    /// Resized to an area within bounds and cut into patches.
    Patches(Recipe),
    /// One line of print, scaled to the height of one visual token.
    Strip(Recipe),
    /// Resized and normalised as planes, then cut into patches.
    Planes(PixelRecipe),
    /// No pictures; regions from a detector.
    Regions {
        /// Width of a region's feature vector.
        width: usize,
    },
}

impl PictureRecipe {
    /// Reads `preprocessor_config.json`, else the part of `processor_config.json` that newer library versions write instead, else
    /// `params.json`; what none of them says is the family's.
    ///
    /// # Errors
    /// A file that cannot be read, asks for what is not computed, or does not belong to the config.
    pub fn read(files: &TextFiles, format: &VisualFormat, facts: &Facts) -> Result<Self> {
        Ok(match format {
            VisualFormat::VisualTokens => {
                let recipe = patches(files, facts)?;
                match reads_lines(files)? {
                    true => Self::Strip(recipe),
                    false => Self::Patches(recipe),
                }
            }
            VisualFormat::Planes(default) => Self::Planes(planes(files, default.clone())?),
            VisualFormat::Regions { width } => Self::Regions { width: *width },
        })
    }
}

/// Whether the model reads one line of print at a time, as `ocellus.json` says.
fn reads_lines(files: &TextFiles) -> Result<bool> {
    let own = files.json("ocellus.json")?;
    let reads = own.as_ref().and_then(|own| own.get("reads")?.as_str());
    Ok(reads == Some("lines"))
}

fn patches(files: &TextFiles, facts: &Facts) -> Result<Recipe> {
    let text = match files.text("preprocessor_config.json")? {
        Some(text) => Some(text),
        None => files
            .json("processor_config.json")?
            .and_then(|processor| processor.get("image_processor").map(Value::to_string)),
    };
    let recipe = match text {
        Some(text) => Recipe::from_json(&text)?,
        None => Recipe {
            patch_size: facts.patch_size as u32,
            merge_size: facts.merge as u32,
            temporal_patch_size: facts.temporal_patch_size as u32,
            ..Recipe::default()
        },
    };
    let found = (recipe.features(), recipe.merge_size as usize);
    let expected = (facts.patch_features, facts.merge);
    match found == expected {
        true => Ok(recipe),
        false => Err(ProcessorError::Patches { found, expected }),
    }
}

fn planes(files: &TextFiles, default: PixelRecipe) -> Result<PixelRecipe> {
    if let Some(text) = files.text("preprocessor_config.json")? {
        return Ok(PixelRecipe::from_json(&text, default)?);
    }
    match files.text("params.json")? {
        Some(text) => Ok(PixelRecipe::from_params(&text, default)?),
        None => Ok(default),
    }
}
