//! The safetensors header: eight bytes of length, then JSON that maps names to type, shape and byte range.
//!
//! Everything is checked here, against the length of the whole file, so that later accesses cannot fail: types are known,
//! ranges equal shape times element size, and the ranges cover the data section exactly, without gap or overlap.

use crate::{Dtype, Result, WeightsError};
use ocellus_base::limits;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use std::collections::{BTreeMap, HashSet};
use std::{fmt, ops::Range};

/// Longest header that is accepted. Published checkpoints stay below a few MiB.
pub const MAX_HEADER_BYTES: u64 = limits::WEIGHTS_HEADER_BYTES;
/// Largest number of tensors in one file.
pub const MAX_TENSORS: usize = limits::TENSORS;
/// Largest number of dimensions of one tensor.
pub const MAX_RANK: usize = limits::TENSOR_AXES;

/// Where one tensor lies in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// In bytes from the start of the file.
    pub range: Range<usize>,
}

#[derive(Debug, Default)]
pub(crate) struct Header {
    pub tensors: BTreeMap<String, Entry>,
    pub metadata: BTreeMap<String, String>,
}

impl Header {
    /// Parses and checks the header of `bytes`, a whole file that messages call `file`.
    pub(crate) fn parse(bytes: &[u8], file: &str) -> Result<Header> {
        let not_safetensors = |reason: String| WeightsError::NotSafetensors {
            file: file.to_string(),
            reason,
        };
        if bytes.starts_with(b"version https://git-lfs") {
            return Err(WeightsError::LfsPointer {
                file: file.to_string(),
            });
        }
        if let Some(what) = foreign_format(bytes) {
            return Err(not_safetensors(what.to_string()));
        }
        let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(not_safetensors(format!(
                "expected at least 8 bytes, found {}",
                bytes.len()
            )));
        };
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER_BYTES {
            return Err(WeightsError::HeaderTooLarge {
                file: file.to_string(),
                found: length,
                limit: MAX_HEADER_BYTES,
            });
        }
        let header_bytes = length as usize; // at most 64 MiB
        let Some((json, data)) = rest.split_at_checked(header_bytes) else {
            let reason = format!(
                "its header should be {length} bytes, the file ends after {}",
                rest.len()
            );
            return Err(not_safetensors(reason));
        };
        let damaged = |reason: String| WeightsError::Header {
            file: file.to_string(),
            reason,
        };
        if json.first() != Some(&b'{') {
            return Err(damaged("expected it to begin with `{`".to_string()));
        }
        let json = std::str::from_utf8(json).map_err(|e| damaged(e.to_string()))?;
        let raw: Raw = serde_json::from_str(json).map_err(|e| damaged(e.to_string()))?;
        if raw.over_limit {
            return Err(WeightsError::TooManyTensors {
                file: file.to_string(),
                limit: MAX_TENSORS,
            });
        }
        let data_start = 8 + header_bytes;
        let mut checked = Vec::with_capacity(raw.tensors.len());
        for (name, info) in raw.tensors {
            let entry = check(file, &name, info, data_start, data.len())?;
            checked.push((name, entry));
        }
        check_coverage(file, &mut checked, data_start, data.len())?;
        let mut tensors = BTreeMap::new();
        for (name, entry) in checked {
            if tensors.contains_key(&name) {
                return Err(WeightsError::Duplicate {
                    file: file.to_string(),
                    tensor: name,
                });
            }
            tensors.insert(name, entry);
        }
        Ok(Header {
            tensors,
            metadata: raw.metadata,
        })
    }
}

/// Names a few formats that are often put in the place of safetensors, by their first bytes.
pub(crate) fn foreign_format(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Some("it is a zip archive (perhaps a torch checkpoint)");
    }
    if bytes.starts_with(b"<!DOCTYPE") || bytes.starts_with(b"<html") || bytes.starts_with(b"<!doctype") {
        return Some("it is an HTML page (perhaps the error page of a failed download)");
    }
    None
}

/// One tensor on its own: type, rank, length and range.
fn check(file: &str, name: &str, info: Info, data_start: usize, data_bytes: usize) -> Result<Entry> {
    let (file, tensor) = (|| file.to_string(), || name.to_string());
    let Some(dtype) = Dtype::from_name(&info.dtype) else {
        return Err(WeightsError::UnknownDtype {
            file: file(),
            tensor: tensor(),
            found: info.dtype,
        });
    };
    if info.shape.len() > MAX_RANK {
        let found = info.shape.len();
        return Err(WeightsError::RankTooLarge {
            file: file(),
            tensor: tensor(),
            found,
            limit: MAX_RANK,
        });
    }
    let Some(expected) = dtype.length_bytes(&info.shape) else {
        return Err(WeightsError::ShapeOverflow {
            file: file(),
            tensor: tensor(),
            shape: info.shape,
        });
    };
    let (start, end) = info.data_offsets;
    if start > end || end > data_bytes as u64 {
        let data_bytes = data_bytes as u64;
        return Err(WeightsError::OutOfRange {
            file: file(),
            tensor: tensor(),
            start,
            end,
            data_bytes,
        });
    }
    if end - start != expected as u64 {
        return Err(WeightsError::Length {
            file: file(),
            tensor: tensor(),
            dtype,
            shape: info.shape,
            expected: expected as u64,
            found: end - start,
        });
    }
    // Both offsets are at most `data_bytes`, a usize.
    let range = data_start + start as usize..data_start + end as usize;
    Ok(Entry {
        dtype,
        shape: info.shape,
        range,
    })
}

/// All tensors together must cover the data section exactly once. Sorts `tensors` by place.
fn check_coverage(
    file: &str,
    tensors: &mut [(String, Entry)],
    data_start: usize,
    data_bytes: usize,
) -> Result<()> {
    tensors.sort_by_key(|tensor| (tensor.1.range.start, tensor.1.range.end));
    let mut covered = data_start;
    let mut last = "";
    for (name, entry) in tensors.iter() {
        if entry.range.start > covered {
            let (at, found) = (covered - data_start, entry.range.start - covered);
            return Err(WeightsError::Unclaimed {
                file: file.to_string(),
                at: at as u64,
                found: found as u64,
            });
        }
        if entry.range.start < covered {
            return Err(WeightsError::Overlap {
                file: file.to_string(),
                tensor: name.clone(),
                other: last.to_string(),
                start: (entry.range.start - data_start) as u64,
                other_end: (covered - data_start) as u64,
            });
        }
        covered = entry.range.end;
        last = name;
    }
    let end = data_start + data_bytes;
    if covered != end {
        let (at, found) = ((covered - data_start) as u64, (end - covered) as u64);
        return Err(WeightsError::Unclaimed {
            file: file.to_string(),
            at,
            found,
        });
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// The JSON as it stands, in file order, so that a name given twice is seen.
struct Raw {
    tensors: Vec<(String, Info)>,
    metadata: BTreeMap<String, String>,
    over_limit: bool,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Raw, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Raw, A::Error> {
                let mut raw = Raw {
                    tensors: Vec::new(),
                    metadata: BTreeMap::new(),
                    over_limit: false,
                };
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        raw.metadata = map
                            .next_value()
                            .map_err(|e| A::Error::custom(format!("`__metadata__`: {e}")))?;
                    } else if raw.tensors.len() == MAX_TENSORS {
                        raw.over_limit = true;
                        map.next_value::<serde::de::IgnoredAny>()?;
                    } else {
                        let info: Info = map
                            .next_value()
                            .map_err(|e| A::Error::custom(format!("tensor `{name}`: {e}")))?;
                        raw.tensors.push((name, info));
                    }
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// The first of `names` that occurs twice.
pub(crate) fn first_duplicate<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}
