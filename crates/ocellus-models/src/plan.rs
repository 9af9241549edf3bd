//! What a model needs in memory and what its work costs, from its config alone.

mod vision;
mod widths;
mod work;

use ocellus_nn::{Mlp, Norm, block, decoder};

use crate::facts::Facts;
use crate::input::VisualFormat;
use ocellus_media::Grid;

pub use vision::{Behind, Vision, Windows};
pub use widths::{Width, Widths};
pub use work::Turn;

/// The sizes of a model's towers.
pub struct Shape {
    pub decoder: decoder::Spec,
    pub vision: Vision,
    pub facts: Facts,
    /// How it takes pictures.
    pub input: VisualFormat,
}

/// Memory of one use of a model, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Weights at the widths at which they are held.
    pub weights_bytes: u64,
    /// Keys and values of the whole context.
    pub cache_bytes: u64,
    /// The largest intermediate results of the vision tower, all pictures in one pass.
    pub vision_bytes: u64,
    /// The largest intermediate results of the decoder over the prompt.
    pub prefill_bytes: u64,
    /// Tokens that the pictures take in the prompt.
    pub image_tokens: u64,
}

impl Plan {
    pub fn total_bytes(&self) -> u64 {
        // The tower's results are gone when the prompt is read.
        let passing = self.vision_bytes.max(self.prefill_bytes);
        sum(&[self.weights_bytes, self.cache_bytes, passing])
    }
}

impl Shape {
    /// Parameters of the vision tower with what stands between it and the decoder.
    pub fn vision_parameters(&self) -> u64 {
        self.vision.parameters()
    }

    /// Parameters of the decoder with its embedding and head.
    pub fn decoder_parameters(&self) -> u64 {
        let tables = match self.decoder.head {
            decoder::Head::Own => 2,
            _ => 1,
        };
        sum(&[
            product(&[tables, self.decoder.vocab, self.decoder.block.width]),
            self.layer_parameters(),
        ])
    }

    /// Parameters of the decoder's layers and of its last norm.
    fn layer_parameters(&self) -> u64 {
        let d = &self.decoder;
        let last = d
            .final_norm
            .map_or(0, |norm| norm_parameters(norm, d.block.width));
        sum(&[times(block_parameters(&d.block), d.layers), last])
    }

    /// Bytes of all weights.
    pub fn weights_bytes(&self, widths: &Widths) -> u64 {
        let table = product(&[self.decoder.vocab, self.decoder.block.width]);
        sum(&[
            widths.vision.bytes(self.vision_parameters()),
            widths.layers.bytes(self.layer_parameters()),
            widths.head.bytes(table),
            widths.table.map_or(0, |width| width.bytes(table)),
        ])
    }

    /// Bytes of the keys and values of `context` tokens, at a width.
    pub fn cache_bytes(&self, context: u64, state: Width) -> u64 {
        let a = self.decoder.block.attention;
        let values = product(&[2, a.kv_heads, a.head_dim, self.decoder.layers]);
        state.bytes(values.saturating_mul(context))
    }

    /// Memory for a prompt with pictures of these grids and `context` tokens in all, pictures, text and answer; keys and
    /// values are kept at the width of `state`, everything else that passes is f32.
    pub fn plan(&self, grids: &[Grid], context: u64, widths: &Widths, state: Width) -> Plan {
        let (d, v) = (&self.decoder, &self.vision);
        let patches: Vec<u64> = grids.iter().map(|g| product(&[g.t, g.h, g.w])).collect();
        let tokens: Vec<u64> = grids.iter().map(|g| self.facts.cells(g) as u64).collect();
        let inside = |mlp: Mlp| match mlp {
            Mlp::Gated { width, .. } => product(&[2, width]),
            Mlp::Plain { width, .. } => product(&[width]),
        };
        let width = v.block.width;
        let patch = sum(&[
            product(&[v.patch]),
            product(&[3, width]),
            inside(v.block.mlp).max(product(&[4, width])),
        ]);
        let token = sum(&[product(&[3, d.block.width]), inside(d.block.mlp)]);
        Plan {
            weights_bytes: self.weights_bytes(widths),
            cache_bytes: self.cache_bytes(context, state),
            vision_bytes: sum(&patches).saturating_mul(patch).saturating_mul(4),
            prefill_bytes: sum(&[context.saturating_mul(token), product(&[d.vocab])]).saturating_mul(4),
            image_tokens: sum(&tokens),
        }
    }
}

/// Parameters of a layer that looks at its own tokens.
fn block_parameters(b: &block::Spec) -> u64 {
    let (a, width) = (b.attention, b.width);
    let (q, kv) = (
        product(&[a.heads, a.head_dim]),
        product(&[a.kv_heads, a.head_dim]),
    );
    let biases = [
        (a.bias.q, q),
        (a.bias.k, kv),
        (a.bias.v, kv),
        (a.bias.o, width as u64),
    ];
    let biases: Vec<u64> = biases.into_iter().filter(|b| b.0).map(|b| b.1).collect();
    let inner = match b.mlp {
        Mlp::Gated {
            width: inner,
            bias: true,
            ..
        } => sum(&[product(&[2, inner]), width as u64]),
        Mlp::Plain {
            width: inner,
            bias: true,
            ..
        } => sum(&[inner as u64, width as u64]),
        _ => 0,
    };
    let heads = a.head_norm.map_or(0, |norm| norm_parameters(norm, a.head_dim));
    sum(&[
        block_matrices(b),
        sum(&biases),
        inner,
        times(heads, 2),
        times(norm_parameters(b.norm, width), 2),
    ])
}

/// Parameters of a layer's matrices: its multiplications for one row.
fn block_matrices(b: &block::Spec) -> u64 {
    let a = b.attention;
    let (outer, inner, matrices) = match b.mlp {
        Mlp::Gated { width, .. } => (b.width, width, 3),
        Mlp::Plain { width, .. } => (b.width, width, 2),
    };
    sum(&[
        product(&[2, b.width, a.heads, a.head_dim]),
        product(&[2, b.width, a.kv_heads, a.head_dim]),
        product(&[matrices, outer, inner]),
    ])
}

fn norm_parameters(norm: Norm, width: usize) -> u64 {
    match norm {
        Norm::Layer { .. } => product(&[2, width]),
        Norm::Rms { .. } => width as u64,
    }
}

/// Sizes come from files: a product or sum that is out of range stays at the end of the range.
fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |all, f| times(all, *f))
}

fn times(value: u64, factor: usize) -> u64 {
    value.saturating_mul(factor as u64)
}

fn sum(values: &[u64]) -> u64 {
    values.iter().fold(0, |all, v| all.saturating_add(*v))
}
