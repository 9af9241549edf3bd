//! `config.json` of transformers, with the defaults of its classes where a field is absent.

use ocellus_nn::{Norm, encoder};
use serde_json::{Map, Value};

use super::config::ID;
use super::config::{Config, EndOfText, TextConfig, layer, tower};
use super::layout::Publication;
use crate::config::{BOOKKEEPING, ConfigError, Fields};

/// Default sizes: the library's config classes have those of the smallest published model.
struct Defaults {
    width: usize,
    heads: usize,
    inner: usize,
}

const TEXT: Defaults = Defaults {
    width: 512,
    heads: 8,
    inner: 2048,
};

const VISION: Defaults = Defaults {
    width: 768,
    heads: 12,
    inner: 3072,
};

pub(super) fn read(config: &Value) -> Result<Config, ConfigError> {
    let (text_object, vision_object) = (part(config, "text_config")?, part(config, "vision_config")?);
    let text_fields = Fields::new("text_config", &text_object)?;
    let text = TextConfig {
        vocab: text_fields.size_or("vocab_size")?.unwrap_or(49408),
        positions: text_fields.size_or("max_position_embeddings")?.unwrap_or(77),
        encoder: stack(&text_fields, &TEXT)?,
    };
    let end = match text_fields.get("eos_token_id") {
        None => EndOfText::First(49407),
        Some(_) => match text_fields.id("eos_token_id")? {
            // The first published configs state end token 2 whatever the vocabulary.
            2 => EndOfText::Highest,
            id => EndOfText::First(id),
        },
    };
    finish(text_fields)?;

    let vision_fields = Fields::new("vision_config", &vision_object)?;
    let channels = vision_fields.size_or("num_channels")?.unwrap_or(3);
    let (vision, patch_size) = tower(&vision_fields, (channels, 32), stack(&vision_fields, &VISION)?)?;
    finish(vision_fields)?;

    let top = Fields::new("", config)?;
    for key in [
        "text_config",
        "vision_config",
        "text_config_dict",
        "vision_config_dict",
    ] {
        top.get(key);
    }
    let embed = top.size_or("projection_dim")?.unwrap_or(512);
    finish(top)?;
    Ok(Config {
        layout: Publication::Library,
        embed,
        end,
        text,
        vision,
        patch_size,
    })
}

fn stack(fields: &Fields, defaults: &Defaults) -> Result<encoder::Spec, ConfigError> {
    let size = |key: &str, default: usize| Ok::<_, ConfigError>(fields.size_or(key)?.unwrap_or(default));
    let block = layer(
        fields,
        (
            size("hidden_size", defaults.width)?,
            size("num_attention_heads", defaults.heads)?,
        ),
        Norm::layer(fields.number_or("layer_norm_eps", 1e-5)?),
        (
            fields.act("hidden_act", "quick_gelu")?,
            size("intermediate_size", defaults.inner)?,
        ),
    )?;
    Ok(encoder::Spec::new(size("num_hidden_layers", 12)?, block))
}

/// Checks fields that have only one supported value, and ignores harmless ones: both parts repeat the width of the joint
/// embedding space, which the top level states.
fn finish(fields: Fields) -> Result<(), ConfigError> {
    for key in ["is_decoder", "is_encoder_decoder", "add_cross_attention"] {
        fields.only(key, &[false.into()])?;
    }
    fields.only("pruned_heads", &[Value::Object(Map::new())])?;
    let harmless = [
        "dropout",
        "logit_scale_init_value",
        "projection_dim",
        "tie_encoder_decoder",
        "tie_word_embeddings",
    ];
    fields.finish(ID, &[BOOKKEEPING, &harmless].concat())
}

/// The object `key`, completed by `{key}_dict` of older configs, whose values take precedence in the library. A config in which
/// the two contradict each other is refused.
fn part(config: &Value, key: &str) -> Result<Value, ConfigError> {
    let object = |key: &str| match config.get(key).filter(|v| !v.is_null()) {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(other) => Err(ConfigError::Value {
            field: key.to_owned(),
            expected: "an object".to_owned(),
            found: other.to_string(),
        }),
    };
    let (mut whole, older) = (object(key)?, format!("{key}_dict"));
    for (name, value) in object(&older)? {
        match whole.get(&name).filter(|own| !own.is_null() && **own != value) {
            None => drop(whole.insert(name, value)),
            Some(own) => {
                return Err(ConfigError::Value {
                    field: format!("{older}.{name}"),
                    expected: format!("{own} as in `{key}`"),
                    found: value.to_string(),
                });
            }
        }
    }
    Ok(Value::Object(whole))
}
