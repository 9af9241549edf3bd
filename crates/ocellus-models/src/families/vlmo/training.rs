//! Pretraining in stages: what is read together and apart, and which tensors belong to texts.

use candle_core::Tensor;

use super::{Vlmo, heads};
use crate::experts::{Experts, Stage};
use crate::fusion::States;
use crate::model::{Sight, Texts};
use crate::single_stream::{JointStates, SingleStream};
use crate::vlm::ModelError;
use ocellus_nn::Taps;

/// Starts of the names of what texts alone change: their tables and head, and of what is shared the kinds of tokens, the
/// relative positions and the last norm.
const OF_TEXTS: &[&str] = &[
    "text_embeddings.",
    "token_type_embeddings.",
    "mlm_score.",
    "relative_position_bias_table",
    "transformer.norm.",
];

/// Parts of a layer that are the texts' own.
const EXPERT: &[&str] = &[".mlp_text.", ".norm2_text."];

impl SingleStream for Vlmo {
    fn read(&self, sight: &Sight, texts: &Texts) -> Result<JointStates, ModelError> {
        let (x, layout) = self.fused(&self.rows(texts)?, sight, &mut Taps::none())?;
        let words: Vec<usize> = texts.iter().map(|t| t.len()).collect();
        let seen = layout
            .segments
            .iter()
            .zip(&words)
            .map(|(s, words)| s.q_len - words);
        Ok(JointStates {
            seen: States {
                rows: layout.of_pictures(&x)?,
                lengths: seen.collect(),
            },
            words: States {
                rows: layout.of_text(&x)?,
                lengths: words,
            },
        })
    }

    fn matches(&self, joint: &JointStates) -> Result<Tensor, ModelError> {
        let head = self.heads.matching.as_ref();
        let head = head.ok_or_else(|| heads::lacks("a head that tells matches"))?;
        Ok(head.forward(&self.heads.pooled(&joint.words.firsts()?)?)?)
    }

    fn words(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        self.heads.words(states)
    }
}

impl Experts for Vlmo {
    fn alone(&self, texts: &Texts) -> Result<States, ModelError> {
        Ok(States {
            rows: self.text_states(&self.rows(texts)?, false)?.0,
            lengths: texts.iter().map(|t| t.len()).collect(),
        })
    }

    fn similarities(&self, sight: &Sight, texts: &Texts) -> Result<[Tensor; 2], ModelError> {
        let rows = self.rows(texts)?;
        let scores = |contrast: &Option<heads::Contrast>, joint| {
            let contrast = contrast
                .as_ref()
                .ok_or_else(|| heads::lacks("projections to features"))?;
            let (texts, of_texts) = self.text_states(&rows, joint)?;
            let (pictures, of_pictures) = self.picture_states(sight, joint)?;
            let texts = contrast.texts(&of_texts.firsts(&texts)?)?;
            contrast.scores(&contrast.pictures(&of_pictures.firsts(&pictures)?)?, &texts)
        };
        Ok([
            scores(&self.heads.contrast, false)?,
            scores(&self.heads.joint_contrast, true)?,
        ])
    }

    fn trains(&self, stage: Stage, name: &str) -> bool {
        let of_texts = || OF_TEXTS.iter().any(|start| name.starts_with(start));
        stage == Stage::Pairs || of_texts() || EXPERT.iter().any(|part| name.contains(part))
    }
}
