//! What weights are stored as in memory: how much that takes, and what products are computed in.

use ocellus_kernels::ceilings::Arithmetic;
use ocellus_kernels::quant::Bits;
use ocellus_models::plan::{Width, Widths};
use ocellus_nn::{rows, stored};
use ocellus_weights::Weights;

use crate::compute::ComputeOptions;
use crate::widths::{Activations, Dtype, KvCache, Quant};

/// The storage dtype of a model's weights, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StorageDtype {
    /// `f32`, `bf16`, `f16`, `q8`, `q6` or `q4`.
    pub name: &'static str,
    /// Storage dtype of every part of the model.
    pub widths: Widths,
    /// Dtype of matrix products.
    pub arithmetic: Arithmetic,
    /// Storage dtype of the KV cache.
    pub kv_cache: Width,
}

/// Weights of 8, 6 and 4 bits with their scales and offsets.
const Q8: Width = Width::per_256(260);
const Q6: Width = Width::per_256(208);
const Q4: Width = Width::per_256(144);

/// Keys and values of 8 bits with a scale of 16 for 32 of them.
const Q8_KV_CACHE: Width = Width::per_256(272);

impl StorageDtype {
    /// As the options ask, or as the checkpoint's files hold its weights.
    pub fn of(options: &ComputeOptions, weights: Option<&Weights>) -> Self {
        let asked = options.quant.or_else(|| weights.and_then(quantised));
        let storage = match (asked, options.dtype) {
            (Some(quant), _) => Self::at(quant),
            (None, Some(Dtype::Bf16)) => Self::at(Quant::Bf16),
            (None, None | Some(Dtype::F32)) => Self::at(Quant::F32),
            (None, Some(Dtype::F16)) => Self {
                name: "f16",
                widths: Widths::all(Width::bits(16)),
                arithmetic: Arithmetic::F32,
                kv_cache: Width::bits(16),
            },
        };
        let layers = weights.filter(|_| options.quant.is_none()).and_then(held);
        let storage = match layers {
            // What is not quantised stays as it is.
            Some(quant) => Self {
                widths: Widths {
                    layers: Self::at(quant).widths.layers,
                    ..storage.widths
                },
                name: Self::at(quant).name,
                arithmetic: Arithmetic::Int8,
                ..storage
            },
            None => storage,
        };
        let storage = match options.activations {
            Activations::Bf16 if storage.arithmetic == Arithmetic::Int8 => {
                storage.widened(Self::at(Quant::Bf16))
            }
            Activations::F32 if storage.arithmetic == Arithmetic::Int8 => {
                storage.widened(Self::at(Quant::F32))
            }
            _ => storage,
        };
        match options.kv_cache {
            KvCache::Full => storage,
            KvCache::Q8 => Self {
                kv_cache: Q8_KV_CACHE,
                ..storage
            },
        }
    }

    /// The same with weights as `wide` has them.
    fn widened(self, wide: Self) -> Self {
        Self {
            kv_cache: self.kv_cache,
            ..wide
        }
    }

    /// One storage dtype, whatever the options say.
    pub fn at(quant: Quant) -> Self {
        let (name, width, head, vision, arithmetic) = match quant {
            Quant::F32 => ("f32", Width::F32, Width::F32, Width::F32, Arithmetic::F32),
            Quant::Bf16 => ("bf16", Width::BF16, Width::BF16, Width::BF16, Arithmetic::Bf16),
            Quant::Q8 => ("q8", Q8, Q8, Q8, Arithmetic::Int8),
            Quant::Q6 => ("q6", Q6, Q6, Q8, Arithmetic::Int8),
            // The language-model head and the vision tower keep more bits.
            Quant::Q4 => ("q4", Q4, Q6, Q8, Arithmetic::Int8),
        };
        Self {
            name,
            widths: Widths {
                layers: width,
                head,
                // The embedding table stays in the mapped file.
                table: None,
                vision,
            },
            arithmetic,
            kv_cache: if quant == Quant::F32 {
                Width::F32
            } else {
                Width::BF16
            },
        }
    }
}

/// The storage dtype of a checkpoint that is quantised already: the fewest bits of any matrix.
fn quantised(weights: &Weights) -> Option<Quant> {
    if weights.gguf().is_some() {
        let bits = |name| Some(weights.without_low_rank(name).ok()?.grouped(0..0)?.bits);
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

/// The storage dtype of layers whose quantised matrices the kernels hold as they are, by a few of them.
fn held(weights: &Weights) -> Option<Quant> {
    let names: Vec<&str> = weights.matrices().collect();
    let some = names.iter().step_by((names.len() / 4).max(1));
    let formats = some.map(|name| rows::held(&weights.matrix(name).ok()??));
    let bits = formats.collect::<Option<Vec<_>>>()?;
    Some(match bits.iter().map(|format| format.bits).max()? {
        Bits::Four => Quant::Q4,
        Bits::Six => Quant::Q6,
        Bits::Eight => Quant::Q8,
    })
}
