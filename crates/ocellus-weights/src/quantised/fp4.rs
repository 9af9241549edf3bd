//! Floating-point values of 4 bits, two in a byte, with a scale for each group of 16 or 32 inputs.
//!
//! ```text
//! writer               codes                            scales                             of all
//! compressed-tensors   weight_packed u8 [out, in / 2]   weight_scale f8 [out, in / 16]     weight_global_scale, divides
//! Model Optimizer      weight u8 [out, in / 2]          weight_scale f8 [out, in / 16]     weight_scale_2, multiplies
//! compressed-tensors   weight_packed u8 [out, in / 2]   weight_scale u8 [out, in / 32]     none; scales are powers of two
//! ```

use super::codes::Codes;
use super::layout::Layout;
use super::matrix::{Groups, Meaning, QuantisedMatrix};
use super::parts::{Parts, Reason};
use super::scheme::Scheme;
use crate::{Dtype, minifloat};

pub(super) static NVFP4: Layout = Layout {
    name: "NVFP4",
    mark: "weight_global_scale",
    beside: &["weight_packed", "weight_scale", "input_global_scale"],
    claims: |_, _| true,
    shape: |parts, _| shape("weight_packed", parts),
    open: |parts, _, shape| {
        let whole = parts.numbers("weight_global_scale", 1)?[0];
        matrix("weight_packed", parts, shape, 16, |scale| scale / whole)
    },
};

pub(super) static MODEL_OPTIMIZER: Layout = Layout {
    name: "NVFP4",
    mark: "weight_scale_2",
    beside: &["weight", "weight_scale", "input_scale"],
    claims: |_, _| true,
    shape: |parts, _| shape("weight", parts),
    open: |parts, _: &Scheme, shape| {
        let whole = parts.numbers("weight_scale_2", 1)?[0];
        matrix("weight", parts, shape, 16, |scale| scale * whole)
    },
};

pub(super) static MXFP4: Layout = Layout {
    name: "MXFP4",
    mark: "weight_packed",
    beside: &["weight_scale"],
    claims: |parts, _| {
        parts
            .find("weight_packed")
            .is_some_and(|part| part.entry.dtype == Dtype::U8)
    },
    shape: |parts, _| shape("weight_packed", parts),
    open: |parts, _, shape| matrix("weight_packed", parts, shape, 32, |scale| scale),
};

fn shape(codes: &str, parts: &Parts) -> Reason<[usize; 2]> {
    parts.typed(codes, parts.part(codes)?, &[Dtype::U8])?;
    let [outputs, bytes] = parts.table(codes)?;
    match bytes.checked_mul(2) {
        Some(inputs) => Ok([outputs, inputs]),
        None => Err(parts.shape(codes, "fewer inputs")),
    }
}

fn matrix(
    codes: &str,
    parts: &Parts,
    shape: [usize; 2],
    group: usize,
    scale: impl Fn(f32) -> f32,
) -> Reason<QuantisedMatrix> {
    let [outputs, inputs] = shape;
    let groups = inputs.div_ceil(group);
    if parts.part("weight_scale")?.entry.shape != [outputs, groups] {
        return Err(parts.shape("weight_scale", &format!("[{outputs}, {groups}]")));
    }
    let scales = match group {
        32 => parts.powers("weight_scale", outputs * groups)?,
        _ => parts.numbers("weight_scale", outputs * groups)?,
    };
    let scales: Vec<f32> = scales.into_iter().map(scale).collect();
    if scales.iter().any(|scale| !scale.is_finite()) {
        return Err("the scale of the whole matrix makes others infinite".to_owned());
    }
    Ok(QuantisedMatrix {
        shape,
        data: parts.part(codes)?.clone(),
        codes: Codes::Rows {
            bits: 4,
            stride: inputs / 2,
        },
        meaning: Meaning::Table(Box::new(minifloat::e2m1())),
        groups: Groups::Blocks { rows: 1, cols: group },
        scales,
        unit: 1.0,
    })
}
