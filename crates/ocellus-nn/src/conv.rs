//! Convolutions over planes, `[n, channels, height, width]`.

use candle_core::{DType, Tensor};

use crate::{LoadError, Params, Result};

/// Sizes of a convolution with a square kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    pub inputs: usize,
    pub outputs: usize,
    /// Height and width of the kernel.
    pub side: usize,
    pub stride: usize,
    /// Zero padding on each side of the planes.
    pub padding: usize,
    /// Distance of neighbouring kernel elements in the input.
    pub dilation: usize,
    /// Groups of channels: each group of outputs reads one group of inputs.
    pub groups: usize,
}

impl Spec {
    /// A convolution with stride 1, no padding, no dilation and one group.
    pub fn new(inputs: usize, outputs: usize, side: usize) -> Self {
        Self {
            inputs,
            outputs,
            side,
            stride: 1,
            padding: 0,
            dilation: 1,
            groups: 1,
        }
    }
}

/// A convolution and a bias.
pub struct Conv {
    spec: Spec,
    /// `[outputs, inputs / groups, side, side]`.
    kernel: Tensor,
    /// `[1, outputs, 1, 1]`.
    bias: Tensor,
}

impl Conv {
    /// Loads `weight` and `bias`.
    pub fn load(p: &Params, spec: Spec) -> std::result::Result<Self, LoadError> {
        let kernel = kernel(p, &spec)?;
        let bias = p
            .tensor("bias", &[spec.outputs])?
            .reshape((1, spec.outputs, 1, 1))?;
        Ok(Self { spec, kernel, bias })
    }

    /// Loads `weight`, and under `norm` the scale, shift, mean and variance of a batch norm with fixed statistics. The norm is
    /// folded into the kernel, so this is for inference only.
    pub fn normed(p: &Params, spec: Spec, eps: f64) -> std::result::Result<Self, LoadError> {
        let kernel = kernel(p, &spec)?;
        let norm = p.at("norm");
        let of = |name: &str| -> std::result::Result<Tensor, LoadError> {
            let values = norm.tensor(name, &[spec.outputs])?;
            Ok(values.to_dtype(DType::F32)?.reshape((spec.outputs, 1, 1, 1))?)
        };
        let deviation = (of("running_var")? + eps)?.sqrt()?;
        let factor = (of("weight")? / deviation)?;
        let bias = (of("bias")? - (of("running_mean")? * &factor)?)?;
        let dtype = kernel.dtype();
        let kernel = kernel.to_dtype(DType::F32)?.broadcast_mul(&factor)?;
        Ok(Self {
            spec,
            kernel: kernel.to_dtype(dtype)?,
            bias: bias.to_dtype(dtype)?.reshape((1, spec.outputs, 1, 1))?,
        })
    }

    /// `x [n, inputs, height, width]` → `[n, outputs, height', width']`, on the kernel's device and in its type.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Spec {
            stride,
            padding,
            dilation,
            groups,
            ..
        } = self.spec;
        let x = x.to_device(self.kernel.device())?.to_dtype(self.kernel.dtype())?;
        x.conv2d(&self.kernel, padding, stride, dilation, groups)?
            .broadcast_add(&self.bias)
    }
}

fn kernel(p: &Params, spec: &Spec) -> std::result::Result<Tensor, LoadError> {
    p.tensor(
        "weight",
        &[spec.outputs, spec.inputs / spec.groups, spec.side, spec.side],
    )
}
