//! Binary cross-entropy for multi-label answers with soft targets (Teney et al. 2018, section 3.8).

use candle_core::{Result, Tensor};

/// Binary cross-entropy of logits `scores [rows, labels]` against `targets` in `0..=1` of the same shape: summed over labels,
/// mean over rows. A scalar. A reference that averages over labels too has this value divided by their number.
pub fn binary_cross_entropy(scores: &Tensor, targets: &Tensor) -> Result<Tensor> {
    // softplus(x) = m + ln(e^-m + e^(x - m)), where m = max(x, 0) is treated as a constant: this cannot overflow, and its
    // gradient is the sigmoid everywhere, including at 0.
    let shift = scores.detach().relu()?;
    let softplus = ((shift.neg()?.exp()? + (scores - &shift)?.exp()?)?.log()? + &shift)?;
    (softplus - (scores * targets)?)?.sum_all()? / scores.dim(0)?.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use ocellus_testkit::{finite::assert_gradient_f32, test_each};

    fn oracle(scores: &[f32], targets: &[f32], rows: usize) -> f64 {
        let each = scores.iter().zip(targets).map(|(x, t)| {
            let (x, t) = (f64::from(*x), f64::from(*t));
            x.max(0.0) - x * t + (-x.abs()).exp().ln_1p()
        });
        each.sum::<f64>() / rows as f64
    }

    #[test]
    fn equals_its_definition_and_slopes_as_it_says() {
        let table = [
            ("at zero", (vec![0.0, 0.0], vec![1.0, 0.0], 1)),
            (
                "degrees",
                (vec![1.5, -0.5, 0.0, 2.0], vec![0.3, 0.9, 0.5, 1.0], 2),
            ),
            ("sure and right", (vec![60.0, -60.0], vec![1.0, 0.0], 1)),
            ("sure and wrong", (vec![60.0, -60.0], vec![0.0, 1.0], 2)),
        ];
        test_each(table, |(scores, targets, rows)| {
            let shape = (*rows, scores.len() / rows);
            let var = Var::from_slice(scores, shape, &Device::Cpu).unwrap();
            let fixed = Tensor::from_slice(targets, shape, &Device::Cpu).unwrap();
            let loss = binary_cross_entropy(var.as_tensor(), &fixed).unwrap();
            let got = f64::from(loss.to_scalar::<f32>().unwrap());
            let wanted = oracle(scores, targets, *rows);
            assert!(
                (got - wanted).abs() < 1e-6 * wanted.max(1.0),
                "{got}, expected {wanted}"
            );
            let grads = loss.backward().unwrap();
            let grad: Vec<f32> = grads.get(&var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            assert_gradient_f32("scores", |x| oracle(x, targets, *rows), scores, &grad, 1e-2, 1e-4);
        });
    }
}
