//! Matrices as a checkpoint holds them: rows to be packed, or packed before.

use std::sync::Arc;

use ocellus_kernels::matrix::Matrix;
use ocellus_kernels::quant::{Bits, Bytes, Format, PackedQ};
use ocellus_weights::{Dtype, Weights};

use crate::LoadError;
use crate::rows::Rows;

/// A matrix of a checkpoint.
pub enum Stored {
    Rows(Rows),
    Packed(PackedQ),
}

/// The version of the packed layout; see [`Format`] for what it says.
pub const LAYOUT: &str = "ocellus-packed-1";

/// The key of a checkpoint's metadata under which a packed matrix is described.
pub fn key(name: &str) -> String {
    format!("{LAYOUT}:{name}")
}

/// What is said of a packed matrix: bits, group, rows, columns, and the exponent of the unit.
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

/// Bytes of a tensor, which its file keeps alive.
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

/// The packed matrix `name` of shape `[rows, columns]`; nothing when the checkpoint has no such one.
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

/// A matrix that was packed while a model was loaded, under its name in the checkpoint.
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
