//! Pretraining: image-text matching, masked tokens, and word-patch alignment.

use candle_core::Tensor;
use ocellus_nn::Act;
use ocellus_nn::embeddings::rows;
use ocellus_nn::ops::activation::activate;

use super::Vilt;
use crate::error::ModelError;
use crate::learner::single_stream::SingleStream;
use crate::learner::{Learner, Objective};
use crate::model::Model;
use crate::states::{JointStates, States};
use crate::visual_input::{Texts, VisualInput};

impl Learner for Vilt {
    fn model(&self) -> &dyn Model {
        self
    }

    fn objective(&self) -> Objective<'_> {
        Objective::SingleStream(self)
    }
}

impl SingleStream for Vilt {
    fn encode(&self, visual: &VisualInput, texts: &Texts) -> Result<JointStates, ModelError> {
        let (pass, _) = Vilt::read(self, visual, texts)?;
        let words: Vec<usize> = texts.iter().map(|t| t.len()).collect();
        let seen = pass
            .joined
            .lengths
            .iter()
            .zip(&words)
            .map(|(all, words)| all - words);
        Ok(JointStates {
            visual: States {
                rows: rows(&pass.states, &pass.joined.picture)?,
                lengths: seen.collect(),
            },
            text: States {
                rows: rows(&pass.states, &pass.joined.text)?,
                lengths: words,
            },
        })
    }

    fn matching_logits(&self, joint: &JointStates) -> Result<Tensor, ModelError> {
        let head = self.head.matching();
        let head =
            head.ok_or_else(|| ModelError::input("the checkpoint", "a head that tells matches", "none"))?;
        let pooled = activate(&self.pooler.forward(&joint.text.firsts()?)?, Act::Tanh)?;
        Ok(head.forward(&pooled)?)
    }

    fn token_logits(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        self.head.scores(states)
    }

    /// Leaves out the first and last token of texts, and the class token of pictures.
    fn alignable(&self, joint: &JointStates) -> Result<(States, States), ModelError> {
        Ok((joint.text.trimmed(1, 1)?, joint.visual.trimmed(1, 0)?))
    }
}
