//! `config.json`, as transformers writes it. Published files omit fields that equal the library's defaults, so these are the
//! defaults here.

use ocellus_nn::Act;
use serde_json::{Value, json};

use super::config::ID;
use super::config::{Config, SpecialTokens, TextConfig, VisionConfig};
use super::names::Publication;
use crate::config::{ConfigError, ConfigFile, Fields};

pub fn read(config: &ConfigFile) -> Result<Config, ConfigError> {
    let top = config.fields()?.of("LlavaConfig");
    let part = |name: &str| {
        let missing = || ConfigError::Missing {
            field: name.to_owned(),
        };
        top.object(name)?.ok_or_else(missing)
    };
    let (vision, text) = (
        part("vision_config")?.of("PixtralVisionConfig"),
        part("text_config")?.of("MistralConfig"),
    );
    top.only("projector_hidden_act", &[json!("gelu")])?;
    // Without these two the library takes another layer and drops a token.
    top.only("vision_feature_layer", &[json!(-1)])?;
    top.only("vision_feature_select_strategy", &[json!("full")])?;
    let image_token = match top.get("image_token_id") {
        Some(_) => top.id("image_token_id")?,
        None => top.id("image_token_index")?,
    };
    let tied = match top.own("tie_word_embeddings") {
        Some(_) => &top,
        None => &text,
    }
    .flag_or("tie_word_embeddings", false)?;
    text.own("tie_word_embeddings");
    let read = Config {
        layout: Publication::Library,
        vision_config: vision_config(&vision)?,
        text_config: text_config(&text, tied)?,
        adapter_bias: top.flag_or("multimodal_projector_bias", true)?,
        special_tokens: SpecialTokens::read(image_token, &top)?,
    }
    .check(&vision, &text)?;
    vision.finish(ID, &["tie_word_embeddings"])?;
    text.finish(ID, &[])?;
    // A number of tokens that the processor computes for every picture instead.
    top.finish(ID, &["image_seq_length"])?;
    Ok(read)
}

fn vision_config(vision: &Fields) -> Result<VisionConfig, ConfigError> {
    vision.only("model_type", &[json!("pixtral")])?;
    let act = match vision.text("hidden_act")? {
        "silu" => Act::Silu,
        "gelu" => Act::Gelu,
        other => {
            return Err(ConfigError::Value {
                field: vision.name("hidden_act"),
                expected: "\"silu\" or \"gelu\"".to_owned(),
                found: other.to_owned(),
            });
        }
    };
    let (width, heads) = (vision.size("hidden_size")?, vision.size("num_attention_heads")?);
    vision.only("head_dim", &[json!(width / heads)])?;
    Ok(VisionConfig {
        width,
        layers: vision.size("num_hidden_layers")?,
        heads,
        inner: vision.size("intermediate_size")?,
        act,
        channels: vision.size("num_channels")?,
        patch_size: vision.size("patch_size")?,
        image_size: vision.size("image_size")?,
        theta: theta(vision, "axial")?,
    })
}

fn text_config(text: &Fields, tied: bool) -> Result<TextConfig, ConfigError> {
    text.only("model_type", &[json!("mistral")])?;
    text.only("hidden_act", &[json!("silu")])?;
    let (width, heads) = (text.size("hidden_size")?, text.size("num_attention_heads")?);
    let max_positions = text.size("max_position_embeddings")?;
    let window = match text.is_null("sliding_window") {
        true => None,
        false => text.size_or("sliding_window")?,
    };
    // A sliding window at least as long as the longest prompt has no effect.
    if let Some(window) = window.filter(|w| *w < max_positions) {
        return Err(ConfigError::Value {
            field: text.name("sliding_window"),
            expected: "null".to_owned(),
            found: window.to_string(),
        });
    }
    Ok(TextConfig {
        vocab: text.size("vocab_size")?,
        width,
        layers: text.size("num_hidden_layers")?,
        heads,
        kv_heads: text.size("num_key_value_heads")?,
        head_dim: text.size_or("head_dim")?.unwrap_or(width / heads),
        inner: text.size("intermediate_size")?,
        eps: text.number("rms_norm_eps")?,
        theta: theta(text, "default")?,
        tied,
        max_positions,
    })
}

/// `rope_theta`, beside the other fields or under `rope_parameters`; scaled positions are refused.
fn theta(fields: &Fields, kind: &str) -> Result<f64, ConfigError> {
    let beside = fields.number("rope_theta")?;
    fields.only("rope_scaling", &[Value::Null])?;
    let Some(inner) = fields.object("rope_parameters")? else {
        return Ok(beside);
    };
    // The tower turns by its axes under either name.
    inner.only("rope_type", &[json!("default"), json!(kind)])?;
    let theta = inner.number_or("rope_theta", beside)?;
    inner.finish(ID, &[])?;
    Ok(theta)
}
