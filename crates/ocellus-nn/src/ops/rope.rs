//! Rotary positions in the rotate-half form: the two halves of a head are the two coordinates of each rotation.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};
use ocellus_base::trace::span;
use ocellus_kernels::rope;
use ocellus_kernels::unset;

use super::{by_rows, done, fused, rows, slice, with_slice};

/// `x · cos + rotate_half(x) · sin` for `x [tokens, heads, head_dim]`, `cos` and `sin` `[tokens, head_dim]` in f32.
pub fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let _span = span("rope");
    if !fused(x) {
        return composed(x, cos, sin);
    }
    by_rows(x)?.apply_op3(&cos.contiguous()?, &sin.contiguous()?, Rotate)
}

/// The same in plain candle; computed in f32 whatever the type of `x`.
pub fn composed(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let wide = x.to_dtype(candle_core::DType::F32)?;
    let turned = Tensor::cat(
        &[
            wide.narrow(D::Minus1, half, half)?.neg()?,
            wide.narrow(D::Minus1, 0, half)?,
        ],
        D::Minus1,
    )?;
    let (cos, sin) = (cos.unsqueeze(1)?, sin.unsqueeze(1)?); // [tokens, 1, head_dim]
    (wide.broadcast_mul(&cos)? + turned.broadcast_mul(&sin)?)?.to_dtype(x.dtype())
}

struct Rotate;

impl CustomOp3 for Rotate {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = rows(s1, l1)?;
        let (_, heads, dim) = l1.shape().dims3()?;
        let mut out = unset(l1.shape().elem_count());
        rope::rotate(x, slice(s2, l2)?, slice(s3, l3)?, heads, dim, &mut out);
        done(out, l1.shape())
    }

    fn bwd(
        &self,
        x: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, heads, dim) = x.dims3()?;
        let mut dx = vec![0.0; x.elem_count()];
        with_slice(grad, |g| {
            with_slice(cos, |c| {
                with_slice(sin, |s| rope::rotate_backward(g, c, s, heads, dim, &mut dx))
            })
        })???;
        // Angles are data: they have no gradient.
        Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), None, None))
    }
}
