//! What parity is measured on: a model that replays the reference forward pass.

use candle_core::Tensor;
use ocellus_media::Grid;
use ocellus_nn::Taps;

use super::given::Given;
use crate::error::ModelError;
use crate::model::Model;

/// A model that is called with its reference's own arguments.
pub trait Trace: Model {
    /// Computes everything that the reference computes from these arguments. Taps every stage under the reference's name, in the
    /// reference's padded shape, zero at padding.
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError>;

    /// The prompts that the arguments make for a generator, row by row.
    fn prompts(&self, _given: &Given) -> Result<Vec<ReferencePrompt>, ModelError> {
        Ok(Vec::new())
    }
}

/// A prompt of a reference's batch.
#[derive(Clone, Debug)]
pub struct ReferencePrompt {
    pub ids: Vec<u32>,
    /// `[n, patch_features]` and the grid of every picture.
    pub pictures: Vec<(Tensor, Grid)>,
    /// Places of padding before the first token.
    pub offset: usize,
}
