//! BLIP-2 (Li et al. 2023, arXiv:2301.12597): a frozen image tower, a querying transformer, and a language model that reads
//! what the queries found. Reference: `blip_2` of transformers.
//!
//! What belongs to this family alone: a picture becomes a fixed number of cells whatever its size, and a text fits a picture
//! as well as it fits the best of them.

use candle_core::Tensor;
use ocellus_nn::attention::{Mask, segments};
use ocellus_nn::qformer::{self, QFormer, Span};
use ocellus_nn::{Attn, Bias, Mlp, Names, Norm, Params, Taps};
use serde_json::Value;

use super::blip::fields::{LIBRARY, act, head_dim, section, size, token};
use super::blip::vision::{Class, Pictures, Vision, looking, spans};
use super::{Family, Task, planes};
use crate::config::{ConfigError, Fields};
use crate::model::Model;
use crate::vlm::ModelError;
use ocellus_media::PixelRecipe;

mod generate;
mod language;
mod loaded;
mod retrieval;
mod taught;

use generate::Generate;
use language::Language;
use retrieval::Retrieval;

const RECIPE: PixelRecipe = planes::web(planes::square(224));

pub(super) const FAMILY: Family = Family {
    id: "blip-2",
    architectures: &["Blip2ForConditionalGeneration", "Blip2ForImageTextRetrieval"],
    also: &["blip_2"],
    claims: |_| false,
    tasks: &[Task::Caption, Task::Ask, Task::Score, Task::Embed, Task::Classify],
    processors: &[("blip_2", RECIPE)],
    unused: &[
        "lm_head.weight",
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
    ],
    load: |config, params| load(config, params),
    shape: None,
};

/// Whether a tensor is trained: in the first stage the queries, the querying transformer and its heads, in the second the
/// queries, the transformer and the projection (sections 3.2 and 3.3). The tower and the language model stay as they are.
pub(super) fn trains(name: &str) -> bool {
    !["vision_model.", "language_model."]
        .iter()
        .any(|frozen| name.starts_with(frozen))
}

/// Values of the library's class for towers.
const CLASS: Class = Class {
    width: 1408,
    inner: 6144,
    layers: 39,
    heads: 16,
    image_size: 224,
    patch_size: 14,
    eps: 1e-6,
};

/// Which kind of language model there is, the text's fields say themselves.
const HARMLESS: &[&str] = &["use_decoder_only_language_model", "image_token_id"];

const NAMES: Names = &[
    ("norm", "layernorm"),
    ("layers", "encoder.layer"),
    ("attn.q_proj", "attention.attention.query"),
    ("attn.k_proj", "attention.attention.key"),
    ("attn.v_proj", "attention.attention.value"),
    ("attn.o_proj", "attention.output.dense"),
    ("norm1", "attention.output.LayerNorm"),
    ("cross.q_proj", "crossattention.attention.query"),
    ("cross.k_proj", "crossattention.attention.key"),
    ("cross.v_proj", "crossattention.attention.value"),
    ("cross.o_proj", "crossattention.output.dense"),
    ("norm_cross", "crossattention.output.LayerNorm"),
    ("query_mlp.fc1", "intermediate_query.dense"),
    ("query_mlp.fc2", "output_query.dense"),
    ("norm_query", "output_query.LayerNorm"),
    ("text_mlp.fc1", "intermediate.dense"),
    ("text_mlp.fc2", "output.dense"),
    ("norm_text", "output.LayerNorm"),
];

fn load(config: &Value, p: &Params) -> Result<Box<dyn Model>, ModelError> {
    let top = Fields::new("", config)?;
    let vision = Vision::read(section(&top, "vision_config")?, FAMILY.id, &CLASS)?;
    let (qformer, texts) = querying(section(&top, "qformer_config")?, vision.width())?;
    let queries = size(&top, "num_query_tokens", 32)?;
    let joint = size(&top, "image_text_hidden_size", 256)?;
    let image_token = match top.get("image_token_index") {
        Some(_) => Some(token(&top, "image_token_index", 0)?),
        None => None,
    };
    let text = section(&top, "text_config")?;
    let retrieval = config["architectures"][0] == "Blip2ForImageTextRetrieval";
    let language = match retrieval {
        // Its language model is a default that nothing was trained for.
        true => None,
        false => Some(Language::read(text, FAMILY.id)?),
    };
    top.finish(FAMILY.id, &[LIBRARY, HARMLESS].concat())?;

    if retrieval && !qformer.text {
        return Err(ModelError::Config(ConfigError::Value {
            field: "qformer_config.use_qformer_text_input".to_owned(),
            expected: "true, since texts are scored".to_owned(),
            found: "false".to_owned(),
        }));
    }
    let most = language.as_ref().map_or(texts.positions, |l| l.room(queries));
    let look = Look {
        pictures: vision.load(p, FAMILY.id, most)?,
        queries: p.tensor("query_tokens", &[queries, qformer.width])?,
        qformer: QFormer::load(&p.at("qformer").named(NAMES), &qformer)?,
    };
    Ok(match language {
        Some(language) => Box::new(Generate::load(p, look, qformer.width, language, image_token)?),
        None => Box::new(Retrieval::load(p, look, &qformer, &texts, joint, image_token)?),
    })
}

/// Tables of the texts that a querying transformer reads.
struct Texts {
    vocab: usize,
    positions: usize,
}

fn querying(fields: Fields, memory: usize) -> Result<(qformer::Spec, Texts), ConfigError> {
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
    let texts = Texts {
        vocab: size(&fields, "vocab_size", 30522)?,
        positions: size(&fields, "max_position_embeddings", 512)?,
    };
    fields.only("position_embedding_type", &["absolute".into()])?;
    // The reference takes the tower's width whatever stands there.
    fields.get("encoder_hidden_size");
    fields.finish(FAMILY.id, LIBRARY)?;
    Ok((spec, texts))
}

/// The tower and the queries that look at what it says.
struct Look {
    pictures: Pictures,
    /// `[queries, width]`.
    queries: Tensor,
    qformer: QFormer,
}

impl Look {
    /// Queries of one picture.
    fn count(&self) -> usize {
        self.queries.dims()[0]
    }

    /// Tokens of pictures → what the queries found, `[pictures · queries, width]`.
    fn ask(&self, cells: &Tensor, tokens: &[usize], taps: &mut Taps) -> Result<Tensor, ModelError> {
        let queries = vec![self.count(); tokens.len()];
        let (own, seen) = (segments(queries.clone()), looking(&queries, spans(tokens)));
        let part = |queries| Span { queries, text: 0 };
        let parts: Vec<Span> = queries.iter().map(|n| part(*n)).collect();
        let memory = Some((cells, &Mask::whole(&seen)));
        let x = self.queries.repeat((tokens.len(), 1))?;
        let taps = ("qformer_hidden", taps);
        Ok(self
            .qformer
            .forward(&x, &parts, &Mask::whole(&own), memory, taps)?)
    }
}
