//! The model: the towers and the heads that the checkpoint has.

use candle_core::{D, Tensor, Var};
use ocellus_nn::losses::soft_targets::probabilities;
use ocellus_nn::ops::activation::activate;
use ocellus_nn::{Act, Linear, Params};
use std::sync::Arc;

use crate::capabilities::{Classifier, Embedder, ImageTextMatcher, MlmHead, PairScore};
use crate::dual_encoder::{DualEncoder, FusionEncoder};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::families::planes;
use crate::input::{InputSpec, TaskPrompts};
use crate::model::Model;
use crate::states::States;
use crate::visual_input::{Texts, VisualInput};
use crate::vlm::Vlm;

use super::answers::Answers;
use super::config::{Config, RECIPE};
use super::towers::{Towers, lacks};
use ocellus_text::{Cleaning, TextForm};

/// Texts have no end token, and punctuation is removed as in training.
const FORM: TextForm = TextForm {
    first: Some("[CLS]"),
    cleaning: Cleaning::Caption,
    ..TextForm::BARE
};

pub(super) struct Albef {
    pub facts: Facts,
    pub towers: Arc<Towers>,
    pub contrast: Option<Contrast>,
    pub answers: Option<Answers>,
    entailment: Option<Entailment>,
}

/// The projections that contrast pictures with texts.
pub(super) struct Contrast {
    pub temperature: Tensor,
    matching: Linear,
}

/// The visual entailment head.
struct Entailment {
    layers: (Linear, Linear),
    labels: Vec<String>,
}

impl Albef {
    pub fn load(config: &Config, p: &Params) -> Result<Self, ModelError> {
        let towers = Arc::new(Towers::load(config, p, "")?);
        let width = config.text.block.width;
        let scratch = config.starts_empty(p);
        let contrast = || -> Result<_, ModelError> {
            let temperature = p.tensor("temp", &[])?;
            if scratch {
                Var::from_tensor(&temperature)?
                    .set(&Tensor::new(config.temperature as f32, temperature.device())?)?;
            }
            Ok(Contrast {
                temperature,
                matching: Linear::load(&p.at("itm_head"), width, 2, true)?,
            })
        };
        let has_contrast = scratch || p.contains("temp");
        let entailment = || -> Result<_, ModelError> {
            let load = |name, outputs| Linear::load(&p.at(name), width, outputs, true);
            Ok(Entailment {
                layers: (load("cls_head.0", width)?, load("cls_head.2", 3)?),
                labels: ["contradiction", "neutral", "entailment"]
                    .map(str::to_owned)
                    .into(),
            })
        };
        Ok(Self {
            contrast: has_contrast.then(contrast).transpose()?,
            answers: Answers::load(config, p, &towers)?,
            entailment: p.contains("cls_head.0.weight").then(entailment).transpose()?,
            facts: config.facts(),
            towers,
        })
    }

    pub fn contrast(&self) -> Result<&Contrast, ModelError> {
        self.contrast.as_ref().ok_or_else(|| lacks("heads that compare"))
    }

    /// The state of the first token of text `i` after fusion with picture `i`, `[texts, width]`.
    fn fused(&self, visual: &VisualInput, texts: &Texts) -> Result<Tensor, ModelError> {
        let (texts, pictures) = (self.towers.texts(texts)?, self.towers.pictures(visual)?);
        self.towers.fuse(&texts, &pictures)?.firsts()
    }

    /// Image-text matching logits (no match, match), `[texts, 2]`.
    pub fn matching_logits(&self, fused: &States) -> Result<Tensor, ModelError> {
        Ok(self.contrast()?.matching.forward(&fused.firsts()?)?)
    }
}

impl Model for Albef {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            visual: planes::sized(RECIPE, self.towers.table(), self.facts.patch_size),
            text: planes::within(FORM, self.facts.max_positions),
            prompts: Some(TaskPrompts {
                caption: "",
                question: "{}",
            }),
            ..InputSpec::default()
        }
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        self.answers.as_ref().map(|a| a as &dyn Vlm)
    }

    fn matcher(&self) -> Option<&dyn ImageTextMatcher> {
        self.contrast.as_ref().map(|_| self as &dyn ImageTextMatcher)
    }

    fn embedder(&self) -> Option<&dyn Embedder> {
        self.contrast.as_ref().map(|_| self as &dyn Embedder)
    }

    fn classifier(&self) -> Option<&dyn Classifier> {
        self.entailment.as_ref().map(|_| self as &dyn Classifier)
    }

    fn mlm_head(&self) -> Option<&dyn MlmHead> {
        self.towers.guesses().then_some(self as &dyn MlmHead)
    }
}

impl ImageTextMatcher for Albef {
    fn scores(&self, visual: &VisualInput, texts: &Texts) -> Result<Vec<PairScore>, ModelError> {
        let (pictures, texts) = (self.towers.pictures(visual)?, self.towers.texts(texts)?);
        let fused = self.towers.fuse(&texts, &pictures)?;
        let matched = probabilities(&self.matching_logits(&fused)?)?.to_vec2::<f32>()?;
        let (a, b) = (
            self.towers.picture_features(&pictures)?,
            self.towers.text_features(&texts)?,
        );
        let similarity = (a * b)?.sum(D::Minus1)?.to_vec1::<f32>()?;
        let score = |(matched, similarity): (Vec<f32>, f32)| PairScore {
            matched: matched.get(1).copied(),
            similarity: Some(similarity),
        };
        Ok(matched.into_iter().zip(similarity).map(score).collect())
    }
}

impl Embedder for Albef {
    fn pictures(&self, visual: &VisualInput) -> Result<Tensor, ModelError> {
        self.towers.picture_features(&self.towers.pictures(visual)?)
    }

    fn texts(&self, texts: &Texts) -> Result<Tensor, ModelError> {
        self.towers.text_features(&self.towers.texts(texts)?)
    }

    fn scale(&self) -> Result<f32, ModelError> {
        Ok(1.0 / self.contrast()?.temperature.to_scalar::<f32>()?)
    }
}

impl Classifier for Albef {
    fn answers(&self, visual: &VisualInput, questions: &Texts) -> Result<Tensor, ModelError> {
        let head = self.entailment.as_ref().ok_or_else(|| lacks("a classifier"))?;
        let inner = activate(
            &head.layers.0.forward(&self.fused(visual, questions)?)?,
            Act::Relu,
        )?;
        Ok(head.layers.1.forward(&inner)?)
    }

    fn labels(&self) -> &[String] {
        self.entailment.as_ref().map_or(&[], |e| &e.labels)
    }
}

impl MlmHead for Albef {
    fn token_logits(&self, visual: &VisualInput, texts: &Texts) -> Result<Tensor, ModelError> {
        let (texts, pictures) = (self.towers.texts(texts)?, self.towers.pictures(visual)?);
        self.towers.token_logits(&self.towers.fuse(&texts, &pictures)?)
    }
}
