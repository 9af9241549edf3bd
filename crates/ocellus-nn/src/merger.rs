//! The merger between vision tower and decoder: adjacent patches become one visual token of the decoder's width.

use candle_core::Tensor;

use crate::norm::NormLayer;
use crate::ops::activation::{Act, activate};
use crate::{Linear, LoadError, Norm, Params, Result};

/// Sizes of a merger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// Width of a patch.
    pub width: usize,
    /// Patches per visual token.
    pub merged: usize,
    /// Width of a visual token, which is the decoder's width.
    pub out: usize,
    pub norm: Norm,
    /// Whether the norm covers the merged patches together instead of each patch.
    pub norm_merged: bool,
}

/// A loaded merger: tensors `norm`, `fc1`, `fc2`.
pub struct Merger {
    spec: Spec,
    norm: NormLayer,
    fc1: Linear,
    fc2: Linear,
}

impl Merger {
    pub fn load(p: &Params, spec: Spec) -> std::result::Result<Self, LoadError> {
        let inner = spec.width * spec.merged;
        let normed = if spec.norm_merged { inner } else { spec.width };
        Ok(Self {
            norm: spec.norm.load(&p.at("norm"), normed)?,
            fc1: Linear::load(&p.at("fc1"), inner, inner, true)?,
            fc2: Linear::load(&p.at("fc2"), inner, spec.out, true)?,
            spec,
        })
    }

    /// `x [n, width]`, where the patches of a visual token are adjacent → `[n / merged, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let shape = (x.dim(0)? / self.spec.merged, self.spec.width * self.spec.merged);
        let cells = if self.spec.norm_merged {
            self.norm.forward(&x.reshape(shape)?)?
        } else {
            self.norm.forward(x)?.reshape(shape)?
        };
        self.fc2
            .forward(&activate(&self.fc1.forward(&cells)?, Act::Gelu)?)
    }
}
