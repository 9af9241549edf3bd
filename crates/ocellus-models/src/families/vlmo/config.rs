//! The config: sizes that the original's model definitions fix, and the length of texts.

use ocellus_nn::attention::Projections;
use ocellus_nn::block::{self, Order};
use ocellus_nn::embeddings;
use ocellus_nn::position_table::Interpolation;
use ocellus_nn::{Act, Attn, Bias, Mlp, Norm, Params, encoder, tower};

use crate::config::{ConfigError, ConfigFile, Fields};
use crate::facts::Facts;

/// The family's id.
pub(super) const ID: &str = "vlmo";

pub(super) struct Config {
    pub(super) patch: usize,
    /// Patches along a side of the picture size that the checkpoint was made for.
    pub(super) side: usize,
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    mlp_width: usize,
    /// The first layer with a vision-language expert.
    pub(super) joint_from: usize,
    pub(super) norm: Norm,
    pub(super) text_norm: Norm,
    pub(super) relative: bool,
    absolute: bool,
    /// Initial value of the residual scales (LayerScale); `None` = the model has none.
    pub(super) scaled: Option<f32>,
    pub(super) vocab: usize,
    pub(super) max_text_len: usize,
    /// The text length that the relative positions were made for.
    pub(super) text_window: usize,
    /// Number of answer classes.
    pub(super) answers: usize,
    pub(super) labels: Vec<String>,
}

impl Config {
    pub(super) fn read(config: &ConfigFile) -> Result<Self, ConfigError> {
        let fields = config.fields()?;
        let wrong = |field: &str, expected: String, found: String| ConfigError::Value {
            field: field.to_owned(),
            expected,
            found,
        };
        let width = fields.size("hidden_size")?;
        let (patch, image) = (fields.size("patch_size")?, fields.size("image_size")?);
        let ratio = fields.number_or("mlp_ratio", 4.0)?;
        let labels = labels(&fields)?;
        let config = Self {
            patch,
            side: image / patch,
            width,
            layers: fields.size("num_hidden_layers")?,
            heads: fields.size("num_attention_heads")?,
            mlp_width: (width as f64 * ratio) as usize,
            joint_from: fields.size("vlffn_start_layer_index")?,
            norm: Norm::layer(fields.number_or("layer_norm_eps", 1e-6)?),
            text_norm: Norm::layer(fields.number_or("text_layer_norm_eps", 1e-12)?),
            relative: fields.flag_or("need_relative_position_embed", true)?,
            absolute: fields.flag_or("use_abs_pos_emb", false)?,
            scaled: match fields.get("layer_scale_init_values") {
                Some(_) => Some(fields.number_or("layer_scale_init_values", 0.1)? as f32),
                None => None,
            },
            vocab: fields.size("vocab_size")?,
            max_text_len: fields.size("max_text_len")?,
            text_window: fields.size_or("max_text_len_of_initckpt")?.unwrap_or(196),
            answers: fields.size_or("vqav2_label_size")?.unwrap_or(match labels.len() {
                0 => 3129,
                known => known,
            }),
            labels,
        };
        fields.finish(ID, &["drop_path_rate", "model_arch"])?;
        if config.side == 0 {
            let expected = format!("at least one patch of {patch}");
            return Err(wrong("image_size", expected, image.to_string()));
        }
        if !width.is_multiple_of(config.heads) {
            let expected = format!("a multiple of {} heads", config.heads);
            return Err(wrong("hidden_size", expected, width.to_string()));
        }
        if config.joint_from > config.layers {
            let expected = format!("at most the {} layers there are", config.layers);
            return Err(wrong(
                "vlffn_start_layer_index",
                expected,
                config.joint_from.to_string(),
            ));
        }
        if config.relative && config.max_text_len > config.text_window {
            let expected = format!("at most max_text_len_of_initckpt = {}", config.text_window);
            return Err(wrong("max_text_len", expected, config.max_text_len.to_string()));
        }
        Ok(config)
    }

    pub(super) fn attention(&self) -> Attn {
        Attn {
            projections: Projections::Fused,
            ..Attn::full(self.heads, self.width / self.heads, Bias::QVO)
        }
    }

    pub(super) fn mlp(&self) -> Mlp {
        Mlp::Plain {
            act: Act::Gelu,
            width: self.mlp_width,
            bias: true,
        }
    }

    /// Class token, patch embedding and positions, without layers.
    pub(super) fn picture(&self) -> tower::Spec {
        let block = block::Spec {
            width: self.width,
            attention: self.attention(),
            norm: self.norm,
            order: Order::NormFirst,
            mlp: self.mlp(),
            memory: None,
        };
        tower::Spec {
            patch: self.facts().patch_features,
            patch_bias: true,
            class_token: true,
            positions: self.absolute.then_some((self.side, self.side)),
            interpolation: Interpolation::Bicubic,
            norm_before: None,
            encoder: encoder::Spec::new(0, block),
            norm_after: None,
        }
    }

    /// Texts have absolute positions where the model has no relative ones.
    pub(super) fn text(&self) -> embeddings::Spec {
        embeddings::Spec {
            vocab: self.vocab,
            width: self.width,
            positions: (!self.relative).then_some(self.max_text_len),
            types: Some(2),
            norm: self.text_norm,
        }
    }

    /// Rows of the modality table: text and picture, and second picture where two are compared.
    pub(super) fn kinds(&self, p: &Params) -> usize {
        if p.contains("nlvr2_classifier.0.weight") {
            3
        } else {
            2
        }
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
            max_positions: self.max_text_len,
        }
    }
}

/// The answer texts of `id2label` in the order of their ids; empty where absent.
fn labels(fields: &Fields) -> Result<Vec<String>, ConfigError> {
    let Some(value) = fields.get("id2label") else {
        return Ok(Vec::new());
    };
    let read = || {
        let object = value.as_object()?;
        let label = |i: usize| Some(object.get(&i.to_string())?.as_str()?.to_owned());
        (0..object.len()).map(label).collect::<Option<Vec<_>>>()
    };
    read().ok_or_else(|| ConfigError::Value {
        field: "id2label".to_owned(),
        expected: "a label for every number from 0".to_owned(),
        found: "others".to_owned(),
    })
}
