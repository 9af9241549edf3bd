//! The formulas, in f64 and as they are written down.

use candle_core::{DType, Tensor};

pub type Matrix = Vec<Vec<f64>>;

/// A tensor of two axes.
pub fn matrix(t: &Tensor) -> Matrix {
    t.to_dtype(DType::F64).unwrap().to_vec2().unwrap()
}

pub fn log_softmax(row: &[f64]) -> Vec<f64> {
    let sum = row.iter().map(|x| x.exp()).sum::<f64>().ln();
    row.iter().map(|x| x - sum).collect()
}

pub fn softmax(row: &[f64]) -> Vec<f64> {
    log_softmax(row).iter().map(|x| x.exp()).collect()
}

/// Mean over rows of `-ln softmax(row)[target]`.
pub fn cross_entropy(rows: &Matrix, targets: &[usize]) -> f64 {
    assert_eq!(rows.len(), targets.len());
    let each = rows.iter().zip(targets).map(|(row, t)| -log_softmax(row)[*t]);
    each.sum::<f64>() / rows.len() as f64
}

/// `1 - cos` of all pairs of rows.
pub fn cosine_costs(x: &Matrix, y: &Matrix) -> Matrix {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cost = |a: &Vec<f64>, b: &Vec<f64>| 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    x.iter().map(|a| y.iter().map(|b| cost(a, b)).collect()).collect()
}

/// Fifty proximal steps of strength 0.5 with one scaling each, for equal shares (Xie et al. 2018, algorithm 1).
pub fn plan(cost: &Matrix) -> Matrix {
    let (m, n) = (cost.len(), cost[0].len());
    let mut plan = vec![vec![1.0; n]; m];
    let (mut a, mut b) = (vec![1.0 / m as f64; m], vec![0.0; n]);
    for _ in 0..50 {
        let q: Matrix = (0..m)
            .map(|i| (0..n).map(|j| (-cost[i][j] / 0.5).exp() * plan[i][j]).collect())
            .collect();
        for j in 0..n {
            b[j] = 1.0 / (n as f64 * (0..m).map(|i| q[i][j] * a[i]).sum::<f64>());
        }
        for i in 0..m {
            a[i] = 1.0 / (m as f64 * (0..n).map(|j| q[i][j] * b[j]).sum::<f64>());
        }
        plan = (0..m)
            .map(|i| (0..n).map(|j| a[i] * q[i][j] * b[j]).collect())
            .collect();
    }
    plan
}

pub fn cost_of(plan: &Matrix, cost: &Matrix) -> f64 {
    let both = plan.iter().flatten().zip(cost.iter().flatten());
    both.map(|(p, c)| p * c).sum()
}
