//! `x · Wᵀ + b`, the matrix product of every layer.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use ocellus_kernels::gemm::{Mat, Precision, gemm};
use ocellus_kernels::matrix::{Gated, gated};
use ocellus_kernels::unset;

use super::{done, fused, slice, with_slice};
use crate::packed::Packed;

/// `x [.., in] · weight [out, in]ᵀ + bias [out]` → `[.., out]`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, precision: Precision) -> Result<Tensor> {
    if !fused(x) {
        return composed(x, weight, bias);
    }
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, Product(precision)),
        None => x.apply_op2(&weight, Product(precision)),
    }
}

/// The same in plain candle.
pub fn composed(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let out = x.matmul(&weight.t()?)?;
    match bias {
        Some(bias) => out.broadcast_add(bias),
        None => Ok(out),
    }
}

/// The same with a packed weight; no gradient.
pub(crate) fn linear_packed(x: &Tensor, packed: &Packed) -> Result<Tensor> {
    x.contiguous()?.apply_op1_no_bwd(packed)
}

impl CustomOp1 for Packed {
    fn name(&self) -> &'static str {
        "linear-packed"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, (rows, inner)) = (slice(s, l)?, l.shape().dims2()?);
        let cols = self.weight.outputs();
        let mut out = unset(rows * cols);
        self.weight
            .multiply(row_major(x, rows, inner), self.bias.as_deref(), &mut out, false);
        done(out, (rows, cols))
    }
}

/// `down(silu(gate(x)) · up(x))` with packed weights, `x [rows, in]` → `[rows, out]`; no gradient.
pub(crate) fn gated_packed(x: &Tensor, gate: &Packed, up: &Packed, down: &Packed) -> Result<Tensor> {
    let op = GatedNetwork(Gated {
        gate: (&gate.weight, gate.bias.as_deref()),
        up: (&up.weight, up.bias.as_deref()),
        down: (&down.weight, down.bias.as_deref()),
    });
    x.contiguous()?.apply_op1_no_bwd(&op)
}

struct GatedNetwork<'a>(Gated<'a>);

impl CustomOp1 for GatedNetwork<'_> {
    fn name(&self) -> &'static str {
        "gated-packed"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, (rows, inner)) = (slice(s, l)?, l.shape().dims2()?);
        let cols = self.0.down.0.outputs();
        let mut out = unset(rows * cols);
        gated(row_major(x, rows, inner), self.0, &mut out, false);
        done(out, (rows, cols))
    }
}

struct Product(Precision);

fn row_major(data: &[f32], rows: usize, cols: usize) -> Mat<'_> {
    Mat {
        data,
        rows,
        cols,
        row_stride: cols,
        col_stride: 1,
    }
}

fn transposed(data: &[f32], rows: usize, cols: usize) -> Mat<'_> {
    Mat {
        data,
        rows: cols,
        cols: rows,
        row_stride: 1,
        col_stride: cols,
    }
}

impl Product {
    fn forward(
        &self,
        (x, lx): (&CpuStorage, &Layout),
        (w, lw): (&CpuStorage, &Layout),
        bias: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let ((rows, inner), (cols, _)) = (lx.shape().dims2()?, lw.shape().dims2()?);
        let mut out = unset(rows * cols);
        let (x, w) = (slice(x, lx)?, slice(w, lw)?);
        gemm(
            self.0,
            row_major(x, rows, inner),
            transposed(w, cols, inner),
            bias,
            &mut out,
            cols,
            false,
        );
        done(out, (rows, cols))
    }

    /// `dX = dY · W` and `dW = dYᵀ · X`; the first is skipped where no gradient of `x` is needed.
    fn backward(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Tensor)> {
        let ((rows, inner), (cols, _)) = (x.dims2()?, weight.dims2()?);
        with_slice(grad, |g| -> Result<_> {
            let dx = if x.track_op() {
                let mut dx = unset(rows * inner);
                with_slice(weight, |w| {
                    gemm(
                        self.0,
                        row_major(g, rows, cols),
                        row_major(w, cols, inner),
                        None,
                        &mut dx,
                        inner,
                        false,
                    )
                })?;
                Some(Tensor::from_vec(dx, (rows, inner), x.device())?)
            } else {
                None
            };
            let mut dw = unset(cols * inner);
            with_slice(x, |x| {
                gemm(
                    self.0,
                    transposed(g, rows, cols),
                    row_major(x, rows, inner),
                    None,
                    &mut dw,
                    inner,
                    false,
                )
            })?;
            Ok((dx, Tensor::from_vec(dw, (cols, inner), x.device())?))
        })?
    }
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((s1, l1), (s2, l2), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = self.backward(x, w, grad)?;
        Ok((dx, Some(dw)))
    }
}

impl CustomOp3 for Product {
    fn name(&self) -> &'static str {
        "linear-bias"
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
        self.forward((s1, l1), (s2, l2), Some(slice(s3, l3)?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = self.backward(x, w, grad)?;
        let (rows, cols) = grad.dims2()?;
        let db = with_slice(grad, |g| {
            let mut db = vec![0.0f32; cols];
            for row in g.chunks_exact(cols.max(1)).take(rows) {
                db.iter_mut().zip(row).for_each(|(d, g)| *d += g);
            }
            db
        })?;
        Ok((dx, Some(dw), Some(Tensor::from_vec(db, cols, grad.device())?)))
    }
}
