//! The task heads: answers, retrieval, picture pairs, entailment, grounding.

use ocellus_nn::{Linear, Params};

use super::config::{Config, GQA_ANSWERS, VQA_ANSWERS};
use crate::error::ModelError;
use crate::families::regions::Answers;

/// One head per task, all on the same states.
pub(super) struct TaskHeads {
    pub(super) vqa: Answers,
    pub(super) gqa: Answers,
    pub(super) pairs: Answers,
    pub(super) alignment: Linear,
    pub(super) entailment: Linear,
    pub(super) region: Linear,
    pub(super) word: Linear,
}

impl TaskHeads {
    pub(super) fn load(p: &Params, config: &Config) -> Result<Self, ModelError> {
        let (width, inner) = (config.bi_width, 2 * config.bi_width);
        let answers =
            |name: &str, inputs, count| Answers::load(&p.at(name).at("logit_fc"), [inputs, inner, count]);
        let linear = |name: &str, inputs, outputs| Linear::load(&p.at(name), inputs, outputs, true);
        Ok(Self {
            vqa: answers("vil_prediction", width, VQA_ANSWERS)?,
            gqa: answers("vil_prediction_gqa", width, GQA_ANSWERS)?,
            pairs: answers("vil_binary_prediction", inner, 2)?,
            alignment: linear("vil_logit", width, 1)?,
            entailment: linear("vil_tri_prediction", width, 3)?,
            region: linear("vision_logit", config.image.width, 1)?,
            word: linear("linguisic_logit", config.text.width, 1)?,
        })
    }
}
