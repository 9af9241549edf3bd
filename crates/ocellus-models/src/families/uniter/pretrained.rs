//! The pretraining heads: masked tokens, masked region features and classes, matching.

use candle_core::Tensor;
use ocellus_nn::embeddings::{MaskedWords, Transform};
use ocellus_nn::{Act, Linear, Params};

use super::config::Config;
use crate::error::ModelError;
use crate::families::regions::{Classes, NORM, SEQUENCE};

/// The pretraining heads.
pub(super) struct Pretrained {
    pub(super) words: MaskedWords,
    /// The transform before the transposed region projection.
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
        // In training the transposed weight is a view: a copy would not follow updates of the projection.
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
