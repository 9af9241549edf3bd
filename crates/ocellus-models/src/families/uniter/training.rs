//! Pretraining: matches, words, and regions that words are carried to.

use candle_core::Tensor;

use super::Uniter;
use crate::families::regions::pick;
use crate::fusion::States;
use crate::model::{Sight, Texts};
use crate::single_stream::{JointStates, SingleStream};
use crate::vlm::ModelError;

impl SingleStream for Uniter {
    fn read(&self, sight: &Sight, texts: &Texts) -> Result<JointStates, ModelError> {
        let joint = self.pair(sight, texts, None)?;
        let words: Vec<usize> = texts.iter().map(|t| t.len()).collect();
        let seen = joint.lengths.iter().zip(&words).map(|(all, words)| all - words);
        Ok(JointStates {
            seen: States {
                rows: pick(&joint.states, &joint.regions)?,
                lengths: seen.collect(),
            },
            words: States {
                rows: pick(&joint.states, &joint.words)?,
                lengths: words,
            },
        })
    }

    fn matches(&self, joint: &JointStates) -> Result<Tensor, ModelError> {
        let first = joint.words.firsts()?;
        Ok(self.heads()?.matching.forward(&self.pool(&first)?)?)
    }

    fn words(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.heads()?.words.forward(states)?)
    }
}
