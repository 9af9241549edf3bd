//! Devices, compute dtypes and storage dtypes: the choices of a caller.

use std::fmt;

use ocellus_nn::{KvWidth, Precision};

/// Where tensors live and are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    #[default]
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
    Metal,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

/// Element type to compute in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    F32,
    Bf16,
    F16,
}

/// Storage dtype of weights in memory, on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quant {
    /// 8.1 bits a weight.
    Q8,
    /// 6.5 bits a weight.
    Q6,
    /// 4.5 bits a weight.
    Q4,
    /// As [`Dtype::Bf16`].
    Bf16,
    /// As [`Dtype::F32`].
    F32,
}

/// What activations are rounded to in products with quantised weights, on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activations {
    /// Integers of 8 bits: weights stay in few bits.
    #[default]
    Int8,
    /// Weights are widened to this type in memory.
    Bf16,
    /// As `Bf16`.
    F32,
}

impl Activations {
    /// The same as the layers call it.
    pub(crate) fn widened(self) -> Option<Precision> {
        match self {
            Self::Int8 => None,
            Self::Bf16 => Some(Precision::Bf16),
            Self::F32 => Some(Precision::F32),
        }
    }
}

/// Storage dtype of the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvCache {
    /// As products read them: f32 or bf16.
    #[default]
    Full,
    /// 8.5 bits a value.
    Q8,
}

impl KvCache {
    /// The same as the kernels call it.
    pub fn width(self) -> KvWidth {
        match self {
            Self::Full => KvWidth::Full,
            Self::Q8 => KvWidth::Q8,
        }
    }
}
