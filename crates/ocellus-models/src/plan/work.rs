//! The work of a model: floating-point operations, and bytes that are read.

use super::count::{block_matrices, product, sum, times};
use super::shape::Shape;
use super::widths::{Width, Widths};
use ocellus_media::Grid;

/// Bytes that a decode step of one sequence reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeCost {
    /// The decoder's weights, each read once.
    pub weights_bytes: u64,
    /// The KV cache of the earlier tokens.
    pub cache_bytes: u64,
}

impl DecodeCost {
    pub fn bytes(&self) -> u64 {
        sum(&[self.weights_bytes, self.cache_bytes])
    }
}

impl Shape {
    /// Floating-point operations of the tower for these pictures; a multiplication and an addition are two.
    pub fn vision_flops(&self, grids: &[Grid]) -> u64 {
        let each: Vec<u64> = grids.iter().map(|g| self.vision.flops(g)).collect();
        sum(&each)
    }

    /// Floating-point operations of a prefill of `tokens` tokens: all layers with causal attention, and the head for the last
    /// token.
    pub fn prefill_flops(&self, tokens: u64) -> u64 {
        let (d, a) = (&self.decoder, self.decoder.block.attention);
        let pairs = tokens.saturating_mul(tokens.saturating_add(1)) / 2;
        sum(&[
            times(block_matrices(&d.block), d.layers)
                .saturating_mul(2)
                .saturating_mul(tokens),
            product(&[4, a.heads, a.head_dim, d.layers]).saturating_mul(pairs),
            product(&[2, d.vocab, d.block.width]),
        ])
    }

    /// Bytes that a decode step reads with `context` tokens in the KV cache, which has the storage width `state`.
    pub fn decode_cost(&self, context: u64, widths: &Widths, state: Width) -> DecodeCost {
        let d = &self.decoder;
        DecodeCost {
            weights_bytes: sum(&[
                widths.layers.bytes(self.layer_parameters()),
                widths.head.bytes(product(&[d.vocab, d.block.width])),
            ]),
            cache_bytes: self.cache_bytes(context, state),
        }
    }
}
