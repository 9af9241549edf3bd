//! What a use of a model will take, before any of it is loaded; and the refusal of what cannot end well.

use ocellus_base::limits::Limits;
use ocellus_engine::EngineOptions;
use ocellus_models::plan::{Plan, Shape};
use ocellus_models::{ConfigFile, Grid, quantisation};
use ocellus_processor::{PictureGeometry, PictureProcessor, PictureRecipe, PixelBounds, TextFiles};
use ocellus_weights::Weights;

use crate::error::SessionError;
use crate::needed::Needed;
use crate::storage::StorageDtype;

/// The expected use of a model.
#[derive(Debug, Clone)]
pub struct Usage {
    /// Width and height of the pictures of one request.
    pub pictures: Vec<(u32, u32)>,
    pub bounds: PixelBounds,
    /// Tokens of the prompt beside its pictures.
    pub text_tokens: u64,
    /// Tokens of the answer.
    pub new_tokens: u64,
    /// Requests that run at once, each with its own prompt.
    pub streams: u64,
    /// Answers of one request that are followed side by side; they share its prompt.
    pub beams: u64,
}

/// For an unknown use: a picture of a page and an answer of some length.
impl Default for Usage {
    fn default() -> Self {
        Self {
            pictures: vec![(1280, 960)],
            bounds: PixelBounds::default(),
            text_tokens: 64,
            new_tokens: 1024,
            streams: 1,
            beams: 1,
        }
    }
}

impl Usage {
    /// Pictures of these files, upright. One whose size cannot be read counts 0: decoding it reports the error.
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

/// Memory that a page takes while a line reader reads it, beside what the model needs of it: the picture, its ink and its strips,
/// generously.
pub const PAGE_BYTES: u64 = 256 << 20;

/// The memory that a use of a model takes, and what that was computed from.
pub struct MemoryEstimate {
    pub shape: Shape,
    /// The pictures as the vision tower sees them.
    pub pictures: Vec<PictureGeometry>,
    /// Pictures, text and answer of one request.
    pub context_tokens: u64,
    pub plan: Plan,
    /// What each page takes beside it that is read line by line; `None` for models that read whole pages.
    pub page_bytes: Option<u64>,
}

impl MemoryEstimate {
    /// Estimates from the texts of a checkpoint. `None` = the family has no memory estimate from its config.
    ///
    /// # Errors
    /// A config or a recipe that cannot be used.
    pub fn new(
        files: &TextFiles,
        config: &ConfigFile,
        usage: &Usage,
        storage: &StorageDtype,
    ) -> Result<Option<Self>, SessionError> {
        let family = ocellus_models::find(config)?;
        let Some(shape) = family.shape else {
            return Ok(None);
        };
        quantisation::scheme(config, family.id)?;
        let shape = shape(config)?;
        let processor = PictureProcessor::of_shape(files, &shape)?;
        let sizes = match processor.recipe() {
            PictureRecipe::Regions { .. } => &[][..],
            _ => &usage.pictures[..],
        };
        let pictures = sizes.iter().map(|size| processor.geometry(*size, usage.bounds));
        let pictures: Vec<PictureGeometry> = pictures.collect::<Result<_, _>>()?;
        let image_tokens: usize = pictures.iter().map(|picture| picture.tokens).sum();
        let context_tokens = image_tokens as u64 + usage.text_tokens + usage.new_tokens;
        let grids: Vec<Grid> = pictures.iter().map(|picture| picture.grid).collect();
        let mut plan = shape.plan(&grids, context_tokens, &storage.widths, storage.kv_cache);
        let prompt = context_tokens - usage.new_tokens;
        let kept = usage
            .new_tokens
            .saturating_mul(usage.beams)
            .saturating_add(prompt);
        plan.cache_bytes = shape.cache_bytes(kept.saturating_mul(usage.streams), storage.kv_cache);
        // Pictures of requests whose prompts are read in one pass are encoded together.
        let together = EngineOptions::default().prefill_tokens_alone as u64 / prompt.max(1);
        let together = together.clamp(1, usage.streams.max(1));
        plan.vision_bytes = plan.vision_bytes.saturating_mul(together);
        plan.prefill_bytes = plan.prefill_bytes.saturating_mul(together);
        Ok(Some(Self {
            shape,
            pictures,
            context_tokens,
            plan,
            page_bytes: processor.reads_lines().then_some(PAGE_BYTES),
        }))
    }

    /// Visual tokens of the pictures in the prompt.
    pub fn image_tokens(&self) -> usize {
        self.pictures.iter().map(|picture| picture.tokens).sum()
    }

    /// Grids of the pictures as the vision tower sees them.
    pub fn grids(&self) -> Vec<Grid> {
        self.pictures.iter().map(|picture| picture.grid).collect()
    }
}

/// Refuses a model that does not fit into `available_bytes`: one clear sentence instead of an end by the system's hand.
///
/// For families without a memory estimate from the config, the weights alone count.
///
/// # Errors
/// [`SessionError::Memory`].
pub fn check(
    available_bytes: u64,
    (name, storage): (&str, &StorageDtype),
    (config, weights): (&ConfigFile, &Weights),
    files: &TextFiles,
    usage: &Usage,
) -> Result<(), SessionError> {
    // The loader reports a config or a recipe that cannot be used.
    let estimate = MemoryEstimate::new(files, config, usage, storage).ok().flatten();
    let elements = weights
        .names()
        .filter_map(|n| Some(weights.shape(n)?.iter().product::<usize>() as u64))
        .fold(0, u64::saturating_add);
    let needed = match estimate {
        // A config of another model than the weights: no element of a file holds more than eight weights. The loader reports it.
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
    check_needed(needed, name, storage.name, available_bytes)
}

/// Fails where less is available.
fn check_needed(
    needed: Needed,
    name: &str,
    storage: &'static str,
    available_bytes: u64,
) -> Result<(), SessionError> {
    if needed.total_bytes <= available_bytes {
        return Ok(());
    }
    Err(SessionError::Memory {
        name: name.to_owned(),
        storage,
        needed,
        available_bytes,
    })
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
        assert!(check_needed(alone, "m", "f32", 15_000_000_000).is_ok());
        for (needed, parts) in [
            (alone, "weights 15.0 GB"),
            (
                needed(14_000_000_000, Some((600_000_000, 400_000_000))),
                "weights 14.0 GB, keys and values 600.0 MB, work 400.0 MB",
            ),
        ] {
            let error = check_needed(needed, "org/model", "f32", 8_000_000_000).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("org/model in f32 needs 15.0 GB of memory ({parts}), and 8.0 GB are available")
            );
        }
    }
}
