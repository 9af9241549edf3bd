//! What training asks of a model that reads a text and what is seen beside it in one sequence of layers (Kim et al. 2021,
//! section 3; Chen et al. 2020, section 3).

use candle_core::Tensor;

use crate::fusion::States;
use crate::model::{Sight, Texts};
use crate::vlm::ModelError;

/// Texts and what is seen, after they were read together.
#[derive(Clone)]
pub struct JointStates {
    pub words: States,
    /// Patches or regions, and tokens that stand for a whole picture where a model has them.
    pub seen: States,
}

/// A model whose layers see words and pictures at once.
pub trait SingleStream {
    /// Text `i` with picture `i`.
    fn read(&self, sight: &Sight, texts: &Texts) -> Result<JointStates, ModelError>;

    /// Scores of no match and of a match, `[pairs, 2]`.
    fn matches(&self, joint: &JointStates) -> Result<Tensor, ModelError>;

    /// Rows of the words' states → scores of words, `[rows, vocab]`.
    fn words(&self, states: &Tensor) -> Result<Tensor, ModelError>;

    /// What an alignment carries: words, and the parts of pictures that they may name. Tokens that stand for a whole text or
    /// picture are left out by models that were trained so.
    fn alignable(&self, joint: &JointStates) -> Result<(States, States), ModelError> {
        Ok((joint.words.clone(), joint.seen.clone()))
    }
}
