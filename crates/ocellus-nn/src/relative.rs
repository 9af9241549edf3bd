//! Bucketed relative position biases (Raffel et al. 2020, section 2.1): a learned bias per distance, exact for near tokens and
//! logarithmic for far ones.

use candle_core::Tensor;

use crate::{LoadError, Params, Result, Segment};

/// How distances map to buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    pub buckets: usize,
    /// Distances from here on share one bucket.
    pub max_distance: usize,
    /// Whether keys after the query have their own buckets; otherwise they count as distance 0.
    pub both_ways: bool,
    pub heads: usize,
}

/// A loaded table `[buckets, heads]`.
pub struct RelativeScores {
    spec: Buckets,
    table: Tensor,
}

impl RelativeScores {
    pub fn load(p: &Params, spec: Buckets) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            spec,
            table: p.tensor("weight", &[spec.buckets, spec.heads])?,
        })
    }

    /// Biases of a segment whose queries are the last of its keys, `[heads, q_len, k_len]`.
    pub fn scores(&self, segment: &Segment) -> Result<Tensor> {
        let Segment { q_len, k_len, .. } = *segment;
        let first = k_len as i64 - q_len as i64;
        let index: Vec<u32> = (0..q_len as i64)
            .flat_map(|q| (0..k_len as i64).map(move |k| (q, k)))
            .map(|(q, k)| self.spec.bucket(k - first - q))
            .collect();
        let index = Tensor::from_vec(index, q_len * k_len, self.table.device())?;
        self.table
            .index_select(&index, 0)?
            .reshape((q_len, k_len, self.spec.heads))?
            .permute((2, 0, 1))?
            .contiguous()
    }
}

impl Buckets {
    /// The bucket of a key that is `distance` tokens after the query (negative: before it).
    pub fn bucket(&self, distance: i64) -> u32 {
        let (mut buckets, mut base, mut distance) = (self.buckets, 0, distance);
        if self.both_ways {
            buckets /= 2;
            base = if distance > 0 { buckets } else { 0 };
            distance = distance.abs();
        } else {
            distance = (-distance).max(0);
        }
        let (exact, distance) = (buckets / 2, distance as usize);
        if distance < exact {
            return (base + distance) as u32;
        }
        // In f32 like the published code: rounding decides at bucket borders.
        let ratio = (distance as f32 / exact as f32).ln() / (self.max_distance as f32 / exact as f32).ln();
        let far = exact + (ratio * (buckets - exact) as f32) as usize;
        (base + far.min(buckets - 1)) as u32
    }
}
