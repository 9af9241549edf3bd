//! Single-stream models, which encode a text and its picture in one sequence of layers (Kim et al. 2021, section 3; Chen et al.
//! 2020, section 3).

use candle_core::Tensor;

use crate::error::ModelError;
use crate::states::{JointStates, States};
use crate::visual_input::{Texts, VisualInput};

/// A model whose layers attend to words and pictures at once.
pub trait SingleStream {
    /// Encodes text `i` with picture `i` in one sequence.
    fn encode(&self, visual: &VisualInput, texts: &Texts) -> Result<JointStates, ModelError>;

    /// Image-text matching logits (no match, match), `[pairs, 2]`.
    fn matching_logits(&self, joint: &JointStates) -> Result<Tensor, ModelError>;

    /// MLM logits from states of text tokens, `[rows, vocab]`.
    fn token_logits(&self, states: &Tensor) -> Result<Tensor, ModelError>;

    /// The states that word-region alignment compares: text tokens, and patches or regions. Models that were trained so leave out
    /// tokens that stand for a whole text or picture.
    fn alignable(&self, joint: &JointStates) -> Result<(States, States), ModelError> {
        Ok((joint.text.clone(), joint.visual.clone()))
    }
}
