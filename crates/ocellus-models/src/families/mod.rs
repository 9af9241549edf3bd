//! The registry: one line a family.

use ocellus_nn::Params;
use serde_json::Value;

use crate::config::ConfigError;
use crate::vlm::{ModelError, Vlm};

mod qwen2;
mod qwen2_5_vl;
mod qwen2_vl;

/// Builds a model from a config and its tensors.
pub type Load = fn(&Value, &Params) -> Result<Box<dyn Vlm>, ModelError>;

/// A family of checkpoints that share a config format and an architecture.
pub struct Family {
    /// The `model_type` of its configs.
    pub id: &'static str,
    /// Class names in the `architectures` field of its configs.
    pub architectures: &'static [&'static str],
    /// What its models can do from the command line.
    pub tasks: &'static [&'static str],
    /// Reads the config and takes the tensors.
    pub load: Load,
    /// Reads the config alone: sizes for planning, and facts without weights.
    pub shape: fn(&Value) -> Result<crate::plan::Shape, ModelError>,
}

/// Every family this build knows.
pub const FAMILIES: &[Family] = &[qwen2_vl::FAMILY, qwen2_5_vl::FAMILY];

/// The family of a config, by `model_type` first and `architectures` second.
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
    FAMILIES
        .iter()
        .find(|f| f.id == model_type)
        .or_else(|| FAMILIES.iter().find(|f| f.architectures.contains(&architecture)))
        .ok_or_else(|| ConfigError::Architecture {
            architecture: if architecture.is_empty() {
                model_type
            } else {
                architecture
            }
            .to_owned(),
            known: FAMILIES
                .iter()
                .flat_map(|f| f.architectures)
                .copied()
                .collect::<Vec<_>>()
                .join(", "),
        })
}

/// Parses a config text and loads its model from `params`.
pub fn load(config: &str, params: &Params) -> Result<Box<dyn Vlm>, ModelError> {
    let config = parse(config)?;
    (find(&config)?.load)(&config, params)
}

/// A config text as JSON.
pub fn parse(config: &str) -> Result<Value, ConfigError> {
    serde_json::from_str(config).map_err(|e| ConfigError::Json(e.to_string()))
}

/// Tensors that old files carry and nobody needs: buffers that are computed.
pub fn ignorable(name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq") || name.ends_with("rotary_pos_emb.inv_freq")
}
