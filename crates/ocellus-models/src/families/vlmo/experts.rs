//! The layers: shared attention, then an expert MLP per modality (Bao et al. 2021, section 3.2).

use candle_core::{Tensor, Var};
use ocellus_nn::attention::Attention;
use ocellus_nn::mlp::MlpLayer;
use ocellus_nn::norm::NormLayer;
use ocellus_nn::params::Names;
use ocellus_nn::{LoadError, Mask, Params, Taps};

use super::config::Config;
use super::layout::TokenLayout;
use super::relative::Relative;
use crate::error::ModelError;

const NAMES: Names = &[("attn.o_proj", "attn.proj")];

/// An expert: a norm and an MLP.
struct Expert {
    norm: NormLayer,
    mlp: MlpLayer,
}

struct Layer {
    norm: NormLayer,
    attention: Attention,
    /// Factors of the two residual branches (LayerScale), `[width]` each.
    scales: Option<(Tensor, Tensor)>,
    text: Expert,
    picture: Expert,
    joint: Option<Expert>,
}

/// Whether layers that have a vision-language expert use it.
#[derive(Clone, Copy)]
pub(super) struct Level {
    joint: bool,
}

impl Level {
    /// Text and picture in one sequence.
    pub(super) const fn fused() -> Self {
        Self { joint: true }
    }

    /// Text or picture alone.
    pub(super) const fn alone(joint: bool) -> Self {
        Self { joint }
    }
}

pub(super) struct MomeTransformer {
    layers: Vec<Layer>,
    relative: Option<Relative>,
    norm: NormLayer,
}

impl MomeTransformer {
    pub(super) fn load(p: &Params, config: &Config) -> Result<Self, LoadError> {
        let transformer = p.at("transformer").named(NAMES);
        let layer = |i: usize| Layer::load(&transformer.at("blocks").at(i), config, i >= config.joint_from);
        Ok(Self {
            layers: (0..config.layers).map(layer).collect::<Result<_, _>>()?,
            relative: config.relative.then(|| Relative::load(p, config)).transpose()?,
            norm: config.norm.load(&transformer.at("norm"), config.width)?,
        })
    }

    /// Runs the layers: `x [tokens, width]` → `[tokens, width]`. Taps `hidden_N`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        layout: &TokenLayout,
        level: Level,
        taps: &mut Taps,
    ) -> Result<Tensor, ModelError> {
        let placed = self.relative.as_ref().map(|r| r.place(layout)).transpose()?;
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            let scores = placed.as_ref().map(|placed| move |s: &_| placed.scores(i, s));
            let mut mask = Mask::whole(&layout.segments);
            if let Some(scores) = &scores {
                mask.bias = Some(scores);
            }
            x = layer.forward(&x, &mask, layout, level)?;
            taps.tap_layer("hidden", i, &x);
        }
        Ok(x)
    }

    /// The norm after the last layer.
    pub(super) fn finish(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.norm.forward(x)?)
    }
}

impl Layer {
    fn load(p: &Params, config: &Config, joint: bool) -> Result<Self, LoadError> {
        let width = config.width;
        let expert = |name: &str| {
            Ok::<_, LoadError>(Expert {
                norm: config.norm.load(&p.at(format!("norm2_{name}")), width)?,
                mlp: config.mlp().load(&p.at(format!("mlp_{name}")), width)?,
            })
        };
        let scale = |name: &str, start: f32| {
            let scratch = p.trainable() && !p.contains(name);
            let scale = p.tensor(name, &[width])?;
            if scratch {
                Var::from_tensor(&scale)?.set(&Tensor::full(start, width, scale.device())?)?;
            }
            Ok::<_, LoadError>(scale)
        };
        let scales = |start| Ok::<_, LoadError>((scale("gamma_1", start)?, scale("gamma_2", start)?));
        Ok(Self {
            norm: config.norm.load(&p.at("norm1"), width)?,
            attention: Attention::load(&p.at("attn"), config.attention(), width, width)?,
            scales: config.scaled.map(scales).transpose()?,
            text: expert("text")?,
            picture: expert("imag")?,
            joint: joint.then(|| expert("vl")).transpose()?,
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        mask: &Mask,
        layout: &TokenLayout,
        level: Level,
    ) -> Result<Tensor, ModelError> {
        let attended = self.attention.forward(&self.norm.forward(x)?, mask, None)?;
        let x = add(x, &attended, self.scales.as_ref().map(|s| &s.0))?;
        let scale = self.scales.as_ref().map(|s| &s.1);
        let by = |expert: &Expert, x: &Tensor| add(x, &expert.mlp.forward(&expert.norm.forward(x)?)?, scale);
        if let Some(joint) = self.joint.as_ref().filter(|_| level.joint) {
            return by(joint, &x);
        }
        match layout.kinds() {
            (true, false) => by(&self.text, &x),
            (false, _) => by(&self.picture, &x),
            (true, true) => {
                let words = by(&self.text, &layout.of_text(&x)?)?;
                let patches = by(&self.picture, &layout.of_pictures(&x)?)?;
                layout.interleave(&words, &patches)
            }
        }
    }
}

/// `x + scale · branch`.
fn add(x: &Tensor, branch: &Tensor, scale: Option<&Tensor>) -> Result<Tensor, ModelError> {
    Ok(match scale {
        Some(scale) => (x + branch.broadcast_mul(scale)?)?,
        None => (x + branch)?,
    })
}
