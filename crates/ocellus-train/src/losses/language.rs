//! The language loss of a packed sequence: each example's next tokens, attention closed inside the example.

use candle_core::Tensor;
use ocellus_models::{Grid, ModelError, Vlm};
use ocellus_nn::Taps;
use ocellus_nn::attention::Batch;
use ocellus_nn::ops::loss::{IGNORE, cross_entropy};
use std::sync::Arc;

/// Pictures or videos of a sequence: patches `[n, patch_features]` of all, and a grid for each.
pub struct Pictures<'a> {
    pub patches: &'a Tensor,
    pub grids: &'a [Grid],
}

/// A packed sequence of token ids with its images and videos, each kind in the order of its tokens.
pub struct Sequence<'a> {
    pub images: Option<Pictures<'a>>,
    pub videos: Option<Pictures<'a>>,
    pub ids: &'a [u32],
    pub positions: &'a [[i64; 3]],
    pub lengths: &'a [usize],
}

/// Sum of the cross-entropies of `targets` (one a token, [`IGNORE`] for none). The head runs on the graded rows alone.
pub fn language(
    model: &dyn Vlm,
    sequence: &Sequence,
    targets: &[u32],
    taps: &mut Taps,
) -> Result<Tensor, ModelError> {
    let mut encode = |pictures: &Option<Pictures>| match pictures {
        Some(Pictures { patches, grids }) => model.encode(patches, grids, taps).map(Some),
        None => Ok(None),
    };
    let (images, videos) = (encode(&sequence.images)?, encode(&sequence.videos)?);
    let embeds = model.embed(sequence.ids, images.as_ref(), videos.as_ref(), taps)?;
    let batch = Batch::of(sequence.lengths.to_vec());
    let hidden = model.forward(&embeds, sequence.positions, &batch, None, taps)?;
    let (rows, wanted): (Vec<u32>, Vec<u32>) = (0u32..)
        .zip(targets)
        .filter(|(_, t)| **t != IGNORE)
        .map(|(i, t)| (i, *t))
        .unzip();
    let rows = Tensor::from_slice(&rows, rows.len(), hidden.device())?;
    let logits = model.logits(&hidden.index_select(&rows, 0)?)?;
    let wanted: Arc<[u32]> = wanted.into();
    Ok(cross_entropy(&logits, &wanted)?)
}
