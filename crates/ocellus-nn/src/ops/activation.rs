//! Activations, and the gated product `silu(gate) · up` (Shazeer 2020) in one pass.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Result, Shape, Tensor};
use ocellus_kernels::activation as kernel;
use ocellus_kernels::unset;

use super::{done, fused, slice, with_slice};

/// A pointwise function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `x · Φ(x)`, with the error function.
    Gelu,
    /// `x · sigmoid(1.702 x)`.
    QuickGelu,
    /// `x · sigmoid(x)`.
    Silu,
    /// GELU in its tanh approximation.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    Tanh,
}

/// `act(x)`.
pub fn activate(x: &Tensor, act: Act) -> Result<Tensor> {
    match act {
        Act::Gelu | Act::QuickGelu | Act::Silu if fused(x) => x.contiguous()?.apply_op1(Pointwise(act)),
        _ => activate_composed(x, act),
    }
}

/// The same in plain candle.
pub fn activate_composed(x: &Tensor, act: Act) -> Result<Tensor> {
    match act {
        Act::Gelu => x.gelu_erf(),
        Act::QuickGelu => x * sigmoid(&(x * 1.702)?)?,
        Act::Silu => x.silu(),
        Act::GeluTanh => x.gelu(),
        Act::Relu => x.relu(),
        Act::Tanh => x.tanh(),
    }
}

fn sigmoid(x: &Tensor) -> Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}

/// `silu(gate) · up`.
pub fn silu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !fused(gate) {
        return silu_mul_composed(gate, up);
    }
    gate.contiguous()?.apply_op2(&up.contiguous()?, SiluMul)
}

/// The same in plain candle.
pub fn silu_mul_composed(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let wide = gate.to_dtype(DType::F32)?;
    wide.silu()?.to_dtype(gate.dtype())? * up
}

struct Pointwise(Act);

impl CustomOp1 for Pointwise {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(s, l)?;
        let mut out = unset(x.len());
        match self.0 {
            Act::Gelu => kernel::gelu(x, &mut out),
            Act::QuickGelu => kernel::quick_gelu(x, &mut out),
            _ => kernel::silu(x, &mut out),
        }
        done(out, l.shape())
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = vec![0.0; x.elem_count()];
        with_slice(x, |x| {
            with_slice(grad, |g| match self.0 {
                Act::Gelu => kernel::gelu_backward(x, g, &mut dx),
                Act::QuickGelu => kernel::quick_gelu_backward(x, g, &mut dx),
                _ => kernel::silu_backward(x, g, &mut dx),
            })
        })??;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

struct SiluMul;

impl CustomOp2 for SiluMul {
    fn name(&self) -> &'static str {
        "silu-mul"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (slice(s1, l1)?, slice(s2, l2)?);
        let mut out = unset(gate.len());
        kernel::silu_mul(gate, up, &mut out);
        done(out, l1.shape())
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (mut dgate, mut dup) = (vec![0.0; gate.elem_count()], vec![0.0; up.elem_count()]);
        with_slice(gate, |gate| {
            with_slice(up, |up| {
                with_slice(grad, |g| {
                    kernel::silu_mul_backward(gate, up, g, &mut dgate, &mut dup)
                })
            })
        })???;
        Ok((
            Some(Tensor::from_vec(dgate, gate.shape(), gate.device())?),
            Some(Tensor::from_vec(dup, up.shape(), up.device())?),
        ))
    }
}
