//! Optimal transport between text tokens and regions, by the inexact proximal point method (Xie et al. 2018, algorithm 1). As a
//! loss it aligns words with the regions they name (Chen et al. 2020, section 3.2); the plan is the alignment.

use candle_core::{D, DType, Result, Tensor};

/// Settings of the iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proximal {
    /// Weight of the proximal term: smaller is closer to the exact plan and converges more slowly.
    pub beta: f64,
    /// Proximal steps.
    pub steps: usize,
    /// Sinkhorn scalings in each proximal step.
    pub scalings: usize,
}

impl Default for Proximal {
    fn default() -> Self {
        Self {
            beta: 0.5,
            steps: 50,
            scalings: 1,
        }
    }
}

/// A transport plan and its cost.
pub struct Transport {
    /// Mass moved from each row of `x` to each row of `y`, `[m, n]`; all entries add up to 1. Detached.
    pub plan: Tensor,
    /// The cost of the plan, a scalar; its gradient treats the plan as a constant.
    pub distance: Tensor,
}

/// Transport of rows `x [m, width]` to rows `y [n, width]` with uniform weights and cosine distance as cost. If either side is
/// empty, the distance is 0.
pub fn transport(x: &Tensor, y: &Tensor, method: Proximal) -> Result<Transport> {
    let (m, n) = (x.dim(0)?, y.dim(0)?);
    if m == 0 || n == 0 {
        return Ok(Transport {
            plan: Tensor::zeros((m, n), DType::F32, x.device())?,
            distance: Tensor::zeros((), DType::F32, x.device())?,
        });
    }
    let cost = cosine_distances(x, y)?;
    let plan = plan(&cost.detach().flatten_all()?.to_vec1()?, m, n, method);
    let plan = Tensor::from_vec(plan, (m, n), x.device())?;
    let distance = (cost * &plan)?.sum_all()?;
    Ok(Transport { plan, distance })
}

/// `1 - cos` of every row of `x [m, width]` and every row of `y [n, width]`, `[m, n]` in f32.
pub fn cosine_distances(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    // A lower bound of norms: shorter rows have no reliable direction.
    const SHORTEST: f64 = 1e-5;
    let unit = |x: &Tensor| {
        let x = x.to_dtype(DType::F32)?;
        let length = x
            .sqr()?
            .sum_keepdim(D::Minus1)?
            .maximum(SHORTEST * SHORTEST)?
            .sqrt()?;
        x.broadcast_div(&length)
    };
    unit(x)?.matmul(&unit(y)?.t()?.contiguous()?)?.affine(-1.0, 1.0)
}

/// The plan `[m, n]` for costs `[m, n]` with uniform marginals. In f64, since fifty steps multiply their errors.
fn plan(cost: &[f32], m: usize, n: usize, method: Proximal) -> Vec<f32> {
    let kernel: Vec<f64> = cost
        .iter()
        .map(|c| (-f64::from(*c) / method.beta).exp())
        .collect();
    let (share_x, share_y) = (1.0 / m as f64, 1.0 / n as f64);
    let (mut plan, mut scale_x, mut scale_y) = (vec![1.0; m * n], vec![share_x; m], vec![0.0; n]);
    for _ in 0..method.steps {
        plan.iter_mut().zip(&kernel).for_each(|(p, k)| *p *= k);
        for _ in 0..method.scalings {
            for (j, scale) in scale_y.iter_mut().enumerate() {
                let sum: f64 = (0..m).map(|i| plan[i * n + j] * scale_x[i]).sum();
                *scale = share_y / sum;
            }
            for (row, scale) in plan.chunks_exact(n).zip(&mut scale_x) {
                let sum: f64 = row.iter().zip(&scale_y).map(|(p, s)| p * s).sum();
                *scale = share_x / sum;
            }
        }
        for (row, scale) in plan.chunks_exact_mut(n).zip(&scale_x) {
            row.iter_mut().zip(&scale_y).for_each(|(p, s)| *p *= s * scale);
        }
    }
    plan.into_iter().map(|p| p as f32).collect()
}
