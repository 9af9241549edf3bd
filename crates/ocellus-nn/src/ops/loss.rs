//! Losses over logits, each a single node of the autograd graph.

use candle_core::{CpuStorage, CustomOp1, D, DType, Layout, Result, Shape, Tensor};
use ocellus_kernels::loss;
use std::sync::Arc;

use super::{done, fused, slice, with_slice};

/// The target of a row that has no target.
pub const IGNORE: u32 = u32::MAX;

/// Sum of the cross-entropies of the rows of `logits [rows, vocab]` whose target is not [`IGNORE`], as a scalar.
pub fn cross_entropy(logits: &Tensor, targets: &Arc<[u32]>) -> Result<Tensor> {
    if !fused(logits) {
        return cross_entropy_composed(logits, targets);
    }
    logits.contiguous()?.apply_op1(CrossEntropy(targets.clone()))
}

/// The same in plain candle.
pub fn cross_entropy_composed(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let (rows, wanted): (Vec<u32>, Vec<u32>) = targets
        .iter()
        .enumerate()
        .filter(|(_, t)| **t != IGNORE)
        .map(|(i, t)| (i as u32, *t))
        .unzip();
    let count = rows.len();
    let logits = logits
        .index_select(&Tensor::from_vec(rows, count, logits.device())?, 0)?
        .to_dtype(DType::F32)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    let norm = shifted.exp()?.sum(D::Minus1)?.log()?;
    let wanted = Tensor::from_vec(wanted, (count, 1), logits.device())?;
    (norm - shifted.gather(&wanted, 1)?.squeeze(1)?)?.sum_all()
}

/// Mean cross-entropy over the rows of `logits [rows, vocab]` whose target is not [`IGNORE`], as a scalar, with label smoothing
/// (Szegedy et al. 2016, section 7): `1 - smoothing` on the target plus `smoothing / vocab` on every class.
pub fn smoothed_cross_entropy(logits: &Tensor, targets: &Arc<[u32]>, smoothing: f64) -> Result<Tensor> {
    let rows: Vec<u32> = (0u32..)
        .zip(targets.iter())
        .filter_map(|(i, t)| (*t != IGNORE).then_some(i))
        .collect();
    let count = rows.len();
    let hard = (cross_entropy(logits, targets)? / count as f64)?;
    if smoothing == 0.0 {
        return Ok(hard);
    }
    let logits = logits
        .index_select(&Tensor::from_vec(rows, count, logits.device())?, 0)?
        .to_dtype(DType::F32)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    let norm = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let even = norm.broadcast_sub(&shifted)?.mean_all()?;
    (hard * (1.0 - smoothing))? + (even * smoothing)?
}

struct CrossEntropy(Arc<[u32]>);

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, vocab) = l.shape().dims2()?;
        let (sum, _) = loss::cross_entropy(slice(s, l)?, vocab, &self.0, IGNORE);
        done(vec![sum as f32], ())
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, vocab) = logits.dims2()?;
        let scale = grad.to_scalar::<f32>()?;
        let mut d = vec![0.0; logits.elem_count()];
        with_slice(logits, |x| {
            loss::cross_entropy_backward(x, vocab, &self.0, IGNORE, scale, &mut d)
        })?;
        Ok(Some(Tensor::from_vec(d, logits.shape(), logits.device())?))
    }
}
