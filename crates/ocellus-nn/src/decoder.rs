//! A causal decoder: pre-norm blocks of grouped attention and a gated network, and a head that may be tied.

use candle_core::{Device, Tensor};

use crate::attention::{Attention, Batch};
use crate::mlp::MlpLayer;
use crate::norm::NormLayer;
use crate::rope::{Angles, Rope};
use crate::{Attn, Cache, Linear, LoadError, Mlp, Norm, Params, Result, Taps};

/// The shape of a decoder.
#[derive(Clone, Debug)]
pub struct Spec {
    pub vocab: usize,
    pub width: usize,
    pub layers: usize,
    pub norm: Norm,
    pub attention: Attn,
    pub rope: Rope,
    pub mlp: Mlp,
    /// The head is the embedding table.
    pub tied_head: bool,
}

struct Layer {
    attention_norm: NormLayer,
    attention: Attention,
    mlp_norm: NormLayer,
    mlp: MlpLayer,
}

/// A loaded decoder.
pub struct Decoder {
    spec: Spec,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: NormLayer,
    head: Linear,
}

impl Decoder {
    /// Takes `embed_tokens`, `layers.N.*` and `norm` under `p`, and the head under `head` unless it is tied.
    pub fn load(p: &Params, head: &Params, spec: Spec) -> std::result::Result<Self, LoadError> {
        let embedding = p.at("embed_tokens").tensor("weight", &[spec.vocab, spec.width])?;
        let layers = (0..spec.layers)
            .map(|i| {
                let p = p.at("layers").at(i);
                Ok(Layer {
                    attention_norm: spec.norm.load(&p.at("input_layernorm"), spec.width)?,
                    attention: Attention::load(&p.at("self_attn"), spec.attention, spec.width)?,
                    mlp_norm: spec.norm.load(&p.at("post_attention_layernorm"), spec.width)?,
                    mlp: spec.mlp.load(&p.at("mlp"), spec.width)?,
                })
            })
            .collect::<std::result::Result<_, LoadError>>()?;
        let norm = spec.norm.load(&p.at("norm"), spec.width)?;
        let head = if spec.tied_head {
            Linear::tied(embedding.clone(), head)?
        } else {
            Linear::load(head, spec.width, spec.vocab, false)?
        };
        Ok(Self {
            spec,
            embedding,
            layers,
            norm,
            head,
        })
    }

    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn dtype(&self) -> candle_core::DType {
        self.embedding.dtype()
    }

    pub fn device(&self) -> &Device {
        self.embedding.device()
    }

    /// An empty cache for `slots` sequences of up to `capacity` tokens.
    pub fn cache(&self, slots: usize, capacity: usize) -> Result<Cache> {
        let Attn {
            kv_heads, head_dim, ..
        } = self.spec.attention;
        Cache::new(
            self.spec.layers,
            (slots, capacity),
            (kv_heads, head_dim),
            self.embedding.dtype(),
            self.device(),
        )
    }

    /// Rows of the embedding table, `[ids, width]`.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        self.embedding
            .index_select(&Tensor::from_slice(ids, ids.len(), self.device())?, 0)
    }

    /// `x [tokens, width]` at `positions` → hidden states after the last norm, `[tokens, width]`. Taps `hidden_N`, `hidden_last`.
    pub fn forward(
        &self,
        x: &Tensor,
        positions: &[[i64; 3]],
        batch: &Batch,
        cache: Option<&mut Cache>,
        taps: &mut Taps,
    ) -> Result<Tensor> {
        let angles: Angles = self
            .spec
            .rope
            .angles(positions, self.spec.attention.head_dim, self.device())?;
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = layer.attention_norm.forward(&x)?;
            x = (x + layer
                .attention
                .forward(&normed, &angles, batch, cache.as_deref(), i, taps)?)?;
            x = (&x + layer.mlp.forward(&layer.mlp_norm.forward(&x)?)?)?;
            taps.tap_layer("hidden", i, &x);
        }
        if let Some(cache) = cache {
            batch
                .slots
                .iter()
                .zip(&batch.lengths)
                .for_each(|(slot, count)| cache.advance(*slot, *count));
        }
        let x = self.norm.forward(&x)?;
        taps.tap("hidden_last", &x);
        Ok(x)
    }

    /// `hidden [rows, width]` → logits `[rows, vocab]`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head.forward(hidden)
    }
}
