//! Self-attention of a decoder layer: projections, norms of heads, rotation, cache.

use candle_core::Tensor;
use std::sync::Arc;

use crate::ops::{attention::attention, rope::rotate};
use crate::rope::Angles;
use crate::{Cache, Linear, LoadError, Params, Result, Segment, Taps};

/// Heads and biases of an attention with separate projections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attn {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub qkv_bias: bool,
}

/// Which tokens a call reads: sequences one after another, each with its slot when there is a cache.
pub struct Batch {
    /// Tokens of each sequence in this call.
    pub lengths: Vec<usize>,
    /// The cache slot of each sequence; empty without a cache.
    pub slots: Vec<usize>,
}

impl Batch {
    fn segments(&self, cache: Option<&Cache>) -> Arc<[Segment]> {
        let mut q_start = 0;
        let segment = |(i, &q_len): (usize, &usize)| {
            let (k_start, k_len) = match cache {
                Some(cache) => (cache.start(self.slots[i]), cache.len(self.slots[i]) + q_len),
                None => (q_start, q_len),
            };
            let segment = Segment {
                q_start,
                q_len,
                k_start,
                k_len,
            };
            q_start += q_len;
            segment
        };
        self.lengths.iter().enumerate().map(segment).collect()
    }
}

/// A loaded attention: tensors `q_proj`, `k_proj`, `v_proj`, `o_proj`.
pub struct Attention {
    spec: Attn,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
}

impl Attention {
    pub fn load(p: &Params, spec: Attn, width: usize) -> std::result::Result<Self, LoadError> {
        let Attn {
            heads,
            kv_heads,
            head_dim,
            qkv_bias,
        } = spec;
        Ok(Self {
            spec,
            q: Linear::load(&p.at("q_proj"), width, heads * head_dim, qkv_bias)?,
            k: Linear::load(&p.at("k_proj"), width, kv_heads * head_dim, qkv_bias)?,
            v: Linear::load(&p.at("v_proj"), width, kv_heads * head_dim, qkv_bias)?,
            o: Linear::load(&p.at("o_proj"), heads * head_dim, width, false)?,
        })
    }

    /// `x [tokens, width]` → `[tokens, width]`. Taps `query_{layer}` and `key_{layer}` after the rotation.
    pub fn forward(
        &self,
        x: &Tensor,
        angles: &Angles,
        batch: &Batch,
        cache: Option<&Cache>,
        layer: usize,
        taps: &mut Taps,
    ) -> Result<Tensor> {
        let Attn {
            heads,
            kv_heads,
            head_dim,
            ..
        } = self.spec;
        let tokens = x.dim(0)?;
        let q = self.q.forward(x)?.reshape((tokens, heads, head_dim))?;
        let k = self.k.forward(x)?.reshape((tokens, kv_heads, head_dim))?;
        let v = self.v.forward(x)?.reshape((tokens, kv_heads, head_dim))?;
        let q = rotate(&q, &angles.cos, &angles.sin)?;
        let k = rotate(&k, &angles.cos, &angles.sin)?;
        taps.tap_layer("query", layer, &q);
        taps.tap_layer("key", layer, &k);
        let segments = batch.segments(cache);
        let scale = 1.0 / (head_dim as f32).sqrt();
        let out = match cache {
            Some(cache) => {
                let mut from = 0;
                for (&slot, &count) in batch.slots.iter().zip(&batch.lengths) {
                    cache.write(layer, slot, &k, &v, from, count)?;
                    from += count;
                }
                let (keys, values) = cache.layer(layer);
                attention(&q, keys, values, &segments, true, scale)?
            }
            None => attention(&q, &k, &v, &segments, true, scale)?,
        };
        self.o.forward(&out.reshape((tokens, heads * head_dim))?)
    }
}
