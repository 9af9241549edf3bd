//! A matrix and an optional bias.

use candle_core::Tensor;
use ocellus_base::trace::span;
use ocellus_kernels::gemm::{Mat, PackedB, Precision};
use std::sync::Arc;

use crate::ops::{self, linear};
use crate::{LoadError, Params, Result};

/// `y = x · Wᵀ + b`, with `W [out, in]` as checkpoints store it.
pub struct Linear(Kind);

enum Kind {
    /// The tensors themselves: for training and for devices other than the CPU.
    Plain {
        weight: Tensor,
        bias: Option<Tensor>,
        precision: Precision,
    },
    /// Weights in the order in which the CPU's kernel reads them: for inference.
    Packed {
        weight: Arc<PackedB>,
        bias: Option<Vec<f32>>,
    },
}

impl Linear {
    /// Takes `weight [outputs, inputs]` and, with `bias`, `bias [outputs]`.
    pub fn load(
        p: &Params,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> std::result::Result<Self, LoadError> {
        let weight = p.tensor("weight", &[outputs, inputs])?;
        let bias = bias.then(|| p.tensor("bias", &[outputs])).transpose()?;
        Self::new(weight, bias, p)
    }

    /// A layer over tensors that were put together by the caller: `weight [outputs, inputs]`, `bias [outputs]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>, p: &Params) -> std::result::Result<Self, LoadError> {
        let precision = p.precision();
        if p.trainable() || !ops::fused(&weight) {
            return Ok(Self(Kind::Plain {
                weight,
                bias,
                precision,
            }));
        }
        let (outputs, inputs) = weight.dims2()?;
        let packed = ops::with_slice(&weight, |data| {
            PackedB::new(
                precision,
                Mat {
                    data,
                    rows: inputs,
                    cols: outputs,
                    row_stride: 1,
                    col_stride: inputs,
                },
            )
        })?;
        let bias = bias.map(|b| b.to_vec1::<f32>()).transpose()?;
        Ok(Self(Kind::Packed {
            weight: Arc::new(packed),
            bias,
        }))
    }

    /// `x [rows, in]` → `[rows, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let _span = span("linear");
        match &self.0 {
            Kind::Plain {
                weight,
                bias,
                precision,
            } => linear::linear(x, weight, bias.as_ref(), *precision),
            Kind::Packed { weight, bias } => linear::linear_packed(x, weight, bias.as_deref()),
        }
    }
}
