//! Numbers with a shape: what a case expects, what the program produced.

use candle_core::{DType, Tensor};
use ocellus_weights::{Dtype, View};

use crate::error::CaseError;

/// A tensor outside any tensor library, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Values,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Float(Vec<f32>),
    Integer(Vec<i64>),
}

impl Array {
    pub fn floats(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        Self {
            shape: shape.into(),
            values: Values::Float(values),
        }
    }

    pub fn integers(shape: impl Into<Vec<usize>>, values: Vec<i64>) -> Self {
        Self {
            shape: shape.into(),
            values: Values::Integer(values),
        }
    }

    /// A list of numbers that count something.
    pub fn counts(values: impl IntoIterator<Item = usize>) -> Self {
        let values: Vec<i64> = values.into_iter().map(|v| v as i64).collect();
        Self::integers([values.len()], values)
    }

    /// A list of token ids.
    pub fn ids(ids: &[u32]) -> Self {
        Self::integers([ids.len()], ids.iter().map(|id| i64::from(*id)).collect())
    }

    /// A tensor of a file, floating point or integer.
    pub fn from_view(view: &View) -> Result<Self, CaseError> {
        let values = match view.dtype {
            Dtype::F32 | Dtype::F16 | Dtype::Bf16 => Values::Float(view.to_f32()?),
            _ => Values::Integer(view.to_i64()?),
        };
        Ok(Self {
            shape: view.shape.clone(),
            values,
        })
    }

    /// A tensor of a forward pass.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self, CaseError> {
        let flat = tensor.flatten_all()?;
        let values = match tensor.dtype() {
            DType::F32 | DType::F16 | DType::BF16 | DType::F64 => {
                Values::Float(flat.to_dtype(DType::F32)?.to_vec1()?)
            }
            _ => Values::Integer(flat.to_dtype(DType::I64)?.to_vec1()?),
        };
        Ok(Self {
            shape: tensor.dims().to_vec(),
            values,
        })
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Float(v) => v.len(),
            Values::Integer(v) => v.len(),
        }
    }

    /// The value at `index`, exact for floats and for integers up to 2^53.
    pub fn get(&self, index: usize) -> f64 {
        match &self.values {
            Values::Float(v) => f64::from(v[index]),
            Values::Integer(v) => v[index] as f64,
        }
    }
}
