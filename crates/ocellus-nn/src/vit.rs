//! A vision transformer without positions of its own over packed patches, with the merger behind it.
//!
//! The tower knows no grids: the family says which patches may attend to one another in each layer, and at which
//! angles they stand.

use candle_core::Tensor;
use ocellus_kernels::quant::Format;
use std::sync::Arc;

use crate::attention::{Bias, Mask};
use crate::block::{self, Block, Order};
use crate::merger::{self, Merger};
use crate::rope::Angles;
use crate::{Attn, Linear, LoadError, Mlp, Norm, Params, Result, Segment, Taps};

/// The shape of a vision tower.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Values of a flattened patch.
    pub patch: usize,
    pub patch_bias: bool,
    pub width: usize,
    pub depth: usize,
    pub heads: usize,
    pub norm: Norm,
    pub mlp: Mlp,
    /// Patches that make one visual token.
    pub merged: usize,
    /// Width of a merged visual token: the decoder's.
    pub out: usize,
}

impl Spec {
    /// One layer.
    pub fn block(&self) -> block::Spec {
        block::Spec {
            width: self.width,
            attention: Attn::full(self.heads, self.width / self.heads, Bias::ALL).fused(),
            norm: self.norm,
            order: Order::NormFirst,
            mlp: self.mlp,
            memory: None,
        }
    }

    /// What stands behind the last layer.
    pub fn merger(&self) -> merger::Spec {
        merger::Spec {
            width: self.width,
            merged: self.merged,
            out: self.out,
            norm: self.norm,
            norm_merged: false,
        }
    }
}

/// A loaded tower: tensors `patch_embed.proj`, `blocks.N.*`, `merger.*`.
pub struct Vit {
    spec: Spec,
    embed: Linear,
    blocks: Vec<Block>,
    merger: Merger,
}

impl Vit {
    pub fn load(p: &Params, spec: Spec) -> std::result::Result<Self, LoadError> {
        let p = &p.at_least(Format::Q8);
        let blocks = (0..spec.depth)
            .map(|i| Block::load(&p.at("blocks").at(i), &spec.block()))
            .collect::<std::result::Result<_, LoadError>>()?;
        Ok(Self {
            embed: Linear::load(&p.at("patch_embed.proj"), spec.patch, spec.width, spec.patch_bias)?,
            blocks,
            merger: Merger::load(&p.at("merger"), spec.merger())?,
            spec,
        })
    }

    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Patches `[n, patch]` → `[n, width]`.
    pub fn embed(&self, patches: &Tensor) -> Result<Tensor> {
        self.embed.forward(patches)
    }

    /// The blocks: `x [n, width]` → `[n, width]`, layer `i` attending inside `segments(i)`. Taps `vision_block_N`, `vision_last`.
    pub fn blocks<'s>(
        &self,
        x: Tensor,
        angles: &Angles,
        segments: impl Fn(usize) -> &'s Arc<[Segment]>,
        taps: &mut Taps,
    ) -> Result<Tensor> {
        self.blocks_with(x, angles, segments, |_, _| Ok(()), taps)
    }

    /// The same, with `seen(layer, x)` called behind every layer.
    pub fn blocks_with<'s>(
        &self,
        x: Tensor,
        angles: &Angles,
        segments: impl Fn(usize) -> &'s Arc<[Segment]>,
        mut seen: impl FnMut(usize, &Tensor) -> Result<()>,
        taps: &mut Taps,
    ) -> Result<Tensor> {
        let mut x = x;
        for (i, block) in self.blocks.iter().enumerate() {
            let mask = Mask::whole(segments(i));
            x = block.forward(&x, |attention, x| attention.forward(x, &mask, Some(angles)), None)?;
            taps.tap_layer("vision_block", i, &x);
            seen(i, &x)?;
        }
        taps.tap("vision_last", &x);
        Ok(x)
    }

    /// `x [n, width]`, the patches of a visual token one after another → `[n / merged, out]`.
    pub fn merge(&self, x: &Tensor) -> Result<Tensor> {
        self.merger.forward(x)
    }
}
