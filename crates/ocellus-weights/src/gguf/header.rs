//! The header: counts, metadata, the table of tensors; checked against the length of the file.

use super::metadata::{self, Stored};
use super::reader::Reader;
use super::types;
use crate::header::{Entry, first_duplicate};
use crate::{Dtype, Result, WeightsError};
use ocellus_base::limits;
use std::collections::BTreeMap;

/// The first bytes of a file.
pub(crate) const MAGIC: &[u8] = b"GGUF";

/// Versions that are read. The first one counted in 32 bits.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;
/// Dimensions of a tensor.
const MAX_RANK: u32 = 4;
/// Where data begins, and each tensor's, unless the metadata say otherwise.
const ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 20;
const ALIGNMENT_KEY: &str = "general.alignment";

/// The header of one file.
pub(crate) struct Table {
    pub tensors: BTreeMap<String, Entry>,
    pub values: BTreeMap<String, Stored>,
}

/// A tensor as the table lists it.
struct Listed {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    length: u64,
    offset: u64,
}

/// Parses and checks the header of `bytes`, a whole file that messages call `file`.
pub(crate) fn parse(bytes: &[u8], file: &str) -> Result<Table> {
    let not_gguf = |reason: String| WeightsError::NotGguf {
        file: file.to_string(),
        reason,
    };
    if !bytes.starts_with(MAGIC) {
        return Err(not_gguf("it does not begin with `GGUF`".to_string()));
    }
    let mut reader = Reader::new(file, bytes);
    reader.skip(MAGIC.len() as u64, "the first word")?;
    let version = reader.u32("the version")?;
    if VERSIONS.contains(&version.swap_bytes()) {
        return Err(not_gguf(
            "its numbers are big-endian, little-endian ones are read".to_string(),
        ));
    }
    if !VERSIONS.contains(&version) {
        return Err(not_gguf(format!("its version is {version}, 2 and 3 are read")));
    }
    let (tensors, keys) = (
        reader.u64("the number of tensors")?,
        reader.u64("the number of keys")?,
    );
    if tensors > limits::TENSORS as u64 {
        return Err(WeightsError::TooManyTensors {
            file: file.to_string(),
            limit: limits::TENSORS,
        });
    }
    if keys > limits::METADATA_KEYS as u64 {
        let limit = limits::METADATA_KEYS;
        return Err(reader.damaged(format!(
            "it lists {keys} keys, more than the {limit} that are accepted"
        )));
    }
    let mut values = BTreeMap::new();
    for _ in 0..keys {
        let key = reader.name("a key")?;
        let value = metadata::read(&mut reader, key)?;
        if values.insert(key.to_string(), value).is_some() {
            return Err(reader.damaged(format!("the key `{key}` is listed twice")));
        }
    }
    let alignment = alignment(&reader, bytes, &values)?;
    let mut listed = Vec::new();
    for _ in 0..tensors {
        listed.push(tensor(&mut reader, alignment)?);
    }
    if let Some(tensor) = first_duplicate(listed.iter().map(|tensor| tensor.name.as_str())) {
        return Err(WeightsError::Duplicate {
            file: file.to_string(),
            tensor: tensor.to_string(),
        });
    }
    // The header ends below its limit of bytes, so this cannot overflow.
    let data_start = (reader.at() as u64).next_multiple_of(alignment);
    let tensors = place(file, listed, alignment, data_start, bytes.len() as u64)?;
    Ok(Table { tensors, values })
}

/// Data begins, and each tensor's data, at a multiple of this.
fn alignment(reader: &Reader<'_>, bytes: &[u8], values: &BTreeMap<String, Stored>) -> Result<u64> {
    let Some(stored) = values.get(ALIGNMENT_KEY) else {
        return Ok(ALIGNMENT);
    };
    let found = stored.size(bytes);
    found
        .filter(|n| n.is_power_of_two() && *n <= MAX_ALIGNMENT)
        .ok_or_else(|| {
            reader.damaged(format!(
                "`{ALIGNMENT_KEY}` is {}, expected a power of two up to {MAX_ALIGNMENT}",
                found.map_or("no whole number".to_string(), |n| n.to_string())
            ))
        })
}

/// One row of the table. Sides are stored with the fastest one first, the other way round than elsewhere.
fn tensor(reader: &mut Reader<'_>, alignment: u64) -> Result<Listed> {
    let name = reader.name("the name of a tensor")?.to_string();
    let (file, what) = (reader.file, format!("the row of tensor `{name}`"));
    let unread = |reason: String| WeightsError::Tensor {
        file: file.to_string(),
        tensor: name.clone(),
        reason,
    };
    let rank = reader.u32(&what)?;
    if rank > MAX_RANK {
        return Err(WeightsError::RankTooLarge {
            file: file.to_string(),
            tensor: name,
            found: rank as usize,
            limit: MAX_RANK as usize,
        });
    }
    let mut sides = Vec::new();
    for _ in 0..rank {
        sides.push(reader.u64(&what)?);
    }
    sides.reverse();
    let number = reader.u32(&what)?;
    let offset = reader.u64(&what)?;
    if sides.is_empty() || sides.contains(&0) {
        return Err(unread(format!("its shape {sides:?} has no elements")));
    }
    let dtype = types::of_tensor(number).map_err(|found| {
        unread(format!(
            "it is stored as {found}; the types that are read are {}",
            types::read()
        ))
    })?;
    let sized: Option<Vec<usize>> = sides.iter().map(|side| usize::try_from(*side).ok()).collect();
    let Some(shape) = sized else {
        return Err(unread(format!(
            "its shape {sides:?} has more bytes than can be addressed"
        )));
    };
    let (block, row) = (dtype.block_elements(), shape[shape.len() - 1]);
    if row % block != 0 {
        return Err(unread(format!(
            "its rows of {row} elements are not whole blocks of {block} ({dtype})"
        )));
    }
    let Some(length) = dtype.length_bytes(&shape) else {
        return Err(WeightsError::ShapeOverflow {
            file: file.to_string(),
            tensor: name,
            shape,
        });
    };
    if offset % alignment != 0 {
        return Err(unread(format!(
            "it lies at byte {offset} of the data, which is no multiple of the alignment {alignment}"
        )));
    }
    Ok(Listed {
        name,
        dtype,
        shape,
        length: length as u64,
        offset,
    })
}

/// Every tensor's place in the file: in order, one after another, with no more between them than alignment needs.
fn place(
    file: &str,
    mut listed: Vec<Listed>,
    alignment: u64,
    data_start: u64,
    file_bytes: u64,
) -> Result<BTreeMap<String, Entry>> {
    let data_bytes = file_bytes.saturating_sub(data_start);
    listed.sort_by_key(|tensor| (tensor.offset, tensor.length));
    let mut tensors = BTreeMap::<String, Entry>::new();
    let (mut covered, mut last) = (0, String::new());
    for Listed {
        name,
        dtype,
        shape,
        length,
        offset,
    } in listed
    {
        let end = offset.saturating_add(length);
        if end > data_bytes {
            return Err(WeightsError::OutOfRange {
                file: file.to_string(),
                tensor: name,
                start: offset,
                end,
                data_bytes,
            });
        }
        if offset < covered {
            return Err(WeightsError::Overlap {
                file: file.to_string(),
                tensor: name,
                other: last,
                start: offset,
                other_end: covered,
            });
        }
        unclaimed(file, covered, offset, alignment)?;
        // Both ends lie in the file, whose length is a usize.
        let range = (data_start + offset) as usize..(data_start + end) as usize;
        covered = end;
        last.clone_from(&name);
        let entry = Entry { dtype, shape, range };
        tensors.insert(name, entry);
    }
    unclaimed(file, covered, data_bytes, alignment)?;
    Ok(tensors)
}

/// Fails when more lies between two places than alignment explains.
fn unclaimed(file: &str, from: u64, to: u64, alignment: u64) -> Result<()> {
    if to - from < alignment {
        return Ok(());
    }
    Err(WeightsError::Unclaimed {
        file: file.to_string(),
        at: from,
        found: to - from,
    })
}
