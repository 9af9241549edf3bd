//! MLX: integers of 2 to 8 bits, with a scale and an offset for each group.
//!
//! ```text
//! weight   u32 [outputs, inputs * bits / 32]   a stream of bits for each output
//! scales   f16 [outputs, inputs / group]
//! biases   f16 [outputs, inputs / group]
//! ```
//!
//! A weight is `scale * value + bias`. Bits and group are named by the config, for all matrices and for single ones; without it they
//! are told from the shapes, where those leave one choice of the published ones.

use super::codes::Codes;
use super::layout::Layout;
use super::matrix::{Groups, Meaning, QuantisedMatrix};
use super::parts::{Parts, Reason};
use super::scheme::Scheme;
use crate::Dtype;

pub(super) static LAYOUT: Layout = Layout {
    name: "MLX",
    mark: "biases",
    beside: &["weight", "scales"],
    claims: |parts, _| {
        parts
            .find("weight")
            .is_some_and(|part| part.entry.dtype == Dtype::U32)
    },
    shape,
    open,
};

/// Published bits and groups, the usual ones first.
const BITS: [usize; 6] = [4, 8, 6, 3, 5, 2];
const GROUPS: [usize; 4] = [64, 32, 128, 16];

/// Bits and group of a matrix.
fn sizes(parts: &Parts, scheme: &Scheme) -> Reason<[usize; 2]> {
    let ([_, words], [_, groups]) = (parts.table("weight")?, parts.table("scales")?);
    // Words of 32 bits over groups are the bits of a group.
    let fits = |[bits, group]: &[usize; 2]| {
        let inputs = groups.checked_mul(*group);
        BITS.contains(bits)
            && *group > 0
            && inputs.and_then(|n| n.checked_mul(*bits)) == words.checked_mul(32)
    };
    let module = parts.base.trim_end_matches('.');
    let same = |name: &str| {
        let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('.'));
        name == module || ends(name, module) || ends(module, name)
    };
    let own = scheme
        .modules
        .iter()
        .find(|(name, _)| same(name))
        .map(|(_, sizes)| *sizes);
    let said = own.into_iter().chain(scheme.affine);
    // A module without a rule of its own may differ in its bits alone.
    let of_group = scheme
        .affine
        .iter()
        .flat_map(|[_, group]| BITS.map(|bits| [bits, *group]));
    let any = GROUPS.iter().flat_map(|group| BITS.map(|bits| [bits, *group]));
    let mut all = said.chain(of_group).chain(any);
    all.find(fits)
        .ok_or_else(|| parts.shape("weight", &format!("words of {groups} groups of a published size")))
}

fn shape(parts: &Parts, scheme: &Scheme) -> Reason<[usize; 2]> {
    let [outputs, _] = parts.table("weight")?;
    let ([_, group], [_, groups]) = (sizes(parts, scheme)?, parts.table("scales")?);
    for end in ["scales", "biases"] {
        parts.of(end, &[Dtype::F16, Dtype::Bf16, Dtype::F32], &[outputs, groups])?;
    }
    Ok([outputs, groups * group])
}

fn open(parts: &Parts, scheme: &Scheme, shape: [usize; 2]) -> Reason<QuantisedMatrix> {
    let ([bits, group], [outputs, inputs]) = (sizes(parts, scheme)?, shape);
    let (bits, groups) = (bits as u8, outputs * (inputs / group));
    Ok(QuantisedMatrix {
        shape,
        data: parts.part("weight")?.clone(),
        codes: Codes::Rows {
            bits,
            stride: inputs * usize::from(bits) / 8,
        },
        meaning: Meaning::Offsets {
            bits,
            offsets: parts.numbers("biases", groups)?,
        },
        groups: Groups::Blocks { rows: 1, cols: group },
        scales: parts.numbers("scales", groups)?,
        unit: 1.0,
    })
}
