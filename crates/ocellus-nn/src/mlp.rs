//! The MLP of a transformer layer.

use candle_core::Tensor;
use ocellus_base::trace::span;

pub use crate::ops::activation::Act;
use crate::ops::activation::{activate, silu_mul};
use crate::ops::linear::gated_packed;
use crate::{Linear, LoadError, Params, Result};

/// Kind, hidden width, and whether there are biases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mlp {
    /// `down(act(gate(x)) · up(x))`: tensors `gate_proj`, `up_proj`, `down_proj`.
    Gated { act: Act, width: usize, bias: bool },
    /// `fc2(act(fc1(x)))`: tensors `fc1`, `fc2`.
    Plain { act: Act, width: usize, bias: bool },
}

impl Mlp {
    pub fn load(self, p: &Params, outer: usize) -> std::result::Result<MlpLayer, LoadError> {
        Ok(match self {
            Self::Gated { act, width, bias } => MlpLayer::Gated {
                act,
                gate: Linear::load(&p.at("gate_proj"), outer, width, bias)?,
                up: Linear::load(&p.at("up_proj"), outer, width, bias)?,
                down: Linear::load(&p.at("down_proj"), width, outer, bias)?,
            },
            Self::Plain { act, width, bias } => MlpLayer::Plain {
                act,
                first: Linear::load(&p.at("fc1"), outer, width, bias)?,
                second: Linear::load(&p.at("fc2"), width, outer, bias)?,
            },
        })
    }
}

/// A loaded MLP.
pub enum MlpLayer {
    Gated {
        act: Act,
        gate: Linear,
        up: Linear,
        down: Linear,
    },
    Plain {
        act: Act,
        first: Linear,
        second: Linear,
    },
}

impl MlpLayer {
    /// `x [rows, outer]` → `[rows, outer]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let _span = span("mlp");
        match self {
            Self::Gated { act, gate, up, down } => {
                if let (Act::Silu, Some(gate), Some(up), Some(down)) =
                    (act, gate.as_packed(), up.as_packed(), down.as_packed())
                {
                    return gated_packed(x, gate, up, down);
                }
                let (gate, up) = (gate.forward(x)?, up.forward(x)?);
                down.forward(&match act {
                    Act::Silu => silu_mul(&gate, &up)?,
                    act => (activate(&gate, *act)? * up)?,
                })
            }
            Self::Plain { act, first, second } => second.forward(&activate(&first.forward(x)?, *act)?),
        }
    }
}
