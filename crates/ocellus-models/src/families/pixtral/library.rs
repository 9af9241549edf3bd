//! `config.json`, as transformers writes it. Published files omit fields that equal the library's defaults, so these are the
//! defaults here.

use ocellus_nn::Act;
use serde_json::{Value, json};

use super::config::ID;
use super::config::{Config, SpecialTokens, TextConfig, VisionConfig};
use super::names::Publication;
use crate::config::{ConfigError, Fields};

pub fn read(config: &Value) -> Result<Config, ConfigError> {
    let top = Fields::new("", config)?;
    let part = |name: &str| {
        let missing = || ConfigError::Missing {
            field: name.to_owned(),
        };
        top.object(name)?.ok_or_else(missing)
    };
    let (vision, text) = (part("vision_config")?, part("text_config")?);
    top.only("projector_hidden_act", &[json!("gelu")])?;
    // Other values of these two fields would select another layer or drop a token.
    top.number("vision_feature_layer")?;
    top.only("vision_feature_layer", &[json!(-1)])?;
    top.text("vision_feature_select_strategy")?;
    top.only("vision_feature_select_strategy", &[json!("full")])?;
    let image_token = match top.get("image_token_id") {
        Some(_) => top.id("image_token_id")?,
        None => top.id("image_token_index")?,
    };
    let tied = match top.get("tie_word_embeddings") {
        Some(_) => &top,
        None => &text,
    }
    .flag_or("tie_word_embeddings", false)?;
    text.get("tie_word_embeddings");
    let read = Config {
        layout: Publication::Library,
        vision_config: vision_config(&vision)?,
        text_config: text_config(&text, &config["text_config"], tied)?,
        adapter_bias: top.flag_or("multimodal_projector_bias", true)?,
        special_tokens: SpecialTokens::read(image_token, &top)?,
    }
    .check(&vision, &text)?;
    vision.finish(
        ID,
        &["is_composition", "initializer_factor", "tie_word_embeddings"],
    )?;
    text.finish(ID, &["is_composition"])?;
    top.finish(
        ID,
        // A number of visual tokens; the processor computes it for every picture instead.
        &["ignore_index", "image_seq_length", "processor_class"],
    )?;
    Ok(read)
}

fn vision_config(vision: &Fields) -> Result<VisionConfig, ConfigError> {
    vision.only("model_type", &[json!("pixtral")])?;
    let size = |key: &str, default: usize| Ok::<_, ConfigError>(vision.size_or(key)?.unwrap_or(default));
    let act = match vision.text_or("hidden_act", "gelu")? {
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
    let (width, heads) = (size("hidden_size", 1024)?, size("num_attention_heads", 16)?);
    vision.only("head_dim", &[json!(width / heads)])?;
    Ok(VisionConfig {
        width,
        layers: size("num_hidden_layers", 24)?,
        heads,
        inner: size("intermediate_size", 4096)?,
        act,
        channels: size("num_channels", 3)?,
        patch_size: size("patch_size", 16)?,
        image_size: size("image_size", 1024)?,
        theta: theta(vision)?,
    })
}

fn text_config(text: &Fields, raw: &Value, tied: bool) -> Result<TextConfig, ConfigError> {
    text.only("model_type", &[json!("mistral")])?;
    text.only("hidden_act", &[json!("silu")])?;
    let size = |key: &str, default: usize| Ok::<_, ConfigError>(text.size_or(key)?.unwrap_or(default));
    let (width, heads) = (size("hidden_size", 4096)?, size("num_attention_heads", 32)?);
    let max_positions = size("max_position_embeddings", 131_072)?;
    let window = match raw.get("sliding_window") {
        Some(_) => text.size_or("sliding_window")?,
        // The library's default where the field is absent.
        None => Some(4096),
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
        vocab: size("vocab_size", 32000)?,
        width,
        layers: size("num_hidden_layers", 32)?,
        heads,
        kv_heads: size("num_key_value_heads", 8)?,
        head_dim: size("head_dim", width / heads)?,
        inner: size("intermediate_size", 14336)?,
        eps: text.number_or("rms_norm_eps", 1e-6)?,
        theta: theta(text)?,
        tied,
        max_positions,
    })
}

/// `rope_theta`, beside the other fields or under `rope_parameters`; scaled positions are refused.
fn theta(fields: &Fields) -> Result<f64, ConfigError> {
    let beside = fields.number_or("rope_theta", 1e4)?;
    fields.only("rope_scaling", &[Value::Null])?;
    let Some(inner) = fields.object("rope_parameters")? else {
        return Ok(beside);
    };
    inner.only("rope_type", &[json!("default")])?;
    let theta = inner.number_or("rope_theta", beside)?;
    inner.finish(ID, &[])?;
    Ok(theta)
}
