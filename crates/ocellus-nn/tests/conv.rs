//! A folded norm is the norm behind the convolution.

use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_nn::conv::Spec;
use ocellus_nn::{Conv, Frozen, Params, Precision};
use ocellus_weights::{Dtype, Weights, encode};

/// A checkpoint of these vectors and matrices.
fn params(tensors: &[(&str, &[usize], &[f32])]) -> Params {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, shape, values)| ((*name).to_owned(), Dtype::F32, shape.to_vec(), bytes(values)))
        .collect();
    let file = encode(&tensors, &Default::default()).unwrap();
    let weights = Arc::new(Weights::from_bytes(file, "test").unwrap());
    let source = Frozen::new(weights, Device::Cpu, DType::F32);
    Params::new(Rc::new(source), Precision::F32)
}

fn planes(shape: (usize, usize, usize, usize), values: &[f32]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

#[test]
fn the_norm_comes_behind_the_kernel() {
    let p = params(&[
        ("weight", &[2, 1, 1, 1], &[2.0, -1.0]),
        ("norm.weight", &[2], &[3.0, 0.5]),
        ("norm.bias", &[2], &[1.0, -2.0]),
        ("norm.running_mean", &[2], &[4.0, -3.0]),
        ("norm.running_var", &[2], &[3.0, 0.0]),
    ]);
    let conv = Conv::normed(&p, Spec::new(1, 2, 1), 1.0).unwrap();
    let y = conv.forward(&planes((1, 1, 1, 2), &[5.0, 0.0])).unwrap();
    // (2 · 5 - 4) / √(3 + 1) · 3 + 1 = 10, and (-5 + 3) / √(0 + 1) · 0.5 - 2 = -3.
    let y: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(y, [10.0, -5.0, -3.0, -0.5]);
}

#[test]
fn strides_padding_dilation_and_groups() {
    let ones = [1.0; 9];
    let p = params(&[("weight", &[1, 1, 3, 3], &ones), ("bias", &[1], &[0.5])]);
    let line: Vec<f32> = (1..=5).map(|v| v as f32).collect();
    for (stride, padding, dilation, expected) in [
        (1, 1, 1, vec![3.5, 6.5, 9.5, 12.5, 9.5]),
        (2, 1, 1, vec![3.5, 9.5, 9.5]),
        (1, 2, 2, vec![4.5, 6.5, 9.5, 6.5, 8.5]),
    ] {
        let spec = Spec {
            stride,
            padding,
            dilation,
            ..Spec::new(1, 1, 3)
        };
        let y = Conv::load(&p, spec)
            .unwrap()
            .forward(&planes((1, 1, 1, 5), &line));
        let y: Vec<f32> = y.unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(y, expected, "{spec:?}");
    }
    let p = params(&[
        ("weight", &[2, 1, 1, 1], &[10.0, 100.0]),
        ("bias", &[2], &[0.0; 2]),
    ]);
    let spec = Spec {
        groups: 2,
        ..Spec::new(2, 2, 1)
    };
    let y = Conv::load(&p, spec)
        .unwrap()
        .forward(&planes((1, 2, 1, 1), &[1.0, 2.0]));
    let y: Vec<f32> = y.unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(y, [10.0, 200.0]);
}
