//! Fused operations with gradients, and their twins in plain candle.
//!
//! One file per operation. `fused` selects the fused form: for f32 on the CPU, unless the feature `composed` asks for the twins.

pub mod activation;
pub mod add;
pub mod attention;
pub mod linear;
pub mod loss;
pub mod norm;
pub mod rope;

use candle_core::{CpuStorage, DType, Layout, Result, Shape, Tensor};

/// Whether the fused kernels can take this tensor.
pub(crate) fn fused(x: &Tensor) -> bool {
    !cfg!(feature = "composed") && x.device().is_cpu() && x.dtype() == DType::F32
}

/// The elements of a contiguous f32 argument of a custom operation.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a fused operation got a tensor that is not contiguous: {layout:?}");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// The elements of an f32 argument `[rows, ..]` whose rows are contiguous, and the row stride.
pub(crate) fn rows<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<(&'a [f32], usize)> {
    let (count, width) = (layout.dims()[0], layout.dims()[1..].iter().product::<usize>());
    let Some(stride) = row_stride(layout) else {
        candle_core::bail!("a fused operation got a tensor whose rows are not contiguous: {layout:?}");
    };
    let start = layout.start_offset();
    let len = if count == 0 {
        0
    } else {
        (count - 1) * stride + width
    };
    Ok((&storage.as_slice::<f32>()?[start..start + len], stride))
}

/// `x` itself if its rows are contiguous, otherwise a contiguous copy.
pub(crate) fn by_rows(x: &Tensor) -> Result<Tensor> {
    match row_stride(x.layout()) {
        Some(_) => Ok(x.clone()),
        None => x.contiguous(),
    }
}

fn row_stride(layout: &Layout) -> Option<usize> {
    let (dims, strides) = (layout.dims(), layout.stride());
    let mut width = 1;
    for (dim, stride) in dims.iter().zip(strides).skip(1).rev() {
        if *dim > 1 && *stride != width {
            return None;
        }
        width *= dim;
    }
    match dims.first()? {
        0 | 1 => Some(width),
        _ => (strides[0] >= width).then_some(strides[0]),
    }
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
