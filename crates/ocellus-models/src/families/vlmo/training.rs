//! Pretraining stages: what is encoded together or apart, and which tensors the text stage trains.

use candle_core::Tensor;

use super::{Vlmo, heads};
use crate::error::ModelError;
use crate::learner::modality_experts::{ModalityExperts, PretrainingStage};
use crate::learner::single_stream::SingleStream;
use crate::learner::{Learner, Objective};
use crate::model::Model;
use crate::states::{JointStates, States};
use crate::visual_input::{Texts, VisualInput};
use ocellus_nn::Taps;

/// Prefixes of tensors that the text stage trains: text tables and MLM head, and of the shared parts the modality table, the
/// relative positions and the last norm.
const OF_TEXTS: &[&str] = &[
    "text_embeddings.",
    "token_type_embeddings.",
    "mlm_score.",
    "relative_position_bias_table",
    "transformer.norm.",
];

/// Parts of a layer that belong to the text expert.
const EXPERT: &[&str] = &[".mlp_text.", ".norm2_text."];

impl Learner for Vlmo {
    fn model(&self) -> &dyn Model {
        self
    }

    fn objective(&self) -> Objective<'_> {
        match self.heads.contrast.is_some() && self.heads.joint_contrast.is_some() {
            true => Objective::ModalityExperts(self),
            false => Objective::SingleStream(self),
        }
    }
}

impl SingleStream for Vlmo {
    fn encode(&self, visual: &VisualInput, texts: &Texts) -> Result<JointStates, ModelError> {
        let (x, layout) = self.fused(&self.rows(texts)?, visual, &mut Taps::none())?;
        let words: Vec<usize> = texts.iter().map(|t| t.len()).collect();
        let seen = layout
            .segments
            .iter()
            .zip(&words)
            .map(|(s, words)| s.q_len - words);
        Ok(JointStates {
            visual: States {
                rows: layout.of_pictures(&x)?,
                lengths: seen.collect(),
            },
            text: States {
                rows: layout.of_text(&x)?,
                lengths: words,
            },
        })
    }

    fn matching_logits(&self, joint: &JointStates) -> Result<Tensor, ModelError> {
        let head = self.heads.matching.as_ref();
        let head = head.ok_or_else(|| heads::lacks("a head that tells matches"))?;
        Ok(head.forward(&self.heads.pooled(&joint.text.firsts()?)?)?)
    }

    fn token_logits(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        self.heads.words(states)
    }
}

impl ModalityExperts for Vlmo {
    fn encode_texts(&self, texts: &Texts) -> Result<States, ModelError> {
        Ok(States {
            rows: self.text_states(&self.rows(texts)?, false)?.0,
            lengths: texts.iter().map(|t| t.len()).collect(),
        })
    }

    fn similarities(&self, visual: &VisualInput, texts: &Texts) -> Result<[Tensor; 2], ModelError> {
        let rows = self.rows(texts)?;
        let scores = |contrast: &Option<heads::Contrast>, joint| {
            let contrast = contrast
                .as_ref()
                .ok_or_else(|| heads::lacks("projections to features"))?;
            let (texts, of_texts) = self.text_states(&rows, joint)?;
            let (pictures, of_pictures) = self.picture_states(visual, joint)?;
            let texts = contrast.texts(&of_texts.firsts(&texts)?)?;
            contrast.scores(&contrast.pictures(&of_pictures.firsts(&pictures)?)?, &texts)
        };
        Ok([
            scores(&self.heads.contrast, false)?,
            scores(&self.heads.joint_contrast, true)?,
        ])
    }

    fn trains(&self, stage: PretrainingStage, name: &str) -> bool {
        let of_texts = || OF_TEXTS.iter().any(|start| name.starts_with(start));
        stage == PretrainingStage::Pairs || of_texts() || EXPERT.iter().any(|part| name.contains(part))
    }
}
