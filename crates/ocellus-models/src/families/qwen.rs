//! Qwen-VL (Bai et al. 2023): a vision tower without a class token, a resampler with a fixed number of visual tokens per picture,
//! and a decoder that extrapolates to prompts longer than in training. Reference: the code published with the checkpoints.
//!
//! Specific to this family: a picture replaces whatever ids stand between its start and end token; the base of the rotary
//! frequencies grows with the length of the prompt, padding included, and stays constant during generation.
//!
//! A file that contains the tower only, without the decoder's embedding, loads as a tower: it can be traced, but generates no
//! text.

use candle_core::Tensor;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::{Names, Params, Taps};

use super::family::{Family, Task};
use super::planes;
use crate::config::ConfigError;
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::InputSpec;
use crate::model::Model;
use crate::reference::{Given, ReferencePrompt, Trace, prompts};
use crate::vlm::{PrefillInput, Prompt, Slot, Vlm, placeholders_match};
use ocellus_media::Grid;
use ocellus_media::PixelRecipe;

mod config;
#[cfg(test)]
mod tests;
mod visual;

use config::{Config, ID};
use visual::Visual;

const RECIPE: PixelRecipe = planes::web(planes::square(448));

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: &["QWenLMHeadModel"],
    anchors: &["transformer.wte.weight", "transformer.visual.proj"],
    tasks: &[Task::Ask, Task::Chat, Task::Ocr, Task::Caption],
    also: &["qwen_vl"],
    claims: |_| false,
    processors: &[("qwen_vl", RECIPE)],
    unused: &["attn.masked_bias"],
    load: |config, params| Ok(Config::read(config)?.load(params)?),
    shape: None,
    trace: Some(|config, params| Config::read(config)?.load(params)),
    learner: None,
    trains: |_| true,
};

/// Tensor names of the decoder.
const NAMES: Names = &[
    ("embed_tokens", "wte"),
    ("layers", "h"),
    ("norm", "ln_f"),
    ("norm1", "ln_1"),
    ("norm2", "ln_2"),
    ("attn.qkv", "attn.c_attn"),
    ("attn.o_proj", "attn.c_proj"),
    // The activation is applied to the output of `w2`.
    ("mlp.up_proj", "mlp.w1"),
    ("mlp.gate_proj", "mlp.w2"),
    ("mlp.down_proj", "mlp.c_proj"),
];

impl Config {
    fn load(self, p: &Params) -> Result<Box<dyn Trace>, ModelError> {
        let (body, facts) = (p.at("transformer"), self.facts());
        let visual = Visual::load(&body.at("visual"), self.visual.clone())?;
        if !body.at("wte").contains("weight") && body.at("visual").contains("proj") {
            return Ok(Box::new(VisionOnly { facts, visual }));
        }
        let width = self.decoder.block.width;
        if self.visual.output_dim != width {
            return Err(ModelError::Config(ConfigError::Value {
                field: "visual.output_dim".to_owned(),
                expected: format!("hidden_size = {width}"),
                found: self.visual.output_dim.to_string(),
            }));
        }
        Ok(Box::new(QwenVl {
            facts,
            image_start: self.image_start,
            trained_positions: self.dynamic.then_some(self.trained_positions),
            decoder: Decoder::load(&body.named(NAMES), &p.at("lm_head"), self.decoder)?,
            visual,
        }))
    }
}

/// A checkpoint of the tower alone.
struct VisionOnly {
    facts: Facts,
    visual: Visual,
}

impl Model for VisionOnly {
    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Trace for VisionOnly {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        self.visual.trace(given, taps).map(|_| ())
    }
}

struct QwenVl {
    facts: Facts,
    visual: Visual,
    decoder: Decoder,
    /// The start token of a picture; the next id is the end token.
    image_start: u32,
    /// The prompt length above which the base grows, if it does.
    trained_positions: Option<usize>,
}

/// The factor of the rotary base for a prompt of `length` tokens, `2^ceil(log2(length / trained) + 1) - 1`, and 1 where the base
/// does not grow. `trained` is the length of prompts in training.
fn alpha(trained: Option<usize>, length: usize) -> i64 {
    let Some(trained) = trained else {
        return 1;
    };
    let turns = ((length.max(1) as f64 / trained as f64).ln() / 2f64.ln() + 1.0).ceil();
    (turns.exp2() as i64 - 1).max(1)
}

impl Model for QwenVl {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            visual: planes::sized(RECIPE, self.visual.grid(), self.facts.patch_size),
            ..InputSpec::default()
        }
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        Some(self)
    }
}

impl Vlm for QwenVl {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Embeddings, ModelError> {
        Ok(self.visual.encode(patches, grids, taps)?.into())
    }

    /// Spans between a start and an end token that are as far apart as a picture has visual tokens.
    fn slots(&self, ids: &[u32]) -> Vec<Slot> {
        let (mut slots, mut at, visual_tokens) =
            (vec![Slot::Text; ids.len()], 0, self.visual.visual_tokens());
        while at < ids.len() {
            let end = at + 1 + visual_tokens;
            if ids[at] == self.image_start && ids.get(end) == Some(&(self.image_start + 1)) {
                slots[at + 1..end].fill(Slot::Image);
                at = end;
            }
            at += 1;
        }
        slots
    }

    fn placeholder(&self, _: &Grid) -> Vec<u32> {
        vec![self.image_start + 2; self.visual.visual_tokens()]
    }

    fn prefixes_agree(&self) -> bool {
        self.trained_positions.is_none()
    }

    fn visual_tokens(&self, _: &Grid) -> usize {
        self.visual.visual_tokens()
    }

    fn prefill_input(
        &self,
        prompts: &[Prompt],
        images: Option<&Embeddings>,
        videos: Option<&Embeddings>,
        taps: &mut Taps,
    ) -> Result<PrefillInput, ModelError> {
        self.input_behind(&vec![0; prompts.len()], prompts, (images, videos), taps)
    }
}

impl QwenVl {
    /// Positions count tokens, starting at `padding`; the second axis carries the factor of the base.
    fn input_behind(
        &self,
        padding: &[usize],
        prompts: &[Prompt],
        (images, videos): (Option<&Embeddings>, Option<&Embeddings>),
        taps: &mut Taps,
    ) -> Result<PrefillInput, ModelError> {
        let (mut positions, mut next) = (Vec::new(), Vec::with_capacity(prompts.len()));
        for (prompt, padding) in prompts.iter().zip(padding) {
            let found = self
                .slots(prompt.ids)
                .iter()
                .filter(|s| **s == Slot::Image)
                .count();
            placeholders_match("image", prompt.visions.len() * self.visual.visual_tokens(), found)?;
            let (first, end) = (*padding as i64, padding + prompt.ids.len());
            let (alpha, end) = (alpha(self.trained_positions, end), end as i64);
            positions.extend((first..end).map(|i| [i, alpha, i]));
            next.push([end, alpha, end]);
        }
        let ids: Vec<Vec<u32>> = prompts.iter().map(|p| p.ids.to_vec()).collect();
        Ok(PrefillInput {
            embeds: self.embed(&ids.concat(), images, videos, taps)?,
            ids,
            positions,
            next,
            stride: [1, 0, 1],
            cross: None,
        })
    }
}

impl Trace for QwenVl {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let visual_tokens = self.visual.trace(given, taps)?.map(Embeddings::from);
        let rows = given.rows("input_ids", "attention_mask")?;
        let opening = self.padded_input(&self.prompts(given)?, visual_tokens.as_ref(), &mut Taps::none())?;
        taps.tap("inputs_embeds", &rows.unpack(&opening.embeds.rows)?);
        let alpha = opening.next.first().map_or(1, |place| place[1]);
        taps.tap(
            "ntk_alpha",
            &Tensor::new(alpha as f32, opening.embeds.rows.device())?,
        );
        prompts::decode(self, &opening, &rows, taps)
    }

    fn prompts(&self, given: &Given) -> Result<Vec<ReferencePrompt>, ModelError> {
        let rows = given.rows("input_ids", "attention_mask")?;
        let pictures = self.visual.pictures(given)?;
        let pictures = pictures.as_ref().map(|(patches, grids)| (patches, &grids[..]));
        let mut asked = prompts::of_rows(self, &rows, pictures, |_| self.visual.visual_tokens())?;
        (asked.iter_mut().zip(rows.offsets()?)).for_each(|(a, offset)| a.offset = offset);
        Ok(asked)
    }

    fn padded_input(
        &self,
        prompts: &[ReferencePrompt],
        images: Option<&Embeddings>,
        taps: &mut Taps,
    ) -> Result<PrefillInput, ModelError> {
        let padding: Vec<usize> = prompts.iter().map(|p| p.offset).collect();
        self.input_behind(&padding, &prompts::unpadded(prompts), (images, None), taps)
    }
}
