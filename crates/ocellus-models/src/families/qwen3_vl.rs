//! Qwen3-VL (2025): a vision tower with learned and rotary positions, features of several of its layers added in the first layers
//! of the decoder (DeepStack, Meng et al. 2024), and a Qwen3 decoder with interleaved three-axis positions. Reference: `qwen3_vl`
//! of transformers.
//!
//! Specific to this family: the position table interpolated to every picture, DeepStack, and videos frame by frame with their
//! times as text.

use candle_core::Tensor;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::merger::{self, Merger};
use ocellus_nn::position_table::{Interpolation, resize};
use ocellus_nn::vit::{self, Vit};
use ocellus_nn::{Act, Bias, Mlp, Names, Norm, Params, Taps};

use super::family::{Family, Task};
use super::qwen2;
use crate::config::{ConfigError, ConfigFile};
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::{InputSpec, VisualFormat};
use crate::model::Model;
use crate::plan::{Shape, TowerShape};
use crate::vlm::Vlm;
use ocellus_media::{Grid, Recipe};

pub(super) const FAMILY: Family = Family {
    id: "qwen3_vl",
    architectures: &["Qwen3VLForConditionalGeneration"],
    anchors: qwen2::ANCHORS,
    also: &[],
    claims: |_| false,
    tasks: &[Task::Ask, Task::Chat, Task::Ocr, Task::Caption],
    load: |config, params| Ok(Box::new(Qwen3Vl::load(Config::read(config)?, params)?)),
    shape: Some(|config| {
        let config = Config::read(config)?;
        Ok(Shape {
            input: VisualFormat::VisualTokens(RECIPE),
            ..qwen2::shape(&config.text, config.planned(), config.facts())
        })
    }),
    processors: &[],
    unused: &[],
    trace: None,
    learner: None,
    trains: |_| true,
};

/// The recipe of published checkpoints.
const RECIPE: Recipe = Recipe {
    patch_size: 16,
    merge_size: 2,
    temporal_patch_size: 2,
    min_pixels: 1 << 16,
    max_pixels: 1 << 24,
    mean: [0.5; 3],
    std: [0.5; 3],
    rescale: 1.0 / 255.0,
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

/// The reference's classes of the whole and of its text.
const CLASSES: [&str; 2] = ["Qwen3VLConfig", "Qwen3VLTextConfig"];

struct Config {
    text: qwen2::TextConfig,
    patching: qwen2::Patching,
    depth: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_heads: usize,
    out_hidden_size: usize,
    /// Rows, and columns, of the position table.
    table_side: usize,
    deepstack_visual_indexes: Vec<usize>,
}

impl Config {
    fn read(config: &ConfigFile) -> Result<Self, ConfigError> {
        let text = qwen2::text(config, FAMILY.id, STYLE, CLASSES)?;
        let vision = config.fields()?.part("vision_config")?.of("Qwen3VLVisionConfig");
        let rows = vision.size("num_position_embeddings")?;
        let side = rows.isqrt();
        let config = Self {
            patching: qwen2::Patching::read(&vision, FAMILY.id, "gelu_pytorch_tanh")?,
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

    /// The merger that turns features of a tower layer into a DeepStack input.
    fn deep_merger(&self) -> merger::Spec {
        merger::Spec {
            norm_merged: true,
            ..self.vision().merger()
        }
    }

    fn planned(&self) -> TowerShape {
        let spec = self.vision();
        let taken = self.deepstack_visual_indexes.iter();
        let mut vision = taken.fold(TowerShape::merged(&spec), |v, _| {
            v.with_merger(&self.deep_merger())
        });
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
    /// Position table `[side², width]`.
    table: Tensor,
    side: usize,
    /// Indices of the tower layers that feed the decoder, with their mergers.
    deepstack: Vec<(usize, Merger)>,
    decoder: Decoder,
}

impl Qwen3Vl {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
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

    /// Interpolated learned positions of every patch, `[patches, width]`, in patch order.
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
}

impl Model for Qwen3Vl {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            visual: VisualFormat::VisualTokens(RECIPE),
            system: None,
            ..InputSpec::default()
        }
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

    /// Visual tokens, with the DeepStack features for the first layers of the decoder.
    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Embeddings, ModelError> {
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
        let rows = self.vit.merge(&x)?;
        taps.tap("vision_out", &rows);
        let added: Vec<Tensor> = deep.into_iter().flatten().collect();
        for (i, features) in added.iter().enumerate() {
            taps.tap_layer("deepstack", i, features);
        }
        Ok(Embeddings { rows, added })
    }
}
