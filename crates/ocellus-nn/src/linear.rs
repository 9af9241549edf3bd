//! A linear layer: a matrix and an optional bias.

use candle_core::Tensor;
use ocellus_base::trace::span;
use ocellus_kernels::gemm::{PackedB, Precision};
use ocellus_kernels::matrix::Matrix;
use ocellus_weights::LowRank;
use std::sync::Arc;

use crate::measured::Columns;
use crate::ops::{self, linear};
use crate::packed::Packed;
use crate::rows::Table;
use crate::stored::Stored;
use crate::{LoadError, Params, Result};

/// `y = x · Wᵀ + b`, with `W [out, in]` as checkpoints store it.
pub struct Linear(Kind);

enum Kind {
    /// Plain tensors: for training, and for devices other than the CPU.
    Plain {
        weight: Tensor,
        bias: Option<Tensor>,
        precision: Precision,
    },
    /// Weights packed for the CPU kernels: for inference.
    Packed(Packed),
    Adapted(Box<Adapted>),
}

/// Packed weights with a product of two thin matrices beside them, `y = x · Wᵀ + b + (x · downᵀ) · upᵀ`: where the weights are
/// quantised and would not stay what they are if it was added to them.
struct Adapted {
    base: Packed,
    /// `[rank, in]` and `[out, rank]`.
    down: Packed,
    up: Packed,
}

impl Linear {
    /// Loads `weight [outputs, inputs]` and, with `bias`, `bias [outputs]`.
    pub fn load(
        p: &Params,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> std::result::Result<Self, LoadError> {
        // The bias is loaded after the weight, so that a wrong shape is reported for the weight first.
        let of_bias = || bias.then(|| p.tensor("bias", &[outputs])).transpose();
        match p.stored("weight", [outputs, inputs])? {
            Some(Stored::Packed(packed)) => {
                let beside = p.low_rank("weight");
                Self::packed((p.resident(&packed), beside), of_bias()?, None)
            }
            Some(Stored::Rows(rows)) => {
                let bias = of_bias()?;
                Self::packed(p.pack_stored((outputs, inputs), &rows), bias, p.columns(inputs))
            }
            None => {
                let weight = p.tensor("weight", &[outputs, inputs])?;
                Self::new(weight, of_bias()?, p)
            }
        }
    }

    /// A layer from tensors that the caller built: `weight [outputs, inputs]`, `bias [outputs]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>, p: &Params) -> std::result::Result<Self, LoadError> {
        if p.trainable() || !ops::fused(&weight) {
            return Ok(Self(Kind::Plain {
                weight,
                bias,
                precision: p.precision(),
            }));
        }
        let (outputs, inputs) = weight.dims2()?;
        let matrix = ops::with_slice(&weight, |data| {
            p.pack((outputs, inputs), |first, into| {
                into.copy_from_slice(&data[first * inputs..first * inputs + into.len()]);
            })
        })?;
        Self::packed((matrix, None), bias, None)
    }

    /// A layer whose weight is an embedding table: a tied output head.
    pub fn tied(
        table: &Table,
        vocab: usize,
        width: usize,
        p: &Params,
    ) -> std::result::Result<Self, LoadError> {
        let rows = match table {
            Table::Tensor(tensor) => return Self::new(tensor.clone(), None, p),
            Table::Packed(packed, _) => {
                return Self::packed((p.resident(packed), None), None, None);
            }
            Table::Stored(rows) => rows,
        };
        let matrix = p.pack_stored((vocab, width), rows);
        rows.release();
        Self::packed(matrix, None, p.columns(width))
    }

    fn packed(
        (weight, beside): (Arc<Matrix>, Option<Arc<LowRank>>),
        bias: Option<Tensor>,
        columns: Option<Arc<Columns>>,
    ) -> std::result::Result<Self, LoadError> {
        let bias = bias.map(|b| b.to_vec1::<f32>()).transpose()?;
        let base = Packed {
            weight,
            bias,
            columns,
        };
        Ok(Self(match beside {
            None => Kind::Packed(base),
            Some(product) => Kind::Adapted(Box::new(Adapted {
                base,
                down: thin(product.rank(), product.columns(), product.down()),
                up: thin(product.rows(), product.rank(), product.up()),
            })),
        }))
    }

    /// The packed matrix, for kernels that multiply several at once; `None` while inputs are measured, which such kernels would
    /// skip.
    pub(crate) fn as_packed(&self) -> Option<&Packed> {
        match &self.0 {
            Kind::Packed(packed) => Some(packed).filter(|p| p.columns.is_none()),
            Kind::Plain { .. } | Kind::Adapted(_) => None,
        }
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
            Kind::Packed(packed) => {
                if let Some(columns) = &packed.columns {
                    columns.add(x)?;
                }
                linear::linear_packed(x, packed)
            }
            Kind::Adapted(adapted) => {
                let Adapted { base, down, up } = &**adapted;
                let added = linear::linear_packed(&linear::linear_packed(x, down)?, up)?;
                linear::linear_packed(x, base)? + added
            }
        }
    }
}

/// A small matrix `[outputs, inputs]` in f32.
fn thin(outputs: usize, inputs: usize, values: &[f32]) -> Packed {
    let rows = |first: usize, into: &mut [f32]| {
        into.copy_from_slice(&values[first * inputs..][..into.len()]);
    };
    Packed {
        weight: Arc::new(Matrix::Dense(PackedB::from_rows(
            Precision::F32,
            (outputs, inputs),
            rows,
        ))),
        bias: None,
        columns: None,
    }
}
