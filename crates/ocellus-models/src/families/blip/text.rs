//! The text model of the family (section 3.1 of the paper: a mixture of encoder and decoder). The same kind of layer serves as an
//! encoder of text alone, as an encoder that attends to the picture, and as a decoder that attends to the picture.

use candle_core::Tensor;
use ocellus_nn::attention::Mask;
use ocellus_nn::decoder::{self, Decoder, Head, Positions};
use ocellus_nn::embeddings::{self, Embeddings};
use ocellus_nn::encoder::{self, Across, Encoder};
use ocellus_nn::{Attn, Bias, Mlp, Names, Norm, Order, Params, Segment, Taps, block};
use serde_json::json;
use std::sync::Arc;

use super::fields::{LIBRARY, act, head_dim};
use crate::config::{ConfigError, Fields};
use crate::error::ModelError;

const NAMES: Names = &[
    ("embed_tokens", "embeddings.word_embeddings"),
    ("positions", "embeddings.position_embeddings"),
    ("embedding_norm", "embeddings.LayerNorm"),
    ("layers", "encoder.layer"),
    ("attn.q_proj", "attention.self.query"),
    ("attn.k_proj", "attention.self.key"),
    ("attn.v_proj", "attention.self.value"),
    ("attn.o_proj", "attention.output.dense"),
    ("norm1", "attention.output.LayerNorm"),
    ("cross.q_proj", "crossattention.self.query"),
    ("cross.k_proj", "crossattention.self.key"),
    ("cross.v_proj", "crossattention.self.value"),
    ("cross.o_proj", "crossattention.output.dense"),
    ("norm_cross", "crossattention.output.LayerNorm"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
    ("norm2", "output.LayerNorm"),
];

/// Specs of a text model, read from its config.
pub struct TextConfig {
    vocab: usize,
    layers: usize,
    block: block::Spec,
    pub positions: usize,
    /// The decoder's start token.
    pub start: u32,
    /// The token that ends a text.
    pub end: u32,
    pub pad: u32,
    pub smoothing: f64,
}

impl TextConfig {
    /// `memory` is the width of the picture tokens. The reference takes the picture tower's width, whatever the config says in
    /// `encoder_hidden_size`.
    pub fn read(fields: Fields, family: &str, memory: usize) -> Result<Self, ConfigError> {
        fields.only("is_decoder", &[json!(true)])?;
        fields.only("tie_word_embeddings", &[json!(true)])?;
        fields.only("position_embedding_type", &[json!("absolute")])?;
        let width = fields.size("hidden_size")?;
        let heads = fields.size("num_attention_heads")?;
        let dim = head_dim(&fields, "num_attention_heads", width, heads)?;
        let text = Self {
            vocab: fields.size("vocab_size")?,
            layers: fields.size("num_hidden_layers")?,
            block: block::Spec {
                width,
                attention: Attn::full(heads, dim, Bias::ALL),
                norm: Norm::layer(fields.number("layer_norm_eps")?),
                order: Order::NormLast,
                mlp: Mlp::Plain {
                    act: act(&fields, "hidden_act")?,
                    width: fields.size("intermediate_size")?,
                    bias: true,
                },
                memory: Some(memory),
            },
            positions: fields.size("max_position_embeddings")?,
            start: fields.id("bos_token_id")?,
            end: fields.id("sep_token_id")?,
            pad: fields.id("pad_token_id")?,
            smoothing: fields.number("label_smoothing")?,
        };
        fields.get("encoder_hidden_size");
        fields.finish(family, LIBRARY)?;
        Ok(text)
    }

    pub fn width(&self) -> usize {
        self.block.width
    }

    /// Loads the encoder: all of `embeddings` and `encoder` under `p`.
    pub fn encoder(&self, p: &Params) -> Result<TextEncoder, ModelError> {
        let spec = embeddings::Spec {
            vocab: self.vocab,
            width: self.block.width,
            positions: Some(self.positions),
            types: None,
            norm: self.block.norm,
        };
        Ok(TextEncoder {
            embeddings: Embeddings::load(&p.at("embeddings"), &spec)?,
            encoder: Encoder::load(&p.named(NAMES), &encoder::Spec::new(self.layers, self.block))?,
            vocab: self.vocab,
            positions: self.positions,
        })
    }

    /// Loads the decoder: all of `bert` and `cls` under `p`.
    pub fn decoder(&self, p: &Params) -> Result<Decoder, ModelError> {
        let Mlp::Plain { act, .. } = self.block.mlp else {
            unreachable!("the spec above is plain");
        };
        let spec = decoder::Spec {
            vocab: self.vocab,
            layers: self.layers,
            block: self.block,
            positions: Positions::Learned {
                rows: self.positions,
                offset: 0,
            },
            embedding_norm: Some(self.block.norm),
            final_norm: None,
            head: Head::Transformed {
                act,
                norm: self.block.norm,
            },
        };
        Ok(Decoder::load(
            &p.at("bert").named(NAMES),
            &p.at("cls.predictions"),
            spec,
        )?)
    }
}

/// The text model as a bidirectional encoder.
pub struct TextEncoder {
    embeddings: Embeddings,
    encoder: Encoder,
    vocab: usize,
    positions: usize,
}

impl TextEncoder {
    /// Packed ids at `positions` → states `[tokens, width]`. Without a cross-attention memory there is self-attention only. Taps
    /// `{tap}_N`.
    pub fn forward(
        &self,
        ids: &[u32],
        positions: &[u32],
        segments: &Arc<[Segment]>,
        memory: Option<Across>,
        taps: (&str, &mut Taps),
    ) -> Result<Tensor, ModelError> {
        if let Some(&id) = ids.iter().find(|id| **id as usize >= self.vocab) {
            return Err(ModelError::Vocabulary {
                id,
                vocab: self.vocab,
            });
        }
        if let Some(last) = positions.iter().find(|p| **p as usize >= self.positions) {
            let most = format!("at most {} tokens", self.positions);
            return Err(ModelError::input(
                "a text",
                most,
                format!("a token at place {last}"),
            ));
        }
        let x = self.embeddings.forward(ids, positions, &[])?;
        let (layers, mask) = (0..self.encoder.len(), Mask::whole(segments));
        Ok(self.encoder.forward(&x, layers, &mask, None, memory, taps)?)
    }
}
