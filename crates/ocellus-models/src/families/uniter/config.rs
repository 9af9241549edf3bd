//! The config, and how a config without a name is recognised.

use serde_json::{Value, json};

use crate::config::{ConfigError, ConfigFile};
use crate::families::regions::{Stream, labels};

/// The token type of regions.
pub(super) const REGION: u32 = 1;

/// The family's id.
pub(super) const ID: &str = "uniter";

/// The published config is that of the text model alone and names no architecture. It is recognised by having all of these
/// fields, and no others except the region sizes.
const PUBLISHED: &[&str] = &[
    "attention_probs_dropout_prob",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "type_vocab_size",
    "vocab_size",
];
const SIZES: &[&str] = &["img_dim", "img_label_dim", "num_answer", "id2label"];

pub(super) fn claims(config: &Value) -> bool {
    let named = config.get("architectures").is_some() || config.get("model_type").is_some();
    let known = |key: &String| PUBLISHED.contains(&key.as_str()) || SIZES.contains(&key.as_str());
    let object = config.as_object().filter(|_| !named);
    object.is_some_and(|o| PUBLISHED.iter().all(|key| o.contains_key(*key)) && o.keys().all(known))
}

pub(super) struct Config {
    pub(super) stream: Stream,
    pub(super) vocab: usize,
    pub(super) positions: usize,
    pub(super) types: usize,
    pub(super) features: usize,
    pub(super) classes: usize,
    pub(super) answers: usize,
    pub(super) labels: Vec<String>,
    pub(super) architecture: String,
}

impl Config {
    pub(super) fn read(config: &ConfigFile) -> Result<Self, ConfigError> {
        let fields = config.fields()?;
        let size = |key: &str, default| Ok::<_, ConfigError>(fields.size_or(key)?.unwrap_or(default));
        let architecture = config.get("architectures").and_then(|a| a.get(0));
        let answers = size("num_answer", 3129)?;
        let read = Self {
            stream: Stream::read(&fields, "", [768, 12, 12, 3072])?,
            vocab: fields.size("vocab_size")?,
            positions: size("max_position_embeddings", 512)?,
            types: size("type_vocab_size", 2)?,
            features: size("img_dim", 2048)?,
            classes: size("img_label_dim", 1601)?,
            labels: labels(&fields, answers)?,
            answers,
            architecture: architecture
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        };
        if read.types <= REGION as usize {
            return Err(ConfigError::Value {
                field: fields.name("type_vocab_size"),
                expected: "2 or more: words and regions".to_owned(),
                found: json!(read.types).to_string(),
            });
        }
        fields.finish(ID, &["attention_probs_dropout_prob", "hidden_dropout_prob"])?;
        Ok(read)
    }
}
