//! Two-layer heads: answers to questions, classes of regions.

use candle_core::Tensor;
use ocellus_nn::embeddings::Transform;
use ocellus_nn::norm::NormLayer;
use ocellus_nn::ops::activation::activate;
use ocellus_nn::{Act, Linear, Names, Params};

use super::streams::NORM;
use crate::error::ModelError;

/// Tensor names of a transform (linear, activation, norm) that is stored as a numbered sequence.
pub(in crate::families) const SEQUENCE: Names = &[("dense", "0"), ("LayerNorm", "2")];

/// Answer classification head: linear, GELU, norm, linear.
pub(in crate::families) struct Answers {
    widen: Linear,
    norm: NormLayer,
    scores: Linear,
}

impl Answers {
    /// Loads tensors `0`, `2`, `3`.
    pub(in crate::families) fn load(
        p: &Params,
        [inputs, inner, answers]: [usize; 3],
    ) -> Result<Self, ModelError> {
        Ok(Self {
            widen: Linear::load(&p.at("0"), inputs, inner, true)?,
            norm: NORM.load(&p.at("2"), inner)?,
            scores: Linear::load(&p.at("3"), inner, answers, true)?,
        })
    }

    /// `[rows, inputs]` → `[rows, answers]`.
    pub(in crate::families) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let inner = self
            .norm
            .forward(&activate(&self.widen.forward(x)?, Act::Gelu)?)?;
        Ok(self.scores.forward(&inner)?)
    }
}

/// Region classification head: a transform and a linear layer.
pub(in crate::families) struct Classes {
    transform: Transform,
    scores: Linear,
}

impl Classes {
    /// `transform` and `scores` are the prefixes of their tensors.
    pub(in crate::families) fn load(
        transform: &Params,
        scores: &Params,
        width: usize,
        act: Act,
        classes: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            transform: Transform::load(transform, width, act, NORM)?,
            scores: Linear::load(scores, width, classes, true)?,
        })
    }

    /// `[rows, width]` → `[rows, classes]`.
    pub(in crate::families) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.scores.forward(&self.transform.forward(x)?)?)
    }
}
