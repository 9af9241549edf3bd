//! The config.

use ocellus_nn::qformer;
use ocellus_nn::{Attn, Bias, Mlp, Norm};
use serde_json::Value;

use super::language::LanguageConfig;
use crate::config::{ConfigError, Fields};
use crate::families::blip::fields::{LIBRARY, act, head_dim, section, size, token};
use crate::families::blip::vision::{VisionConfig, VisionDefaults};

/// The family's id.
pub const ID: &str = "blip-2";

/// Defaults of the library's class for towers.
const VISION_DEFAULTS: VisionDefaults = VisionDefaults {
    width: 1408,
    inner: 6144,
    layers: 39,
    heads: 16,
    image_size: 224,
    patch_size: 14,
    eps: 1e-6,
};

/// Redundant fields: the text config itself says which kind of language model there is.
const HARMLESS: &[&str] = &["use_decoder_only_language_model", "image_token_id"];

/// A parsed config.
pub struct Config {
    pub vision: VisionConfig,
    pub qformer: qformer::Spec,
    pub tables: Tables,
    /// Q-Former queries per picture, the number of its visual tokens.
    pub queries: usize,
    /// Width of the joint embedding space.
    pub joint: usize,
    /// The id that stands for one visual token in a prompt; `None` where pictures always come first.
    pub image_token: Option<u32>,
    /// `None` for a retrieval model, which has no language model.
    pub language: Option<LanguageConfig>,
}

/// Embedding tables of texts that the Q-Former reads.
pub struct Tables {
    pub vocab: usize,
    pub positions: usize,
}

impl Config {
    pub fn read(config: &Value) -> Result<Self, ConfigError> {
        let top = Fields::new("", config)?;
        let vision = VisionConfig::read(section(&top, "vision_config")?, ID, &VISION_DEFAULTS)?;
        let (qformer, tables) = qformer(section(&top, "qformer_config")?, vision.width())?;
        let queries = size(&top, "num_query_tokens", 32)?;
        let joint = size(&top, "image_text_hidden_size", 256)?;
        let image_token = match top.get("image_token_index") {
            Some(_) => Some(token(&top, "image_token_index", 0)?),
            None => None,
        };
        let text = section(&top, "text_config")?;
        let language = match retrieves(config) {
            // A retrieval config carries the library's default language model, which has no weights in the checkpoint.
            true => None,
            false => Some(LanguageConfig::read(text, ID)?),
        };
        top.finish(ID, &[LIBRARY, HARMLESS].concat())?;
        if language.is_none() && !qformer.text {
            return Err(ConfigError::Value {
                field: "qformer_config.use_qformer_text_input".to_owned(),
                expected: "true, since texts are scored".to_owned(),
                found: "false".to_owned(),
            });
        }
        Ok(Self {
            vision,
            qformer,
            tables,
            queries,
            joint,
            image_token,
            language,
        })
    }

    /// The most tokens of a text.
    pub fn max_positions(&self) -> usize {
        let room = |language: &LanguageConfig| language.room(self.queries);
        self.language.as_ref().map_or(self.tables.positions, room)
    }
}

/// Whether the config describes a retrieval model.
pub fn retrieves(config: &Value) -> bool {
    config["architectures"][0] == "Blip2ForImageTextRetrieval"
}

fn qformer(fields: Fields, memory: usize) -> Result<(qformer::Spec, Tables), ConfigError> {
    let width = size(&fields, "hidden_size", 768)?;
    let heads = size(&fields, "num_attention_heads", 12)?;
    let dim = head_dim(&fields, "num_attention_heads", width, heads)?;
    let spec = qformer::Spec {
        layers: size(&fields, "num_hidden_layers", 12)?,
        width,
        attention: Attn::full(heads, dim, Bias::ALL),
        norm: Norm::layer(fields.number_or("layer_norm_eps", 1e-12)?),
        mlp: Mlp::Plain {
            act: act(&fields, "hidden_act", "gelu")?,
            width: size(&fields, "intermediate_size", 3072)?,
            bias: true,
        },
        memory,
        frequency: size(&fields, "cross_attention_frequency", 2)?,
        text: fields.flag_or("use_qformer_text_input", false)?,
    };
    let texts = Tables {
        vocab: size(&fields, "vocab_size", 30522)?,
        positions: size(&fields, "max_position_embeddings", 512)?,
    };
    fields.only("position_embedding_type", &["absolute".into()])?;
    // The reference takes the image tower's width, whatever this field says.
    fields.get("encoder_hidden_size");
    fields.finish(ID, LIBRARY)?;
    Ok((spec, texts))
}
