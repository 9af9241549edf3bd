//! Language models of the family: decoder-only (OPT, Zhang et al. 2022), or encoder-decoder (T5, Raffel et al. 2020, and
//! FLAN-T5).

use ocellus_nn::decoder::{self, Decoder, Head, Positions};
use ocellus_nn::encoder;
use ocellus_nn::relative::Buckets;
use ocellus_nn::{Act, Attn, Bias, Mlp, Names, Norm, Order, Params, block};
use serde_json::json;

use super::language_model::{LanguageModel, PromptEncoder};
use crate::config::{ConfigError, Fields};
use crate::error::ModelError;
use crate::families::blip::fields::{LIBRARY, act, head_dim};

const OPT: Names = &[
    ("positions", "embed_positions"),
    ("norm", "final_layer_norm"),
    ("attn.o_proj", "self_attn.out_proj"),
    ("attn", "self_attn"),
    ("norm1", "self_attn_layer_norm"),
    ("mlp", ""),
    ("norm2", "final_layer_norm"),
];

const T5_ENCODER: Names = &[
    (
        "relative",
        "block.0.layer.0.SelfAttention.relative_attention_bias",
    ),
    ("norm", "final_layer_norm"),
    ("layers", "block"),
    ("attn.q_proj", "layer.0.SelfAttention.q"),
    ("attn.k_proj", "layer.0.SelfAttention.k"),
    ("attn.v_proj", "layer.0.SelfAttention.v"),
    ("attn.o_proj", "layer.0.SelfAttention.o"),
    ("norm1", "layer.0.layer_norm"),
    ("mlp.gate_proj", "layer.1.DenseReluDense.wi_0"),
    ("mlp.up_proj", "layer.1.DenseReluDense.wi_1"),
    ("mlp.down_proj", "layer.1.DenseReluDense.wo"),
    ("mlp.fc1", "layer.1.DenseReluDense.wi"),
    ("mlp.fc2", "layer.1.DenseReluDense.wo"),
    ("norm2", "layer.1.layer_norm"),
];

const T5_DECODER: Names = &[
    ("embed_tokens", "shared"),
    (
        "relative",
        "decoder.block.0.layer.0.SelfAttention.relative_attention_bias",
    ),
    ("norm", "decoder.final_layer_norm"),
    ("layers", "decoder.block"),
    ("attn.q_proj", "layer.0.SelfAttention.q"),
    ("attn.k_proj", "layer.0.SelfAttention.k"),
    ("attn.v_proj", "layer.0.SelfAttention.v"),
    ("attn.o_proj", "layer.0.SelfAttention.o"),
    ("norm1", "layer.0.layer_norm"),
    ("cross.q_proj", "layer.1.EncDecAttention.q"),
    ("cross.k_proj", "layer.1.EncDecAttention.k"),
    ("cross.v_proj", "layer.1.EncDecAttention.v"),
    ("cross.o_proj", "layer.1.EncDecAttention.o"),
    ("norm_cross", "layer.1.layer_norm"),
    ("mlp.gate_proj", "layer.2.DenseReluDense.wi_0"),
    ("mlp.up_proj", "layer.2.DenseReluDense.wi_1"),
    ("mlp.down_proj", "layer.2.DenseReluDense.wo"),
    ("mlp.fc1", "layer.2.DenseReluDense.wi"),
    ("mlp.fc2", "layer.2.DenseReluDense.wo"),
    ("norm2", "layer.2.layer_norm"),
];

/// Most tokens of an encoder-decoder's prompt and of its answer: relative distances set no bound themselves.
const MOST_POSITIONS: usize = 2048;

/// Fields of the two that are derived from others, and two of old versions that are no longer read.
const HARMLESS: &[&str] = &["dense_act_fn", "is_gated_act", "n_positions", "output_past"];

/// Specs of a language model, read from its config.
pub struct LanguageConfig {
    decoder: decoder::Spec,
    /// The encoder, its buckets of relative distances, and its last norm.
    encoder: Option<(encoder::Spec, Buckets, Norm)>,
    /// Whether the head uses the token embedding table. Otherwise the checkpoint has a head of its own.
    tied: bool,
    positions: usize,
    start: u32,
    pad: u32,
}

impl LanguageConfig {
    pub fn read(fields: Fields, family: &str) -> Result<Self, ConfigError> {
        let (language, fields) = match fields.text_or("model_type", "opt")? {
            "opt" => {
                let fields = fields.of("OPTConfig");
                (Self::opt(&fields)?, fields)
            }
            "t5" => {
                let fields = fields.of("T5Config");
                (Self::t5(&fields)?, fields)
            }
            other => {
                return Err(ConfigError::Value {
                    field: fields.name("model_type"),
                    expected: "opt or t5".to_owned(),
                    found: other.to_owned(),
                });
            }
        };
        fields.finish(family, &[LIBRARY, HARMLESS].concat())?;
        Ok(language)
    }

    fn opt(fields: &Fields) -> Result<Self, ConfigError> {
        let width = fields.size("hidden_size")?;
        let heads = fields.size("num_attention_heads")?;
        let dim = head_dim(fields, "num_attention_heads", width, heads)?;
        fields.only("word_embed_proj_dim", &[json!(width)])?;
        fields.only("layer_norm_elementwise_affine", &[json!(true)])?;
        let (bias, first) = (
            fields.flag_or("enable_bias", true)?,
            fields.flag_or("do_layer_norm_before", true)?,
        );
        let removed = fields.flag_or("_remove_final_layer_norm", false)?;
        let norm = Norm::layer(1e-5);
        let positions = fields.size("max_position_embeddings")?;
        let tied = fields.flag_or("tie_word_embeddings", true)?;
        Ok(Self {
            decoder: decoder::Spec {
                vocab: fields.size("vocab_size")?,
                layers: fields.size("num_hidden_layers")?,
                block: block::Spec {
                    width,
                    attention: Attn::full(heads, dim, if bias { Bias::ALL } else { Bias::NONE }),
                    norm,
                    order: if first { Order::NormFirst } else { Order::NormLast },
                    mlp: Mlp::Plain {
                        act: act(fields, "activation_function")?,
                        width: fields.size("ffn_dim")?,
                        bias,
                    },
                    memory: None,
                },
                positions: Positions::Learned {
                    rows: positions,
                    offset: 2,
                },
                embedding_norm: None,
                final_norm: Some(norm).filter(|_| first && !removed),
                head: Head::Tied { scale: 1.0 },
            },
            encoder: None,
            tied,
            positions,
            start: fields.id("bos_token_id")?,
            pad: fields.id("pad_token_id")?,
        })
    }

    fn t5(fields: &Fields) -> Result<Self, ConfigError> {
        let (width, heads) = (fields.size("d_model")?, fields.size("num_heads")?);
        let buckets = Buckets {
            buckets: fields.size("relative_attention_num_buckets")?,
            max_distance: fields.size("relative_attention_max_distance")?,
            both_ways: true,
            heads,
        };
        if buckets.buckets < 4 || buckets.max_distance <= buckets.buckets / 2 {
            return Err(ConfigError::Value {
                field: fields.name("relative_attention_num_buckets"),
                expected: format!("4 to less than twice {}", buckets.max_distance),
                found: buckets.buckets.to_string(),
            });
        }
        let norm = Norm::rms(fields.number("layer_norm_epsilon")?);
        let block = block::Spec {
            width,
            attention: Attn {
                scale: Some(1.0),
                ..Attn::full(heads, fields.size("d_kv")?, Bias::NONE)
            },
            norm,
            order: Order::NormFirst,
            mlp: t5_mlp(fields)?,
            memory: None,
        };
        let layers = fields.size("num_layers")?;
        // Models with one table for words and scores bring the states of their decoder down to the table's size.
        let tied = fields.flag_or("tie_word_embeddings", true)?;
        let scale = if tied { (width as f64).powf(-0.5) } else { 1.0 };
        let pad = fields.id("pad_token_id")?;
        Ok(Self {
            decoder: decoder::Spec {
                vocab: fields.size("vocab_size")?,
                layers: fields.size_or("num_decoder_layers")?.unwrap_or(layers),
                block: block::Spec {
                    memory: Some(width),
                    ..block
                },
                positions: Positions::Relative(Buckets {
                    both_ways: false,
                    ..buckets
                }),
                embedding_norm: None,
                final_norm: Some(norm),
                head: Head::Tied { scale },
            },
            encoder: Some((encoder::Spec::new(layers, block), buckets, norm)),
            tied,
            positions: MOST_POSITIONS,
            start: fields.id_or("decoder_start_token_id")?.unwrap_or(pad),
            pad,
        })
    }

    pub fn width(&self) -> usize {
        self.decoder.block.width
    }

    /// The most tokens of a prompt and its answer, without the visual tokens.
    pub fn room(&self, queries: usize) -> usize {
        self.positions.saturating_sub(queries)
    }

    /// Loads all tensors under `p`.
    pub fn load(mut self, p: &Params) -> Result<LanguageModel, ModelError> {
        if !self.tied && p.at("lm_head").contains("weight") {
            self.decoder.head = Head::Own;
        }
        let names = match self.encoder {
            Some(_) => p.named(T5_DECODER),
            None => p.at("model.decoder").named(OPT),
        };
        let reader = |(spec, buckets, norm): (encoder::Spec, Buckets, Norm)| {
            let p = p.at("encoder").named(T5_ENCODER);
            PromptEncoder::load(&p, &spec, buckets, norm)
        };
        Ok(LanguageModel {
            decoder: Decoder::load(&names, &p.at("lm_head"), self.decoder)?,
            reader: self.encoder.map(reader).transpose()?,
            positions: self.positions,
            start: self.start,
            pad: self.pad,
        })
    }
}

fn t5_mlp(fields: &Fields) -> Result<Mlp, ConfigError> {
    let (width, bias) = (fields.size("d_ff")?, false);
    Ok(match fields.text_or("feed_forward_proj", "relu")? {
        "relu" => Mlp::Plain {
            act: Act::Relu,
            width,
            bias,
        },
        // In these configs the name means the tanh approximation of GELU.
        "gated-gelu" => Mlp::Gated {
            act: Act::GeluTanh,
            width,
            bias,
        },
        "gated-silu" => Mlp::Gated {
            act: Act::Silu,
            width,
            bias,
        },
        other => {
            return Err(ConfigError::Value {
                field: fields.name("feed_forward_proj"),
                expected: "relu, gated-gelu or gated-silu".to_owned(),
                found: other.to_owned(),
            });
        }
    })
}
