//! The pooler, and the heads that the checkpoint has.

use candle_core::{Tensor, Var};
use ocellus_nn::embeddings::Transform;
use ocellus_nn::norm::NormLayer;
use ocellus_nn::ops::activation::activate;
use ocellus_nn::{Act, Linear, Norm, Params, Taps};

use super::super::packed::unit;
use super::config::Config;
use crate::error::ModelError;

/// The norm in the answer classifier has the default epsilon of its library.
const CLASSIFIER_NORM: Norm = Norm::Layer { eps: 1e-5 };

/// The initial temperature, which cosines are divided by.
const TEMPERATURE: f32 = 0.07;

pub(super) struct Heads {
    pooler: Linear,
    /// Matching logits (no match, match).
    pub(super) matching: Option<Linear>,
    /// Contrast of texts and pictures encoded by the experts of their modality.
    pub(super) contrast: Option<Contrast>,
    /// Contrast of texts and pictures encoded by the vision-language experts.
    pub(super) joint_contrast: Option<Contrast>,
    pub(super) words: Option<WordHead>,
    pub(super) answers: Option<Answers>,
}

/// Projections of texts and pictures into a joint embedding space, and the logarithm of the factor of cosines.
pub(super) struct Contrast {
    text: Linear,
    picture: Linear,
    scale: Tensor,
}

pub(super) struct WordHead {
    transform: Transform,
    scores: Linear,
}

pub(super) struct Answers {
    inner: Linear,
    norm: NormLayer,
    outer: Linear,
}

impl Heads {
    pub(super) fn load(p: &Params, config: &Config) -> Result<Self, ModelError> {
        let width = config.width;
        // Training from scratch: create everything that pretraining needs.
        let scratch = p.trainable() && !p.contains("transformer.cls_token");
        let has = |name: &str| scratch || p.contains(name);
        let contrast = |text: &str, picture: &str, scale: &str| -> Result<_, ModelError> {
            let project = |name: &str| Linear::load(&p.at(name).at("fc"), width, width, false);
            let scale = p.tensor(scale, &[])?;
            if scratch {
                let start = Tensor::new((1f32 / TEMPERATURE).ln(), scale.device())?;
                Var::from_tensor(&scale)?.set(&start)?;
            }
            Ok(Contrast {
                text: project(text)?,
                picture: project(picture)?,
                scale,
            })
        };
        let words = || -> Result<_, ModelError> {
            let p = p.at("mlm_score");
            let scores = p.at("decoder").tensor("weight", &[config.vocab, width])?;
            Ok(WordHead {
                transform: Transform::load(&p.at("transform"), width, Act::Gelu, config.text_norm)?,
                scores: Linear::new(scores, Some(p.tensor("bias", &[config.vocab])?), &p)?,
            })
        };
        let answers = || -> Result<_, ModelError> {
            let p = p.at("vqa_classifier");
            Ok(Answers {
                inner: Linear::load(&p.at(0), width, 2 * width, true)?,
                norm: CLASSIFIER_NORM.load(&p.at(1), 2 * width)?,
                outer: Linear::load(&p.at(3), 2 * width, config.answers, true)?,
            })
        };
        Ok(Self {
            pooler: Linear::load(&p.at("pooler.dense"), width, width, true)?,
            matching: has("itm_score.fc.weight")
                .then(|| Linear::load(&p.at("itm_score.fc"), width, 2, true))
                .transpose()?,
            contrast: has("itc_text_proj.fc.weight")
                .then(|| contrast("itc_text_proj", "itc_image_proj", "logit_scale"))
                .transpose()?,
            joint_contrast: has("itc_vl_text_proj.fc.weight")
                .then(|| contrast("itc_vl_text_proj", "itc_vl_image_proj", "logit_vl_scale"))
                .transpose()?,
            words: has("mlm_score.decoder.weight").then(words).transpose()?,
            answers: p.contains("vqa_classifier.0.weight").then(answers).transpose()?,
        })
    }

    /// Whether it has a matching head and an MLM head.
    pub(super) fn pretrains(&self) -> bool {
        self.matching.is_some() && self.words.is_some()
    }

    /// States of first tokens `[rows, width]` → pooler output `[rows, width]`.
    pub(super) fn pooled(&self, firsts: &Tensor) -> Result<Tensor, ModelError> {
        Ok(activate(&self.pooler.forward(firsts)?, Act::Tanh)?)
    }

    pub(super) fn contrast(&self) -> Result<&Contrast, ModelError> {
        self.contrast
            .as_ref()
            .ok_or_else(|| lacks("projections to features"))
    }

    /// MLM logits: states of text tokens `[tokens, width]` → `[tokens, vocab]`.
    pub(super) fn words(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        let head = self
            .words
            .as_ref()
            .ok_or_else(|| lacks("a head for masked words"))?;
        Ok(head.scores.forward(&head.transform.forward(states)?)?)
    }

    /// Answer logits: states of first tokens `[rows, width]` → `[rows, answers]`.
    pub(super) fn answers(&self, firsts: &Tensor) -> Result<Tensor, ModelError> {
        let head = self
            .answers
            .as_ref()
            .ok_or_else(|| lacks("a classifier of answers"))?;
        let inner = head.norm.forward(&head.inner.forward(&self.pooled(firsts)?)?)?;
        Ok(head.outer.forward(&activate(&inner, Act::Gelu)?)?)
    }
}

impl Contrast {
    pub(super) fn texts(&self, firsts: &Tensor) -> Result<Tensor, ModelError> {
        unit(&self.text.forward(firsts)?)
    }

    pub(super) fn pictures(&self, firsts: &Tensor) -> Result<Tensor, ModelError> {
        unit(&self.picture.forward(firsts)?)
    }

    pub(super) fn scale(&self) -> Result<f32, ModelError> {
        Ok(self.scale.exp()?.to_scalar::<f32>()?)
    }

    /// Taps the features of both and their scaled cosines `[pictures, texts]` under these names.
    pub(super) fn trace(
        &self,
        texts: &Tensor,
        pictures: &Tensor,
        (text, picture, logits): (&str, &str, &str),
        taps: &mut Taps,
    ) -> Result<(), ModelError> {
        let (texts, pictures) = (self.texts(texts)?, self.pictures(pictures)?);
        taps.tap(text, &texts);
        taps.tap(picture, &pictures);
        taps.tap(logits, &self.scores(&pictures, &texts)?);
        Ok(())
    }

    /// Scaled cosines of features, `[pictures, texts]`.
    pub(super) fn scores(&self, pictures: &Tensor, texts: &Tensor) -> Result<Tensor, ModelError> {
        let cosines = pictures.matmul(&texts.t()?)?;
        Ok(cosines.broadcast_mul(&self.scale.exp()?)?)
    }
}

pub(super) fn lacks(what: &str) -> ModelError {
    ModelError::input("the checkpoint", what, "none")
}
