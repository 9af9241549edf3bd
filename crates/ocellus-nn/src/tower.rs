//! An image tower with learned positions (Dosovitskiy et al. 2021): patches, a class token, a stack of layers.

use candle_core::Tensor;
use ocellus_kernels::quant::Format;
use std::sync::Arc;

use crate::attention::{Mask, segments};
use crate::encoder::{self, Encoder};
use crate::norm::NormLayer;
use crate::position_table::{Interpolation, resize};
use crate::rope::Angles;
use crate::{Linear, LoadError, Norm, Params, Result, Segment, Taps};

/// Sizes of a tower.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Values of a flattened patch, in the order channel, row, column.
    pub patch: usize,
    pub patch_bias: bool,
    /// Whether every picture starts with a learned class token.
    pub class_token: bool,
    /// Rows and columns of the position table, which starts with the class token's row; `None` = no positions.
    pub positions: Option<(usize, usize)>,
    pub interpolation: Interpolation,
    pub norm_before: Option<Norm>,
    pub encoder: encoder::Spec,
    pub norm_after: Option<Norm>,
}

/// A loaded tower: tensors `patch.{weight, bias}`, `class_token`, `positions`, `norm_before`, `layers.N.*`, `norm_after`.
pub struct Tower {
    spec: Spec,
    patch: Linear,
    class: Option<Tensor>,
    positions: Option<Tensor>,
    norm_before: Option<NormLayer>,
    encoder: Encoder,
    norm_after: Option<NormLayer>,
}

impl Tower {
    pub fn load(p: &Params, spec: Spec) -> std::result::Result<Self, LoadError> {
        let p = &p.at_least(Format::Q8);
        let width = spec.encoder.block.width;
        let norm = |norm: Option<Norm>, name: &str| norm.map(|n| n.load(&p.at(name), width)).transpose();
        let class_rows = usize::from(spec.class_token);
        Ok(Self {
            patch: Linear::load(&p.at("patch"), spec.patch, width, spec.patch_bias)?,
            class: spec
                .class_token
                .then(|| p.tensor("class_token", &[1, width]))
                .transpose()?,
            positions: spec
                .positions
                .map(|(h, w)| p.tensor("positions", &[class_rows + h * w, width]))
                .transpose()?,
            norm_before: norm(spec.norm_before, "norm_before")?,
            encoder: Encoder::load(p, &spec.encoder)?,
            norm_after: norm(spec.norm_after, "norm_after")?,
            spec,
        })
    }

    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Tokens of a picture with `rows` times `columns` patches, class token included.
    pub fn tokens(&self, (rows, columns): (usize, usize)) -> usize {
        usize::from(self.spec.class_token) + rows * columns
    }

    /// One attention segment per picture.
    pub fn segments(&self, grids: &[(usize, usize)]) -> Arc<[Segment]> {
        segments(grids.iter().map(|g| self.tokens(*g)))
    }

    /// Patches of pictures with these rows and columns, in raster order → tokens `[tokens, width]` before the first layer. Taps
    /// `patch_embeds` (patches alone) and `vision_embeds`.
    pub fn embed(&self, patches: &Tensor, grids: &[(usize, usize)], taps: &mut Taps) -> Result<Tensor> {
        let embedded = self.patch.forward(patches)?;
        taps.tap("patch_embeds", &embedded);
        let (mut parts, mut first) = (Vec::with_capacity(2 * grids.len()), 0);
        for &(rows, columns) in grids {
            parts.extend(self.class.clone());
            parts.push(embedded.narrow(0, first, rows * columns)?);
            first += rows * columns;
        }
        let mut x = Tensor::cat(&parts, 0)?;
        if let Some(table) = &self.positions {
            let placed = grids
                .iter()
                .map(|g| self.placed(table, *g))
                .collect::<Result<Vec<_>>>()?;
            x = (x + Tensor::cat(&placed, 0)?)?;
        }
        taps.tap("vision_embeds", &x);
        Ok(x)
    }

    /// The positions of one picture, the class token's first.
    fn placed(&self, table: &Tensor, grid: (usize, usize)) -> Result<Tensor> {
        let Some(own) = self.spec.positions.filter(|own| *own != grid) else {
            return Ok(table.clone());
        };
        let class = usize::from(self.spec.class_token);
        let patches = table.narrow(0, class, own.0 * own.1)?;
        let patches = resize(&patches, own, grid, self.spec.interpolation)?;
        Tensor::cat(&[&table.narrow(0, 0, class)?, &patches], 0)
    }

    /// All of it: → `[tokens, width]` after the last norm. Taps of [`embed`](Self::embed), `vision_pre`, `vision_block_N`,
    /// `vision_last`.
    pub fn forward(&self, patches: &Tensor, grids: &[(usize, usize)], taps: &mut Taps) -> Result<Tensor> {
        self.forward_rotated(patches, grids, None, taps)
    }

    /// The same with rotary positions: the angles of every token.
    pub fn forward_rotated(
        &self,
        patches: &Tensor,
        grids: &[(usize, usize)],
        angles: Option<&Angles>,
        taps: &mut Taps,
    ) -> Result<Tensor> {
        let mut x = self.embed(patches, grids, taps)?;
        if let Some(norm) = &self.norm_before {
            x = norm.forward(&x)?;
            taps.tap("vision_pre", &x);
        }
        let segments = self.segments(grids);
        let (layers, mask) = (0..self.encoder.len(), Mask::whole(&segments));
        x = self
            .encoder
            .forward(&x, layers, &mask, angles, None, ("vision_block", taps))?;
        taps.tap("vision_last", &x);
        match &self.norm_after {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }
}
