//! The image tower, and the Q-Former queries that attend to its tokens.

use candle_core::Tensor;
use ocellus_media::PixelRecipe;
use ocellus_nn::attention::{Mask, segments};
use ocellus_nn::qformer::{QFormer, Span};
use ocellus_nn::{Names, Params, Taps};

use super::config::{Config, ID};
use crate::error::ModelError;
use crate::families::blip::vision::{Pictures, looking, spans};
use crate::families::planes;

pub const RECIPE: PixelRecipe = planes::web(planes::square(224));

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

/// The image tower with the learned queries.
pub struct PictureQueries {
    pub pictures: Pictures,
    /// `[queries, width]`.
    pub queries: Tensor,
    pub qformer: QFormer,
}

impl PictureQueries {
    pub fn load(config: &Config, p: &Params) -> Result<Self, ModelError> {
        let (spec, most) = (&config.qformer, config.max_positions());
        Ok(Self {
            pictures: config.vision.load(p, ID, most)?,
            queries: p.tensor("query_tokens", &[config.queries, spec.width])?,
            qformer: QFormer::load(&p.at("qformer").named(NAMES), spec)?,
        })
    }

    /// Number of queries of one picture.
    pub fn count(&self) -> usize {
        self.queries.dims()[0]
    }

    /// Picture tokens → query outputs of the Q-Former, `[pictures · queries, width]`.
    pub fn ask(
        &self,
        visual_tokens: &Tensor,
        tokens: &[usize],
        taps: &mut Taps,
    ) -> Result<Tensor, ModelError> {
        let queries = vec![self.count(); tokens.len()];
        let (own, seen) = (segments(queries.clone()), looking(&queries, spans(tokens)));
        let part = |queries| Span { queries, text: 0 };
        let parts: Vec<Span> = queries.iter().map(|n| part(*n)).collect();
        let memory = Some((visual_tokens, &Mask::whole(&seen)));
        let x = self.queries.repeat((tokens.len(), 1))?;
        let taps = ("qformer_hidden", taps);
        Ok(self
            .qformer
            .forward(&x, &parts, &Mask::whole(&own), memory, taps)?)
    }
}
