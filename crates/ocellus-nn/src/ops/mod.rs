//! Fused operations with gradients, and their composed twins.
//!
//! One file an operation. `fused` decides for all of them: f32 on the CPU.

pub mod activation;
pub mod attention;
pub mod linear;
pub mod loss;
pub mod norm;
pub mod rope;

use candle_core::{CpuStorage, DType, Layout, Result, Shape, Tensor};

/// Whether the fused kernels can take this tensor.
pub(crate) fn fused(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// The elements of a contiguous f32 argument of a custom operation.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a fused operation got a tensor that is not contiguous: {layout:?}");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Runs `f` on the elements of a tensor of any layout.
pub(crate) fn with_slice<R>(x: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let candle_core::Storage::Cpu(storage) = &*storage else {
        candle_core::bail!("a fused operation got a tensor that is not on the CPU");
    };
    Ok(f(slice(storage, layout)?))
}

/// A fused result.
pub(crate) fn done(values: Vec<f32>, shape: impl Into<Shape>) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(values), shape.into()))
}
