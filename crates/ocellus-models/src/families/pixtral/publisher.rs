//! `params.json`, as the publisher writes it.

use ocellus_nn::Act;
use serde_json::json;

use super::config::ID;
use super::config::{Config, SpecialTokens, TextConfig, VisionConfig};
use super::names::Publication;
use crate::config::{ConfigError, ConfigFile};

/// Maximum positions of the published model; its own config omits them.
const PUBLISHED_POSITIONS: usize = 131_072;

pub fn read(config: &ConfigFile) -> Result<Config, ConfigError> {
    let top = config.fields()?;
    let missing = || ConfigError::Missing {
        field: "vision_encoder".to_owned(),
    };
    let vision = top.object("vision_encoder")?.ok_or_else(missing)?;
    vision.only("add_pre_mm_projector_layer_norm", &[json!(false)])?;
    vision.only("mm_projector_id", &[json!("")])?;
    vision.only("spatial_merge_size", &[json!(1)])?;
    let vision_config = VisionConfig {
        width: vision.size("hidden_size")?,
        layers: vision.size("num_hidden_layers")?,
        heads: vision.size("num_attention_heads")?,
        inner: vision.size("intermediate_size")?,
        act: Act::Silu,
        channels: vision.size_or("num_channels")?.unwrap_or(3),
        patch_size: vision.size("patch_size")?,
        image_size: vision.size("image_size")?,
        theta: vision.number_or("rope_theta", 1e4)?,
    };
    let (width, heads) = (top.size("dim")?, top.size("n_heads")?);
    let text_config = TextConfig {
        vocab: top.size("vocab_size")?,
        width,
        layers: top.size("n_layers")?,
        heads,
        kv_heads: top.size_or("n_kv_heads")?.unwrap_or(heads),
        head_dim: top.size_or("head_dim")?.unwrap_or(width / heads),
        inner: top.size("hidden_dim")?,
        eps: top.number("norm_eps")?,
        theta: top.number_or("rope_theta", 1e6)?,
        tied: top.flag_or("tied_embeddings", false)?,
        max_positions: top.size_or("max_seq_len")?.unwrap_or(PUBLISHED_POSITIONS),
    };
    let read = Config {
        layout: Publication::Publisher,
        vision_config,
        text_config,
        adapter_bias: vision.flag_or("adapter_bias", true)?,
        special_tokens: SpecialTokens::read(vision.id("image_token_id")?, &vision)?,
    }
    .check(&vision, &top)?;
    top.refuse(&[
        "attn_chunk_size",
        "llama_4_scaling",
        "lora",
        "moe",
        "quantization",
        "rope_scaling",
        "sliding_window",
        "yarn",
    ])?;
    // How large a picture the preprocessing makes.
    vision.finish(ID, &["max_image_size"])?;
    top.finish(ID, &[])?;
    Ok(read)
}
