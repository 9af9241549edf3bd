//! What a use of a model will take, before any of it is loaded; and the refusal of what cannot end well.

use ocellus_base::limits::Limits;
use ocellus_media::{PixelRecipe, Recipe, smart_resize};
use ocellus_models::Grid;
use ocellus_models::VisualFormat;
use ocellus_models::plan::{Plan, Shape};
use ocellus_weights::Weights;

use crate::error::SessionError;
use crate::storage::StorageDtype;

/// What is about to be asked of a model.
#[derive(Debug, Clone)]
pub struct Usage {
    /// Width and height of the pictures of one request.
    pub pictures: Vec<(u32, u32)>,
    pub min_pixels: Option<u64>,
    pub max_pixels: Option<u64>,
    /// Tokens of the prompt beside its pictures.
    pub text_tokens: u64,
    /// Tokens of the answer.
    pub new_tokens: u64,
}

/// Where a caller cannot tell yet: a picture of a page and an answer of some length.
impl Default for Usage {
    fn default() -> Self {
        Self {
            pictures: vec![(1280, 960)],
            min_pixels: None,
            max_pixels: None,
            text_tokens: 64,
            new_tokens: 1024,
        }
    }
}

impl Usage {
    /// Pictures of these files. One whose size cannot be read counts nothing: whoever decodes it says what is wrong.
    pub fn of_files<'f>(files: impl IntoIterator<Item = &'f Vec<u8>>) -> Self {
        let limits = Limits::default();
        let sizes = files
            .into_iter()
            .filter_map(|bytes| ocellus_media::dimensions(bytes, &limits).ok());
        Self {
            pictures: sizes.collect(),
            ..Self::default()
        }
    }
}

/// The memory that a use of a model takes, and what that was computed from.
pub struct MemoryEstimate {
    pub shape: Shape,
    /// Grids of the pictures as the vision tower sees them.
    pub grids: Vec<Grid>,
    /// Pictures, text and answer.
    pub context_tokens: u64,
    pub plan: Plan,
}

impl MemoryEstimate {
    /// Estimates from the texts of a checkpoint: its config, and other files by name. `None` = the family's memory cannot be
    /// told from its config.
    ///
    /// # Errors
    /// A config or a recipe that cannot be used.
    pub fn new(
        config: &str,
        text: impl Fn(&str) -> Result<Option<String>, SessionError>,
        usage: &Usage,
        storage: &StorageDtype,
    ) -> Result<Option<Self>, SessionError> {
        let config = ocellus_models::families::parse(config)?;
        let Some(shape) = ocellus_models::find(&config)?.shape else {
            return Ok(None);
        };
        let shape = shape(&config)?;
        let grids = grids(&shape, text, usage)?;
        let image_tokens: usize = grids.iter().map(|grid| shape.facts.cells(grid)).sum();
        let context_tokens = image_tokens as u64 + usage.text_tokens + usage.new_tokens;
        let plan = shape.plan(&grids, context_tokens, &storage.widths, storage.kv_cache);
        Ok(Some(Self {
            shape,
            grids,
            context_tokens,
            plan,
        }))
    }
}

fn grids(
    shape: &Shape,
    text: impl Fn(&str) -> Result<Option<String>, SessionError>,
    usage: &Usage,
) -> Result<Vec<Grid>, SessionError> {
    let facts = &shape.facts;
    let preprocessor = text("preprocessor_config.json")?;
    let cut = |(height, width): (u32, u32), patch: u32| Grid {
        t: 1,
        h: (height / patch.max(1)) as usize,
        w: (width / patch.max(1)) as usize,
    };
    let pictures = usage.pictures.iter();
    match &shape.input {
        VisualFormat::VisualTokens => {
            let recipe = match preprocessor {
                Some(text) => Recipe::from_json(&text)?,
                None => Recipe {
                    patch_size: facts.patch_size as u32,
                    merge_size: facts.merge as u32,
                    ..Recipe::default()
                },
            };
            let min = usage.min_pixels.unwrap_or(recipe.min_pixels);
            let max = usage.max_pixels.unwrap_or(recipe.max_pixels);
            pictures
                .map(|&(width, height)| {
                    let target = smart_resize(height, width, recipe.factor(), min, max)?;
                    Ok(cut(target, recipe.patch_size))
                })
                .collect()
        }
        VisualFormat::Planes(default) => {
            let params = text("params.json")?;
            let recipe = planes(default.clone(), preprocessor.as_deref(), params.as_deref())?;
            pictures
                .map(|&(width, height)| Ok(cut(recipe.size(height, width)?, facts.patch_size as u32)))
                .collect()
        }
        VisualFormat::Regions { .. } => Ok(Vec::new()),
    }
}

/// The recipe of planes with what the checkpoint's files change in it.
///
/// # Errors
/// A file that asks for what is not computed.
pub fn planes(
    default: PixelRecipe,
    preprocessor: Option<&str>,
    params: Option<&str>,
) -> Result<PixelRecipe, SessionError> {
    Ok(match (preprocessor, params) {
        (Some(text), _) => PixelRecipe::from_json(text, default)?,
        (None, Some(text)) => PixelRecipe::from_params(text, default)?,
        (None, None) => default,
    })
}

/// Refuses a model that does not fit into `available_bytes`: one clear sentence instead of an end by the system's hand.
///
/// Of families whose memory cannot be told from the config, the weights alone count.
///
/// # Errors
/// [`SessionError::Memory`].
pub fn check(
    available_bytes: u64,
    (name, storage): (&str, &StorageDtype),
    (config, weights): (&str, &Weights),
    text: impl Fn(&str) -> Result<Option<String>, SessionError>,
    usage: &Usage,
) -> Result<(), SessionError> {
    // A config or a recipe that cannot be used is for the loader to speak about.
    let estimate = MemoryEstimate::new(config, text, usage, storage).ok().flatten();
    let elements = weights
        .names()
        .filter_map(|n| Some(weights.view(n).ok()?.elements() as u64))
        .fold(0, u64::saturating_add);
    let needed = match estimate {
        // A config of another model than the weights: no element of a file holds more than eight weights. The loader says which.
        Some(MemoryEstimate { shape, .. })
            if shape
                .vision_parameters()
                .saturating_add(shape.decoder_parameters())
                / 8
                > elements =>
        {
            return Ok(());
        }
        Some(MemoryEstimate { plan, .. }) => Needed {
            total_bytes: plan.total_bytes(),
            weights_bytes: plan.weights_bytes,
            others: Some((plan.cache_bytes, plan.vision_bytes.max(plan.prefill_bytes))),
        },
        None => {
            let bytes = storage.widths.layers.bytes(elements);
            Needed {
                total_bytes: bytes,
                weights_bytes: bytes,
                others: None,
            }
        }
    };
    needed.check(name, storage.name, available_bytes)
}

/// What does not fit, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    pub total_bytes: u64,
    pub weights_bytes: u64,
    /// The KV cache, and the largest intermediate results; where they can be told.
    pub others: Option<(u64, u64)>,
}

impl Needed {
    fn check(self, name: &str, storage: &'static str, available_bytes: u64) -> Result<(), SessionError> {
        if self.total_bytes <= available_bytes {
            return Ok(());
        }
        Err(SessionError::Memory {
            name: name.to_owned(),
            storage,
            needed: self,
            available_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_passes_and_what_does_not_is_refused_with_its_parts() {
        let needed = |weights_bytes, others| Needed {
            total_bytes: 15_000_000_000,
            weights_bytes,
            others,
        };
        let alone = needed(15_000_000_000, None);
        assert!(alone.check("m", "f32", 15_000_000_000).is_ok());
        for (needed, parts) in [
            (alone, "weights 15.0 GB"),
            (
                needed(14_000_000_000, Some((600_000_000, 400_000_000))),
                "weights 14.0 GB, keys and values 600.0 MB, work 400.0 MB",
            ),
        ] {
            let error = needed.check("org/model", "f32", 8_000_000_000).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("org/model in f32 needs 15.0 GB of memory ({parts}), and 8.0 GB are available")
            );
        }
    }
}
