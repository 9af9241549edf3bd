//! What parity is measured on: a model that replays the reference forward pass.

use ocellus_nn::Taps;

use super::given::Given;
use super::prompt::ReferencePrompt;
use super::prompts;
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::model::Model;
use crate::vlm::PrefillInput;

/// A model that is called with its reference's own arguments.
pub trait Trace: Model {
    /// Computes everything that the reference computes from these arguments. Taps every stage under the reference's name, in the
    /// reference's padded shape, zero at padding.
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError>;

    /// The prompts that the arguments make for a generator, row by row.
    fn prompts(&self, _given: &Given) -> Result<Vec<ReferencePrompt>, ModelError> {
        Ok(Vec::new())
    }

    /// What the decoder of a generator reads of these prompts, whose pictures are encoded in `images`. Models whose positions count the
    /// padding of the reference add it here.
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
