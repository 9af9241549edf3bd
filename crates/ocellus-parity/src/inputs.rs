//! Inputs of the passes of a case: the model, the rows of its batch, the patches of its pictures.

use candle_core::Tensor;
use ocellus_models::Embeddings;
use ocellus_models::{Generator, Positions, Vlm};
use ocellus_nn::Taps;
use ocellus_nn::attention::Batch;

use crate::case::Case;
use crate::error::CaseError;
use crate::rows::{Pictures, Rows};

/// The patches of one kind of picture, `[n, features]`.
pub struct Patches {
    pub values: Vec<f32>,
    pub features: usize,
}

/// Inputs of both passes of a case: the one that encodes pictures separately, and the one through the engine.
pub struct Inputs {
    pub model: Generator,
    pub rows: Rows,
    pub positions: Vec<Positions>,
    pub images: Patches,
    pub videos: Patches,
}

/// Visual tokens of images and videos, in the order of their placeholders.
pub struct VisualTokens {
    pub images: Option<Embeddings>,
    pub videos: Option<Embeddings>,
}

impl Inputs {
    pub fn read(case: &Case, model: Generator) -> Result<Self, CaseError> {
        let facts = model.vlm().facts();
        let rows = Rows::read(case, facts)?;
        Ok(Self {
            positions: rows.positions(case, facts)?,
            images: patches(case, "pixel_values", &rows.images, facts.patch_features)?,
            videos: patches(case, "pixel_values_videos", &rows.videos, facts.patch_features)?,
            rows,
            model,
        })
    }
}

/// The patches of all pictures of one kind; none when the case has none.
fn patches(case: &Case, name: &str, pictures: &Pictures, features: usize) -> Result<Patches, CaseError> {
    let rows: usize = pictures.visions.iter().map(|v| v.grid.patches()).sum();
    if !case.has_input(name) && rows == 0 {
        return Ok(Patches {
            values: Vec::new(),
            features,
        });
    }
    let (shape, values) = case.floats(name, 2)?;
    match shape == [rows, features] {
        true => Ok(Patches { values, features }),
        false => Err(case.wrong_input(name, format!("[{rows}, {features}]"), format!("{shape:?}"))),
    }
}

/// Logits `[tokens, vocab]` of sequences of ids and positions, packed, without a cache.
pub fn logits(
    model: &dyn Vlm,
    sequences: &[(&[u32], &[[i64; 3]])],
    visual: &VisualTokens,
    taps: &mut Taps,
) -> Result<Tensor, CaseError> {
    let ids: Vec<u32> = sequences
        .iter()
        .flat_map(|(ids, _)| ids.iter().copied())
        .collect();
    let positions: Vec<[i64; 3]> = sequences.iter().flat_map(|(_, at)| at.iter().copied()).collect();
    let batch = Batch::of(sequences.iter().map(|(ids, _)| ids.len()).collect());
    let embeds = model.embed(&ids, visual.images.as_ref(), visual.videos.as_ref(), taps)?;
    let hidden = model.forward(&embeds, &positions, &batch, None, taps)?;
    Ok(model.logits(&hidden)?)
}
