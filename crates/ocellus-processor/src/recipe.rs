//! A checkpoint's image preprocessing, from its files.

use ocellus_media::{PixelRecipe, Recipe};
use ocellus_models::{Facts, VisualFormat};
use serde_json::Value;

use crate::error::{ProcessorError, Result};
use crate::places::{self, Part};
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
    /// Reads the part about pictures, else `params.json`; what neither says is the family's. Fields that nothing knows are told in
    /// `warnings`.
    ///
    /// # Errors
    /// A file that cannot be read, asks for what is not computed, or does not belong to the config.
    pub fn read(
        files: &TextFiles,
        format: &VisualFormat,
        facts: &Facts,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let found = places::find(files, Part::Pictures)?;
        let mut unknown = Vec::new();
        let recipe = match format {
            VisualFormat::VisualTokens(default) => {
                let recipe = patches(found.as_ref(), default, facts, &mut unknown)?;
                match reads_lines(files)? {
                    true => Self::Strip(recipe),
                    false => Self::Patches(recipe),
                }
            }
            VisualFormat::Planes(default) => {
                Self::Planes(planes(files, found.as_ref(), default.clone(), &mut unknown)?)
            }
            VisualFormat::Regions { width } => Self::Regions { width: *width },
        };
        let file = found.map_or("", |found| found.0);
        let warned =
            |field| format!("{file}: the field `{field}` is not known, and pictures are prepared without it");
        warnings.extend(unknown.into_iter().map(warned));
        Ok(recipe)
    }
}

/// A file and what stands in it.
type Found = (&'static str, Value);

/// Whether the model reads one line of print at a time, as `ocellus.json` says.
fn reads_lines(files: &TextFiles) -> Result<bool> {
    let own = files.json("ocellus.json")?;
    let reads = own.as_ref().and_then(|own| own.get("reads")?.as_str());
    Ok(reads == Some("lines"))
}

fn patches(
    found: Option<&Found>,
    default: &Recipe,
    facts: &Facts,
    unknown: &mut Vec<String>,
) -> Result<Recipe> {
    let recipe = match found {
        Some((_, value)) => Recipe::read(&value.to_string(), default.clone(), unknown)?,
        None => Recipe {
            patch_size: facts.patch_size as u32,
            merge_size: facts.merge as u32,
            temporal_patch_size: facts.temporal_patch_size as u32,
            ..default.clone()
        },
    };
    let found = (recipe.features(), recipe.merge_size as usize);
    let expected = (facts.patch_features, facts.merge);
    match found == expected {
        true => Ok(recipe),
        false => Err(ProcessorError::Patches { found, expected }),
    }
}

fn planes(
    files: &TextFiles,
    found: Option<&Found>,
    default: PixelRecipe,
    unknown: &mut Vec<String>,
) -> Result<PixelRecipe> {
    if let Some((_, value)) = found {
        return Ok(PixelRecipe::read(&value.to_string(), default, unknown)?);
    }
    match files.text("params.json")? {
        Some(text) => Ok(PixelRecipe::from_params(&text, default)?),
        None => Ok(default),
    }
}
