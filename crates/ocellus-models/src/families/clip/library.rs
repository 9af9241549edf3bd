//! `config.json` of transformers, with the defaults of its classes where a field is absent.

use ocellus_nn::{Norm, encoder};
use serde_json::{Map, Value};

use super::config::ID;
use super::config::{Config, EndOfText, TextConfig, layer, tower};
use super::layout::Publication;
use super::recipe::RECIPE;
use crate::config::{ConfigError, ConfigFile, Fields};

pub(super) fn read(config: &ConfigFile) -> Result<Config, ConfigError> {
    let (text_object, vision_object) = (part(config, "text_config")?, part(config, "vision_config")?);
    let text_fields = Fields::new("text_config", &text_object, config.log())?.of("CLIPTextConfig");
    let text = TextConfig {
        vocab: text_fields.size("vocab_size")?,
        positions: text_fields.size("max_position_embeddings")?,
        encoder: stack(&text_fields)?,
    };
    let end = match text_fields.id("eos_token_id")? {
        // What the first published configs have for every vocabulary.
        2 => EndOfText::Highest,
        id => EndOfText::First(id),
    };
    finish(text_fields)?;

    let vision_fields = Fields::new("vision_config", &vision_object, config.log())?.of("CLIPVisionConfig");
    let channels = vision_fields.size("num_channels")?;
    let (vision, patch_size) = tower(&vision_fields, (channels, 32), stack(&vision_fields)?)?;
    finish(vision_fields)?;

    let top = config.fields()?.of("CLIPConfig");
    for key in [
        "text_config",
        "vision_config",
        "text_config_dict",
        "vision_config_dict",
    ] {
        top.get(key);
    }
    let embed = top.size("projection_dim")?;
    finish(top)?;
    Ok(Config {
        layout: Publication::Library,
        recipe: RECIPE,
        embed,
        end,
        text,
        vision,
        patch_size,
    })
}

fn stack(fields: &Fields) -> Result<encoder::Spec, ConfigError> {
    let block = layer(
        fields,
        (fields.size("hidden_size")?, fields.size("num_attention_heads")?),
        Norm::layer(fields.number("layer_norm_eps")?),
        (
            fields.act("hidden_act", "quick_gelu")?,
            fields.size("intermediate_size")?,
        ),
    )?;
    Ok(encoder::Spec::new(fields.size("num_hidden_layers")?, block))
}

/// What changes nothing: both parts repeat the width of the common space, which the top
/// level says.
fn finish(fields: Fields) -> Result<(), ConfigError> {
    let harmless = ["logit_scale_init_value", "projection_dim", "tie_word_embeddings"];
    fields.finish(ID, &harmless)
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
