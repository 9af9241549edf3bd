//! The registry of families, one line each.

use ocellus_media::PixelRecipe;
use ocellus_nn::Params;
use serde_json::Value;

use super::family::Family;
use super::{
    albef, blip, blip_2, clip, frcnn, pixtral, qwen, qwen2_5_vl, qwen2_vl, qwen3_vl, uniter, vilbert, vilt,
    vlmo,
};
use crate::config::{ConfigError, ConfigFile};
use crate::error::ModelError;
use crate::learner::Learner;
use crate::model::{Generator, Model};
use crate::reference::Trace;

/// Names of config files; the first that a folder has is read.
pub const CONFIG_FILES: &[&str] = &[
    "config.json",
    "params.json",
    "open_clip_config.json",
    "config.yaml",
];

/// All families of this build.
pub const FAMILIES: &[Family] = &[
    clip::FAMILY,
    vilbert::FAMILY,
    uniter::FAMILY,
    vilt::FAMILY,
    albef::FAMILY,
    vlmo::FAMILY,
    blip::FAMILY,
    blip_2::FAMILY,
    qwen::FAMILY,
    qwen2_vl::FAMILY,
    qwen2_5_vl::FAMILY,
    qwen3_vl::FAMILY,
    pixtral::FAMILY,
    frcnn::FAMILY,
];

/// Ends of the `model_type` of a family's parts.
const PARTS: &[&str] = &["", "_text", "_vision", "_text_model", "_vision_model"];

/// The family of a config: found by `model_type`, by `architectures`, by the families' `claims`, and where a config names nothing
/// at its top level by the `model_type` of its parts. The order is the reference's: a `model_type` that it knows decides.
pub fn find(config: &Value) -> Result<&'static Family, ConfigError> {
    let type_of = |config: &Value| {
        config
            .get("model_type")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let model_type = type_of(config).unwrap_or_default();
    let architecture = config
        .get("architectures")
        .and_then(|a| a.get(0))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let by = |fits: &dyn Fn(&Family) -> bool| FAMILIES.iter().find(|f| fits(f));
    let of_part = |part: &str| {
        let own = type_of(config.get(part)?)?;
        let of = |f: &Family| {
            own.strip_prefix(&f.id.replace('-', "_"))
                .is_some_and(|rest| PARTS.contains(&rest))
        };
        by(&of)
    };
    by(&|f| f.id == model_type)
        .or_else(|| by(&|f| f.architectures.contains(&architecture)))
        .or_else(|| by(&|f| (f.claims)(config)))
        .or_else(|| match model_type.is_empty() && architecture.is_empty() {
            true => of_part("text_config").or_else(|| of_part("vision_config")),
            false => None,
        })
        .ok_or_else(|| {
            let known: Vec<&str> = FAMILIES.iter().flat_map(|f| f.architectures).copied().collect();
            let known = known.join(", ");
            match [architecture, &model_type]
                .into_iter()
                .find(|name| !name.is_empty())
            {
                Some(name) => ConfigError::Architecture {
                    architecture: name.to_owned(),
                    known,
                },
                None => ConfigError::Unnamed { known },
            }
        })
}

/// Parses a config text and loads its model from `params`.
pub fn load(config: &str, params: &Params) -> Result<Box<dyn Model>, ModelError> {
    let config = parse(config)?;
    (find(&config)?.load)(&config, params)
}

/// As [`load`], for a model that replays its reference forward pass. `None` where the family has no `trace` entry.
pub fn load_trace(config: &str, params: &Params) -> Result<Option<Box<dyn Trace>>, ModelError> {
    let config = parse(config)?;
    let load = find(&config)?.trace;
    load.map(|load| load(&config, params)).transpose()
}

/// As [`load`], with what the family's training objective needs. `None` where the checkpoint has no such parts.
pub fn load_learner(config: &str, params: &Params) -> Result<Option<Box<dyn Learner>>, ModelError> {
    let config = parse(config)?;
    match find(&config)?.learner {
        Some(load) => load(&config, params),
        None => Ok(None),
    }
}

/// As [`load`], for a model that continues text.
pub fn load_generator(config: &str, params: &Params) -> Result<Generator, ModelError> {
    Generator::new(load(config, params)?)
}

/// A config text, JSON or YAML, parsed. What does not begin as a JSON object is YAML.
pub fn parse(config: &str) -> Result<ConfigFile, ConfigError> {
    let value: Value = match config.trim_start().starts_with('{') {
        true => serde_json::from_str(config).map_err(|e| ConfigError::Json(e.to_string()))?,
        false => serde_saphyr::from_str(config).map_err(|e| ConfigError::Yaml(e.to_string()))?,
    };
    Ok(value.into())
}

/// The recipe of a processor that prepares planes, by the name that cases and files use.
pub fn processor(name: &str) -> Option<PixelRecipe> {
    let known = FAMILIES.iter().flat_map(|f| f.processors);
    known
        .into_iter()
        .find(|(own, _)| *own == name)
        .map(|(_, recipe)| recipe.clone())
}

/// The family with this id or alternative name.
pub fn named(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.id == name || f.also.contains(&name))
}
