//! The parity interface: a model that replays the reference forward pass.

use ocellus_nn::Taps;

use super::given::Given;
use super::prompt::ReferencePrompt;
use super::prompts;
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::model::Model;
use crate::vlm::PrefillInput;

/// A model that can be called with its reference's own arguments.
pub trait Trace: Model {
    /// Computes what the reference computes from these arguments. Taps have the reference's names and padded shapes, with zeros
    /// at padding.
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError>;

    /// For generators: the prompts in the arguments, row by row.
    fn prompts(&self, _given: &Given) -> Result<Vec<ReferencePrompt>, ModelError> {
        Ok(Vec::new())
    }

    /// For generators: the decoder input of these prompts, whose pictures are encoded in `images`. Models whose positions count
    /// the reference's padding override it.
    fn padded_input(
        &self,
        prompts: &[ReferencePrompt],
        images: Option<&Embeddings>,
        taps: &mut Taps,
    ) -> Result<PrefillInput, ModelError> {
        match self.generator() {
            Some(vlm) => prompts::prefill_input(vlm, prompts, images, taps),
            None => Err(ModelError::input(
                "the model",
                "one that continues text",
                "another",
            )),
        }
    }
}
