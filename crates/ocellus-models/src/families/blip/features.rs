//! Features of the joint embedding space, and scores computed from them.

use candle_core::{D, Tensor};

use super::vision::spans;
use crate::capabilities::PairScore;
use crate::error::ModelError;

/// Scales every row to norm 1.
pub fn unit(x: &Tensor) -> Result<Tensor, ModelError> {
    let length = x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?.maximum(1e-12)?;
    Ok(x.broadcast_div(&length)?)
}

/// The first row of every sequence: packed `[tokens, width]` → `[sequences, width]`.
pub fn firsts(rows: &Tensor, lengths: &[usize]) -> Result<Tensor, ModelError> {
    let index: Vec<u32> = spans(lengths).map(|(first, _)| first as u32).collect();
    Ok(rows.index_select(&Tensor::from_vec(index, lengths.len(), rows.device())?, 0)?)
}

/// Scores of pairs from matching logits `[pairs, 2]` (no match, match) and cosines `[pairs]`.
pub fn pair_scores(matching: &Tensor, cosines: &Tensor) -> Result<Vec<PairScore>, ModelError> {
    let (logits, cosines) = (matching.to_vec2::<f32>()?, cosines.to_vec1::<f32>()?);
    let score = |(logits, cosine): (&Vec<f32>, f32)| PairScore {
        matched: Some(1.0 / (1.0 + (logits[0] - logits[1]).exp())),
        similarity: Some(cosine),
    };
    Ok(logits.iter().zip(cosines).map(score).collect())
}
