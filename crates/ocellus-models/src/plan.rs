//! What a model needs in memory, from its config alone.

use ocellus_nn::{Mlp, decoder, vit};

use crate::vlm::Facts;

/// The sizes of a model's towers.
pub struct Shape {
    pub decoder: decoder::Spec,
    pub vision: vit::Spec,
    pub facts: Facts,
}

/// Memory of one use of a model, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Weights at the given width.
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
        self.weights_bytes + self.cache_bytes + self.vision_bytes.max(self.prefill_bytes)
    }
}

impl Shape {
    /// Parameters of the vision tower with its merger.
    pub fn vision_parameters(&self) -> u64 {
        let v = &self.vision;
        let (width, inner) = (v.width as u64, (v.width * v.merged) as u64);
        let mlp = match v.mlp {
            Mlp::Gated { width: m, .. } => 3 * width * m as u64 + 2 * m as u64 + width,
            Mlp::Plain { width: m, .. } => 2 * width * m as u64 + m as u64 + width,
        };
        let norm = if matches!(v.norm, ocellus_nn::Norm::Layer { .. }) {
            2 * width
        } else {
            width
        };
        let block = 4 * width * width + 4 * width + mlp + 2 * norm;
        v.patch as u64 * width
            + v.depth as u64 * block
            + norm
            + inner * inner
            + inner
            + inner * v.out as u64
            + v.out as u64
    }

    /// Parameters of the decoder with its embedding and head.
    pub fn decoder_parameters(&self) -> u64 {
        let d = &self.decoder;
        let (width, a) = (d.block.width as u64, d.block.attention);
        let (q, kv) = ((a.heads * a.head_dim) as u64, (a.kv_heads * a.head_dim) as u64);
        let mlp = match d.block.mlp {
            Mlp::Gated { width: m, .. } => 3 * width * m as u64,
            Mlp::Plain { width: m, .. } => 2 * width * m as u64,
        };
        let layer = 2 * width * q + 2 * width * kv + if a.bias.q { q + 2 * kv } else { 0 } + mlp + 2 * width;
        let tables = if matches!(d.head, decoder::Head::Tied { .. }) {
            1
        } else {
            2
        };
        tables * d.vocab as u64 * width + d.layers as u64 * layer + width
    }

    /// Memory for a prompt of `image_patches` patches in pictures and `context` tokens in all, weights `weight_bytes` wide and
    /// everything else in f32. `images` are `(patches, cells)`.
    pub fn plan(&self, images: &[(u64, u64)], context: u64, weight_bytes: u64, state_bytes: u64) -> Plan {
        let (d, v) = (&self.decoder, &self.vision);
        let patches: u64 = images.iter().map(|i| i.0).sum();
        let image_tokens: u64 = images.iter().map(|i| i.1).sum();
        let inside = |mlp: Mlp| match mlp {
            Mlp::Gated { width, .. } => 2 * width as u64,
            Mlp::Plain { width, .. } => width as u64,
        };
        let a = d.block.attention;
        Plan {
            weights_bytes: (self.vision_parameters() + self.decoder_parameters()) * weight_bytes,
            cache_bytes: context * 2 * (a.kv_heads * a.head_dim * d.layers) as u64 * state_bytes,
            vision_bytes: patches
                * (v.patch as u64 + 3 * v.width as u64 + inside(v.mlp).max(4 * v.width as u64))
                * 4,
            prefill_bytes: context * (3 * d.block.width as u64 + inside(d.block.mlp)) * 4
                + d.vocab as u64 * 4,
            image_tokens,
        }
    }
}
