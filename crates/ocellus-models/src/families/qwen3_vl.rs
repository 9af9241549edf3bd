//! Qwen3-VL (2025): a vision tower with both learned and rotary positions, features of several of its depths handed to the first
//! layers of the decoder (DeepStack, Meng et al. 2024), and a Qwen3 decoder whose frequencies go round the three position axes.
//! Reference: `qwen3_vl` of transformers.
//!
//! What belongs to this family alone: the position table resized to every picture, DeepStack, and videos frame by frame behind
//! their times in words.

use candle_core::Tensor;
use ocellus_nn::attention::Batch;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::merger::{self, Merger};
use ocellus_nn::position_table::{Interpolation, resize};
use ocellus_nn::vit::{self, Vit};
use ocellus_nn::{Act, Bias, Cache, Mlp, Names, Norm, Params, Taps};
use serde_json::Value;

use super::family::{Family, Task};
use super::qwen2;
use crate::config::{ConfigError, Fields};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::model::Model;
use crate::plan::Vision;
use crate::vlm::Vlm;
use ocellus_media::Grid;

pub(super) const FAMILY: Family = Family {
    id: "qwen3_vl",
    architectures: &["Qwen3VLForConditionalGeneration"],
    also: &[],
    claims: |_| false,
    tasks: &[Task::Ask, Task::Chat, Task::Ocr, Task::Caption],
    load: |config, params| Ok(Box::new(Qwen3Vl::load(Config::read(config)?, params)?)),
    shape: Some(|config| {
        let config = Config::read(config)?;
        Ok(qwen2::shape(&config.text, config.planned(), config.facts()))
    }),
    processors: &[],
    unused: &[],
    trace: None,
    learner: None,
    trains: |_| true,
};

const STYLE: qwen2::Style = qwen2::Style {
    bias: Bias::NONE,
    head_norm: true,
    interleaved: true,
};

const VISION_NAMES: Names = &[
    ("attn.o_proj", "attn.proj"),
    ("fc1", "linear_fc1"),
    ("fc2", "linear_fc2"),
];

struct Config {
    text: qwen2::Text,
    patching: qwen2::Patching,
    depth: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_heads: usize,
    out_hidden_size: usize,
    /// Rows and columns of the position table.
    table_side: usize,
    deepstack_visual_indexes: Vec<usize>,
}

impl Config {
    fn read(config: &Value) -> Result<Self, ConfigError> {
        let text = qwen2::text(config, FAMILY.id, STYLE)?;
        let missing = || ConfigError::Missing {
            field: "vision_config".to_owned(),
        };
        let vision = Fields::new("vision_config", config.get("vision_config").ok_or_else(missing)?)?;
        let rows = vision.size("num_position_embeddings")?;
        let side = rows.isqrt();
        let config = Self {
            patching: qwen2::Patching::read(&vision, "gelu_pytorch_tanh")?,
            depth: vision.size("depth")?,
            hidden_size: vision.size("hidden_size")?,
            intermediate_size: vision.size("intermediate_size")?,
            num_heads: vision.size("num_heads")?,
            out_hidden_size: vision.size("out_hidden_size")?,
            table_side: side,
            deepstack_visual_indexes: vision.sizes("deepstack_visual_indexes")?,
            text,
        };
        let wrong = |field: &str, expected: String, found: String| {
            Err(ConfigError::Value {
                field: format!("vision_config.{field}"),
                expected,
                found,
            })
        };
        if side * side != rows {
            return wrong("num_position_embeddings", "a square".to_owned(), rows.to_string());
        }
        let layers = config.text.decoder.layers.min(config.depth);
        let taken = &config.deepstack_visual_indexes;
        if taken.len() > layers || taken.iter().any(|i| *i >= config.depth) {
            let expected = format!("at most {layers} layers below {}", config.depth);
            return wrong("deepstack_visual_indexes", expected, format!("{taken:?}"));
        }
        vision.finish(FAMILY.id, &["spatial_patch_size"])?;
        Ok(config)
    }

    fn vision(&self) -> vit::Spec {
        vit::Spec {
            patch: self.patching.features(),
            patch_bias: true,
            width: self.hidden_size,
            depth: self.depth,
            heads: self.num_heads,
            norm: Norm::layer(1e-6),
            mlp: Mlp::Plain {
                act: Act::GeluTanh,
                width: self.intermediate_size,
                bias: true,
            },
            merged: self.patching.merge * self.patching.merge,
            out: self.out_hidden_size,
        }
    }

    /// What hands one depth of the tower to the decoder.
    fn deep_merger(&self) -> merger::Spec {
        merger::Spec {
            norm_cells: true,
            ..self.vision().merger()
        }
    }

    fn planned(&self) -> Vision {
        let spec = self.vision();
        let taken = self.deepstack_visual_indexes.iter();
        let mut vision = taken.fold(Vision::merged(&spec), |v, _| v.with_merger(&self.deep_merger()));
        let rows = (self.table_side as u64).saturating_mul(self.table_side as u64);
        vision.beside = vision
            .beside
            .saturating_add(rows.saturating_mul(spec.width as u64));
        vision
    }

    fn facts(&self) -> Facts {
        Facts {
            frames_apart: true,
            ..self.patching.facts(FAMILY.id, &self.text, None)
        }
    }
}

struct Qwen3Vl {
    facts: Facts,
    patching: qwen2::Patching,
    vit: Vit,
    /// `[side², width]`.
    table: Tensor,
    side: usize,
    /// Layers of the tower that the decoder sees, with their mergers.
    deepstack: Vec<(usize, Merger)>,
    decoder: Decoder,
}

impl Qwen3Vl {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
        p.packed_as(config.text.packing)?;
        let (visual, model, head) = qwen2::roots_with(p, VISION_NAMES);
        let spec = config.vision();
        let merger = config.deep_merger();
        let list = visual.at("deepstack_merger_list");
        let taken = config.deepstack_visual_indexes.iter().enumerate();
        let deepstack = taken
            .map(|(i, layer)| Ok((*layer, Merger::load(&list.at(i), merger)?)))
            .collect::<Result<_, ModelError>>()?;
        let rows = config.table_side * config.table_side;
        Ok(Self {
            facts: config.facts(),
            table: visual.at("pos_embed").tensor("weight", &[rows, spec.width])?,
            side: config.table_side,
            deepstack,
            vit: Vit::load(&visual, spec)?,
            decoder: Decoder::load(&model, &head, config.text.decoder)?,
            patching: config.patching,
        })
    }

    /// Learned positions of every patch, `[patches, width]`, in the order of patches.
    fn learned(&self, grids: &[Grid]) -> Result<Tensor, ModelError> {
        let side = (self.side, self.side);
        let mut parts = Vec::with_capacity(grids.len());
        for grid in grids {
            let raster = resize(
                &self.table,
                side,
                (grid.h, grid.w),
                Interpolation::BilinearCorners,
            )?;
            let places = qwen2::places(std::slice::from_ref(grid), self.patching.merge);
            let index: Vec<u32> = places.iter().map(|(y, x)| (y * grid.w + x) as u32).collect();
            parts.push(raster.index_select(&Tensor::from_slice(&index, index.len(), raster.device())?, 0)?);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    fn width(&self) -> usize {
        self.decoder.spec().block.width
    }

    /// The first `width` columns, or the rest.
    fn columns(&self, x: &Tensor, rest: bool) -> Result<Tensor, ModelError> {
        let (width, all) = (self.width(), x.dim(1)?);
        let (start, len) = if rest { (width, all - width) } else { (0, width) };
        Ok(x.narrow(1, start, len)?.contiguous()?)
    }
}

impl Model for Qwen3Vl {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        Some(self)
    }
}

impl Vlm for Qwen3Vl {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// A row holds the cell and, behind it, what DeepStack adds to each of the first layers.
    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Tensor, ModelError> {
        self.patching.check(grids, patches.dim(0)?)?;
        let spec = self.vit.spec();
        let places = qwen2::places(grids, self.patching.merge);
        let angles = qwen2::angles(&places, spec.width / spec.heads, patches.device())?;
        let frames = qwen2::frames(grids);
        let x = self.vit.embed(patches)?;
        taps.tap("patch_embeds", &x);
        let x = (x + self.learned(grids)?)?;
        let mut deep = vec![None; self.deepstack.len()];
        let seen = |layer: usize, x: &Tensor| {
            for (slot, (wanted, merger)) in deep.iter_mut().zip(&self.deepstack) {
                if *wanted == layer {
                    *slot = Some(merger.forward(x)?);
                }
            }
            Ok(())
        };
        let x = self.vit.blocks_with(x, &angles, |_| &frames, seen, taps)?;
        let mut rows = vec![self.vit.merge(&x)?];
        taps.tap("vision_out", &rows[0]);
        for (i, features) in deep.into_iter().flatten().enumerate() {
            taps.tap_layer("deepstack", i, &features);
            rows.push(features);
        }
        Ok(Tensor::cat(&rows, 1)?)
    }

    /// Where there are pictures, a row holds what DeepStack adds behind the embedding: nothing for words.
    fn embed(
        &self,
        ids: &[u32],
        images: Option<&Tensor>,
        videos: Option<&Tensor>,
        taps: &mut Taps,
    ) -> Result<Tensor, ModelError> {
        let part = |cells: Option<&Tensor>, rest| cells.map(|c| self.columns(c, rest)).transpose();
        let (image, video) = (part(images, false)?, part(videos, false)?);
        let embeds = self.embed_cells(ids, image.as_ref(), video.as_ref())?;
        taps.tap("inputs_embeds", &embeds);
        let deep: Vec<Tensor> = [part(images, true)?, part(videos, true)?]
            .into_iter()
            .flatten()
            .collect();
        let Some(first) = deep.first() else {
            return Ok(embeds);
        };
        let image_rows = images.map_or(Ok(0), |t| t.dim(0))? as u32;
        let (mut image, mut video) = (1, 1 + image_rows);
        let take = |counter: &mut u32| std::mem::replace(counter, *counter + 1);
        let pick: Vec<u32> = ids
            .iter()
            .map(|id| match Some(*id) {
                id if id == self.facts.image_token => take(&mut image),
                id if id == self.facts.video_token => take(&mut video),
                _ => 0,
            })
            .collect();
        let nothing = first.narrow(0, 0, 1)?.zeros_like()?;
        let table = Tensor::cat(&[vec![nothing], deep].concat(), 0)?;
        let deep = table.index_select(&Tensor::from_vec(pick, ids.len(), table.device())?, 0)?;
        Ok(Tensor::cat(&[embeds, deep], 1)?)
    }

    fn forward(
        &self,
        embeds: &Tensor,
        positions: &[[i64; 3]],
        batch: &Batch,
        cache: Option<&mut Cache>,
        taps: &mut Taps,
    ) -> Result<Tensor, ModelError> {
        let width = self.width();
        let x = self.columns(embeds, false)?;
        let added = (1..embeds.dim(1)? / width)
            .map(|i| embeds.narrow(1, i * width, width)?.contiguous())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self
            .decoder
            .forward_adding(&x, &added, positions, batch, cache, taps)?)
    }
}
