//! The container before torch 1.6: pickles and raw storages, one after the other in one stream.
//!
//! In order: a magic number, the version of the protocol, a dictionary about the machine, the saved object, the list of
//! the storages' keys (five pickles); then each storage, a count of elements in 8 bytes and the elements.

use super::machine::{self, Outcome};
use super::value::Value;
use crate::{Dtype, Result, WeightsError};
use std::collections::HashMap;
use std::ops::Range;

/// 0x1950a86a20f9469cfc6c, as a pickled integer holds it.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;

/// The saved object, and where the storages lie.
pub(super) fn read<'p>(
    bytes: &'p [u8],
    file: &'p str,
) -> Result<(Outcome<'p>, HashMap<&'p str, Range<usize>>)> {
    let not_torch = |reason: &str| WeightsError::NotTorch {
        file: file.to_string(),
        reason: reason.to_string(),
    };
    let magic = machine::run(bytes, 0, file)?;
    if magic.value != Value::Long(&MAGIC) {
        return Err(not_torch(
            "it is a pickle, but does not begin with torch's magic number",
        ));
    }
    let protocol = machine::run(bytes, magic.end, file)?;
    if protocol.value != Value::Int(PROTOCOL) {
        return Err(not_torch("its protocol version is unknown (expected 1001)"));
    }
    let machine = machine::run(bytes, protocol.end, file)?;
    if !says_little_endian(&machine) {
        return Err(not_torch("it was not written on a little-endian machine"));
    }
    let saved = machine::run(bytes, machine.end, file)?;
    let keys = machine::run(bytes, saved.end, file)?;
    let storages = storages(bytes, file, &saved, &keys)?;
    Ok((saved, storages))
}

fn says_little_endian(machine: &Outcome) -> bool {
    let Value::Dict(place) = machine.value else {
        return false;
    };
    machine.heap.dicts[place].contains(&(Value::Text("little_endian"), Value::Bool(true)))
}

/// Walks over the storages in the order of `keys`.
fn storages<'p>(
    bytes: &[u8],
    file: &str,
    saved: &Outcome<'p>,
    keys: &Outcome<'p>,
) -> Result<HashMap<&'p str, Range<usize>>> {
    let damaged = |at: usize, reason: String| WeightsError::Pickle {
        file: file.to_string(),
        at: at as u64,
        reason,
    };
    let Value::List(list) = keys.value else {
        return Err(damaged(keys.end, "the list of storages is no list".to_string()));
    };
    let mut types = HashMap::<&str, (Dtype, i64)>::new();
    for storage in &saved.heap.storages {
        let described = (storage.dtype, storage.elements);
        if *types.entry(storage.key).or_insert(described) != described {
            let key = storage.key.escape_debug();
            return Err(damaged(
                saved.end,
                format!("storage `{key}` has two types or lengths"),
            ));
        }
    }
    let mut places = HashMap::new();
    let mut at = keys.end;
    for key in &keys.heap.lists[list] {
        let Value::Text(key) = key else {
            return Err(damaged(keys.end, "the key of a storage is no text".to_string()));
        };
        let shown = key.escape_debug();
        let Some((dtype, elements)) = types.get(key) else {
            return Err(damaged(
                at,
                format!("no tensor says what storage `{shown}` holds"),
            ));
        };
        let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
        let found = found.map(|count| i64::from_le_bytes(*count));
        if found.is_some_and(|found| found != *elements) {
            let found = found.unwrap_or_default();
            return Err(damaged(
                at,
                format!("storage `{shown}` should have {elements} elements, found {found}"),
            ));
        }
        let start = at + 8;
        let end = usize::try_from(*elements)
            .ok()
            .and_then(|count| count.checked_mul(dtype.size_bytes())?.checked_add(start));
        let Some(end) = end.filter(|end| found.is_some() && *end <= bytes.len()) else {
            return Err(damaged(
                at,
                format!("the file ends within storage `{shown}` ({elements} elements of {dtype})"),
            ));
        };
        if places.insert(*key, start..end).is_some() {
            return Err(damaged(at, format!("storage `{shown}` is listed twice")));
        }
        at = end;
    }
    match bytes.len() - at {
        0 => Ok(places),
        rest => Err(WeightsError::Unclaimed {
            file: file.to_string(),
            at: at as u64,
            found: rest as u64,
        }),
    }
}
