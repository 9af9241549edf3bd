//! Qwen2-VL (Wang et al. 2024): a vision tower of pre-norm blocks that attend to whole frames, a 2x2 patch merger, and a Qwen2
//! decoder with three-axis positions. Reference: `qwen2_vl` of transformers.
//!
//! Specific to this family: layer norms and a quick-GELU MLP in the tower, and frame numbers as temporal positions.

use candle_core::Tensor;
use ocellus_nn::decoder::Decoder;
use ocellus_nn::vit::{self, Vit};
use ocellus_nn::{Act, Mlp, Norm, Params, Taps};

use super::family::{Family, Task};
use super::qwen2;
use crate::config::{ConfigError, ConfigFile};
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::model::Model;
use crate::plan::TowerShape;
use crate::vlm::Vlm;
use ocellus_media::Grid;

pub(super) const FAMILY: Family = Family {
    id: "qwen2_vl",
    architectures: &["Qwen2VLForConditionalGeneration"],
    anchors: qwen2::ANCHORS,
    tasks: &[Task::Ask, Task::Chat, Task::Ocr, Task::Caption],
    also: &[],
    claims: |_| false,
    processors: &[],
    unused: &[],
    load: |config, params| Ok(Box::new(Qwen2Vl::load(Config::read(config)?, params)?)),
    shape: Some(|config| {
        let config = Config::read(config)?;
        let vision = TowerShape::merged(&config.vision());
        Ok(qwen2::shape(&config.text, vision, config.facts()))
    }),
    trace: None,
    learner: None,
    trains: |_| true,
};

/// The reference's classes of the whole and of its text.
const CLASSES: [&str; 2] = ["Qwen2VLConfig", "Qwen2VLTextConfig"];

struct Config {
    text: qwen2::TextConfig,
    patching: qwen2::Patching,
    depth: usize,
    embed_dim: usize,
    hidden_size: usize,
    mlp_ratio: usize,
    num_heads: usize,
}

impl Config {
    fn read(config: &ConfigFile) -> Result<Self, ConfigError> {
        let text = qwen2::text(config, FAMILY.id, qwen2::Style::SECOND, CLASSES)?;
        let vision = config.fields()?.part("vision_config")?.of("Qwen2VLVisionConfig");
        let config = Self {
            patching: qwen2::Patching::read(&vision, FAMILY.id, "quick_gelu")?,
            depth: vision.size("depth")?,
            embed_dim: vision.size("embed_dim")?,
            hidden_size: vision.size("hidden_size")?,
            mlp_ratio: vision.size("mlp_ratio")?,
            num_heads: vision.size("num_heads")?,
            text,
        };
        vision.finish(FAMILY.id, &["spatial_patch_size"])?;
        Ok(config)
    }

    fn vision(&self) -> vit::Spec {
        vit::Spec {
            patch: self.patching.features(),
            patch_bias: false,
            width: self.embed_dim,
            depth: self.depth,
            heads: self.num_heads,
            norm: Norm::layer(1e-6),
            mlp: Mlp::Plain {
                act: Act::QuickGelu,
                width: self.embed_dim * self.mlp_ratio,
                bias: true,
            },
            merged: self.patching.merge * self.patching.merge,
            out: self.hidden_size,
        }
    }

    fn facts(&self) -> Facts {
        self.patching.facts(FAMILY.id, &self.text, None)
    }
}

struct Qwen2Vl {
    facts: Facts,
    patching: qwen2::Patching,
    vit: Vit,
    decoder: Decoder,
}

impl Qwen2Vl {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
        let (visual, model, head) = qwen2::roots(p);
        Ok(Self {
            facts: config.facts(),
            vit: Vit::load(&visual, config.vision())?,
            decoder: Decoder::load(&model, &head, config.text.decoder)?,
            patching: config.patching,
        })
    }
}

impl Model for Qwen2Vl {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn generator(&self) -> Option<&dyn Vlm> {
        Some(self)
    }
}

impl Vlm for Qwen2Vl {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Embeddings, ModelError> {
        self.patching.check(grids, patches.dim(0)?)?;
        let spec = self.vit.spec();
        let places = qwen2::places(grids, self.patching.merge);
        let angles = qwen2::angles(&places, spec.width / spec.heads, patches.device())?;
        let frames = qwen2::frames(grids);
        let x = self.vit.embed(patches)?;
        taps.tap("patch_embeds", &x);
        let x = self.vit.blocks(x, &angles, |_| &frames, taps)?;
        let visual_tokens = self.vit.merge(&x)?;
        taps.tap("vision_out", &visual_tokens);
        Ok(visual_tokens.into())
    }
}
