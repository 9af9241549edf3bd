//! The symmetric contrastive loss (Radford et al. 2021, figure 3): picture `i` and text `i` are a pair, all other combinations
//! are negatives.

use candle_core::{Result, Tensor, bail};
use std::sync::Arc;

use crate::ops::loss::cross_entropy;

/// The mean of two cross-entropies of `scores [n, n]` with the diagonal as targets, over rows and over columns. A scalar. Fails
/// when the scores are not square.
pub fn contrastive(scores: &Tensor) -> Result<Tensor> {
    let (rows, columns) = scores.dims2()?;
    if rows != columns || rows == 0 {
        bail!("contrastive scores are {rows}x{columns}, expected as many texts as pictures");
    }
    let diagonal: Arc<[u32]> = (0..rows as u32).collect();
    let both = (cross_entropy(scores, &diagonal)? + cross_entropy(&scores.t()?, &diagonal)?)?;
    both / (2 * rows) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use ocellus_testkit::{finite::assert_gradient_f32, test_each};

    /// Computed in f64 from the definition.
    fn oracle(scores: &[f32], n: usize) -> f64 {
        let at = |i: usize, j: usize| f64::from(scores[i * n + j]);
        let nll = |line: &dyn Fn(usize) -> f64, target: usize| {
            (0..n).map(|j| line(j).exp()).sum::<f64>().ln() - line(target)
        };
        let each = (0..n).map(|i| nll(&|j| at(i, j), i) + nll(&|j| at(j, i), i));
        each.sum::<f64>() / (2 * n) as f64
    }

    #[test]
    fn equals_its_definition_and_slopes_as_it_says() {
        let table = [
            ("one pair", vec![3.0]),
            ("two pairs", vec![1.0, -2.0, 0.5, 0.25]),
            ("equal scores", vec![0.0; 9]),
            (
                "unequal directions",
                vec![2.0, 1.0, 0.0, -1.0, 0.5, 4.0, 1.5, -3.0, 0.75],
            ),
        ];
        test_each(table, |scores| {
            let n = scores.len().isqrt();
            let var = Var::from_slice(scores, (n, n), &Device::Cpu).unwrap();
            let loss = contrastive(var.as_tensor()).unwrap();
            let got = f64::from(loss.to_scalar::<f32>().unwrap());
            assert!((got - oracle(scores, n)).abs() < 1e-6, "{got}");
            let grads = loss.backward().unwrap();
            let grad: Vec<f32> = grads.get(&var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            assert_gradient_f32("scores", |x| oracle(x, n), scores, &grad, 1e-2, 1e-4);
        });
    }

    #[test]
    fn a_table_that_is_not_square_is_refused() {
        for shape in [(2, 3), (0, 0)] {
            let scores = Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
            assert!(
                contrastive(&scores)
                    .unwrap_err()
                    .to_string()
                    .contains("expected as many")
            );
        }
    }
}
