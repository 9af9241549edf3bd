//! The transformer layer: attention and an MLP, with norms before or after each, and optional cross-attention.

use candle_core::Tensor;

use crate::attention::Attention;
use crate::mlp::MlpLayer;
use crate::norm::NormLayer;
use crate::ops::add::add;
use crate::{Attn, LoadError, Mlp, Norm, Params, Result};

/// Applies a layer's attention to its input `[tokens, width]`.
pub type Attend<'a> = dyn Fn(&Attention, &Tensor) -> Result<Tensor> + 'a;

/// The place of the norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Pre-norm: `x + f(norm(x))`.
    NormFirst,
    /// Post-norm: `norm(x + f(x))`, as in the original transformer.
    NormLast,
}

/// Sizes and options of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    pub width: usize,
    pub attention: Attn,
    pub norm: Norm,
    pub order: Order,
    pub mlp: Mlp,
    /// Width of the rows that cross-attention projects keys and values from; `None` = no cross-attention.
    pub memory: Option<usize>,
}

struct Across {
    attention: Attention,
    norm: NormLayer,
}

/// A loaded layer: tensors `attn.*`, `norm1`, `cross.*`, `norm_cross`, `mlp.*`, `norm2`.
pub struct Block {
    order: Order,
    attention: Attention,
    norm1: NormLayer,
    across: Option<Across>,
    mlp: MlpLayer,
    norm2: NormLayer,
}

impl Block {
    pub fn load(p: &Params, spec: &Spec) -> std::result::Result<Self, LoadError> {
        Self::facing(p, spec, spec.width)
    }

    /// Loads a layer whose attention projects keys and values from rows of `kv_width`, such as those of another stream; `attend`
    /// must supply these rows.
    pub fn facing(p: &Params, spec: &Spec, kv_width: usize) -> std::result::Result<Self, LoadError> {
        let across = |memory: usize| {
            Ok::<_, LoadError>(Across {
                attention: Attention::load(&p.at("cross"), spec.attention.unfused(), spec.width, memory)?,
                norm: spec.norm.load(&p.at("norm_cross"), spec.width)?,
            })
        };
        Ok(Self {
            order: spec.order,
            attention: Attention::load(&p.at("attn"), spec.attention, spec.width, kv_width)?,
            norm1: spec.norm.load(&p.at("norm1"), spec.width)?,
            across: spec.memory.map(across).transpose()?,
            mlp: spec.mlp.load(&p.at("mlp"), spec.width)?,
            norm2: spec.norm.load(&p.at("norm2"), spec.width)?,
        })
    }

    /// Keys and values of memory rows for the layer's cross-attention, if it has one.
    pub fn cross_keys_and_values(&self, rows: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        self.across
            .as_ref()
            .map(|a| a.attention.keys_and_values(rows))
            .transpose()
    }

    /// `x [tokens, width]` → the same shape. `attend` computes self-attention from the layer's attention and its input; `cross`
    /// computes cross-attention likewise and is not called without it.
    pub fn forward(
        &self,
        x: &Tensor,
        attend: impl FnOnce(&Attention, &Tensor) -> Result<Tensor>,
        cross: Option<&Attend>,
    ) -> Result<Tensor> {
        let mut x = self.step(x, &self.norm1, |x| attend(&self.attention, x))?;
        if let (Some(across), Some(attend)) = (&self.across, cross) {
            x = self.step(&x, &across.norm, |x| attend(&across.attention, x))?;
        }
        self.step(&x, &self.norm2, |x| self.mlp.forward(x))
    }

    fn step(
        &self,
        x: &Tensor,
        norm: &NormLayer,
        f: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        match self.order {
            Order::NormFirst => add(x, &f(&norm.forward(x)?)?),
            Order::NormLast => norm.forward(&add(x, &f(x)?)?),
        }
    }
}
