//! compressed-tensors, `pack-quantized`: integers of 2 to 8 bits in words of 32 bits.
//!
//! ```text
//! weight_packed      i32 [outputs, words]    a stream of bits for each output; older files put whole integers into each word
//! weight_shape       i64 [2]                 outputs and inputs
//! weight_scale       [outputs, groups]       or [outputs, 1], or one number
//! weight_zero_point  i32 [words, groups]     a stream of bits for each group; or i8 [outputs, groups]
//! weight_g_idx       i32 [inputs]            the group of every input; may be missing
//! ```
//!
//! Integers are stored with the middle of their range added. Without zeros, the middle is zero.

use super::codes::Codes;
use super::grouping::indexed;
use super::layout::Layout;
use super::matrix::{Groups, Meaning, QuantisedMatrix, Zeros};
use super::parts::{Parts, Reason, transposed};
use super::scheme::Scheme;
use crate::Dtype;

pub(super) static LAYOUT: Layout = Layout {
    name: "compressed-tensors pack-quantized",
    mark: "weight_packed",
    beside: &[
        "weight_shape",
        "weight_scale",
        "weight_zero_point",
        "weight_g_idx",
        "input_scale",
        "input_zero_point",
    ],
    claims: |_, _| true,
    shape,
    open,
};

fn shape(parts: &Parts, _: &Scheme) -> Reason<[usize; 2]> {
    let shape = parts.integers("weight_shape", 2)?;
    let side = |at: usize| {
        usize::try_from(shape[at])
            .ok()
            .filter(|side| (1..=1 << 31).contains(side))
    };
    match (side(0), side(1)) {
        (Some(outputs), Some(inputs)) => Ok([outputs, inputs]),
        _ => Err(format!("its weight_shape is {shape:?}")),
    }
}

/// How the integers of an output are packed into so many words.
fn codes(parts: &Parts, scheme: &Scheme, [outputs, inputs]: [usize; 2]) -> Reason<(u8, Codes)> {
    let [rows, words] = parts.table("weight_packed")?;
    parts.typed(
        "weight_packed",
        parts.part("weight_packed")?,
        &[Dtype::I32, Dtype::U32],
    )?;
    let stream = |bits: &u8| (inputs * usize::from(*bits)).div_ceil(32) == words;
    let whole = |bits: &u8| inputs.div_ceil(32 / usize::from(*bits)) == words;
    let stride = words * 4;
    let of = |known: &[u8]| {
        let streamed = known.iter().find(|bits| stream(bits));
        let streamed = streamed.map(|bits| (*bits, Codes::Rows { bits: *bits, stride }));
        let worded = known.iter().find(|bits| whole(bits));
        streamed.or(worded.map(|bits| (*bits, Codes::RowWords { bits: *bits, words })))
    };
    let found = of(&scheme.bits).or_else(|| of(&[4, 8, 2, 3, 6, 5]));
    found.filter(|_| rows == outputs).ok_or_else(|| {
        parts.shape(
            "weight_packed",
            &format!("words of 2 to 8 bits for a matrix {outputs} x {inputs}"),
        )
    })
}

fn open(parts: &Parts, scheme: &Scheme, shape: [usize; 2]) -> Reason<QuantisedMatrix> {
    let ([outputs, inputs], (bits, codes)) = (shape, codes(parts, scheme, shape)?);
    let count = match parts.part("weight_scale")?.entry.shape[..] {
        [] | [1] => 0,
        [rows] if rows == outputs => 1,
        [rows, groups] if rows == outputs && groups > 0 => groups,
        _ => return Err(parts.shape("weight_scale", &format!("groups of {outputs} outputs"))),
    };
    let groups = match count {
        0 => Groups::Blocks {
            rows: usize::MAX,
            cols: usize::MAX,
        },
        1 => Groups::ROWS,
        _ => indexed("weight_g_idx", parts, scheme, inputs, count)?,
    };
    let middle = 1_u8 << (bits - 1);
    let all = groups.count(shape).ok_or("it has too many groups")?;
    let zeros = match parts.find("weight_zero_point") {
        None => Zeros::All(middle),
        Some(part) if part.entry.dtype == Dtype::I8 => {
            let zeros = parts.integers("weight_zero_point", all)?;
            Zeros::Each(
                zeros
                    .iter()
                    .map(|zero| *zero as f32 + f32::from(middle))
                    .collect(),
            )
        }
        Some(_) => {
            let words = (outputs * usize::from(bits)).div_ceil(32);
            let part = parts.of(
                "weight_zero_point",
                &[Dtype::I32, Dtype::U32],
                &[words, count.max(1)],
            )?;
            let zeros =
                Codes::Columns { bits }.unpack(part.bytes(), [count.max(1), outputs], 0..count.max(1));
            let zeros = transposed(&zeros, outputs);
            if zeros.len() != all {
                return Err(parts.shape("weight_zero_point", "a zero for each scale"));
            }
            Zeros::Each(zeros.into_iter().map(f32::from).collect())
        }
    };
    Ok(QuantisedMatrix {
        shape,
        data: parts.part("weight_packed")?.clone(),
        codes,
        meaning: Meaning::Integers { bits, zeros },
        scales: parts.numbers("weight_scale", all)?,
        groups,
        unit: 1.0,
    })
}
