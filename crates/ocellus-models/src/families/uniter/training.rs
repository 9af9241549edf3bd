//! Pretraining: image-text matching, masked tokens, and word-region alignment.

use candle_core::Tensor;

use super::Uniter;
use crate::error::ModelError;
use crate::families::regions::pick;
use crate::learner::single_stream::SingleStream;
use crate::learner::{Learner, Objective};
use crate::model::Model;
use crate::states::{JointStates, States};
use crate::visual_input::{Texts, VisualInput};

impl Learner for Uniter {
    fn model(&self) -> &dyn Model {
        self
    }

    fn objective(&self) -> Objective<'_> {
        Objective::SingleStream(self)
    }
}

impl SingleStream for Uniter {
    fn encode(&self, visual: &VisualInput, texts: &Texts) -> Result<JointStates, ModelError> {
        let joint = self.pair(visual, texts, None)?;
        let words: Vec<usize> = texts.iter().map(|t| t.len()).collect();
        let seen = joint.lengths.iter().zip(&words).map(|(all, words)| all - words);
        Ok(JointStates {
            visual: States {
                rows: pick(&joint.states, &joint.regions)?,
                lengths: seen.collect(),
            },
            text: States {
                rows: pick(&joint.states, &joint.words)?,
                lengths: words,
            },
        })
    }

    fn matching_logits(&self, joint: &JointStates) -> Result<Tensor, ModelError> {
        let first = joint.text.firsts()?;
        Ok(self.heads()?.matching.forward(&self.pool(&first)?)?)
    }

    fn token_logits(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.heads()?.words.forward(states)?)
    }
}
