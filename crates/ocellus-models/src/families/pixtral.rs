//! Pixtral (Agrawal et al. 2024): pictures of any size, rotary positions in rows and columns, a two-layer adapter, a Mistral
//! decoder. References: the `llava` and `pixtral` classes of transformers, and the publisher's own `params.json` layout.
//!
//! Specific to this family: of the rotary frequencies of a head the even ones rotate by the row and the odd ones by the column;
//! in a prompt, every row of a picture ends with an extra token.

use candle_core::{Device, Tensor};
use ocellus_nn::decoder::Decoder;
use ocellus_nn::ops::activation::activate;
use ocellus_nn::rope::{Angles, Rope};
use ocellus_nn::tower::Tower;
use ocellus_nn::{Act, Linear, Params, Taps};

use super::family::{Family, Task};
use crate::config::{ConfigError, ConfigFile};
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::InputSpec;
use crate::model::Model;
use crate::mrope::{PositionRule, Positions, VisualSpan};
use crate::reference::{Given, ReferencePrompt, Trace, prompts};
use crate::vlm::{Slot, Vlm, placeholders_match};
use ocellus_media::Grid;

mod config;
mod library;
mod names;
mod publisher;
mod recipes;
#[cfg(test)]
mod tests;

use config::{Config, ID, SpecialTokens};
use names::Publication;
use recipes::{LIBRARY, PUBLISHER, visual_format};

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: &["LlavaForConditionalGeneration"],
    anchors: names::ANCHORS,
    tasks: &[Task::Ask, Task::Chat, Task::Ocr, Task::Caption],
    also: &[],
    claims: |config| {
        let library = config["model_type"] == "llava" && config["vision_config"]["model_type"] == "pixtral";
        library || config.get("vision_encoder").is_some()
    },
    processors: &[("pixtral-hf", LIBRARY), ("pixtral-mistral", PUBLISHER)],
    unused: &[],
    load: |config, params| Ok(Box::new(Pixtral::load(read(config)?, params)?)),
    shape: Some(|config| Ok(read(config)?.shape())),
    trace: Some(|config, params| Ok(Box::new(Pixtral::load(read(config)?, params)?))),
    learner: None,
    trains: |_| true,
};

/// How pictures are scaled for a checkpoint of this layout.
fn read(config: &ConfigFile) -> Result<Config, ConfigError> {
    match config.get("vision_encoder") {
        Some(_) => publisher::read(config),
        None => library::read(config),
    }
}

struct Pixtral {
    facts: Facts,
    layout: Publication,
    special_tokens: SpecialTokens,
    /// Patches along the longest side of a picture.
    longest: usize,
    /// Rotary frequencies of the tower.
    rope: Rope,
    tower: Tower,
    adapter: (Linear, Linear),
    decoder: Decoder,
}

impl Pixtral {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
        let from = config.layout.roots(p);
        let (vision_config, outer) = (&config.vision_config, config.text_config.width);
        let adapter = |i: usize, inputs| Linear::load(&from.adapter[i], inputs, outer, config.adapter_bias);
        Ok(Self {
            facts: config.facts(),
            layout: config.layout,
            longest: vision_config.longest(),
            rope: Rope::plain(vision_config.theta, vision_config.width / vision_config.heads),
            tower: Tower::load(&from.tower, config.tower())?,
            adapter: (adapter(0, vision_config.width)?, adapter(1, outer)?),
            decoder: Decoder::load(&from.decoder, &from.head, config.decoder())?,
            special_tokens: config.special_tokens,
        })
    }

    /// The rotation angles of every patch: row times even frequencies, then column times odd frequencies.
    fn angles(&self, grids: &[Grid], device: &Device) -> Result<Angles, ModelError> {
        let dim = self.tower.spec().encoder.block.attention.head_dim;
        let frequencies = self.rope.frequencies(dim);
        let places: Vec<[usize; 2]> = grids
            .iter()
            .flat_map(|g| (0..g.h).flat_map(|row| (0..g.w).map(move |column| [row, column])))
            .collect();
        let turned = places.iter().flat_map(|place| {
            let axes = place.iter().enumerate();
            axes.flat_map(|(axis, at)| frequencies.iter().skip(axis).step_by(2).map(|f| *at as f32 * f))
        });
        Ok(Angles::twice(turned, places.len(), dim / 2, 1.0, device)?)
    }

    fn check_grids(&self, grids: &[Grid], patches: usize) -> Result<(), ModelError> {
        let total: usize = grids.iter().map(|g| g.t * g.h * g.w).sum();
        let odd = grids.iter().find(|g| g.t != 1 || g.h * g.w == 0);
        if let Some(&Grid { t, h, w }) = odd.or_else(|| grids.first().filter(|_| total != patches)) {
            let merge = 1;
            return Err(ModelError::Grid {
                t,
                h,
                w,
                merge,
                patches,
            });
        }
        match grids.iter().find(|g| g.h.max(g.w) > self.longest) {
            None => Ok(()),
            Some(g) => Err(ModelError::input(
                "a picture",
                format!("at most {} patches a side", self.longest),
                format!("{}x{}", g.w, g.h),
            )),
        }
    }

    /// The pictures among the reference's arguments: patches, and grids from the real sizes in px.
    fn pictures(&self, given: &Given) -> Result<Option<(Tensor, Vec<Grid>)>, ModelError> {
        if !given.has("pixel_values") {
            return Ok(None);
        }
        let sizes: Option<Vec<(usize, usize)>> = match given.has("image_sizes") {
            true => Some(
                given
                    .integers("image_sizes", 2)?
                    .1
                    .chunks_exact(2)
                    .map(|s| (s[0].max(0) as usize, s[1].max(0) as usize))
                    .collect(),
            ),
            false => None,
        };
        given
            .patches("pixel_values", self.facts.patch_size, sizes.as_deref())
            .map(Some)
    }
}

impl Model for Pixtral {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            visual: visual_format(self.layout, self.longest, self.facts.patch_size),
            ..InputSpec::default()
        }
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        Some(self)
    }
}

impl Vlm for Pixtral {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Embeddings, ModelError> {
        self.check_grids(grids, patches.dim(0)?)?;
        let sizes: Vec<(usize, usize)> = grids.iter().map(|g| (g.h, g.w)).collect();
        let angles = self.angles(grids, patches.device())?;
        let mut named = |name: &str, tensor: &Tensor| match name {
            "patch_embeds" | "vision_embeds" => {}
            // In the reference the norm before the layers belongs to the patch embedding.
            "vision_pre" => taps.tap("patch_embeds", tensor),
            name => taps.tap(name, tensor),
        };
        let x = self
            .tower
            .forward_rotated(patches, &sizes, Some(&angles), &mut Taps::new(&mut named))?;
        let (first, second) = &self.adapter;
        let visual_tokens = second.forward(&activate(&first.forward(&x)?, Act::Gelu)?)?;
        taps.tap("vision_out", &visual_tokens);
        Ok(visual_tokens.into())
    }

    /// Every row of visual tokens is followed by a row end token, the last row by the picture's end token.
    fn placeholder(&self, grid: &Grid) -> Vec<u32> {
        let row = |i: usize| {
            let last = i + 1 == grid.h;
            let end = if last {
                self.special_tokens.picture_end
            } else {
                self.special_tokens.row_end
            };
            std::iter::repeat_n(self.special_tokens.image, grid.w).chain([end])
        };
        (0..grid.h).flat_map(row).collect()
    }

    /// Positions count tokens; pictures have no axes of their own here.
    fn positions(
        &self,
        ids: &[u32],
        visions: &[VisualSpan],
        _: PositionRule,
    ) -> Result<Positions, ModelError> {
        let expected = visions.iter().map(|v| self.facts.visual_tokens(&v.grid)).sum();
        let found = self.slots(ids).into_iter().filter(|s| *s == Slot::Image).count();
        placeholders_match("image", expected, found)?;
        Ok(Positions {
            ids: (0..ids.len() as i64).map(|i| [i; 3]).collect(),
            delta: 0,
        })
    }
}

impl Trace for Pixtral {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let pictures = self.pictures(given)?;
        let mut visual_tokens = None;
        if let Some((patches, grids)) = &pictures {
            visual_tokens = Some(self.encode(patches, grids, taps)?);
            let (mut alone, mut first) = (Vec::with_capacity(grids.len()), 0);
            for grid in grids {
                let own = patches.narrow(0, first, grid.h * grid.w)?;
                alone.push(self.encode(&own, &[*grid], &mut Taps::none())?);
                first += grid.h * grid.w;
            }
            taps.tap("vision_out_single", &Embeddings::cat(&alone)?.rows);
        }
        let rows = given.rows("input_ids", "attention_mask")?;
        let opening = prompts::prefill_input(
            self,
            &self.prompts(given)?,
            visual_tokens.as_ref(),
            &mut Taps::none(),
        )?;
        taps.tap("inputs_embeds", &rows.unpack(&opening.embeds.rows)?);
        prompts::decode(self, &opening, &rows, taps)
    }

    fn prompts(&self, given: &Given) -> Result<Vec<ReferencePrompt>, ModelError> {
        let rows = given.rows("input_ids", "attention_mask")?;
        let pictures = self.pictures(given)?;
        let pictures = pictures.as_ref().map(|(patches, grids)| (patches, &grids[..]));
        prompts::of_rows(self, &rows, pictures, |grid| self.facts.visual_tokens(grid))
    }
}
