//! The registry: one line a family.

use ocellus_media::PixelRecipe;
use ocellus_nn::Params;
use serde_json::Value;

use crate::config::ConfigError;
use crate::model::{Generator, Model};
use crate::vlm::ModelError;

mod albef;
mod blip;
mod blip_2;
#[cfg(test)]
mod changed;
mod clip;
mod frcnn;
pub mod gguf;
mod packed;
mod pixtral;
mod planes;
mod qwen;
mod qwen2;
mod qwen2_5_vl;
mod qwen2_vl;
mod qwen3_vl;
mod regions;
#[cfg(test)]
mod testing;
mod uniter;
mod vilbert;
mod vilt;
mod vlmo;

/// Builds a model from a config and its tensors.
pub type Load = fn(&Value, &Params) -> Result<Box<dyn Model>, ModelError>;

/// A family of checkpoints that share a config format and an architecture.
pub struct Family {
    /// The `model_type` of its configs.
    pub id: &'static str,
    /// Class names in the `architectures` field of its configs.
    pub architectures: &'static [&'static str],
    /// Other names that people and files use for it.
    pub also: &'static [&'static str],
    /// Whether a config without a known `model_type` or architecture is one of its own.
    pub claims: fn(&Value) -> bool,
    /// What its models can do from the command line.
    pub tasks: &'static [Task],
    /// Reads the config and takes the tensors.
    pub load: Load,
    /// Reads the config alone: sizes for planning, and facts without weights. `None` = its models cannot be planned.
    pub shape: Option<Shape>,
    /// Names of the processors that make its pictures into planes, with their published recipes.
    pub processors: &'static [(&'static str, PixelRecipe)],
    /// Ends of the names of tensors that its published files carry and nothing computes with; with a dot at the end, whole
    /// parts of a model.
    pub unused: &'static [&'static str],
}

/// Reads the sizes of a model.
pub type Shape = fn(&Value) -> Result<crate::plan::Shape, ModelError>;

/// What a family can do from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Ask,
    Chat,
    Ocr,
    Caption,
    Score,
    Embed,
    Classify,
    /// Words, or regions, that a mask stands for.
    Fill,
    /// Region features of a picture.
    Detect,
}

impl Task {
    /// The command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Chat => "chat",
            Self::Ocr => "ocr",
            Self::Caption => "caption",
            Self::Score => "score",
            Self::Embed => "embed",
            Self::Classify => "classify",
            Self::Fill => "fill",
            Self::Detect => "detect",
        }
    }
}

/// Files that a config stands in, the first that a folder has.
pub const CONFIG_FILES: &[&str] = &[
    "config.json",
    "params.json",
    "open_clip_config.json",
    "config.yaml",
];

/// Every family this build knows.
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

/// The family of a config: by `architectures`, by what families claim, by `model_type`.
pub fn find(config: &Value) -> Result<&'static Family, ConfigError> {
    let model_type = config
        .get("model_type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let architecture = config
        .get("architectures")
        .and_then(|a| a.get(0))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let by = |fits: &dyn Fn(&Family) -> bool| FAMILIES.iter().find(|f| fits(f));
    by(&|f| f.architectures.contains(&architecture))
        .or_else(|| by(&|f| (f.claims)(config)))
        .or_else(|| by(&|f| f.id == model_type))
        .ok_or_else(|| {
            let known: Vec<&str> = FAMILIES.iter().flat_map(|f| f.architectures).copied().collect();
            let known = known.join(", ");
            match [architecture, model_type]
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

/// Which tensors of a config's model its training changes, by their names.
pub fn trained(config: &Value) -> Result<fn(&str) -> bool, ConfigError> {
    Ok(match find(config)?.id {
        "blip-2" => blip_2::trains,
        _ => |_| true,
    })
}

/// Parses a config text and loads its model from `params`.
pub fn load(config: &str, params: &Params) -> Result<Box<dyn Model>, ModelError> {
    let config = parse(config)?;
    (find(&config)?.load)(&config, params)
}

/// As [`load`], for a model that continues text.
pub fn load_generator(config: &str, params: &Params) -> Result<Generator, ModelError> {
    Generator::new(load(config, params)?)
}

/// A config text, JSON or YAML, as JSON. What does not begin as a JSON object is YAML.
pub fn parse(config: &str) -> Result<Value, ConfigError> {
    if config.trim_start().starts_with('{') {
        return serde_json::from_str(config).map_err(|e| ConfigError::Json(e.to_string()));
    }
    serde_saphyr::from_str(config).map_err(|e| ConfigError::Yaml(e.to_string()))
}

/// The recipe of a processor that makes planes of pictures, by the name that its cases and files use.
pub fn processor(name: &str) -> Option<PixelRecipe> {
    let known = FAMILIES.iter().flat_map(|f| f.processors);
    known
        .into_iter()
        .find(|(own, _)| *own == name)
        .map(|(_, recipe)| recipe.clone())
}

/// The family with this id or other name.
pub fn named(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.id == name || f.also.contains(&name))
}

/// Buffers that old files carry and that are computed instead.
const COMPUTED: &[&str] = &["rotary_emb.inv_freq", "rotary_pos_emb.inv_freq", "position_ids"];

impl Family {
    /// Whether a tensor of this name may be left over.
    pub fn ignores(&self, name: &str) -> bool {
        let within = |part: &str| name.starts_with(part) || name.contains(&format!(".{part}"));
        let fits = |end: &&str| name.ends_with(*end) || (end.ends_with('.') && within(end));
        COMPUTED.iter().chain(self.unused).any(fits)
    }
}
