//! The config: the two streams, their connection layers, and the heads. A missing field has the original's default.

use serde_json::json;

use crate::config::{ConfigError, ConfigFile, Fields};
use crate::families::regions::{Stream, divides, labels};

pub(super) const TASKS: &str = "VILBertForVLTasks";
/// Constants of the original's code: answers of the two question heads, and rows of the task table.
pub(super) const VQA_ANSWERS: usize = 3129;
pub(super) const GQA_ANSWERS: usize = 1533;
pub(super) const TASK_ROWS: usize = 20;

/// The family's id.
pub(super) const ID: &str = "vilbert";

/// Fields of training, and two fields that the original writes and never reads.
const HARMLESS: &[&str] = &[
    "attention_probs_dropout_prob",
    "hidden_dropout_prob",
    "v_attention_probs_dropout_prob",
    "v_hidden_dropout_prob",
    "v_initializer_range",
    "bi_attention_type",
    "bi_intermediate_size",
    "pooling_method",
    "fixed_t_layer",
    "fixed_v_layer",
    "num_negative",
    "objective",
    "visualization",
];

/// How the two pooled vectors are combined.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fusion {
    Product,
    Sum,
}

/// Training targets of masked regions.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Target {
    Classes,
    Features,
    /// The right region among negatives; its loss needs sampled negatives.
    Contrast,
}

pub(super) struct Config {
    pub(super) text: Stream,
    pub(super) image: Stream,
    pub(super) vocab: usize,
    pub(super) positions: usize,
    pub(super) types: usize,
    pub(super) features: usize,
    pub(super) outputs: usize,
    pub(super) bi_heads: usize,
    pub(super) bi_width: usize,
    /// For each connection, the number of image layers and text layers before it.
    pub(super) connections: Vec<(usize, usize)>,
    pub(super) fusion: Fusion,
    pub(super) target: Target,
    /// `None` = present if the file has a task table: published configs leave it to a command-line argument of the original.
    pub(super) task_tokens: Option<bool>,
    pub(super) task_heads: bool,
    pub(super) labels: Vec<String>,
}

impl Config {
    pub(super) fn read(config: &ConfigFile) -> Result<Self, ConfigError> {
        let fields = config.fields()?;
        let size = |key: &str, default| Ok::<_, ConfigError>(fields.size_or(key)?.unwrap_or(default));
        for (key, value) in [
            ("model", json!("bert")),
            ("dynamic_attention", json!(false)),
            ("with_coattention", json!(true)),
            ("in_batch_pairs", json!(false)),
            ("fast_mode", json!(false)),
        ] {
            fields.only(key, &[value])?;
        }
        fields.only("fusion_method", &[json!("mul"), json!("sum")])?;
        fields.only("visual_target", &[json!(0), json!(1), json!(2), json!(3)])?;
        let architecture = config.get("architectures").and_then(|a| a.get(0));
        let read = Self {
            text: Stream::read(&fields, "", [768, 12, 12, 3072])?,
            image: Stream::read(&fields, "v_", [768, 3, 12, 3072])?,
            vocab: fields.size("vocab_size")?,
            positions: size("max_position_embeddings", 512)?,
            types: size("type_vocab_size", 2)?,
            features: size("v_feature_size", 2048)?,
            outputs: size("v_target_size", 1601)?,
            bi_heads: size("bi_num_attention_heads", 16)?,
            bi_width: size("bi_hidden_size", 1024)?,
            connections: connections(&fields)?,
            fusion: match fields.text_or("fusion_method", "mul")? {
                "sum" => Fusion::Sum,
                _ => Fusion::Product,
            },
            target: match fields.number_or("visual_target", 0.0)? as u32 {
                0 => Target::Classes,
                1 => Target::Features,
                _ => Target::Contrast,
            },
            task_tokens: match fields.get("task_specific_tokens") {
                Some(_) => Some(fields.flag_or("task_specific_tokens", false)?),
                None => None,
            },
            task_heads: architecture == Some(&json!(TASKS)),
            labels: labels(&fields, VQA_ANSWERS)?,
        };
        divides(&fields, "bi_num_attention_heads", read.bi_heads, read.bi_width)?;
        let (images, texts) = (read.image.layers, read.text.layers);
        if read.connections.iter().any(|(v, t)| *v >= images || *t >= texts) {
            return Err(ConfigError::Value {
                field: fields.name("v_biattention_id"),
                expected: format!("image layers under {images} and text layers under {texts}"),
                found: format!("{:?}", read.connections),
            });
        }
        fields.finish(ID, HARMLESS)?;
        Ok(read)
    }
}

fn connections(fields: &Fields) -> Result<Vec<(usize, usize)>, ConfigError> {
    let ids = |key: &str, default: [usize; 2]| match fields.get(key) {
        Some(_) => fields.sizes(key),
        None => Ok(default.to_vec()),
    };
    let (image, text) = (
        ids("v_biattention_id", [0, 1])?,
        ids("t_biattention_id", [10, 11])?,
    );
    if image.len() != text.len() || !image.is_sorted() || !text.is_sorted() {
        return Err(ConfigError::Value {
            field: fields.name("v_biattention_id"),
            expected: "as many layers as `t_biattention_id` has, both in rising order".to_owned(),
            found: format!("{image:?} and {text:?}"),
        });
    }
    Ok(image.into_iter().zip(text).collect())
}
