//! bitsandbytes: 4 bits that stand for places in a table, and rows of 8-bit integers.
//!
//! ```text
//! weight                 u8 [outputs * inputs / 2, 1]   4 bits a weight, row after row, the first in the high half
//! weight.absmax          f32 [runs]                     the scale of every run of 64 weights; u8 where it is quantised itself:
//! weight.quant_map       f32 [16]                       what the 16 codes stand for
//! weight.nested_absmax   f32 [runs of runs]
//! weight.nested_quant_map f32 [256]
//! weight.quant_state.bitsandbytes__nf4                  JSON: shape, sizes of runs, an offset of the nested scales
//!
//! weight                 i8 [outputs, inputs]
//! SCB                    f32 [outputs]                  the largest weight of each output in size
//! ```
//!
//! The bytes of codes may be stored under any type, which some trainers need.

use super::codes::Codes;
use super::layout::Layout;
use super::matrix::{Groups, Meaning, QuantisedMatrix, Zeros};
use super::parts::{Parts, Reason};
use super::scheme::Scheme;
use crate::Dtype;
use serde::Deserialize;

const BESIDE: &[&str] = &[
    "weight",
    "weight.absmax",
    "weight.quant_map",
    "weight.nested_absmax",
    "weight.nested_quant_map",
];
const STATES: [&str; 2] = [
    "weight.quant_state.bitsandbytes__nf4",
    "weight.quant_state.bitsandbytes__fp4",
];

const FOUR_BITS: Layout = Layout {
    name: "bitsandbytes nf4",
    mark: STATES[0],
    beside: BESIDE,
    claims: |_, _| true,
    shape: four_bits_shape,
    open: four_bits,
};

pub(super) static NF4: Layout = FOUR_BITS;

pub(super) static FP4: Layout = Layout {
    name: "bitsandbytes fp4",
    mark: STATES[1],
    ..FOUR_BITS
};

/// Scales without what says how they are meant.
pub(super) static STATELESS: Layout = Layout {
    name: "bitsandbytes of 4 bits",
    mark: "weight.absmax",
    ..FOUR_BITS
};

pub(super) static INT8: Layout = Layout {
    name: "bitsandbytes int8",
    mark: "SCB",
    beside: &["weight", "weight_format"],
    claims: |_, _| true,
    shape: int8_shape,
    open: int8,
};

/// What stands in JSON beside the tensors.
#[derive(Deserialize)]
struct State {
    shape: Vec<usize>,
    blocksize: usize,
    nested_blocksize: Option<usize>,
    nested_offset: Option<f32>,
}

/// Longest such text; published ones take about 200 bytes.
const STATE_BYTES: usize = 4096;

fn state(parts: &Parts) -> Reason<State> {
    let Some(part) = STATES.iter().find_map(|end| parts.find(end)) else {
        return Err(format!("there is no tensor `{}{}`", parts.base, STATES[0]));
    };
    let text = Some(part.bytes()).filter(|text| text.len() <= STATE_BYTES);
    let state = text.and_then(|text| serde_json::from_slice::<State>(text).ok());
    let state = state.ok_or("its quant_state is not the JSON that is expected")?;
    match state.blocksize > 0 && state.nested_blocksize != Some(0) {
        true => Ok(state),
        false => Err("its quant_state has runs of no weights".to_owned()),
    }
}

fn four_bits_shape(parts: &Parts, _: &Scheme) -> Reason<[usize; 2]> {
    let state = state(parts)?;
    let [outputs, inputs] = state.shape[..] else {
        return Err(format!(
            "the shape in its quant_state is {:?}, expected a matrix",
            state.shape
        ));
    };
    let shape = [outputs, inputs];
    let found = parts.part("weight")?.bytes().len();
    match Codes::HighFirst.bytes(shape) {
        Some(expected) if expected == found && found > 0 => Ok(shape),
        _ => Err(format!(
            "its quant_state says {shape:?}, and its codes take {found} bytes"
        )),
    }
}

fn four_bits(parts: &Parts, _: &Scheme, shape: [usize; 2]) -> Reason<QuantisedMatrix> {
    let state = state(parts)?;
    let groups = Groups::Flat(state.blocksize);
    let count = groups.count(shape).ok_or("it has too many runs")?;
    let mut table = Box::new([0.0; 256]);
    table[..16].copy_from_slice(&parts.numbers("weight.quant_map", 16)?);
    let scales = match parts.find("weight.nested_absmax") {
        None => parts.numbers("weight.absmax", count)?,
        Some(_) => {
            let run = state
                .nested_blocksize
                .ok_or("its quant_state names no nested runs")?;
            let offset = state.nested_offset.unwrap_or(0.0);
            let largest = parts.numbers("weight.nested_absmax", count.div_ceil(run))?;
            let map = parts.numbers("weight.nested_quant_map", 256)?;
            let codes = parts.of("weight.absmax", &[Dtype::U8], &[count])?.bytes();
            let of_run = |(at, code): (usize, &u8)| map[usize::from(*code)] * largest[at / run] + offset;
            codes.iter().enumerate().map(of_run).collect()
        }
    };
    Ok(QuantisedMatrix {
        shape,
        data: parts.part("weight")?.clone(),
        codes: Codes::HighFirst,
        meaning: Meaning::Table(table),
        groups,
        scales,
        unit: 1.0,
    })
}

fn int8_shape(parts: &Parts, _: &Scheme) -> Reason<[usize; 2]> {
    let shape = parts.table("weight")?;
    parts.typed("weight", parts.part("weight")?, &[Dtype::I8])?;
    // Of the orders that kernels had once, only plain rows were kept.
    match parts.find("weight_format").map(|part| part.bytes()) {
        None | Some([0]) => Ok(shape),
        Some(_) => {
            Err("its weights are in the order of old kernels (`weight_format`), expected rows".to_owned())
        }
    }
}

fn int8(parts: &Parts, _: &Scheme, shape: [usize; 2]) -> Reason<QuantisedMatrix> {
    Ok(QuantisedMatrix {
        shape,
        data: parts.part("weight")?.clone(),
        codes: Codes::Signed,
        meaning: Meaning::Integers {
            bits: 8,
            zeros: Zeros::All(128),
        },
        groups: Groups::ROWS,
        scales: parts.numbers("SCB", shape[0])?,
        // 1 / 127, as the library writes it.
        unit: 7.874_016e-3,
    })
}
