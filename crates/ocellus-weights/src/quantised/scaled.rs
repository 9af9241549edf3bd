//! Plain values of 8 bits with scales beside them: fp8 of several writers, and the 8-bit integers of compressed-tensors.
//!
//! ```text
//! weight             f8 or i8 [outputs, inputs]
//! weight_scale_inv   one number, or [blocks of outputs, blocks of inputs]     fine-grained fp8
//! weight_scale       one number, [outputs], [outputs, 1], [outputs, groups] or blocks
//! weight_zero_point  i8, as many as scales                                    of integers alone
//! input_scale        what activations would be rounded with; not used
//! ```
//!
//! A weight is its value (less the zero) times the scale, whatever the scale's name says.

use super::codes::Codes;
use super::grouping;
use super::layout::Layout;
use super::matrix::{Groups, Meaning, QuantisedMatrix, Zeros};
use super::parts::{Parts, Reason};
use super::scheme::Scheme;
use crate::{Dtype, minifloat};

const VALUES: &[Dtype] = &[Dtype::F8E4M3, Dtype::F8E5M2, Dtype::I8];
const BESIDE: &[&str] = &[
    "weight",
    "weight_zero_point",
    "input_scale",
    "input_zero_point",
    "activation_scale",
    "input_scale_ub",
];
/// A block of fine-grained scales where nothing is said.
const BLOCK: [usize; 2] = [128, 128];

pub(super) static FINE_GRAINED: Layout = Layout {
    name: "fp8",
    mark: "weight_scale_inv",
    beside: BESIDE,
    claims: |_, _| true,
    shape,
    open: |parts, scheme, shape| open("weight_scale_inv", parts, scheme, shape),
};

pub(super) static SCALED: Layout = Layout {
    name: "8 bits with scales",
    mark: "weight_scale",
    beside: BESIDE,
    claims: |_, _| true,
    shape,
    open: |parts, scheme, shape| open("weight_scale", parts, scheme, shape),
};

fn shape(parts: &Parts, _: &Scheme) -> Reason<[usize; 2]> {
    parts.typed("weight", parts.part("weight")?, VALUES)?;
    parts.table("weight")
}

/// Which weights share one of these scales.
fn groups(end: &str, parts: &Parts, scheme: &Scheme, [outputs, inputs]: [usize; 2]) -> Reason<Groups> {
    let found = &parts.part(end)?.entry.shape[..];
    Ok(match *found {
        _ if found.iter().all(|side| *side == 1) => Groups::Blocks {
            rows: usize::MAX,
            cols: usize::MAX,
        },
        [rows] | [rows, 1] if rows == outputs => Groups::ROWS,
        [rows, cols] if rows == outputs && cols > 0 && scheme.block.is_none() => Groups::Blocks {
            rows: 1,
            cols: grouping::size(scheme, inputs, cols)?,
        },
        [down, across] => {
            let [rows, cols] = scheme.block.unwrap_or(BLOCK);
            if rows == 0 || cols == 0 || outputs.div_ceil(rows) != down || inputs.div_ceil(cols) != across {
                return Err(parts.shape(
                    end,
                    &format!("blocks of {rows} x {cols} of a matrix {outputs} x {inputs}"),
                ));
            }
            Groups::Blocks { rows, cols }
        }
        _ => return Err(parts.shape(end, &format!("scales of a matrix {outputs} x {inputs}"))),
    })
}

fn open(end: &str, parts: &Parts, scheme: &Scheme, shape: [usize; 2]) -> Reason<QuantisedMatrix> {
    let groups = groups(end, parts, scheme, shape)?;
    let count = groups.count(shape).ok_or("it has too many groups")?;
    let data = parts.part("weight")?.clone();
    let zeros = parts.find("weight_zero_point").map(|part| part.entry.dtype);
    let integers = data.entry.dtype == Dtype::I8;
    let zeros = match zeros {
        None => None,
        Some(_) if integers => Some(parts.integers("weight_zero_point", count)?),
        // Writers of symmetric values keep zeros of the same type.
        Some(_)
            if parts
                .part("weight_zero_point")?
                .bytes()
                .iter()
                .all(|byte| *byte == 0) =>
        {
            None
        }
        Some(_) => return Err("its floating-point values have zeros that are not 0".to_owned()),
    };
    let (codes, meaning) = match data.entry.dtype {
        Dtype::F8E4M3 => (Codes::Bytes, Meaning::Table(Box::new(minifloat::e4m3()))),
        Dtype::F8E5M2 => (Codes::Bytes, Meaning::Table(Box::new(minifloat::e5m2()))),
        _ => {
            let zeros = match zeros {
                None => Zeros::All(128),
                Some(zeros) => Zeros::Each(zeros.iter().map(|zero| (*zero + 128) as f32).collect()),
            };
            (Codes::Signed, Meaning::Integers { bits: 8, zeros })
        }
    };
    Ok(QuantisedMatrix {
        shape,
        data,
        codes,
        meaning,
        scales: parts.numbers(end, count)?,
        groups,
        unit: 1.0,
    })
}
