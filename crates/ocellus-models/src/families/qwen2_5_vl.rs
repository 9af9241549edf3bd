//! Qwen2.5-VL (Bai et al. 2025): a windowed vision tower, a 2x2 patch merger, a Qwen2 decoder with three-axis positions.
//! Reference: `qwen2_5_vl` of transformers.
//!
//! Specific to this family: the window order of the tower, and temporal positions that follow the seconds of a video. Everything
//! else is `ocellus-nn`, chosen by the specs below.

use candle_core::Tensor;
use ocellus_nn::attention::segments;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::vit::{self, Vit};
use ocellus_nn::{Act, Mlp, Norm, Params, Segment, Taps};
use std::sync::Arc;

use super::family::{Family, Task};
use super::qwen2;
use crate::config::{ConfigError, ConfigFile};
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::model::Model;
use crate::plan::{TowerShape, Windows};
use crate::vlm::Vlm;
use ocellus_media::Grid;

pub(super) const FAMILY: Family = Family {
    id: "qwen2_5_vl",
    architectures: &["Qwen2_5_VLForConditionalGeneration"],
    anchors: qwen2::ANCHORS,
    tasks: &[Task::Ask, Task::Chat, Task::Ocr, Task::Caption],
    also: &[],
    claims: |_| false,
    processors: &[],
    unused: &[],
    load: |config, params| Ok(Box::new(Qwen25Vl::load(Config::read(config)?, params)?)),
    shape: Some(|config| {
        let config = Config::read(config)?;
        let vision = TowerShape {
            windows: Some(Windows {
                side: config.window() * config.patching.merge,
                whole: config.whole(),
            }),
            ..TowerShape::merged(&config.vision())
        };
        Ok(qwen2::shape(&config.text, vision, config.facts()))
    }),
    trace: None,
    learner: None,
    trains: |_| true,
};

/// The reference's classes of the whole and of its text.
const CLASSES: [&str; 2] = ["Qwen2_5_VLConfig", "Qwen2_5_VLTextConfig"];

struct Config {
    text: qwen2::TextConfig,
    patching: qwen2::Patching,
    depth: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_heads: usize,
    out_hidden_size: usize,
    window_size: usize,
    fullatt_block_indexes: Vec<usize>,
    tokens_per_second: f64,
}

impl Config {
    fn read(config: &ConfigFile) -> Result<Self, ConfigError> {
        let text = qwen2::text(config, FAMILY.id, qwen2::Style::SECOND, CLASSES)?;
        let vision = config
            .fields()?
            .part("vision_config")?
            .of("Qwen2_5_VLVisionConfig");
        let config = Self {
            patching: qwen2::Patching::read(&vision, FAMILY.id, "silu")?,
            depth: vision.size("depth")?,
            hidden_size: vision.size("hidden_size")?,
            intermediate_size: vision.size("intermediate_size")?,
            num_heads: vision.size("num_heads")?,
            out_hidden_size: vision.size("out_hidden_size")?,
            window_size: vision.size("window_size")?,
            fullatt_block_indexes: vision.sizes("fullatt_block_indexes")?,
            tokens_per_second: vision.number("tokens_per_second")?,
            text,
        };
        vision.finish(FAMILY.id, &["spatial_patch_size"])?;
        Ok(config)
    }

    fn vision(&self) -> vit::Spec {
        vit::Spec {
            patch: self.patching.features(),
            patch_bias: false,
            width: self.hidden_size,
            depth: self.depth,
            heads: self.num_heads,
            norm: Norm::rms(1e-6),
            mlp: Mlp::Gated {
                act: Act::Silu,
                width: self.intermediate_size,
                bias: true,
            },
            merged: self.patching.merge * self.patching.merge,
            out: self.out_hidden_size,
        }
    }

    /// Visual tokens along a side of a window.
    fn window(&self) -> usize {
        (self.window_size / self.patching.merge / self.patching.patch_size).max(1)
    }

    /// Number of layers that attend to whole frames.
    fn whole(&self) -> usize {
        let layers = 0..self.depth;
        layers.filter(|i| self.fullatt_block_indexes.contains(i)).count()
    }

    fn facts(&self) -> Facts {
        self.patching
            .facts(FAMILY.id, &self.text, Some(self.tokens_per_second as f32))
    }
}

struct Qwen25Vl {
    facts: Facts,
    patching: qwen2::Patching,
    /// Visual tokens along a side of a window.
    window: usize,
    full: Vec<usize>,
    vit: Vit,
    decoder: Decoder,
}

impl Qwen25Vl {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
        let (visual, model, head) = qwen2::roots(p);
        Ok(Self {
            facts: config.facts(),
            window: config.window(),
            vit: Vit::load(&visual, config.vision())?,
            full: config.fullatt_block_indexes,
            decoder: Decoder::load(&model, &head, config.text.decoder)?,
            patching: config.patching,
        })
    }
}

impl Model for Qwen25Vl {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        Some(self)
    }
}

impl Vlm for Qwen25Vl {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Embeddings, ModelError> {
        self.patching.check(grids, patches.dim(0)?)?;
        let (spec, merge) = (self.vit.spec(), self.patching.merge);
        let plan = WindowPlan::new(grids, merge, self.window);
        plan.tap(patches, taps)?;
        let x = self.vit.embed(patches)?;
        taps.tap("patch_embeds", &x);
        let x = qwen2::reorder(&x, &plan.order, spec.merged)?;
        let places = qwen2::places(grids, merge);
        let places: Vec<_> = plan
            .order
            .iter()
            .flat_map(|visual_token| {
                places[*visual_token as usize * spec.merged..][..spec.merged]
                    .iter()
                    .copied()
            })
            .collect();
        let angles = qwen2::angles(&places, spec.width / spec.heads, patches.device())?;
        let frames = qwen2::frames(grids);
        let segments = |layer: usize| {
            if self.full.contains(&layer) {
                &frames
            } else {
                &plan.windows
            }
        };
        let x = self.vit.blocks(x, &angles, segments, taps)?;
        let visual_tokens = qwen2::reorder(&self.vit.merge(&x)?, &plan.inverse(), 1)?;
        taps.tap("vision_out", &visual_tokens);
        Ok(visual_tokens.into())
    }
}

/// The order in which the tower computes visual tokens: window by window, within each frame.
struct WindowPlan {
    /// Indices of visual tokens in window order.
    order: Vec<u32>,
    /// The attention segments of the windows, in patches.
    windows: Arc<[Segment]>,
}

impl WindowPlan {
    fn new(grids: &[Grid], merge: usize, window: usize) -> Self {
        let (mut order, mut lengths, mut first) = (Vec::new(), Vec::new(), 0);
        for grid in grids {
            let (rows, columns) = (grid.h / merge, grid.w / merge);
            for frame in 0..grid.t {
                let start = first + frame * rows * columns;
                for top in (0..rows).step_by(window) {
                    for left in (0..columns).step_by(window) {
                        let (bottom, right) = ((top + window).min(rows), (left + window).min(columns));
                        for row in top..bottom {
                            order.extend((left..right).map(|column| (start + row * columns + column) as u32));
                        }
                        lengths.push((bottom - top) * (right - left) * merge * merge);
                    }
                }
            }
            first += grid.t * rows * columns;
        }
        Self {
            order,
            windows: segments(lengths),
        }
    }

    /// For each visual token, its index in window order.
    fn inverse(&self) -> Vec<u32> {
        let mut inverse = vec![0; self.order.len()];
        (0u32..)
            .zip(&self.order)
            .for_each(|(at, visual_token)| inverse[*visual_token as usize] = at);
        inverse
    }

    /// Taps the plan as the reference stores it: the order of visual tokens, and the window boundaries in patches.
    fn tap(&self, like: &Tensor, taps: &mut Taps) -> Result<(), ModelError> {
        let order: Vec<i64> = self.order.iter().map(|c| i64::from(*c)).collect();
        let mut borders = vec![0i64];
        borders.extend(self.windows.iter().map(|w| (w.q_start + w.q_len) as i64));
        taps.tap(
            "window_index",
            &Tensor::from_slice(&order, order.len(), like.device())?,
        );
        taps.tap(
            "cu_window_seqlens",
            &Tensor::from_slice(&borders, borders.len(), like.device())?,
        );
        Ok(())
    }
}
