//! GPTQ: integers of 2, 3, 4 or 8 bits in words along inputs.
//!
//! ```text
//! qweight  i32 [inputs * bits / 32, outputs]   a stream of bits for each output
//! qzeros   i32 [groups, outputs * bits / 32]   a stream of bits for each group, in the first format less one
//! scales   f16 [groups, outputs]
//! g_idx    i32 [inputs]                        the group of every input; may be missing
//! ```
//!
//! A weight is `scale * (value - zero)`.

use super::codes::Codes;
use super::grouping::indexed;
use super::layout::Layout;
use super::matrix::{Meaning, QuantisedMatrix, Zeros};
use super::parts::{Parts, Reason, transposed};
use super::scheme::{Scheme, Words};
use crate::Dtype;

pub(super) static LAYOUT: Layout = Layout {
    name: "GPTQ",
    mark: "qweight",
    beside: &["qzeros", "scales", "g_idx"],
    claims: |_, scheme| matches!(scheme.words, Words::Gptq { .. }),
    shape,
    open,
};

/// Such words without a config: nothing in them says how they are meant.
pub(super) static UNSAID: Layout = Layout {
    name: "GPTQ or AWQ",
    mark: "qweight",
    beside: &[],
    claims: |_, _| true,
    shape: |_, _| Err("no `quantization_config` says how its words are packed".to_owned()),
    open,
};

/// Bits of a value, from the words that zeros of all outputs take.
fn bits(parts: &Parts) -> Reason<u8> {
    let [_, outputs] = parts.table("scales")?;
    let [_, words] = parts.table("qzeros")?;
    let bits = [2, 3, 4, 8].into_iter();
    let mut fits = bits.filter(|bits| words.checked_mul(32) == outputs.checked_mul(*bits));
    match fits.next() {
        Some(bits) => Ok(bits as u8),
        None => Err(parts.shape(
            "qzeros",
            &format!("words of 2, 3, 4 or 8 bits for each of {outputs} outputs"),
        )),
    }
}

fn shape(parts: &Parts, _: &Scheme) -> Reason<[usize; 2]> {
    let ([groups, outputs], bits) = (parts.table("scales")?, usize::from(bits(parts)?));
    parts.of(
        "qzeros",
        &[Dtype::I32, Dtype::U32],
        &[groups, outputs * bits / 32],
    )?;
    let [words, found] = parts.table("qweight")?;
    parts.typed("qweight", parts.part("qweight")?, &[Dtype::I32, Dtype::U32])?;
    let inputs = words
        .checked_mul(32)
        .filter(|all| found == outputs && all.is_multiple_of(bits));
    let Some(inputs) = inputs.map(|all| all / bits) else {
        return Err(parts.shape(
            "qweight",
            &format!("whole words of {bits} bits for each of {outputs} outputs"),
        ));
    };
    if let Some(index) = parts.find("g_idx")
        && index.entry.shape != [inputs]
    {
        return Err(parts.shape("g_idx", &format!("[{inputs}]")));
    }
    Ok([outputs, inputs])
}

fn open(parts: &Parts, scheme: &Scheme, shape: [usize; 2]) -> Reason<QuantisedMatrix> {
    let ([outputs, inputs], bits) = (shape, bits(parts)?);
    let [groups, _] = parts.table("scales")?;
    let largest = (1_u16 << bits) - 1;
    let less_one = scheme.words == Words::Gptq { zeros_less_one: true };
    // Less one and cut to its bits, the zero 0 is stored as the largest value.
    let zero = |code: u8| match less_one {
        true => f32::from((u16::from(code) + 1) & largest),
        false => f32::from(code),
    };
    let qzeros = parts.part("qzeros")?;
    let stride = qzeros.bytes().len() / groups;
    let zeros = Codes::Rows { bits, stride }.unpack(qzeros.bytes(), [groups, outputs], 0..groups);
    let zeros: Vec<f32> = zeros.into_iter().map(zero).collect();
    let data = parts.part("qweight")?.clone();
    Ok(QuantisedMatrix {
        shape,
        data,
        codes: Codes::Columns { bits },
        meaning: Meaning::Integers {
            bits,
            zeros: Zeros::Each(transposed(&zeros, outputs)),
        },
        scales: transposed(&parts.numbers("scales", zeros.len())?, outputs),
        groups: indexed("g_idx", parts, scheme, inputs, groups)?,
        unit: 1.0,
    })
}
