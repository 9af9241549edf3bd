//! Learned position embeddings of patches, interpolated to another picture size.

use candle_core::Tensor;

use crate::Result;

/// The kind of interpolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// Bicubic with a = -0.75, pixel borders aligned, edges repeated.
    Bicubic,
    /// Bilinear with aligned corner centres.
    BilinearCorners,
}

/// `table [from.0 · from.1, width]` in raster order → `[to.0 · to.1, width]`. Differentiable.
pub fn resize(
    table: &Tensor,
    from: (usize, usize),
    to: (usize, usize),
    how: Interpolation,
) -> Result<Tensor> {
    if from == to {
        return Ok(table.clone());
    }
    let (rows, columns) = (weights(from.0, to.0, how), weights(from.1, to.1, how));
    let mut matrix = vec![0f32; to.0 * to.1 * from.0 * from.1];
    let width = from.0 * from.1;
    for (y, row) in rows.iter().enumerate() {
        for (x, column) in columns.iter().enumerate() {
            let out = &mut matrix[(y * to.1 + x) * width..][..width];
            for (&(sy, wy), &(sx, wx)) in row.iter().flat_map(|r| column.iter().map(move |c| (r, c))) {
                out[sy * from.1 + sx] += wy * wx;
            }
        }
    }
    Tensor::from_vec(matrix, (to.0 * to.1, width), table.device())?
        .to_dtype(table.dtype())?
        .matmul(&table.contiguous()?)
}

/// For each target index of one axis, the source indices and their weights.
fn weights(from: usize, to: usize, how: Interpolation) -> Vec<Vec<(usize, f32)>> {
    let last = from as i64 - 1;
    let at = |i: i64| i.clamp(0, last) as usize;
    (0..to)
        .map(|i| match how {
            Interpolation::Bicubic => {
                let place = (i as f32 + 0.5) * (from as f32 / to as f32) - 0.5;
                let (whole, t) = (place.floor(), place - place.floor());
                (-1..=2)
                    .map(|k| (at(whole as i64 + k), cubic((k as f32 - t).abs())))
                    .collect()
            }
            Interpolation::BilinearCorners => {
                let step = if to > 1 {
                    last as f32 / (to as f32 - 1.0)
                } else {
                    0.0
                };
                let place = i as f32 * step;
                let t = place - place.floor();
                let whole = place.floor() as i64;
                vec![(at(whole), 1.0 - t), (at(whole + 1), t)]
            }
        })
        .collect()
}

/// The cubic convolution kernel (Keys 1981) with a = -0.75.
fn cubic(d: f32) -> f32 {
    const A: f32 = -0.75;
    match d {
        d if d <= 1.0 => ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((d - 5.0) * d + 8.0) * d * A - 4.0 * A,
        _ => 0.0,
    }
}
