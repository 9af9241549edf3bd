//! The config: the original's settings, the image tower's sizes, and `bert_config`. A value that the original's code fixes is the
//! default of its field.

use ocellus_nn::block::{self, Order};
use ocellus_nn::position_table::Interpolation;
use ocellus_nn::{Act, Attn, Bias, Mlp, Norm, Params, encoder, tower};
use serde_json::json;

use crate::config::{ConfigError, ConfigFile, Fields};
use crate::facts::Facts;
use crate::families::planes;
use ocellus_media::PixelRecipe;

/// The recipe of published checkpoints.
pub(super) const RECIPE: PixelRecipe = planes::web(planes::square(384));
/// The family's id.
pub(super) const ID: &str = "albef";

/// Fields about the original's training and its data paths.
const HARMLESS: &[&str] = &[
    "alpha",
    "answer_list",
    "batch_size",
    "batch_size_test",
    "batch_size_train",
    "distill",
    "eos",
    "k_test",
    "mlm_probability",
    "momentum",
    "optimizer",
    "schedular",
    "test_file",
    "train_file",
    "vg_root",
    "vqa_root",
    "warm_up",
];

/// Fields of `bert_config` that do not change the computation.
const HARMLESS_TEXT: &[&str] = &[
    "attention_probs_dropout_prob",
    "gradient_checkpointing",
    "hidden_dropout_prob",
    "model_type",
];

pub(super) struct Config {
    image_res: usize,
    pub(super) patch: usize,
    vision: block::Spec,
    vision_depth: usize,
    embed_dim: Option<usize>,
    queue_size: Option<usize>,
    /// The initial temperature, which similarities are divided by.
    pub(super) temperature: f64,
    pub(super) text: encoder::Spec,
    pub(super) vocab: usize,
    pub(super) positions: usize,
    pub(super) types: usize,
}

impl Config {
    pub(super) fn read(config: &ConfigFile) -> Result<Self, ConfigError> {
        let fields = config.fields()?;
        let bert = fields
            .object("bert_config")?
            .ok_or_else(|| ConfigError::Missing {
                field: "bert_config".to_owned(),
            })?;
        let size = |name: &str, fixed| Ok::<_, ConfigError>(fields.size_or(name)?.unwrap_or(fixed));
        let (width, heads) = (size("vision_width", 768)?, size("vision_heads", 12)?);
        let ratio = fields.number_or("vision_mlp_ratio", 4.0)?;
        let vision = block::Spec {
            width,
            attention: Attn::full(heads, head_dim(&fields, "vision_width", width, heads)?, Bias::ALL).fused(),
            norm: Norm::layer(fields.number_or("vision_layer_norm_eps", 1e-6)?),
            order: Order::NormFirst,
            mlp: plain((width as f64 * ratio) as usize),
            memory: None,
        };
        let config = Self {
            image_res: fields.size("image_res")?,
            patch: size("patch_size", 16)?,
            vision_depth: size("vision_depth", 12)?,
            embed_dim: fields.size_or("embed_dim")?,
            queue_size: fields.size_or("queue_size")?,
            temperature: fields.number_or("temp", 0.07)?,
            text: text(&bert, width)?,
            vocab: bert.size("vocab_size")?,
            positions: bert.size("max_position_embeddings")?,
            types: bert.size("type_vocab_size")?,
            vision,
        };
        bert.finish(ID, HARMLESS_TEXT)?;
        if config.image_res < config.patch {
            return Err(ConfigError::Value {
                field: "image_res".to_owned(),
                expected: format!("at least one patch of {}", config.patch),
                found: config.image_res.to_string(),
            });
        }
        fields.finish(ID, HARMLESS)?;
        Ok(config)
    }

    pub(super) fn vision(&self) -> tower::Spec {
        let side = self.image_res / self.patch;
        tower::Spec {
            patch: 3 * self.patch * self.patch,
            patch_bias: true,
            class_token: true,
            positions: Some((side, side)),
            interpolation: Interpolation::Bicubic,
            norm_before: None,
            encoder: encoder::Spec::new(self.vision_depth, self.vision),
            norm_after: Some(self.vision.norm),
        }
    }

    /// The width of the contrastive features.
    pub(super) fn features(&self) -> Result<usize, ConfigError> {
        needed("embed_dim", self.embed_dim)
    }

    /// Entries (columns) of a queue.
    pub(super) fn entries(&self) -> Result<usize, ConfigError> {
        needed("queue_size", self.queue_size)
    }

    /// Whether the parameters are empty, so that everything that pretraining needs has to be initialised.
    pub(super) fn starts_empty(&self, p: &Params) -> bool {
        p.trainable() && !p.contains("visual_encoder.cls_token")
    }

    pub(super) fn facts(&self) -> Facts {
        Facts {
            family: ID,
            image_token: None,
            video_token: None,
            merge: 1,
            patch_size: self.patch,
            temporal_patch_size: 1,
            patch_features: 3 * self.patch * self.patch,
            tokens_per_second: None,
            frames_apart: false,
            max_positions: self.positions,
        }
    }
}

fn needed(field: &str, value: Option<usize>) -> Result<usize, ConfigError> {
    value.ok_or_else(|| ConfigError::Missing {
        field: field.to_owned(),
    })
}

fn plain(width: usize) -> Mlp {
    Mlp::Plain {
        act: Act::Gelu,
        width,
        bias: true,
    }
}

fn head_dim(fields: &Fields, key: &str, width: usize, heads: usize) -> Result<usize, ConfigError> {
    match width.is_multiple_of(heads) {
        true => Ok(width / heads),
        false => Err(ConfigError::Value {
            field: fields.name(key),
            expected: format!("a multiple of {heads} heads"),
            found: width.to_string(),
        }),
    }
}

/// The spec of the text and fusion layers; the fusion layers attend to picture tokens of width `seen`.
fn text(bert: &Fields, seen: usize) -> Result<encoder::Spec, ConfigError> {
    bert.only("hidden_act", &[json!("gelu")])?;
    bert.only("position_embedding_type", &[json!("absolute")])?;
    bert.only("chunk_size_feed_forward", &[json!(0)])?;
    bert.only("encoder_width", &[json!(seen)])?;
    let (width, heads) = (bert.size("hidden_size")?, bert.size("num_attention_heads")?);
    let (layers, fusion) = (bert.size("num_hidden_layers")?, bert.size("fusion_layer")?);
    if fusion > layers {
        return Err(ConfigError::Value {
            field: bert.name("fusion_layer"),
            expected: format!("at most the {layers} layers there are"),
            found: fusion.to_string(),
        });
    }
    let block = block::Spec {
        width,
        attention: Attn::full(heads, head_dim(bert, "hidden_size", width, heads)?, Bias::ALL),
        norm: Norm::layer(bert.number("layer_norm_eps")?),
        order: Order::NormLast,
        mlp: plain(bert.size("intermediate_size")?),
        memory: Some(seen),
    };
    Ok(encoder::Spec {
        layers,
        block,
        across: fusion..layers,
    })
}
