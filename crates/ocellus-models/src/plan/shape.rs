//! The sizes of a model, and the memory that its use takes.

use ocellus_media::Grid;
use ocellus_nn::{Mlp, decoder};

use super::count::{block_parameters, norm_parameters, product, sum, times};
use super::vision::TowerShape;
use super::widths::{Width, Widths};
use crate::facts::Facts;
use crate::input::VisualFormat;

/// Sizes of the towers of a model.
pub struct Shape {
    pub decoder: decoder::Spec,
    pub vision: TowerShape,
    pub facts: Facts,
    /// The form in which it takes pictures.
    pub input: VisualFormat,
    /// Extra tokens at the end of each row of visual tokens in a prompt.
    pub row_ends: usize,
}

/// Memory of one use of a model, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Weights, at the widths of their storage formats.
    pub weights_bytes: u64,
    /// The KV cache of the whole context.
    pub cache_bytes: u64,
    /// Largest intermediate results of the vision tower, with all pictures in one pass.
    pub vision_bytes: u64,
    /// Largest intermediate results of the decoder during prefill.
    pub prefill_bytes: u64,
    /// Prompt tokens of the pictures.
    pub image_tokens: u64,
}

impl Plan {
    pub fn total_bytes(&self) -> u64 {
        // The tower's intermediate results are freed before prefill.
        let passing = self.vision_bytes.max(self.prefill_bytes);
        sum(&[self.weights_bytes, self.cache_bytes, passing])
    }
}

impl Shape {
    /// Parameters of the vision tower and of the layers between it and the decoder.
    pub fn vision_parameters(&self) -> u64 {
        self.vision.parameters()
    }

    /// Parameters of the decoder, embedding and head included.
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

    /// Parameters of the decoder's layers and of the last norm.
    pub(super) fn layer_parameters(&self) -> u64 {
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

    /// Bytes of the KV cache for `context` tokens, at a storage width.
    pub fn cache_bytes(&self, context: u64, state: Width) -> u64 {
        let a = self.decoder.block.attention;
        let values = product(&[2, a.kv_heads, a.head_dim, self.decoder.layers]);
        state.bytes(values.saturating_mul(context))
    }

    /// Memory for a prompt with pictures of these grids; `context` counts all tokens of pictures, text and answer. The KV cache
    /// has the width `state`; intermediate results are f32.
    pub fn plan(&self, grids: &[Grid], context: u64, widths: &Widths, state: Width) -> Plan {
        let (d, v) = (&self.decoder, &self.vision);
        let patches: Vec<u64> = grids.iter().map(|g| product(&[g.t, g.h, g.w])).collect();
        let tokens: Vec<u64> = grids.iter().map(|g| self.facts.visual_tokens(g) as u64).collect();
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
