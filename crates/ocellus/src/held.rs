//! How a model's weights are held: what that takes, and what it computes in.

use ocellus_kernels::ceilings::Arithmetic;
use ocellus_models::plan::{Width, Widths};
use ocellus_nn::stored;
use ocellus_weights::Weights;

use crate::context::Context;
use crate::values::{Dtype, KvCache, Quant};

/// The widths of weights, and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// As the option calls it.
    pub name: &'static str,
    pub widths: Widths,
    /// What products are computed in.
    pub arithmetic: Arithmetic,
    /// How keys and values are kept.
    pub state: Width,
}

/// Weights of 8, 6 and 4 bits with their scales and offsets.
const Q8: Width = Width::per_256(260);
const Q6: Width = Width::per_256(208);
const Q4: Width = Width::per_256(144);

/// Keys and values of 8 bits with a scale of 16 for 32 of them.
const Q8_STATE: Width = Width::per_256(272);

impl Held {
    /// As the arguments ask, or as the checkpoint's files hold its weights.
    pub fn of(context: &Context, weights: Option<&Weights>) -> Self {
        let asked = context.global.quant.or_else(|| weights.and_then(packed));
        let held = match (asked, context.global.dtype) {
            (Some(quant), _) => Self::at(quant),
            (None, Some(Dtype::Bf16)) => Self::at(Quant::Bf16),
            (None, None | Some(Dtype::F32)) => Self::at(Quant::F32),
            (None, Some(Dtype::F16)) => Self {
                name: "f16",
                widths: Widths::all(Width::bits(16)),
                arithmetic: Arithmetic::F32,
                state: Width::bits(16),
            },
        };
        match context.global.kv_cache {
            KvCache::Full => held,
            KvCache::Q8 => Self {
                state: Q8_STATE,
                ..held
            },
        }
    }

    /// At one width, whatever the arguments say.
    pub fn at(quant: Quant) -> Self {
        let (name, width, head, vision, arithmetic) = match quant {
            Quant::F32 => ("f32", Width::F32, Width::F32, Width::F32, Arithmetic::F32),
            Quant::Bf16 => ("bf16", Width::BF16, Width::BF16, Width::BF16, Arithmetic::Bf16),
            Quant::Q8 => ("q8", Q8, Q8, Q8, Arithmetic::Int8),
            Quant::Q6 => ("q6", Q6, Q6, Q8, Arithmetic::Int8),
            // What gives the scores of words, and what sees, keep more.
            Quant::Q4 => ("q4", Q4, Q6, Q8, Arithmetic::Int8),
        };
        Self {
            name,
            widths: Widths {
                layers: width,
                head,
                // The table stays in the file.
                table: None,
                vision,
            },
            arithmetic,
            state: if quant == Quant::F32 {
                Width::F32
            } else {
                Width::BF16
            },
        }
    }
}

/// The width of a checkpoint that was quantised before: the fewest bits of any matrix.
fn packed(weights: &Weights) -> Option<Quant> {
    if weights.gguf().is_some() {
        let bits = |name| Some(weights.view(name).ok()?.grouped(0..0)?.bits);
        return weights.names().filter_map(bits).min().map(|bits| match bits {
            0..=4 => Quant::Q4,
            5..=6 => Quant::Q6,
            _ => Quant::Q8,
        });
    }
    let described = weights
        .metadata()
        .iter()
        .filter(|(key, _)| key.starts_with(stored::LAYOUT));
    let bits = described.filter_map(|(_, description)| description.split_once(' '));
    match bits.map(|(bits, _)| bits).min()? {
        "4" => Some(Quant::Q4),
        "6" => Some(Quant::Q6),
        _ => Some(Quant::Q8),
    }
}
