//! Writing safetensors: a new file appears whole or not at all.

use crate::{Dtype, Result, WeightsError};
use half::{bf16, f16};
use ocellus_base::Unfinished;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Name, element type, shape and little-endian bytes of one tensor.
pub type TensorBytes = (String, Dtype, Vec<usize>, Vec<u8>);

/// One tensor whose bytes lie elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a> {
    pub name: &'a str,
    pub dtype: Dtype,
    pub shape: &'a [usize],
    pub bytes: &'a [u8],
}

impl<'a> From<&'a TensorBytes> for TensorRef<'a> {
    fn from((name, dtype, shape, bytes): &'a TensorBytes) -> Self {
        Self {
            name,
            dtype: *dtype,
            shape,
            bytes,
        }
    }
}

impl TensorRef<'_> {
    /// What the tensor's place in the file is a multiple of: its element size, or a cache line for bytes that fill cache lines.
    fn alignment(&self) -> usize {
        const LINE: usize = 64;
        match self.dtype {
            Dtype::U8 if self.bytes.len().is_multiple_of(LINE) => LINE,
            other => other.size_bytes(),
        }
    }
}

/// Writes `tensors` to `path`, replacing what is there.
///
/// The bytes go to a new file in the same folder, are flushed to the disk, and take the final name by a rename: a reader
/// sees the old file or the new one. The same input gives the same bytes.
pub fn write(path: &Path, tensors: &[TensorBytes], metadata: &BTreeMap<String, String>) -> Result<()> {
    let tensors: Vec<TensorRef> = tensors.iter().map(TensorRef::from).collect();
    write_refs(path, &tensors, metadata, &mut |_| ())
}

/// The same with tensors whose bytes lie elsewhere. `written_bytes` is called with the size of each tensor once it is written.
pub fn write_refs(
    path: &Path,
    tensors: &[TensorRef],
    metadata: &BTreeMap<String, String>,
    written_bytes: &mut dyn FnMut(u64),
) -> Result<()> {
    let (header, order) = layout(path, tensors, metadata)?;
    let io = |source| WeightsError::Io {
        file: path.to_path_buf(),
        source,
    };
    (|| {
        let (unfinished, file) = Unfinished::file(path)?;
        let mut out = BufWriter::new(file);
        out.write_all(&header)?;
        for tensor in &order {
            out.write_all(tensor.bytes)?;
            written_bytes(tensor.bytes.len() as u64);
        }
        let file = out.into_inner().map_err(|e| e.into_error())?;
        file.sync_all()?;
        drop(file);
        unfinished.finish()?;
        sync_folder(path)
    })()
    .map_err(io)
}

/// The same file as [`write()`], in memory.
pub fn encode(tensors: &[TensorBytes], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let tensors: Vec<TensorRef> = tensors.iter().map(TensorRef::from).collect();
    let (mut bytes, order) = layout(Path::new("safetensors"), &tensors, metadata)?;
    for tensor in &order {
        bytes.extend_from_slice(tensor.bytes);
    }
    Ok(bytes)
}

/// Little-endian bytes of `values`, rounded to `dtype` (F32, F16 or BF16; to nearest, ties to even).
pub fn f32_bytes(values: &[f32], dtype: Dtype) -> Result<Vec<u8>> {
    Ok(match dtype {
        Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Dtype::F16 => values
            .iter()
            .flat_map(|v| f16::from_f32(*v).to_le_bytes())
            .collect(),
        Dtype::Bf16 => values
            .iter()
            .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
            .collect(),
        found => {
            return Err(WeightsError::WriteDtype {
                expected: "F32, F16 or BF16",
                found,
            });
        }
    })
}

/// Little-endian bytes of `values`, for a tensor of type I64.
pub fn i64_bytes(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Length prefix and header, and the tensors in the order of their data: largest alignment first, so that every tensor is
/// aligned (the header is padded to whole cache lines), then by name.
fn layout<'t>(
    path: &Path,
    tensors: &[TensorRef<'t>],
    metadata: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, Vec<TensorRef<'t>>)> {
    let file = || path.display().to_string();
    let mut order = tensors.to_vec();
    order.sort_by(|a, b| b.alignment().cmp(&a.alignment()).then_with(|| a.name.cmp(b.name)));
    if let Some(tensor) = crate::header::first_duplicate(tensors.iter().map(|t| t.name)) {
        return Err(WeightsError::Duplicate {
            file: file(),
            tensor: tensor.to_string(),
        });
    }
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_string(), serde_json::json!(metadata));
    }
    let mut start = 0;
    for TensorRef {
        name,
        dtype,
        shape,
        bytes,
    } in order.iter().copied()
    {
        if name == "__metadata__" {
            let reason = "no tensor may be called `__metadata__`".to_string();
            return Err(WeightsError::Header { file: file(), reason });
        }
        if dtype.is_quantised() {
            return Err(WeightsError::WriteDtype {
                expected: "a plain type",
                found: dtype,
            });
        }
        let expected = dtype
            .length_bytes(shape)
            .ok_or_else(|| WeightsError::ShapeOverflow {
                file: file(),
                tensor: name.to_owned(),
                shape: shape.to_vec(),
            })?;
        if expected != bytes.len() {
            return Err(WeightsError::Length {
                file: file(),
                tensor: name.to_owned(),
                dtype,
                shape: shape.to_vec(),
                expected: expected as u64,
                found: bytes.len() as u64,
            });
        }
        let end = start + bytes.len();
        let info = serde_json::json!({ "dtype": dtype.name(), "shape": shape, "data_offsets": [start, end] });
        header.insert(name.to_owned(), info);
        start = end;
    }
    let mut json = serde_json::Value::Object(header).to_string().into_bytes();
    json.resize((json.len() + 8).next_multiple_of(64) - 8, b' ');
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut json);
    Ok((bytes, order))
}

/// Makes the rename itself durable. Only Unix lets a folder be opened and flushed.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        let folder = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
