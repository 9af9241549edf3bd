//! The config.

use ocellus_nn::qformer;
use ocellus_nn::{Attn, Bias, Mlp, Norm, Params};
use serde_json::Value;

use super::language::LanguageConfig;
use crate::config::{ConfigError, ConfigFile, Fields};
use crate::families::blip::fields::{LIBRARY, act, head_dim};
use crate::families::blip::vision::VisionConfig;

/// The family's id.
pub const ID: &str = "blip-2";

/// Which kind of language model there is, the text's fields say themselves.
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
    pub fn read(config: &ConfigFile, p: &Params) -> Result<Self, ConfigError> {
        let top = config.fields()?.of("Blip2Config");
        let vision = VisionConfig::read(top.part("vision_config")?.of("Blip2VisionConfig"), ID)?;
        let (qformer, tables) = qformer(
            top.part("qformer_config")?.of("Blip2QFormerConfig"),
            vision.width(),
        )?;
        let queries = top.size("num_query_tokens")?;
        let joint = top.size("image_text_hidden_size")?;
        let image_token = match top.get("image_token_index") {
            Some(_) => Some(top.id("image_token_index")?),
            None => None,
        };
        let text = top.part("text_config")?;
        let language = match retrieves(config, p) {
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
pub fn retrieves(config: &Value, p: &Params) -> bool {
    match config["architectures"][0].as_str() {
        Some("Blip2ForImageTextRetrieval") => true,
        Some("Blip2ForConditionalGeneration") => false,
        // A config that names no class of the library is of the one whose head is there.
        _ => p.at("itm_head").contains("weight"),
    }
}

fn qformer(fields: Fields, memory: usize) -> Result<(qformer::Spec, Tables), ConfigError> {
    let width = fields.size("hidden_size")?;
    let heads = fields.size("num_attention_heads")?;
    let dim = head_dim(&fields, "num_attention_heads", width, heads)?;
    let spec = qformer::Spec {
        layers: fields.size("num_hidden_layers")?,
        width,
        attention: Attn::full(heads, dim, Bias::ALL),
        norm: Norm::layer(fields.number("layer_norm_eps")?),
        mlp: Mlp::Plain {
            act: act(&fields, "hidden_act")?,
            width: fields.size("intermediate_size")?,
            bias: true,
        },
        memory,
        frequency: fields.size("cross_attention_frequency")?,
        text: fields.flag_or("use_qformer_text_input", false)?,
    };
    let texts = Tables {
        vocab: fields.size("vocab_size")?,
        positions: fields.size("max_position_embeddings")?,
    };
    fields.only("position_embedding_type", &["absolute".into()])?;
    // The reference takes the image tower's width, whatever this field says.
    fields.get("encoder_hidden_size");
    fields.finish(ID, LIBRARY)?;
    Ok((spec, texts))
}
