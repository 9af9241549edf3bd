//! AWQ: integers of 4 bits, in three orders of words.
//!
//! ```text
//! tensor   | gemm                     | gemv                     | gemv_fast
//! qweight  | i32 [inputs, outputs/8]  | i32 [outputs, inputs/8]  | i16 [outputs/4, inputs]
//! qzeros   | i32 [groups, outputs/8]  | i32 [outputs, padded/8]  | f16 [padded, outputs], -scale * zero
//! scales   | f16 [groups, outputs]    | f16 [outputs, padded]    | f16 [padded, outputs]
//! ```
//!
//! A weight is `scale * (value - zero)`. Groups of the last two are padded to a number that kernels like.

use super::codes::Codes;
use super::grouping;
use super::layout::Layout;
use super::matrix::{Groups, Meaning, QuantisedMatrix, Zeros};
use super::parts::{Parts, Reason, transposed};
use super::scheme::{Scheme, Words};
use crate::Dtype;

const BESIDE: &[&str] = &["qzeros", "scales"];
const WORDS: &[Dtype] = &[Dtype::I32, Dtype::U32];

pub(super) static GEMM: Layout = Layout {
    name: "AWQ gemm",
    mark: "qweight",
    beside: BESIDE,
    claims: |_, scheme| scheme.words == Words::AwqGemm,
    shape: gemm_shape,
    open: gemm,
};

pub(super) static GEMV: Layout = Layout {
    name: "AWQ gemv",
    mark: "qweight",
    beside: BESIDE,
    claims: |_, scheme| scheme.words == Words::AwqGemv,
    shape: gemv_shape,
    open: gemv,
};

pub(super) static GEMV_FAST: Layout = Layout {
    name: "AWQ gemv_fast",
    mark: "qweight",
    beside: BESIDE,
    claims: |_, scheme| scheme.words == Words::AwqGemvFast,
    shape: fast_shape,
    open: fast,
};

fn gemm_shape(parts: &Parts, _: &Scheme) -> Reason<[usize; 2]> {
    let [groups, outputs] = parts.table("scales")?;
    if !outputs.is_multiple_of(8) {
        return Err(parts.shape("scales", "a multiple of 8 outputs"));
    }
    let [inputs, _] = parts.table("qweight")?;
    parts.of("qweight", WORDS, &[inputs, outputs / 8])?;
    parts.of("qzeros", WORDS, &[groups, outputs / 8])?;
    Ok([outputs, inputs])
}

fn gemm(parts: &Parts, scheme: &Scheme, shape: [usize; 2]) -> Reason<QuantisedMatrix> {
    let [outputs, inputs] = shape;
    let [groups, _] = parts.table("scales")?;
    let size = grouping::size(scheme, inputs, groups)?;
    // Zeros lie as weights do, a group in the place of an input.
    let zeros = Codes::Outputs.unpack(parts.part("qzeros")?.bytes(), [outputs, groups], 0..outputs);
    Ok(QuantisedMatrix {
        shape,
        data: parts.part("qweight")?.clone(),
        codes: Codes::Outputs,
        meaning: Meaning::Integers {
            bits: 4,
            zeros: Zeros::Each(zeros.into_iter().map(f32::from).collect()),
        },
        groups: Groups::Blocks { rows: 1, cols: size },
        scales: transposed(&parts.numbers("scales", groups * outputs)?, outputs),
        unit: 1.0,
    })
}

fn gemv_shape(parts: &Parts, _: &Scheme) -> Reason<[usize; 2]> {
    let [outputs, words] = parts.table("qweight")?;
    parts.typed("qweight", parts.part("qweight")?, WORDS)?;
    let [_, padded] = parts.table("scales")?;
    parts.of("qzeros", WORDS, &[outputs, padded / 8])?;
    let inputs = words.checked_mul(8);
    match inputs.filter(|_| {
        padded.is_multiple_of(8) && parts.part("scales").is_ok_and(|p| p.entry.shape[0] == outputs)
    }) {
        Some(inputs) => Ok([outputs, inputs]),
        None => Err(parts.shape(
            "scales",
            &format!("a multiple of 8 groups of each of {outputs} outputs"),
        )),
    }
}

/// The size of the groups that a config names, of which `padded` have room.
fn named_group(scheme: &Scheme, inputs: usize, padded: usize) -> Reason<usize> {
    let size = scheme.group.unwrap_or(inputs);
    match size > 0 && inputs.div_ceil(size) <= padded {
        true => Ok(size),
        false => Err(format!("{padded} groups of {size} do not make {inputs} inputs")),
    }
}

fn gemv(parts: &Parts, scheme: &Scheme, shape: [usize; 2]) -> Reason<QuantisedMatrix> {
    let [outputs, inputs] = shape;
    let [_, padded] = parts.table("scales")?;
    let size = named_group(scheme, inputs, padded)?;
    let groups = inputs.div_ceil(size);
    let zeros = Codes::Rows {
        bits: 4,
        stride: padded / 2,
    };
    let zeros = zeros.unpack(parts.part("qzeros")?.bytes(), [outputs, groups], 0..outputs);
    let scales = parts.numbers("scales", outputs * padded)?;
    let scales = scales.chunks_exact(padded).flat_map(|row| &row[..groups]);
    Ok(QuantisedMatrix {
        shape,
        data: parts.part("qweight")?.clone(),
        codes: Codes::Rows {
            bits: 4,
            stride: inputs / 2,
        },
        meaning: Meaning::Integers {
            bits: 4,
            zeros: Zeros::Each(zeros.into_iter().map(f32::from).collect()),
        },
        groups: Groups::Blocks { rows: 1, cols: size },
        scales: scales.copied().collect(),
        unit: 1.0,
    })
}

fn fast_shape(parts: &Parts, _: &Scheme) -> Reason<[usize; 2]> {
    let [padded, outputs] = parts.table("scales")?;
    let [_, inputs] = parts.table("qweight")?;
    if !outputs.is_multiple_of(4) || !inputs.is_multiple_of(64) {
        return Err(parts.shape("qweight", "whole runs of 64 inputs and 4 outputs"));
    }
    parts.of("qweight", &[Dtype::I16, Dtype::U16], &[outputs / 4, inputs])?;
    parts.of(
        "qzeros",
        &[Dtype::F16, Dtype::Bf16, Dtype::F32],
        &[padded, outputs],
    )?;
    Ok([outputs, inputs])
}

fn fast(parts: &Parts, scheme: &Scheme, shape: [usize; 2]) -> Reason<QuantisedMatrix> {
    let [outputs, inputs] = shape;
    let [padded, _] = parts.table("scales")?;
    let size = named_group(scheme, inputs, padded)?;
    let groups = inputs.div_ceil(size);
    let numbers = |end| {
        Ok::<_, String>(transposed(
            &parts.numbers(end, padded * outputs)?[..groups * outputs],
            outputs,
        ))
    };
    Ok(QuantisedMatrix {
        shape,
        data: parts.part("qweight")?.clone(),
        codes: Codes::Interleaved,
        meaning: Meaning::Offsets {
            bits: 4,
            offsets: numbers("qzeros")?,
        },
        groups: Groups::Blocks { rows: 1, cols: size },
        scales: numbers("scales")?,
        unit: 1.0,
    })
}
