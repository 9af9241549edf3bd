//! The published config.

use ocellus_nn::decoder::{self, Head, Positions};
use ocellus_nn::rope::{Long, Rope};
use ocellus_nn::{Act, Attn, Bias, Mlp, Norm, Order, block};
use serde_json::json;

use super::visual;
use crate::config::{ConfigError, ConfigFile};
use crate::facts::Facts;

/// The family's id.
pub const ID: &str = "qwen";

/// A parsed config.
pub struct Config {
    pub decoder: decoder::Spec,
    /// Whether the rotary base grows with the prompt.
    pub dynamic: bool,
    pub trained_positions: usize,
    pub max_positions: usize,
    pub visual: visual::Spec,
    pub image_start: u32,
}

/// Fields about storage, kernels, dropout, and the tokenizer's class, which do not change the computation.
const HARMLESS: &[&str] = &[
    "attn_dropout_prob",
    "auto_map",
    "bf16",
    "emb_dropout_prob",
    "fp16",
    "fp32",
    "onnx_safe",
    "tokenizer_class",
    "tokenizer_type",
    "use_flash_attn",
];

impl Config {
    pub fn read(config: &ConfigFile) -> Result<Self, ConfigError> {
        let top = config.fields()?;
        let missing = || ConfigError::Missing {
            field: "visual".to_owned(),
        };
        let visual = top.object("visual")?.ok_or_else(missing)?;
        top.only("rotary_pct", &[json!(1.0), json!(1)])?;
        top.only("scale_attn_weights", &[json!(true)])?;
        top.refuse(&["use_cache_quantization", "use_cache_kernel"])?;
        let (width, heads) = (top.size("hidden_size")?, top.size("num_attention_heads")?);
        let head_dim = top.size_or("kv_channels")?.unwrap_or(width / heads);
        if head_dim * heads != width || head_dim % 2 != 0 || head_dim < 4 {
            return Err(ConfigError::Value {
                field: top.name("kv_channels"),
                expected: format!("an even share of hidden_size = {width} for each of {heads} heads"),
                found: head_dim.to_string(),
            });
        }
        let inner = top.size("intermediate_size")? / 2;
        let biased = !top.flag_or("no_bias", true)?;
        let norm = Norm::rms(top.number("layer_norm_epsilon")?);
        let trained_positions = top.size("seq_length")?;
        let dynamic = top.flag_or("use_dynamic_ntk", true)?;
        let log_scale = top.flag_or("use_logn_attn", true)?;
        let long = Long {
            trained_positions,
            log_scale,
        };
        let rope = Rope {
            long: (dynamic || log_scale).then_some(long),
            ..Rope::plain(top.number_or("rotary_emb_base", 1e4)?, head_dim)
        };
        let read = Self {
            decoder: decoder::Spec {
                vocab: top.size("vocab_size")?,
                layers: top.size("num_hidden_layers")?,
                block: block::Spec {
                    width,
                    attention: Attn::full(heads, head_dim, if biased { Bias::ALL } else { Bias::QKV })
                        .fused(),
                    norm,
                    order: Order::NormFirst,
                    mlp: Mlp::Gated {
                        act: Act::Silu,
                        width: inner,
                        bias: biased,
                    },
                    memory: None,
                },
                positions: Positions::Rotary(rope),
                embedding_norm: None,
                final_norm: Some(norm),
                head: match top.flag_or("tie_word_embeddings", false)? {
                    true => Head::Tied { scale: 1.0 },
                    false => Head::Own,
                },
            },
            dynamic,
            trained_positions,
            max_positions: top.size_or("max_position_embeddings")?.unwrap_or(8192),
            image_start: visual.id("image_start_id")?,
            visual: visual::Spec::read(&visual)?,
        };
        visual.finish(ID, &[])?;
        top.finish(ID, HARMLESS)?;
        Ok(read)
    }

    pub fn facts(&self) -> Facts {
        Facts {
            family: ID,
            // The id that fills the positions between start and end token in prompts that we assemble.
            image_token: Some(self.image_start + 2),
            video_token: None,
            merge: 1,
            patch_size: self.visual.patch_size,
            temporal_patch_size: 1,
            patch_features: self.visual.tower.patch,
            tokens_per_second: None,
            frames_apart: false,
            max_positions: self.max_positions,
        }
    }
}
