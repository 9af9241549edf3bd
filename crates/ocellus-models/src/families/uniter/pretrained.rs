//! The heads of pre-training: masked tokens, features and classes of masked regions, matching.

use candle_core::Tensor;
use ocellus_nn::embeddings::{MaskedWords, Transform};
use ocellus_nn::{Act, Linear, Params};

use super::config::Config;
use crate::error::ModelError;
use crate::families::regions::{Classes, NORM, SEQUENCE};

/// The heads of pre-training.
pub(super) struct Pretrained {
    pub(super) words: MaskedWords,
    /// Before the projection is turned around.
    pub(super) regress: Transform,
    pub(super) features: Linear,
    pub(super) classes: Classes,
    pub(super) matching: Linear,
}

impl Pretrained {
    pub(super) fn load(
        p: &Params,
        config: &Config,
        words: &Tensor,
        projection: &Tensor,
    ) -> Result<Self, ModelError> {
        let (act, width) = (config.stream.act, config.stream.width);
        let (regress, classes) = (p.at("feat_regress"), p.at("region_classifier.net"));
        let bias = regress.tensor("bias", &[config.features])?;
        // In training a view: a copy would stay behind when the projection changes.
        let turned = match p.trainable() {
            true => projection.t()?,
            false => projection.t()?.contiguous()?,
        };
        Ok(Self {
            words: MaskedWords::load(&p.at("cls.predictions"), words, act, NORM)?,
            regress: Transform::load(&regress.at("net").named(SEQUENCE), width, Act::Gelu, NORM)?,
            features: Linear::new(turned, Some(bias), &regress)?,
            classes: Classes::load(
                &classes.named(SEQUENCE),
                &classes.at("3"),
                width,
                Act::Gelu,
                config.classes,
            )?,
            matching: Linear::load(&p.at("itm_output"), width, 2, true)?,
        })
    }

    /// Features of masked regions, `[rows, width]` → `[rows, features]`.
    pub(super) fn regressed(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.features.forward(&self.regress.forward(states)?)?)
    }
}
