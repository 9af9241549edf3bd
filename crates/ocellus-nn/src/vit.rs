//! A vision transformer over packed patches, and the merger that hands its cells to a decoder.
//!
//! The tower knows no grids: the family says which patches may attend to one another in each layer, and at which
//! angles they stand.

use candle_core::Tensor;
use std::sync::Arc;

use crate::mlp::MlpLayer;
use crate::norm::NormLayer;
use crate::ops::activation::{Act, activate};
use crate::ops::{attention::attention, rope::rotate};
use crate::rope::Angles;
use crate::{Linear, LoadError, Mlp, Norm, Params, Result, Segment, Taps};

/// The shape of a vision tower.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Values of a flattened patch.
    pub patch: usize,
    pub width: usize,
    pub depth: usize,
    pub heads: usize,
    pub norm: Norm,
    pub mlp: Mlp,
    /// Patches that make one cell.
    pub merged: usize,
    /// Width of a merged cell: the decoder's.
    pub out: usize,
}

struct Block {
    norm1: NormLayer,
    qkv: Linear,
    proj: Linear,
    norm2: NormLayer,
    mlp: MlpLayer,
}

/// A loaded tower: tensors `patch_embed.proj`, `blocks.N.*`, `merger.*`.
pub struct Vit {
    spec: Spec,
    embed: Linear,
    blocks: Vec<Block>,
    merger_norm: NormLayer,
    merger: (Linear, Linear),
}

impl Vit {
    pub fn load(p: &Params, spec: Spec) -> std::result::Result<Self, LoadError> {
        let width = spec.width;
        let blocks = (0..spec.depth)
            .map(|i| {
                let p = p.at("blocks").at(i);
                Ok(Block {
                    norm1: spec.norm.load(&p.at("norm1"), width)?,
                    qkv: Linear::load(&p.at("attn.qkv"), width, 3 * width, true)?,
                    proj: Linear::load(&p.at("attn.proj"), width, width, true)?,
                    norm2: spec.norm.load(&p.at("norm2"), width)?,
                    mlp: spec.mlp.load(&p.at("mlp"), width)?,
                })
            })
            .collect::<std::result::Result<_, LoadError>>()?;
        let inner = width * spec.merged;
        Ok(Self {
            embed: Linear::load(&p.at("patch_embed.proj"), spec.patch, width, false)?,
            blocks,
            merger_norm: spec.norm.load(&p.at("merger.ln_q"), width)?,
            merger: (
                Linear::load(&p.at("merger.mlp.0"), inner, inner, true)?,
                Linear::load(&p.at("merger.mlp.2"), inner, spec.out, true)?,
            ),
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
        let mut x = x;
        for (i, block) in self.blocks.iter().enumerate() {
            x = (&x + self.attend(block, &block.norm1.forward(&x)?, angles, segments(i))?)?;
            x = (&x + block.mlp.forward(&block.norm2.forward(&x)?)?)?;
            taps.tap_layer("vision_block", i, &x);
        }
        taps.tap("vision_last", &x);
        Ok(x)
    }

    fn attend(
        &self,
        block: &Block,
        x: &Tensor,
        angles: &Angles,
        segments: &Arc<[Segment]>,
    ) -> Result<Tensor> {
        let (n, heads) = (x.dim(0)?, self.spec.heads);
        let head_dim = self.spec.width / heads;
        let qkv = block.qkv.forward(x)?.reshape((n, 3, heads, head_dim))?;
        let part = |i: usize| qkv.narrow(1, i, 1)?.squeeze(1); // [n, heads, head_dim]
        let q = rotate(&part(0)?, &angles.cos, &angles.sin)?;
        let k = rotate(&part(1)?, &angles.cos, &angles.sin)?;
        let out = attention(&q, &k, &part(2)?, segments, false, 1.0 / (head_dim as f32).sqrt())?;
        block.proj.forward(&out.reshape((n, self.spec.width))?)
    }

    /// `x [n, width]`, the patches of a cell one after another → `[n / merged, out]`.
    pub fn merge(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.merger_norm.forward(x)?;
        let cells = x.reshape((x.dim(0)? / self.spec.merged, self.spec.width * self.spec.merged))?;
        self.merger
            .1
            .forward(&activate(&self.merger.0.forward(&cells)?, Act::Gelu)?)
    }
}
