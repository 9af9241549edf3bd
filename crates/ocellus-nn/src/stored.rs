//! Matrices as stored in a checkpoint: rows that have to be packed, or packed already.

use std::sync::Arc;

use ocellus_kernels::matrix::Matrix;
use ocellus_kernels::quant::{Bits, Bytes, Format, PackedQ};
use ocellus_weights::{Dtype, Weights};

use crate::LoadError;
use crate::rows::Rows;

/// A matrix of a checkpoint.
pub enum Stored {
    Rows(Box<Rows>),
    Packed(PackedQ),
}

/// The version of the packed layout, which [`Format`] describes.
pub const LAYOUT: &str = "ocellus-packed-1";

/// The metadata key that states on how many rows the importance of weights was measured.
pub const CALIBRATED: &str = "ocellus-calibrated";

/// The metadata key that describes a packed matrix.
pub fn key(name: &str) -> String {
    format!("{LAYOUT}:{name}")
}

/// The description of a packed matrix: bits, group, rows, columns, and the exponent of the unit.
pub fn describe(packed: &PackedQ) -> String {
    let Format { bits, group } = packed.format();
    let exponent = packed.unit().log2();
    format!(
        "{} {group} {} {} {exponent}",
        bits.count(),
        packed.n(),
        packed.k()
    )
}

/// Bits, rows and columns of the packed matrix `name`, as its file describes it; `None` when the checkpoint stores it otherwise.
pub fn described(weights: &Weights, name: &str) -> Option<(u32, [usize; 2])> {
    let (format, shape, _) = parse(weights.metadata().get(&key(name))?)?;
    Some((format.bits.count() as u32, shape))
}

/// Bytes of a tensor, with a reference that keeps its file mapped.
struct Lent {
    weights: Arc<Weights>,
    name: String,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        let bytes = self.weights.bytes(&self.name);
        bytes.expect("the tensor was there when its file was opened")
    }
}

/// The packed matrix `name` of shape `[rows, columns]`; `None` when the checkpoint stores it otherwise.
pub(crate) fn packed(
    weights: &Arc<Weights>,
    name: &str,
    shape: [usize; 2],
) -> Result<Option<PackedQ>, LoadError> {
    let Some(description) = weights.metadata().get(&key(name)) else {
        return Ok(None);
    };
    let wrong = |reason: String| LoadError::Packed {
        name: name.to_owned(),
        reason,
    };
    let (format, found, unit) =
        parse(description).ok_or_else(|| wrong(format!("its description is `{description}`")))?;
    if found != shape {
        return Err(LoadError::Shape {
            name: name.to_owned(),
            expected: shape.to_vec(),
            found: found.to_vec(),
        });
    }
    let view = weights.view(name)?;
    if view.dtype != Dtype::U8 {
        return Err(wrong(format!("its type is {}", view.dtype)));
    }
    let bytes = Bytes(Arc::new(Lent {
        weights: weights.clone(),
        name: name.to_owned(),
    }));
    let packed = PackedQ::from_bytes(format, (shape[0], shape[1]), unit, bytes);
    packed.map(Some).map_err(|error| wrong(error.to_string()))
}

fn parse(description: &str) -> Option<(Format, [usize; 2], f32)> {
    let mut words = description.split(' ');
    let mut number = || words.next()?.parse::<i64>().ok();
    let bits = match number()? {
        4 => Bits::Four,
        6 => Bits::Six,
        8 => Bits::Eight,
        _ => return None,
    };
    let mut size = || usize::try_from(number()?).ok();
    let (group, rows, columns) = (size()?, size()?, size()?);
    let exponent = number()?;
    let unit = (-126..=127)
        .contains(&exponent)
        .then(|| (exponent as f32).exp2())?;
    if words.next().is_some() {
        return None;
    }
    Some((Format { bits, group }, [rows, columns], unit))
}

/// The name of the bias beside the quantised matrix `name` if it is all zero: some writers add one to every matrix.
pub(crate) fn empty_bias(weights: &Weights, name: &str) -> Option<String> {
    let base = name
        .strip_suffix("weight")
        .filter(|_| weights.is_quantised(name))?;
    let bias = format!("{base}bias");
    let values = weights.view(&bias).ok()?.to_f32().ok()?;
    values.iter().all(|value| *value == 0.0).then_some(bias)
}

/// A matrix that was packed while loading, with its name in the checkpoint.
pub type Kept = (String, Arc<Matrix>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions() {
        let good = "4 64 2048 1280 -27";
        let (format, shape, unit) = parse(good).unwrap();
        assert_eq!((format, shape), (Format::Q4, [2048, 1280]));
        assert_eq!(unit, 2.0_f32.powi(-27));
        for bad in [
            "",
            "4",
            "5 64 1 1 0",
            "4 64 1 1",
            "4 64 1 1 0 0",
            "4 -64 1 1 0",
            "4 64 1 1 1000",
            "4 64 1 99999999999999999999 0",
            "x 64 1 1 0",
            "4  64 1 1 0",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
