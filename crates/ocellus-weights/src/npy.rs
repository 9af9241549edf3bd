//! Arrays of numpy: the `.npy` format, and the `.npz` archive of several.
//!
//! Numbers only: an array of Python objects is a pickle and is refused. Layout: numpy's format description, versions 1.0
//! to 3.0 (NEP 1).

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use half::f16;
use zip::ZipArchive;
use zip::result::ZipError;

/// What every archive begins with.
pub(crate) const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// What every single array begins with.
pub(crate) const NPY_MAGIC: &[u8] = b"\x93NUMPY";

/// Axes of one array.
const MAX_AXES: usize = 8;

/// Numbers with a shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// The requested arrays of a file, and the names of all.
#[derive(Debug, Default)]
pub(crate) struct Arrays {
    pub by_name: BTreeMap<String, Array>,
    pub names: Vec<String>,
}

/// What is wrong with an archive, or with one array of it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub array: Option<String>,
    pub reason: String,
}

impl From<ZipError> for Fault {
    fn from(error: ZipError) -> Self {
        let reason = match error {
            ZipError::UnsupportedArchive(reason) => format!("unsupported archive: {reason}"),
            other => other.to_string(),
        };
        Self { array: None, reason }
    }
}

/// The arrays of an archive that are in `wanted`, of at most `max_bytes` each.
pub(crate) fn read_archive(bytes: &[u8], wanted: &[&str], max_bytes: u64) -> Result<Arrays, Fault> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut arrays = Arrays::default();
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        let name = array_name(&entry.name()?).to_owned();
        arrays.names.push(name.clone());
        if !wanted.contains(&name.as_str()) {
            continue;
        }
        // One byte more than is allowed shows that the declared length is wrong.
        let mut contents = Vec::new();
        let array = match entry.take(max_bytes + 1).read_to_end(&mut contents) {
            Err(error) => Err(error.to_string()),
            Ok(_) if contents.len() as u64 > max_bytes => Err(format!(
                "it is longer than the {max_bytes} bytes that are accepted"
            )),
            Ok(_) => parse(&contents),
        };
        let array = array.map_err(|reason| Fault {
            array: Some(name.clone()),
            reason,
        })?;
        arrays.by_name.insert(name, array);
    }
    Ok(arrays)
}

/// `features.npy` is called `features`.
fn array_name(file: &str) -> &str {
    file.strip_suffix(".npy").unwrap_or(file)
}

/// One `.npy` file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Array, String> {
    let rest = bytes
        .strip_prefix(NPY_MAGIC)
        .ok_or("expected a numpy array, which begins with \\x93NUMPY")?;
    let cut = || "it is cut off in its header".to_owned();
    let major = *rest.first().ok_or_else(cut)?;
    let (length, from) = match major {
        1 => (
            usize::from(u16::from_le_bytes(array_at(rest, 2).ok_or_else(cut)?)),
            4,
        ),
        2 | 3 => (u32::from_le_bytes(array_at(rest, 2).ok_or_else(cut)?) as usize, 6),
        other => return Err(format!("expected version 1 to 3 of the format, found {other}")),
    };
    let header = rest
        .get(from..)
        .and_then(|rest| rest.get(..length))
        .ok_or_else(cut)?;
    let data = &rest[from + length..];
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text".to_owned())?;
    let Header {
        kind,
        columns_first,
        shape,
    } = Header::read(header)?;
    let count = shape
        .iter()
        .try_fold(1usize, |count, side| count.checked_mul(*side));
    let expected = count.and_then(|count| count.checked_mul(kind.bytes));
    if expected != Some(data.len()) {
        let found = data.len();
        return Err(format!(
            "its shape {shape:?} does not fit its {found} bytes of data"
        ));
    }
    let values: Vec<f32> = data
        .chunks_exact(kind.bytes)
        .map(|bytes| kind.value(bytes))
        .collect();
    let values = match (columns_first, &shape[..]) {
        (true, &[rows, columns]) => (0..rows * columns)
            .map(|at| values[at % columns * rows + at / columns])
            .collect(),
        (true, shape) if shape.len() > 2 => {
            return Err("expected the order of C, found the order of Fortran on more than 2 axes".into());
        }
        _ => values,
    };
    Ok(Array { shape, values })
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// An element type: `<f4`, `>i8`, `|u1` …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    big_endian: bool,
    letter: u8,
    bytes: usize,
}

impl Kind {
    fn read(text: &str) -> Option<Self> {
        let (&[order, letter, ref digits @ ..], true) = (text.as_bytes(), text.is_ascii()) else {
            return None;
        };
        let bytes = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let known = match letter {
            b'f' => [2, 4, 8].contains(&bytes),
            b'i' | b'u' => [1, 2, 4, 8].contains(&bytes),
            _ => false,
        };
        (known && b"<>|=".contains(&order)).then_some(Self {
            big_endian: order == b'>',
            letter,
            bytes,
        })
    }

    /// The value of `self.bytes` bytes.
    fn value(self, stored: &[u8]) -> f32 {
        let mut wide = [0u8; 8];
        wide[..self.bytes].copy_from_slice(stored);
        if self.big_endian {
            wide[..self.bytes].reverse();
        }
        let bits = u64::from_le_bytes(wide);
        match (self.letter, self.bytes) {
            (b'f', 2) => f16::from_bits(bits as u16).to_f32(),
            (b'f', 4) => f32::from_bits(bits as u32),
            (b'f', _) => f64::from_bits(bits) as f32,
            (b'u', _) => bits as f32,
            // Shifted up and down again, for sign extension.
            (_, bytes) => {
                let unused = 64 - 8 * bytes as u32;
                ((bits << unused) as i64 >> unused) as f32
            }
        }
    }
}

/// The header is the text of a Python dictionary with three entries.
struct Header {
    kind: Kind,
    columns_first: bool,
    shape: Vec<usize>,
}

impl Header {
    fn read(text: &str) -> Result<Self, String> {
        let entry = |name: &str| {
            let (_, rest) = text.split_once(&format!("'{name}':"))?;
            Some(rest.trim_start())
        };
        let lacks = |name: &str| format!("its header lacks `{name}`");
        let descr = entry("descr").ok_or_else(|| lacks("descr"))?;
        let descr = descr
            .strip_prefix('\'')
            .and_then(|rest| Some(rest.split_once('\'')?.0))
            .ok_or("expected numbers, found records of several fields")?;
        let kind = Kind::read(descr).ok_or_else(|| match descr {
            "|O" => "expected numbers, found Python objects, which are not loaded".to_owned(),
            other => format!(
                "expected floats or integers of 1 to 8 bytes, found `{}`",
                other.escape_debug()
            ),
        })?;
        let order = entry("fortran_order").ok_or_else(|| lacks("fortran_order"))?;
        let shape = entry("shape")
            .and_then(|rest| Some(rest.strip_prefix('(')?.split_once(')')?.0))
            .ok_or_else(|| lacks("shape"))?;
        let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
        let shape: Result<Vec<usize>, _> = sides.map(str::parse).collect();
        let shape = shape.map_err(|_| "expected whole numbers in its shape".to_owned())?;
        if shape.len() > MAX_AXES {
            return Err(format!("expected at most {MAX_AXES} axes, found {}", shape.len()));
        }
        Ok(Self {
            kind,
            columns_first: order.starts_with("True"),
            shape,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [NPY_MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    #[test]
    fn every_kind_of_number() {
        for (descr, data, expected) in [
            ("<f4", 1.5f32.to_le_bytes().to_vec(), 1.5),
            (">f4", 1.5f32.to_be_bytes().to_vec(), 1.5),
            ("<f8", (-0.25f64).to_le_bytes().to_vec(), -0.25),
            ("<f2", f16::from_f32(3.5).to_le_bytes().to_vec(), 3.5),
            ("|i1", vec![0xff], -1.0),
            ("|u1", vec![0xff], 255.0),
            ("<i2", (-300i16).to_le_bytes().to_vec(), -300.0),
            ("<u2", 65_000u16.to_le_bytes().to_vec(), 65_000.0),
            (">i4", (-7i32).to_be_bytes().to_vec(), -7.0),
            ("<i8", (-640i64).to_le_bytes().to_vec(), -640.0),
        ] {
            for (shape, sides) in [("()", vec![]), ("(1,)", vec![1]), ("(1, 1)", vec![1, 1])] {
                let array = parse(&npy(descr, "False", shape, &data));
                let expected = Array {
                    shape: sides,
                    values: vec![expected],
                };
                assert_eq!(array, Ok(expected), "{descr} {shape}");
            }
        }
    }

    #[test]
    fn columns_first_is_turned() {
        let data = [1u8, 4, 2, 5, 3, 6];
        let array = parse(&npy("|u1", "True", "(2, 3)", &data)).unwrap();
        assert_eq!(array.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert!(parse(&npy("|u1", "True", "(1, 2, 3)", &data)).is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!("({})", "1, ".repeat(9));
        for (bytes, part) in [
            (b"PK".to_vec(), "begins with"),
            (NPY_MAGIC.to_vec(), "cut off"),
            ([NPY_MAGIC, &[9, 0, 0, 0]].concat(), "version"),
            ([NPY_MAGIC, &[1, 0, 200, 0]].concat(), "cut off"),
            ([NPY_MAGIC, &[1, 0, 2, 0], b"{}"].concat(), "lacks `descr`"),
            (npy("|O", "False", "(1,)", &[0; 8]), "Python objects"),
            (npy("<c8", "False", "(1,)", &[0; 8]), "found `<c8`"),
            (npy("<U5", "False", "(1,)", &[0; 20]), "found `<U5`"),
            (npy("|u1", "False", "(2, 2)", &[0; 3]), "does not fit"),
            (npy("|u1", "False", "(-2,)", &[0; 3]), "whole numbers"),
            (npy("|u1", "False", &long, &[0]), "axes"),
            (
                npy("<f8", "False", "(18446744073709551615, 2)", &[]),
                "does not fit",
            ),
        ] {
            let reason = parse(&bytes).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }

    proptest! {
        /// No input crashes the program.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..90, byte: u8) {
            let _ = parse(&bytes);
            let _ = parse(&[NPY_MAGIC, &bytes].concat());
            let mut damaged = npy("<f4", "False", "(1, 2)", &[0; 8]);
            let place = at % damaged.len();
            damaged[place] = byte;
            let _ = parse(&damaged);
        }
    }
}
