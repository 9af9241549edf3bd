//! Normalisation of rows: root-mean-square (Zhang and Sennrich, 2019) and layer norm (Ba et al., 2016).
//!
//! `x`, `out` and their gradients are `[rows, width]`, `weight` and `bias` `[width]`; gradients are overwritten.
//! Every function panics when lengths disagree.

mod rows;

use rows::{Forward, backward, forward};

/// `out = x / sqrt(mean(x^2) + eps) * weight`.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    forward(
        &Forward {
            x,
            weight,
            bias: None,
            eps,
            centered: false,
        },
        out,
    );
}

/// Gradients of [`rms_norm`] for `x` and `weight`.
pub fn rms_norm_backward(
    x: &[f32],
    weight: &[f32],
    eps: f32,
    grad_out: &[f32],
    grad_x: &mut [f32],
    grad_weight: &mut [f32],
) {
    let call = Forward {
        x,
        weight,
        bias: None,
        eps,
        centered: false,
    };
    backward(&call, grad_out, grad_x, grad_weight, None);
}

/// `out = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias`, with the variance divided by `width`.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    assert_eq!(bias.len(), weight.len(), "norm: bias and weight differ in length");
    forward(
        &Forward {
            x,
            weight,
            bias: Some(bias),
            eps,
            centered: true,
        },
        out,
    );
}

/// Gradients of [`layer_norm`] for `x`, `weight` and `bias`.
pub fn layer_norm_backward(
    x: &[f32],
    weight: &[f32],
    eps: f32,
    grad_out: &[f32],
    grad_x: &mut [f32],
    grad_weight: &mut [f32],
    grad_bias: &mut [f32],
) {
    assert_eq!(
        grad_bias.len(),
        weight.len(),
        "norm: gradient of bias and weight differ in length"
    );
    let call = Forward {
        x,
        weight,
        bias: None,
        eps,
        centered: true,
    };
    backward(&call, grad_out, grad_x, grad_weight, Some(grad_bias));
}

#[cfg(test)]
mod tests;
