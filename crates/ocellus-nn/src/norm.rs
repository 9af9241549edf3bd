//! Norm layers.

use candle_core::Tensor;
use ocellus_base::trace::span;

use crate::ops::norm;
use crate::{LoadError, Params, Result};

/// Kind of norm, with its epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Norm {
    Rms { eps: f64 },
    Layer { eps: f64 },
}

impl Norm {
    pub fn rms(eps: f64) -> Self {
        Self::Rms { eps }
    }

    pub fn layer(eps: f64) -> Self {
        Self::Layer { eps }
    }

    /// Loads `weight [width]` and, for a layer norm, `bias [width]`.
    pub fn load(self, p: &Params, width: usize) -> std::result::Result<NormLayer, LoadError> {
        let weight = p.tensor("weight", &[width])?;
        Ok(match self {
            Self::Rms { eps } => NormLayer::Rms { weight, eps },
            Self::Layer { eps } => NormLayer::Layer {
                weight,
                bias: p.tensor("bias", &[width])?,
                eps,
            },
        })
    }
}

/// A loaded norm.
pub enum NormLayer {
    Rms { weight: Tensor, eps: f64 },
    Layer { weight: Tensor, bias: Tensor, eps: f64 },
}

impl NormLayer {
    /// Normalises the last dimension of `x [rows, width]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let _span = span("norm");
        match self {
            Self::Rms { weight, eps } => norm::rms_norm(x, weight, *eps),
            Self::Layer { weight, bias, eps } => norm::layer_norm(x, weight, bias, *eps),
        }
    }
}
