//! A prompt as it stands in a reference's batch.

use candle_core::Tensor;
use ocellus_media::Grid;

/// A prompt of a reference's batch.
#[derive(Clone, Debug)]
pub struct ReferencePrompt {
    pub ids: Vec<u32>,
    /// `[n, patch_features]` and the grid of every picture.
    pub pictures: Vec<(Tensor, Grid)>,
    /// Places of padding before the first token.
    pub offset: usize,
}
