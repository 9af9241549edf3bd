//! Pretraining: matches, words, and patches that words are carried to.

use candle_core::Tensor;
use ocellus_nn::Act;
use ocellus_nn::embeddings::rows;
use ocellus_nn::ops::activation::activate;

use super::Vilt;
use crate::fusion::States;
use crate::model::{Sight, Texts};
use crate::single_stream::{JointStates, SingleStream};
use crate::vlm::ModelError;

impl SingleStream for Vilt {
    fn read(&self, sight: &Sight, texts: &Texts) -> Result<JointStates, ModelError> {
        let (pass, _) = Vilt::read(self, sight, texts)?;
        let words: Vec<usize> = texts.iter().map(|t| t.len()).collect();
        let seen = pass
            .joined
            .lengths
            .iter()
            .zip(&words)
            .map(|(all, words)| all - words);
        Ok(JointStates {
            seen: States {
                rows: rows(&pass.states, &pass.joined.picture)?,
                lengths: seen.collect(),
            },
            words: States {
                rows: rows(&pass.states, &pass.joined.text)?,
                lengths: words,
            },
        })
    }

    fn matches(&self, joint: &JointStates) -> Result<Tensor, ModelError> {
        let head = self.head.matching();
        let head =
            head.ok_or_else(|| ModelError::input("the checkpoint", "a head that tells matches", "none"))?;
        let pooled = activate(&self.pooler.forward(&joint.words.firsts()?)?, Act::Tanh)?;
        Ok(head.forward(&pooled)?)
    }

    fn words(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        self.head.scores(states)
    }

    /// Without the first and last token of texts, and without the class token of pictures.
    fn alignable(&self, joint: &JointStates) -> Result<(States, States), ModelError> {
        Ok((joint.words.trimmed(1, 1)?, joint.seen.trimmed(1, 0)?))
    }
}
