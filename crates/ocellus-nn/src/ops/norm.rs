//! RMS norm (Zhang and Sennrich 2019) and layer norm over the last dimension, in one pass each.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, D, DType, Layout, Result, Shape, Tensor};
use ocellus_kernels::norm;
use ocellus_kernels::unset;

use super::{done, fused, slice, with_slice};

/// `x / sqrt(mean(x²) + eps) · weight`, over the last dimension of `x [rows, width]`.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    if !fused(x) {
        return rms_norm_composed(x, weight, eps);
    }
    x.contiguous()?
        .apply_op2(&weight.contiguous()?, Rms { eps: eps as f32 })
}

/// The same in plain candle, computed in f32 whatever the type of `x`.
pub fn rms_norm_composed(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let wide = x.to_dtype(DType::F32)?;
    let scale = (wide.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    wide.broadcast_div(&scale)?
        .to_dtype(x.dtype())?
        .broadcast_mul(weight)
}

/// `(x - mean) / sqrt(var + eps) · weight + bias`, over the last dimension of `x [rows, width]`.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    if !fused(x) {
        return layer_norm_composed(x, weight, bias, eps);
    }
    x.contiguous()?.apply_op3(
        &weight.contiguous()?,
        &bias.contiguous()?,
        LayerNorm { eps: eps as f32 },
    )
}

/// The same in plain candle, computed in f32 whatever the type of `x`.
pub fn layer_norm_composed(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let wide = x.to_dtype(DType::F32)?;
    let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
    let scale = (centred.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    centred
        .broadcast_div(&scale)?
        .to_dtype(x.dtype())?
        .broadcast_mul(weight)?
        .broadcast_add(bias)
}

struct Rms {
    eps: f32,
}

impl CustomOp2 for Rms {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (slice(s1, l1)?, slice(s2, l2)?);
        let mut out = unset(x.len());
        norm::rms_norm(x, weight, self.eps, &mut out);
        done(out, l1.shape())
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (mut dx, mut dw) = (vec![0.0; x.elem_count()], vec![0.0; w.elem_count()]);
        with_slice(x, |x| {
            with_slice(w, |w| {
                with_slice(grad, |g| {
                    norm::rms_norm_backward(x, w, self.eps, g, &mut dx, &mut dw)
                })
            })
        })???;
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), x.device())?),
            Some(Tensor::from_vec(dw, w.shape(), x.device())?),
        ))
    }
}

struct LayerNorm {
    eps: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
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
        let (x, weight, bias) = (slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?);
        let mut out = unset(x.len());
        norm::layer_norm(x, weight, bias, self.eps, &mut out);
        done(out, l1.shape())
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (mut dx, mut dw, mut db) = (
            vec![0.0; x.elem_count()],
            vec![0.0; w.elem_count()],
            vec![0.0; b.elem_count()],
        );
        with_slice(x, |x| {
            with_slice(w, |w| {
                with_slice(grad, |g| {
                    norm::layer_norm_backward(x, w, self.eps, g, &mut dx, &mut dw, &mut db)
                })
            })
        })???;
        let tensor = |v, like: &Tensor| Tensor::from_vec(v, like.shape(), x.device());
        Ok((Some(tensor(dx, x)?), Some(tensor(dw, w)?), Some(tensor(db, b)?)))
    }
}
