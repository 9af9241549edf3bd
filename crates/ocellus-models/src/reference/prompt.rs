//! A prompt in a reference's padded batch.

use candle_core::Tensor;
use ocellus_media::Grid;

/// A prompt of a reference's batch.
#[derive(Clone, Debug)]
pub struct ReferencePrompt {
    pub ids: Vec<u32>,
    /// The patches `[n, patch_features]` and the grid of every picture.
    pub pictures: Vec<(Tensor, Grid)>,
    /// Padding positions before the first token.
    pub offset: usize,
}
