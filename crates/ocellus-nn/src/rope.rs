//! Angles of rotary positions, for one position axis or several, with YaRN scaling.
//!
//! Computed in f32 like the references, whatever the type of the model.

use candle_core::{Device, Tensor};

use crate::Result;

/// YaRN (Peng et al. 2023): frequencies of slowly rotating dimensions are interpolated, those of fast ones are kept, and the
/// attention is scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yarn {
    pub factor: f64,
    pub original_positions: f64,
    pub beta_fast: f64,
    pub beta_slow: f64,
    /// Multiplies cos and sin; `None` = `0.1 ln(factor) + 1`, and 1 for factors up to 1.
    pub attention_factor: Option<f64>,
}

/// Rotary positions of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    /// Number of frequencies of each position axis, in order; their sum is half the head. One entry means one position axis.
    pub sections: Vec<usize>,
    /// Frequencies alternate between the axes (0, 1, 2, 0, 1, 2, …) while an axis has some left, the rest go to axis 0; otherwise
    /// each axis has a contiguous block.
    pub interleaved: bool,
    pub yarn: Option<Yarn>,
    pub long: Option<Long>,
}

/// Extrapolation to long prompts: the second position axis carries the factor of the "NTK-aware" base, chosen at prefill, and
/// queries beyond the trained length are scaled by `log_trained(position + 1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long {
    pub trained_positions: usize,
    pub log_scale: bool,
}

impl Rope {
    /// Frequencies divided among position axes (M-RoPE, Wang et al. 2024, section 2.1).
    pub fn sections(theta: f64, sections: &[usize]) -> Self {
        Self {
            theta,
            sections: sections.to_vec(),
            interleaved: false,
            yarn: None,
            long: None,
        }
    }

    /// Positions on one axis, for heads of `dim`.
    pub fn plain(theta: f64, dim: usize) -> Self {
        Self::sections(theta, &[dim / 2])
    }

    /// The axis of every frequency.
    fn axes(&self) -> Vec<usize> {
        let blocks = |(axis, n): (usize, &usize)| std::iter::repeat_n(axis, *n);
        if !self.interleaved {
            return self.sections.iter().enumerate().flat_map(blocks).collect();
        }
        let (count, axes) = (self.sections.iter().sum(), self.sections.len());
        let axis = |i: usize| {
            if i < self.sections[i % axes] * axes {
                i % axes
            } else {
                0
            }
        };
        (0..count).map(axis).collect()
    }

    /// `theta^(-2i/dim)` for `i < dim/2`, scaled by YaRN if set.
    pub fn frequencies(&self, dim: usize) -> Vec<f32> {
        let plain = |i: usize| 1.0 / (self.theta as f32).powf(2.0 * i as f32 / dim as f32);
        let Some(yarn) = self.yarn else {
            return (0..dim / 2).map(plain).collect();
        };
        // The dimension that makes `turns` full rotations over the trained context.
        let dimension = |turns: f64| {
            dim as f64 * (yarn.original_positions / (turns * std::f64::consts::TAU)).ln()
                / (2.0 * self.theta.ln())
        };
        let low = dimension(yarn.beta_fast).floor().max(0.0);
        let high = dimension(yarn.beta_slow).ceil().min(dim as f64 - 1.0);
        let span = if high > low { high - low } else { 0.001 };
        (0..dim / 2)
            .map(|i| {
                let interpolated = ((i as f64 - low) / span).clamp(0.0, 1.0) as f32;
                plain(i) / yarn.factor as f32 * interpolated + plain(i) * (1.0 - interpolated)
            })
            .collect()
    }

    fn scale(&self) -> f32 {
        self.yarn.map_or(1.0, |y| {
            y.attention_factor.unwrap_or(0.1 * y.factor.max(1.0).ln() + 1.0)
        }) as f32
    }

    /// `cos` and `sin` `[tokens, dim]` for positions on three axes.
    pub fn angles(&self, positions: &[[i64; 3]], dim: usize, device: &Device) -> Result<Angles> {
        let frequencies = self.frequencies(dim);
        let axes = self.axes();
        if axes.len() != dim / 2 {
            candle_core::bail!(
                "rotary sections {:?} do not add up to half of the head size {dim}",
                self.sections
            );
        }
        let Some(long) = self.long else {
            let half = positions
                .iter()
                .flat_map(|p| frequencies.iter().zip(&axes).map(|(f, axis)| p[*axis] as f32 * f));
            return Angles::twice(half, positions.len(), dim / 2, self.scale(), device);
        };
        let half = positions.iter().flat_map(|p| {
            let stretched = self.stretched(p[1] as f64, dim);
            stretched.into_iter().map(|f| p[0] as f32 * f)
        });
        let mut angles = Angles::twice(half, positions.len(), dim / 2, 1.0, device)?;
        let trained = long.trained_positions as f64;
        let factor = |p: &[i64; 3]| match (p[0] + 1) as f64 {
            seen if long.log_scale && seen > trained => (seen.ln() / trained.ln()) as f32,
            _ => 1.0,
        };
        let factors: Vec<f32> = positions.iter().map(factor).collect();
        angles.query = Some(Tensor::from_vec(factors, (positions.len(), 1, 1), device)?);
        Ok(angles)
    }

    /// Frequencies for the base `theta · alpha^(dim / (dim - 2))`.
    fn stretched(&self, alpha: f64, dim: usize) -> Vec<f32> {
        let base = self.theta * alpha.powf(dim as f64 / (dim as f64 - 2.0));
        (0..dim / 2)
            .map(|i| 1.0 / (base as f32).powf(2.0 * i as f32 / dim as f32))
            .collect()
    }
}

/// `cos` and `sin` of the rotary angles of every token, each `[tokens, head_dim]`.
#[derive(Clone)]
pub struct Angles {
    pub cos: Tensor,
    pub sin: Tensor,
    /// Factors that queries are multiplied by, `[tokens, 1, 1]`.
    pub query: Option<Tensor>,
}

impl Angles {
    /// From the angles of half a head (`tokens · half` values), which are used for both halves.
    pub fn twice(
        angles: impl Iterator<Item = f32>,
        tokens: usize,
        half: usize,
        scale: f32,
        device: &Device,
    ) -> Result<Self> {
        let angles: Vec<f32> = angles.collect();
        let both = |f: fn(f32) -> f32| {
            let values = angles.chunks_exact(half.max(1)).flat_map(|row| {
                let row: Vec<f32> = row.iter().map(|a| f(*a) * scale).collect();
                [row.clone(), row].concat()
            });
            Tensor::from_vec(values.collect::<Vec<f32>>(), (tokens, 2 * half), device)
        };
        Ok(Self {
            cos: both(f32::cos)?,
            sin: both(f32::sin)?,
            query: None,
        })
    }

    /// The angles of the tokens in `index`, in that order.
    pub fn select(&self, index: &Tensor) -> Result<Self> {
        Ok(Self {
            cos: self.cos.index_select(index, 0)?,
            sin: self.sin.index_select(index, 0)?,
            query: self
                .query
                .as_ref()
                .map(|q| q.index_select(index, 0))
                .transpose()?,
        })
    }
}
