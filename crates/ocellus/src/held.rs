//! How a model's weights are held: what that takes, and what it computes in.

use ocellus_kernels::ceilings::Arithmetic;
use ocellus_models::plan::{Width, Widths};

use crate::context::Context;
use crate::values::Dtype;

/// The widths of weights, and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// As the option calls it.
    pub name: &'static str,
    pub widths: Widths,
    /// What products are computed in.
    pub arithmetic: Arithmetic,
    /// Bytes of a value among keys and values.
    pub state_bytes: u64,
}

impl Held {
    /// As the arguments ask.
    pub fn of(context: &Context) -> Self {
        let (name, width, arithmetic) = match context.global.dtype {
            None | Some(Dtype::F32) => ("f32", Width::F32, Arithmetic::F32),
            Some(Dtype::Bf16) => ("bf16", Width::BF16, Arithmetic::Bf16),
            Some(Dtype::F16) => ("f16", Width::bits(16), Arithmetic::F32),
        };
        Self {
            name,
            // The table stays in the file.
            widths: Widths::all(width),
            arithmetic,
            state_bytes: 4,
        }
    }
}
