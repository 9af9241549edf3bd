//! Torch checkpoints (`.bin`, `.pt`, `.pth`), read without running anything of them.
//!
//! A torch file is a pickle, which is a program for a small stack machine, and raw storages beside it. This machine supports only
//! data, ordered dictionaries and tensors; a pickle that wants to import anything else is refused with the name of the import.
//! Tensors stay where they are in the file; only those whose rows do not lie one after the other there (a transposed matrix)
//! are copied, and all copies together are never larger than the file.

mod archive;
mod layout;
mod machine;
mod opcode;
mod reader;
mod rebuild;
mod state_dict;
mod stream;
mod value;

use crate::header::{Entry, foreign_format};
use crate::{Dtype, Result, WeightsError};
use archive::Archive;
use layout::TensorLayout;
use machine::Outcome;
use ocellus_base::limits;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// What torch checkpoints are called.
pub(crate) const ENDINGS: &[&str] = &[".bin", ".pt", ".pth", ".ckpt", ".th"];

/// The tensors of one file.
pub(crate) struct Tensors {
    /// Where each tensor lies: in the file, or in one of the copies.
    pub placed: BTreeMap<String, (Option<usize>, Entry)>,
    pub copies: Vec<Vec<u8>>,
}

/// Whether the file called `name` is to be read as a torch checkpoint.
///
/// Safetensors begin with 8 bytes of length and `{`, which neither a zip archive nor a pickle that torch writes does. The name
/// decides what else is left: a damaged file is reported as what it claims to be.
pub(crate) fn is_torch(bytes: &[u8], name: &str) -> bool {
    if name.ends_with(".safetensors") || bytes.get(8) == Some(&b'{') {
        return false;
    }
    ENDINGS.iter().any(|end| name.ends_with(end)) || bytes.starts_with(b"PK") || looks_pickled(bytes)
}

/// Protocols 2 and later begin with their number; of the earlier ones, a first opcode GLOBAL or MARK is accepted too: the
/// refusal can then name what the pickle wants to import.
fn looks_pickled(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..] | [b'c' | b'(', ..])
}

/// Reads `bytes`, a whole file that messages call `file`.
pub(crate) fn read(bytes: &[u8], file: &str) -> Result<Tensors> {
    let not_torch = |reason: String| WeightsError::NotTorch {
        file: file.to_string(),
        reason,
    };
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(WeightsError::LfsPointer {
            file: file.to_string(),
        });
    }
    if bytes.starts_with(b"PK") {
        return read_archive(bytes, file);
    }
    if looks_pickled(bytes) {
        let (saved, storages) = stream::read(bytes, file)?;
        return collect(bytes, file, &saved, &storages);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        let reason =
            "it is a tar archive, the format of torch before 0.1.10: load and save it with a newer torch";
        return Err(not_torch(reason.to_string()));
    }
    Err(not_torch(match foreign_format(bytes) {
        Some(what) => what.to_string(),
        None => {
            let first: Vec<String> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            let first = first.join(" ");
            format!(
                "expected a zip archive or a pickle, found {} bytes ({first} …)",
                bytes.len()
            )
        }
    }))
}

fn read_archive(bytes: &[u8], file: &str) -> Result<Tensors> {
    let refuse = |reason: String| WeightsError::NotTorch {
        file: file.to_string(),
        reason,
    };
    let archive = Archive::read(bytes, file)?;
    let pickles: Vec<&str> = archive
        .files
        .keys()
        .filter_map(|name| name.strip_suffix("data.pkl"))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('/'))
        .collect();
    let [prefix] = pickles[..] else {
        let found = pickles.len();
        return Err(refuse(format!(
            "it is a zip archive with {found} files `data.pkl`, expected one"
        )));
    };
    let beside = |name: &str| archive.files.get(format!("{prefix}{name}").as_str());
    if beside("constants.pkl").is_some() {
        let reason =
            "it is a TorchScript archive, which is a program with its weights: save the state dict alone";
        return Err(refuse(reason.to_string()));
    }
    if let Some((name, method)) = archive.compressed {
        let name = name.escape_debug();
        return Err(refuse(format!(
            "`{name}` in it is compressed (method {method}), so that it cannot be mapped: load and save it with torch, or \
             pack it again without compression"
        )));
    }
    if let Some(order) = beside("byteorder")
        && &bytes[order.clone()] != b"little"
    {
        return Err(refuse("its byte order is not `little`".to_string()));
    }
    let pickle = archive.files[format!("{prefix}data.pkl").as_str()].clone();
    let saved = machine::run(&bytes[pickle], 0, file)?;
    let folder = format!("{prefix}data/");
    let storages = archive
        .files
        .iter()
        .filter_map(|(name, place)| Some((name.strip_prefix(folder.as_str())?, place.clone())))
        .collect();
    collect(bytes, file, &saved, &storages)
}

/// Finds the tensors of the state dict in their storages.
fn collect(
    bytes: &[u8],
    file: &str,
    saved: &Outcome,
    storages: &HashMap<&str, Range<usize>>,
) -> Result<Tensors> {
    let Some(tensors) = state_dict::find(saved) else {
        return Err(WeightsError::NotTorch {
            file: file.to_string(),
            reason: "nothing saved in it is a dictionary of tensors".to_string(),
        });
    };
    if tensors.len() > limits::TENSORS {
        return Err(WeightsError::TooManyTensors {
            file: file.to_string(),
            limit: limits::TENSORS,
        });
    }
    let mut copies = Copies::default();
    let mut placed = BTreeMap::new();
    for (name, tensor) in tensors {
        let refuse = |reason: String| WeightsError::Tensor {
            file: file.to_string(),
            tensor: name.to_string(),
            reason,
        };
        let tensor = &saved.heap.tensors[tensor];
        let storage = &saved.heap.storages[tensor.storage];
        let dtype = storage.dtype;
        let place = part(storage.part, storage.elements, dtype, storages.get(storage.key))
            .map_err(|reason| refuse(format!("storage `{}` {reason}", storage.key.escape_debug())))?;
        let layout = TensorLayout::check(tensor, dtype, place.len() / dtype.size_bytes()).map_err(refuse)?;
        let (copy, range) = match layout.contiguous() {
            Some(range) => (None, place.start + range.start..place.start + range.end),
            None => {
                let length = layout.bytes();
                let copy = copies.add(&layout, bytes, place).map_err(refuse)?;
                (Some(copy), 0..length)
            }
        };
        let shape = layout.shape;
        if placed
            .insert(name.to_string(), (copy, Entry { dtype, shape, range }))
            .is_some()
        {
            return Err(WeightsError::Duplicate {
                file: file.to_string(),
                tensor: name.to_string(),
            });
        }
    }
    Ok(Tensors {
        placed,
        copies: copies.made,
    })
}

/// The bytes of the part of a storage that tensors may use; the error is the end of a sentence.
fn part(
    (first, count): (i64, i64),
    elements: i64,
    dtype: Dtype,
    found: Option<&Range<usize>>,
) -> std::result::Result<Range<usize>, String> {
    let found = found.ok_or("is not in the file")?;
    let bytes = |elements: i64| usize::try_from(elements).ok()?.checked_mul(dtype.size_bytes());
    let fits = |needed: &usize| *needed <= found.len();
    let (Some(first), Some(count), Some(_)) = (bytes(first), bytes(count), bytes(elements).filter(fits))
    else {
        let found = found.len();
        return Err(format!(
            "should hold {elements} elements of {dtype}, found {found} bytes"
        ));
    };
    // The part lies within `elements`; that was checked when its description was read.
    Ok(found.start + first..found.start + first + count)
}

/// Tensors that had to be put in order. Tied ones are copied once.
#[derive(Default)]
struct Copies {
    made: Vec<Vec<u8>>,
    known: HashMap<(Range<usize>, TensorLayout), usize>,
    total_bytes: usize,
}

impl Copies {
    /// Place of the copy; the error is the reason.
    fn add(
        &mut self,
        layout: &TensorLayout,
        bytes: &[u8],
        storage: Range<usize>,
    ) -> std::result::Result<usize, String> {
        let key = (storage, layout.clone());
        if let Some(copy) = self.known.get(&key) {
            return Ok(*copy);
        }
        self.total_bytes += layout.bytes();
        if self.total_bytes > bytes.len() {
            return Err(
                "its rows must be copied, and with it the copies would be larger than the file".to_string(),
            );
        }
        self.made.push(layout.gather(&bytes[key.0.clone()]));
        self.known.insert(key, self.made.len() - 1);
        Ok(self.made.len() - 1)
    }
}
