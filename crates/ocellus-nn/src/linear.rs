//! A matrix and an optional bias.

use candle_core::Tensor;
use ocellus_base::trace::span;
use ocellus_kernels::gemm::Precision;
use ocellus_kernels::matrix::Matrix;
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
    /// The tensors themselves: for training and for devices other than the CPU.
    Plain {
        weight: Tensor,
        bias: Option<Tensor>,
        precision: Precision,
    },
    /// Weights in the order in which the CPU's kernels read them: for inference.
    Packed(Packed),
}

impl Linear {
    /// Takes `weight [outputs, inputs]` and, with `bias`, `bias [outputs]`.
    pub fn load(
        p: &Params,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> std::result::Result<Self, LoadError> {
        // What does not fit is said of the weight first.
        let of_bias = || bias.then(|| p.tensor("bias", &[outputs])).transpose();
        match p.stored("weight", [outputs, inputs])? {
            Some(Stored::Packed(packed)) => Self::packed(p.resident(&packed), of_bias()?, None),
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

    /// A layer over tensors that were put together by the caller: `weight [outputs, inputs]`, `bias [outputs]`.
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
        Self::packed(matrix, bias, None)
    }

    /// A layer over the rows of a table: scores of words by the table of their embeddings.
    pub fn tied(
        table: &Table,
        vocab: usize,
        width: usize,
        p: &Params,
    ) -> std::result::Result<Self, LoadError> {
        let rows = match table {
            Table::Tensor(tensor) => return Self::new(tensor.clone(), None, p),
            Table::Packed(packed) => {
                return Self::packed(p.resident(packed), None, None);
            }
            Table::Stored(rows) => rows,
        };
        // A checkpoint that was packed before holds the scores' matrix beside the table.
        if p.contains("weight")
            && let Some(Stored::Packed(packed)) = p.stored("weight", [vocab, width])?
        {
            return Self::packed(p.resident(&packed), None, None);
        }
        let matrix = p.pack_stored((vocab, width), rows);
        rows.release();
        Self::packed(matrix, None, p.columns(width))
    }

    fn packed(
        weight: Arc<Matrix>,
        bias: Option<Tensor>,
        columns: Option<Arc<Columns>>,
    ) -> std::result::Result<Self, LoadError> {
        let bias = bias.map(|b| b.to_vec1::<f32>()).transpose()?;
        Ok(Self(Kind::Packed(Packed {
            weight,
            bias,
            columns,
        })))
    }

    /// The packed matrix, for products of several at once; nothing where what goes in is measured, which they would pass by.
    pub(crate) fn as_packed(&self) -> Option<&Packed> {
        match &self.0 {
            Kind::Packed(packed) => Some(packed).filter(|p| p.columns.is_none()),
            Kind::Plain { .. } => None,
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
        }
    }
}
