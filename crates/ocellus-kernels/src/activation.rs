//! Activations and gated products, forward and backward, element by element over slices of equal length.
//!
//! Every function panics when its slices differ in length.

use crate::pointwise::{Pointwise, map};
use crate::simd::Simd;
use crate::simd::math::{normal, sigmoid};

#[derive(Clone, Copy)]
struct Silu;

impl Pointwise<1, 1> for Silu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x]: [S::V; 1]) -> [S::V; 1] {
        [s.mul(x, sigmoid(s, x))]
    }
}

/// The value of `x sigmoid(a x)` and its slope.
#[inline(always)]
fn swish_slope<S: Simd>(s: S, x: S::V, a: S::V) -> (S::V, S::V) {
    let gate = sigmoid(s, s.mul(a, x));
    let value = s.mul(x, gate);
    // gate + a x gate (1 - gate) = gate + a value (1 - gate)
    let one = s.splat(1.0);
    (value, s.mul_add(s.mul(a, value), s.sub(one, gate), gate))
}

impl Pointwise<2, 1> for Silu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x, grad]: [S::V; 2]) -> [S::V; 1] {
        [s.mul(grad, swish_slope(s, x, s.splat(1.0)).1)]
    }
}

#[derive(Clone, Copy)]
struct QuickGelu;

const QUICK: f32 = 1.702;

impl Pointwise<1, 1> for QuickGelu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x]: [S::V; 1]) -> [S::V; 1] {
        [s.mul(x, sigmoid(s, s.mul(s.splat(QUICK), x)))]
    }
}

impl Pointwise<2, 1> for QuickGelu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x, grad]: [S::V; 2]) -> [S::V; 1] {
        [s.mul(grad, swish_slope(s, x, s.splat(QUICK)).1)]
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Pointwise<1, 1> for Gelu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x]: [S::V; 1]) -> [S::V; 1] {
        [s.mul(x, normal(s, x).0)]
    }
}

impl Pointwise<2, 1> for Gelu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x, grad]: [S::V; 2]) -> [S::V; 1] {
        let (below, density) = normal(s, x);
        [s.mul(grad, s.mul_add(x, density, below))]
    }
}

/// `sqrt(2 / pi)` and the cubic term of the tanh form.
const TANH: (f32, f32) = (0.797_884_6, 0.044_715);

#[derive(Clone, Copy)]
struct GeluTanh;

/// `0.5 (1 + tanh(u))` is `sigmoid(2 u)`: that gate and `2 u`'s slope.
#[inline(always)]
fn tanh_gate<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let square = s.mul(x, x);
    let u = s.mul(
        x,
        s.mul_add(square, s.splat(2.0 * TANH.0 * TANH.1), s.splat(2.0 * TANH.0)),
    );
    let slope = s.mul_add(square, s.splat(6.0 * TANH.0 * TANH.1), s.splat(2.0 * TANH.0));
    (sigmoid(s, u), slope)
}

impl Pointwise<1, 1> for GeluTanh {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x]: [S::V; 1]) -> [S::V; 1] {
        [s.mul(x, tanh_gate(s, x).0)]
    }
}

impl Pointwise<2, 1> for GeluTanh {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [x, grad]: [S::V; 2]) -> [S::V; 1] {
        let (gate, slope) = tanh_gate(s, x);
        let rest = s.sub(s.splat(1.0), gate);
        [s.mul(grad, s.mul_add(s.mul(x, slope), s.mul(gate, rest), gate))]
    }
}

#[derive(Clone, Copy)]
struct SiluMul;

impl Pointwise<2, 1> for SiluMul {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [gate, up]: [S::V; 2]) -> [S::V; 1] {
        [s.mul(s.mul(gate, sigmoid(s, gate)), up)]
    }
}

impl Pointwise<3, 2> for SiluMul {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [gate, up, grad]: [S::V; 3]) -> [S::V; 2] {
        let (value, slope) = swish_slope(s, gate, s.splat(1.0));
        [s.mul(s.mul(grad, up), slope), s.mul(grad, value)]
    }
}

/// `out = x sigmoid(x)`.
pub fn silu(x: &[f32], out: &mut [f32]) {
    map::<1, 1>(Silu, [x], [out]);
}

/// `grad_x = grad_out * d silu(x) / dx`.
pub fn silu_backward(x: &[f32], grad_out: &[f32], grad_x: &mut [f32]) {
    map::<2, 1>(Silu, [x, grad_out], [grad_x]);
}

/// `out = x sigmoid(1.702 x)`.
pub fn quick_gelu(x: &[f32], out: &mut [f32]) {
    map::<1, 1>(QuickGelu, [x], [out]);
}

/// `grad_x = grad_out * d quick_gelu(x) / dx`.
pub fn quick_gelu_backward(x: &[f32], grad_out: &[f32], grad_x: &mut [f32]) {
    map::<2, 1>(QuickGelu, [x, grad_out], [grad_x]);
}

/// `out = x P(normal < x) = 0.5 x (1 + erf(x / sqrt 2))`.
pub fn gelu(x: &[f32], out: &mut [f32]) {
    map::<1, 1>(Gelu, [x], [out]);
}

/// `grad_x = grad_out * d gelu(x) / dx`.
pub fn gelu_backward(x: &[f32], grad_out: &[f32], grad_x: &mut [f32]) {
    map::<2, 1>(Gelu, [x, grad_out], [grad_x]);
}

/// `out = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
pub fn gelu_tanh(x: &[f32], out: &mut [f32]) {
    map::<1, 1>(GeluTanh, [x], [out]);
}

/// `grad_x = grad_out * d gelu_tanh(x) / dx`.
pub fn gelu_tanh_backward(x: &[f32], grad_out: &[f32], grad_x: &mut [f32]) {
    map::<2, 1>(GeluTanh, [x, grad_out], [grad_x]);
}

/// `out = silu(gate) * up`.
pub fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    map::<2, 1>(SiluMul, [gate, up], [out]);
}

/// Gradients of [`silu_mul`] for both inputs.
pub fn silu_mul_backward(
    gate: &[f32],
    up: &[f32],
    grad_out: &[f32],
    grad_gate: &mut [f32],
    grad_up: &mut [f32],
) {
    map::<3, 2>(SiluMul, [gate, up, grad_out], [grad_gate, grad_up]);
}

#[cfg(test)]
mod tests;
