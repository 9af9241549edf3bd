//! A stack of layers over packed tokens: text encoders, fusion encoders, and the layers of image towers.

use candle_core::Tensor;
use std::ops::Range;

use crate::attention::{Attention, Mask};
use crate::block::{self, Attend, Block};
use crate::rope::Angles;
use crate::{LoadError, Params, Result, Taps};

/// Sizes of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub layers: usize,
    /// The spec of every layer; its `memory` applies to the layers in `across` only.
    pub block: block::Spec,
    /// The layers with cross-attention.
    pub across: Range<usize>,
}

impl Spec {
    /// A stack in which all layers have cross-attention if the block has a memory, otherwise none.
    pub fn new(layers: usize, block: block::Spec) -> Self {
        let across = if block.memory.is_some() { 0..layers } else { 0..0 };
        Self {
            layers,
            block,
            across,
        }
    }
}

/// A loaded stack: tensors `layers.N.*`.
pub struct Encoder {
    layers: Vec<Block>,
}

/// Memory rows `[rows, width]`, and which query rows attend to which of them.
pub type Across<'a> = (&'a Tensor, &'a Mask<'a>);

impl Encoder {
    pub fn load(p: &Params, spec: &Spec) -> std::result::Result<Self, LoadError> {
        let layer = |i: usize| {
            let memory = spec.block.memory.filter(|_| spec.across.contains(&i));
            Block::load(&p.at("layers").at(i), &block::Spec { memory, ..spec.block })
        };
        Ok(Self {
            layers: (0..spec.layers)
                .map(layer)
                .collect::<std::result::Result<_, _>>()?,
        })
    }

    pub fn len(&self) -> usize {
        self.layers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Runs the layers in `range`: `x [tokens, width]` → `[tokens, width]`. Taps `{tap}_N`.
    pub fn forward(
        &self,
        x: &Tensor,
        range: Range<usize>,
        mask: &Mask,
        angles: Option<&Angles>,
        memory: Option<Across>,
        (tap, taps): (&str, &mut Taps),
    ) -> Result<Tensor> {
        let mut x = x.clone();
        for i in range {
            let layer = &self.layers[i];
            let cross = |attention: &Attention, x: &Tensor| {
                let Some((rows, mask)) = memory else {
                    return Ok(x.clone());
                };
                let (k, v) = attention.keys_and_values(rows)?;
                attention.across(x, (&k, &v), mask)
            };
            let cross: &Attend = &cross;
            let cross = memory.is_some().then_some(cross);
            x = layer.forward(&x, |attention, x| attention.forward(x, mask, angles), cross)?;
            taps.tap_layer(tap, i, &x);
        }
        Ok(x)
    }
}
