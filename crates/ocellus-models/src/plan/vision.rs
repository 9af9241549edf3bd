//! Sizes of a vision tower.

use ocellus_nn::{block, merger, tower, vit};

use super::count::{block_matrices, block_parameters, norm_parameters, product, sum, times};
use ocellus_media::Grid;

/// A tower: patch embedding, layers, and matrices after the layers.
#[derive(Clone, Debug)]
pub struct TowerShape {
    /// Values of a flattened patch.
    pub patch: usize,
    pub patch_bias: bool,
    pub layers: usize,
    pub block: block::Spec,
    /// `None` = every layer attends to whole frames.
    pub windows: Option<Windows>,
    pub behind: Vec<Behind>,
    /// Parameters outside matrices: norms outside the layers, position tables.
    pub beside: u64,
}

/// Windowed attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Patches along a side of a window.
    pub side: usize,
    /// Number of layers that attend to whole frames.
    pub whole: usize,
}

/// A matrix after the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Patches that are merged into one of its rows.
    pub patches: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub bias: bool,
}

impl TowerShape {
    /// A tower with its merger.
    pub fn merged(spec: &vit::Spec) -> Self {
        let tower = Self {
            patch: spec.patch,
            patch_bias: spec.patch_bias,
            layers: spec.depth,
            block: spec.block(),
            windows: None,
            behind: Vec::new(),
            beside: 0,
        };
        tower.with_merger(&spec.merger())
    }

    /// A tower with optional learned positions and no merger.
    pub fn tower(spec: &tower::Spec) -> Self {
        let width = spec.encoder.block.width;
        let norms = [spec.norm_before, spec.norm_after].into_iter().flatten();
        let norms: Vec<u64> = norms.map(|norm| norm_parameters(norm, width)).collect();
        let class = u64::from(spec.class_token);
        let rows = spec.positions.map_or(0, |(h, w)| sum(&[class, product(&[h, w])]));
        let rows = sum(&[rows, class]);
        Self {
            patch: spec.patch,
            patch_bias: spec.patch_bias,
            layers: spec.encoder.layers,
            block: spec.encoder.block,
            windows: None,
            behind: Vec::new(),
            beside: sum(&[sum(&norms), times(rows, width)]),
        }
    }

    /// The same tower with one more merger.
    pub fn with_merger(mut self, merger: &merger::Spec) -> Self {
        let inner = merger.width.saturating_mul(merger.merged);
        let normed = if merger.norm_merged { inner } else { merger.width };
        for outputs in [inner, merger.out] {
            self.behind.push(Behind {
                patches: merger.merged,
                inputs: inner,
                outputs,
                bias: true,
            });
        }
        self.beside = sum(&[self.beside, norm_parameters(merger.norm, normed)]);
        self
    }

    /// Total number of parameters.
    pub fn parameters(&self) -> u64 {
        let width = self.block.width;
        let behind = self.behind.iter().map(|b| {
            let bias = if b.bias { b.outputs as u64 } else { 0 };
            sum(&[product(&[b.inputs, b.outputs]), bias])
        });
        let bias = if self.patch_bias { width as u64 } else { 0 };
        sum(&[
            product(&[self.patch, width]),
            bias,
            times(block_parameters(&self.block), self.layers),
            sum(&behind.collect::<Vec<_>>()),
            self.beside,
        ])
    }

    /// Floating-point operations for one picture or video: matrix products and attention; a multiplication and an addition count
    /// as two.
    pub fn flops(&self, grid: &Grid) -> u64 {
        let a = self.block.attention;
        let patches = product(&[grid.t, grid.h, grid.w]);
        let row = sum(&[
            product(&[self.patch, self.block.width]),
            times(block_matrices(&self.block), self.layers),
        ]);
        let behind = self.behind.iter().map(|b| {
            let rows = patches / b.patches.max(1) as u64;
            product(&[2, b.inputs, b.outputs]).saturating_mul(rows)
        });
        let whole = product(&[grid.h, grid.w]).saturating_mul(product(&[grid.h, grid.w]));
        let layers = self.layers as u64;
        let seen = match self.windows {
            None => whole.saturating_mul(layers),
            Some(windows) => {
                let full = (windows.whole as u64).min(layers);
                sum(&[
                    whole.saturating_mul(full),
                    windows.pairs(grid).saturating_mul(layers - full),
                ])
            }
        };
        sum(&[
            patches.saturating_mul(row).saturating_mul(2),
            sum(&behind.collect::<Vec<_>>()),
            // Attention scores, and the weighted sum of values.
            product(&[4, grid.t, a.heads, a.head_dim]).saturating_mul(seen),
        ])
    }
}

impl Windows {
    /// Pairs of patches in a frame that attend to each other.
    fn pairs(&self, grid: &Grid) -> u64 {
        let side = self.side.max(1);
        // Windows at the edges are smaller. The sum over windows of area² factors into sums over the two axes.
        let squares = |length: usize| {
            sum(&[
                product(&[length / side, side, side]),
                product(&[length % side, length % side]),
            ])
        };
        squares(grid.h).saturating_mul(squares(grid.w))
    }
}
